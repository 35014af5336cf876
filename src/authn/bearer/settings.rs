//! The section `[identity]` with `kind = "bearer"` or an issuer preset.

use config::ValueKind;

use super::presets::{IssuerPreset, Setting};
use crate::authn::token::settings::{self as token, STANDARD_CLAIMS};
use crate::authn::token::{IssuerKeys, TokenAuthenticator, Vendor, key_settings};
use crate::jwt::key_set::MissingKid;
use crate::jwt::verify::{Audience, IssuedAt, Validation};
use crate::settings::{Reported, Section, to_json};

pub(crate) fn read(section: &Section<'_>, preset: &IssuerPreset) -> Result<TokenAuthenticator, Reported> {
    let defaults = Defaults::of(section, preset);
    let location = token::location(section, preset.header, preset.scheme);
    let issuer = match (section.has("issuer"), defaults.issuer) {
        (false, Some(issuer)) => Ok(issuer),
        _ => section.nonempty_text(
            "issuer",
            "write the tokens' iss, exactly, such as \"https://login.example.com/\"",
        ),
    };
    let audiences = match (section.has("audience"), defaults.audience) {
        (false, Some(audience)) => Ok(vec![audience]),
        _ => audiences(section),
    };
    let algorithms = token::algorithms(section, preset.algorithms);
    let types = token::types(section, preset.types);
    let leeway_s = token::leeway_s(section, preset.leeway_s);
    let mut required_claims = required_claims(section);
    for (name, value) in preset.required_claims {
        if !required_claims.iter().any(|(own, _)| own == name) {
            required_claims.push(((*name).to_owned(), (*value).into()));
        }
    }
    let default_person_claim = preset.person_claim.unwrap_or_default().to_owned();
    let person_claim =
        section.or_default("person_claim", default_person_claim, |section| section.text("person_claim"));
    let mapping = token::mapping(section, &STANDARD_CLAIMS);
    let known_issuer = issuer.as_ref().map(|issuer| Some(issuer.as_str())).map_err(|reported| *reported);
    let known_algorithms = algorithms.as_deref().map_err(|reported| *reported);
    let keys = key_settings::read(section, known_issuer, defaults.jwks_url.as_deref(), known_algorithms);
    Ok(TokenAuthenticator {
        kind: "bearer",
        location: location?,
        keys: IssuerKeys::only(keys?),
        validation: Validation {
            algorithms: algorithms?,
            types: types?,
            missing_kid: MissingKid::OnlyKey,
            issuer: Some(issuer?),
            audience: Audience::OneOf(audiences?),
            issued_at: IssuedAt::Optional,
            leeway_s: leeway_s?,
            required_claims,
            person_claim: Some(person_claim?).filter(|name| !name.is_empty()),
            subject: Some("sub"),
        },
        mapping: mapping?,
        subject_example: "id",
        vendor: Vendor::Standard,
    })
}

/// The preset's defaults in which its own setting is inserted.
struct Defaults {
    issuer: Option<String>,
    audience: Option<String>,
    jwks_url: Option<String>,
}

impl Defaults {
    fn of(section: &Section<'_>, preset: &IssuerPreset) -> Self {
        let setting =
            preset.setting.as_ref().and_then(|own| Some((own.name, own_setting(section, own).ok()?)));
        let filled = |text: Option<&str>| match (&setting, text) {
            (Some((name, value)), Some(text)) => Some(text.replace(&format!("{{{name}}}"), value)),
            // the missing setting is reported; avoid further problems
            (None, Some(text)) => Some(text.to_owned()),
            (_, None) => None,
        };
        Self {
            issuer: filled(preset.issuer),
            audience: filled(preset.audience),
            jwks_url: filled(preset.jwks_url).filter(|_| preset.setting.is_none() || setting.is_some()),
        }
    }
}

/// The preset's own setting.
fn own_setting(section: &Section<'_>, setting: &Setting) -> Result<String, Reported> {
    let Setting { name, help, is_host } = setting;
    section.require(name, help)?;
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

fn audiences(section: &Section<'_>) -> Result<Vec<String>, Reported> {
    let help = "write the aud of tokens for this service";
    section.require("audience", help)?;
    // a single string is one audience, not split at commas
    let audiences = match section.value("audience").map(|audience| audience.kind) {
        Some(ValueKind::String(one)) => vec![one],
        _ => section.texts("audience")?,
    };
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        return Err(section.report("audience", "it is empty", help));
    }
    Ok(audiences)
}

fn required_claims(section: &Section<'_>) -> Vec<(String, serde_json::Value)> {
    let required = section.section("required_claims");
    let claims = required.names().into_iter().filter_map(|name| {
        let value = to_json(required.value(&name)?);
        Some((name, value))
    });
    claims.collect()
}
