//! The section `[identity]` with `kind = "bearer"`, or that of a front which
//! fills most of it in.

use config::ValueKind;

use super::keys;
use super::token::{self, STANDARD_CLAIMS};
use crate::authn::Bearer;
use crate::authn::bearer::presets::{IssuerPreset, Setting};
use crate::jwt::token_type::{DEFAULT_TYPES, TokenType};
use crate::settings::Section;
use crate::settings::to_json;

pub(super) fn read(section: &Section<'_>, front: Option<&IssuerPreset>) -> Option<Box<Bearer>> {
    let usual = Defaults::of(section, front);
    let place = token::place(section, usual.header, usual.scheme);
    let issuer = match (section.has("issuer"), usual.issuer) {
        (false, Some(issuer)) => Some(issuer),
        _ => token::some_text(
            section,
            "issuer",
            "write the tokens' iss, exactly, such as \"https://login.example.com/\"",
        ),
    };
    let audiences = match (section.has("audience"), usual.audience) {
        (false, Some(audience)) => Some(vec![audience]),
        _ => audiences(section),
    };
    let algorithms = token::algorithms(section, usual.algorithms);
    let types = token::types(section, usual.types);
    let leeway_s = token::leeway_s(section, usual.leeway_s);
    let mut required_claims = required_claims(section);
    for (name, value) in usual.required_claims {
        if !required_claims.iter().any(|(own, _)| own == name) {
            required_claims.push(((*name).to_owned(), (*value).into()));
        }
    }
    let person_claim = section
        .or_default("person_claim", usual.person_claim.unwrap_or_default().to_owned(), |section| {
            section.text("person_claim")
        })
        .map(|name| Some(name).filter(|name| !name.is_empty()));
    let mapping = token::mapping(section, &STANDARD_CLAIMS);
    let keys = keys::read(section, issuer.as_deref(), usual.jwks_url.as_deref(), algorithms.as_deref());
    Some(Box::new(Bearer {
        place: place?,
        algorithms: algorithms?,
        types: types?,
        issuer: issuer?,
        audiences: audiences?,
        leeway_s: leeway_s?,
        required_claims,
        person_claim: person_claim?,
        keys: keys?,
        mapping,
    }))
}

/// What holds where the configuration does not say otherwise.
struct Defaults {
    header: &'static str,
    scheme: Option<&'static str>,
    algorithms: &'static [&'static str],
    types: &'static [TokenType],
    issuer: Option<String>,
    audience: Option<String>,
    jwks_url: Option<String>,
    leeway_s: u64,
    required_claims: &'static [(&'static str, &'static str)],
    person_claim: Option<&'static str>,
}

impl Defaults {
    fn of(section: &Section<'_>, front: Option<&IssuerPreset>) -> Self {
        let Some(front) = front else {
            return Self {
                header: "authorization",
                scheme: Some("Bearer"),
                algorithms: &["RS256"],
                types: &DEFAULT_TYPES,
                issuer: None,
                audience: None,
                jwks_url: None,
                leeway_s: 0,
                required_claims: &[],
                person_claim: None,
            };
        };
        let setting = front.setting.as_ref().and_then(|own| Some((own.name, own_setting(section, own)?)));
        let filled = |text: Option<&str>| match (&setting, text) {
            (Some((name, value)), Some(text)) => Some(text.replace(&format!("{{{name}}}"), value)),
            // the missing setting has been told; nothing else shall be
            (None, Some(text)) => Some(text.to_owned()),
            (_, None) => None,
        };
        Self {
            header: front.header,
            scheme: front.scheme,
            algorithms: front.algorithms,
            types: front.types,
            issuer: filled(front.issuer),
            audience: filled(front.audience),
            jwks_url: filled(front.jwks_url).filter(|_| front.setting.is_none() || setting.is_some()),
            leeway_s: front.leeway_s,
            required_claims: front.required_claims,
            person_claim: front.person_claim,
        }
    }
}

/// What stands in a front's addresses.
fn own_setting(section: &Section<'_>, setting: &Setting) -> Option<String> {
    let Setting { name, help, is_host } = setting;
    if !section.need(name, help) {
        return None;
    }
    section.parsed(name, help, |text| {
        let is_part =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || (*is_host && b".:".contains(&byte));
        if !text.is_empty() && text.bytes().all(is_part) {
            Ok(text.to_owned())
        } else {
            Err("it is not that")
        }
    })
}

fn audiences(section: &Section<'_>) -> Option<Vec<String>> {
    let help = "write what the tokens' aud names: this service, as the issuer knows it";
    if !section.need("audience", help) {
        return None;
    }
    // a single text is one audience, whatever stands in it
    let audiences = match section.value("audience")?.kind {
        ValueKind::String(one) => vec![one],
        _ => section.texts("audience")?,
    };
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        section.wrong("audience", "it is empty", help);
        return None;
    }
    Some(audiences)
}

fn required_claims(section: &Section<'_>) -> Vec<(String, serde_json::Value)> {
    let required = section.section("required_claims");
    let claims = required.names().into_iter().filter_map(|name| {
        let value = to_json(required.value(&name)?);
        Some((name, value))
    });
    claims.collect()
}
