//! The section `[identity]` with `kind = "bearer"` or an issuer preset.

use config::ValueKind;

use super::keys;
use super::token::{self, STANDARD_CLAIMS};
use crate::authn::Bearer;
use crate::authn::bearer::presets::{IssuerPreset, Setting};
use crate::jwt::token_type::{DEFAULT_TYPES, TokenType};
use crate::settings::{Section, to_json};

pub(super) fn read(section: &Section<'_>, preset: Option<&IssuerPreset>) -> Option<Box<Bearer>> {
    let defaults = Defaults::of(section, preset);
    let location = token::location(section, defaults.header, defaults.scheme);
    let issuer = match (section.has("issuer"), defaults.issuer) {
        (false, Some(issuer)) => Some(issuer),
        _ => token::nonempty_text(
            section,
            "issuer",
            "write the tokens' iss, exactly, such as \"https://login.example.com/\"",
        ),
    };
    let audiences = match (section.has("audience"), defaults.audience) {
        (false, Some(audience)) => Some(vec![audience]),
        _ => audiences(section),
    };
    let algorithms = token::algorithms(section, defaults.algorithms);
    let types = token::types(section, defaults.types);
    let leeway_s = token::leeway_s(section, defaults.leeway_s);
    let mut required_claims = required_claims(section);
    for (name, value) in defaults.required_claims {
        if !required_claims.iter().any(|(own, _)| own == name) {
            required_claims.push(((*name).to_owned(), (*value).into()));
        }
    }
    let person_claim = section
        .or_default("person_claim", defaults.person_claim.unwrap_or_default().to_owned(), |section| {
            section.text("person_claim")
        })
        .map(|name| Some(name).filter(|name| !name.is_empty()));
    let mapping = token::mapping(section, &STANDARD_CLAIMS);
    let keys = keys::read(section, issuer.as_deref(), defaults.jwks_url.as_deref(), algorithms.as_deref());
    Some(Box::new(Bearer {
        location: location?,
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

/// The defaults of absent settings.
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
    fn of(section: &Section<'_>, preset: Option<&IssuerPreset>) -> Self {
        let Some(preset) = preset else {
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
        let setting = preset.setting.as_ref().and_then(|own| Some((own.name, own_setting(section, own)?)));
        let filled = |text: Option<&str>| match (&setting, text) {
            (Some((name, value)), Some(text)) => Some(text.replace(&format!("{{{name}}}"), value)),
            // the missing setting is reported; avoid further problems
            (None, Some(text)) => Some(text.to_owned()),
            (_, None) => None,
        };
        Self {
            header: preset.header,
            scheme: preset.scheme,
            algorithms: preset.algorithms,
            types: preset.types,
            issuer: filled(preset.issuer),
            audience: filled(preset.audience),
            jwks_url: filled(preset.jwks_url).filter(|_| preset.setting.is_none() || setting.is_some()),
            leeway_s: preset.leeway_s,
            required_claims: preset.required_claims,
            person_claim: preset.person_claim,
        }
    }
}

/// The preset's own setting.
fn own_setting(section: &Section<'_>, setting: &Setting) -> Option<String> {
    let Setting { name, help, is_host } = setting;
    if !section.require(name, help) {
        return None;
    }
    section.parsed(name, help, |text| {
        let is_part =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || (*is_host && b".:".contains(&byte));
        if !text.is_empty() && text.bytes().all(is_part) {
            Ok(text.to_owned())
        } else {
            Err("it has invalid characters")
        }
    })
}

fn audiences(section: &Section<'_>) -> Option<Vec<String>> {
    let help = "write the aud of tokens for this service";
    if !section.require("audience", help) {
        return None;
    }
    // a single string is one audience, not split at commas
    let audiences = match section.value("audience")?.kind {
        ValueKind::String(one) => vec![one],
        _ => section.texts("audience")?,
    };
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        section.report("audience", "it is empty", help);
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
