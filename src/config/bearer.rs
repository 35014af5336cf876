//! The section `[identity]` with `kind = "bearer"`.

use config::ValueKind;
use jsonwebtoken::Algorithm;

use super::identity::to_json;
use super::section::Section;
use crate::expression::Absent;
use crate::identity::Bearer;
use crate::identity::bearer::{ClaimExpression, Place, UserMapping};
use crate::identity::proxy_headers::FieldName;
use crate::jwt::keys::{KeySet, is_symmetric, parse_algorithm};
use crate::jwt::verify::Rules;
use crate::secret::SharedSecret;

pub(super) fn read(section: &Section<'_>) -> Option<Box<Bearer>> {
    let place = place(section);
    let help = "write the tokens' iss, exactly, such as \"https://login.example.com/\"";
    let issuer = section.needed_text("issuer", help).filter(|issuer| {
        if issuer.is_empty() {
            section.wrong("issuer", "it is empty", help);
        }
        !issuer.is_empty()
    });
    let audiences = audiences(section);
    let algorithms = algorithms(section);
    let leeway_s = if section.has("leeway_s") { section.number("leeway_s", 0, 300) } else { Some(0) };
    let required_claims = required_claims(section);
    let mapping = mapping(section);
    let (name, keys) = keys(section)?;
    let algorithms = algorithms?;
    if let Some(misfit) = algorithms.iter().find(|algorithm| !keys.fits(**algorithm)) {
        let what = format!("no key in it fits the algorithm {misfit:?} of identity.algorithms");
        section.wrong(&name, what, "name the algorithms that the issuer signs with, and its keys");
        return None;
    }
    Some(Box::new(Bearer {
        place: place?,
        rules: Rules {
            algorithms,
            issuer: issuer?,
            audiences: audiences?,
            leeway_s: leeway_s?,
            required_claims,
        },
        keys,
        mapping,
    }))
}

fn place(section: &Section<'_>) -> Option<Place> {
    if section.has("cookie") {
        for name in ["header", "scheme"] {
            if section.has(name) {
                section.value(name);
                section.wrong(name, "the token is in a cookie", "keep either cookie, or header and scheme");
            }
        }
        return section.parsed("cookie", "write the cookie's name", |name| {
            FieldName::parse(name).map(|_| Place::Cookie(name.to_owned())).ok_or("it is not a cookie's name")
        });
    }
    let name = if section.has("header") {
        section.parsed("header", "write a header's name, such as \"Authorization\"", |name| {
            FieldName::parse(name).map(|name| name.as_str().to_owned()).ok_or("it is not a header's name")
        })?
    } else {
        "authorization".to_owned()
    };
    let scheme = match section.has("scheme") {
        true => {
            section.parsed("scheme", "write one word, such as \"Bearer\", or \"\" for none", |scheme| {
                let is_word = scheme.is_empty() || FieldName::parse(scheme).is_some();
                if is_word { Ok(scheme.to_owned()) } else { Err("it is not one word") }
            })?
        }
        false if name == "authorization" => "Bearer".to_owned(),
        false => String::new(),
    };
    Some(Place::Header { name, scheme: Some(scheme).filter(|scheme| !scheme.is_empty()) })
}

fn audiences(section: &Section<'_>) -> Option<Vec<String>> {
    let help = "write what the tokens' aud names: this service, as the issuer knows it";
    if !section.has("audience") {
        section.needed_text("audience", help);
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

fn algorithms(section: &Section<'_>) -> Option<Vec<Algorithm>> {
    let help =
        "write the algorithm that the issuer signs with, such as [\"RS256\"]; for HS256 give a shared_secret";
    if !section.has("algorithms") {
        return Some(vec![Algorithm::RS256]);
    }
    let algorithms = section.all_parsed("algorithms", help, |name| {
        parse_algorithm(name).ok_or("no such algorithm is known here")
    })?;
    let symmetric = algorithms.iter().filter(|algorithm| is_symmetric(**algorithm)).count();
    if algorithms.is_empty() || (symmetric > 0 && symmetric < algorithms.len()) {
        section.wrong("algorithms", "it is empty, or mixes secrets with public keys", help);
        return None;
    }
    Some(algorithms)
}

/// The keys, and the setting that gives them: exactly one.
fn keys(section: &Section<'_>) -> Option<(String, KeySet)> {
    const PUBLIC: [&str; 2] = ["jwks_file", "public_key_file"];
    const SECRET: [&str; 2] = ["shared_secret", "shared_secret_file"];
    let given: Vec<&str> = PUBLIC.into_iter().chain(SECRET).filter(|name| section.has(name)).collect();
    let help =
        "give one of jwks_file (a JSON Web Key Set), public_key_file (PEM) or, for HS256, shared_secret";
    for name in &given {
        section.value(name);
    }
    match given.as_slice() {
        [] => {
            section.wrong("jwks_file", "there are no keys to verify with", help);
            None
        }
        ["jwks_file"] => from_file(section, "jwks_file", KeySet::from_jwks),
        ["public_key_file"] => from_file(section, "public_key_file", KeySet::from_pem),
        ["shared_secret" | "shared_secret_file", ..] => {
            let (name, text) = section.secret("shared_secret", help)?;
            let secret = SharedSecret::parse(&text).map_err(|why| {
                section.wrong(&name, format!("the secret cannot be used: {why}"), "use 32 bytes or more")
            });
            Some((name, KeySet::from_shared_secret(&secret.ok()?)))
        }
        [first, ..] => {
            section.wrong(first, format!("keys are given more than once: {}", given.join(", ")), help);
            None
        }
    }
}

fn from_file<E: std::fmt::Display>(
    section: &Section<'_>,
    name: &str,
    read: impl FnOnce(&[u8]) -> Result<KeySet, E>,
) -> Option<(String, KeySet)> {
    let text = section.file(name)?;
    let keys = read(text.as_bytes());
    let keys = keys.map_err(|why| {
        section.wrong(name, format!("its keys cannot be used: {why}"), "give the issuer's public keys")
    });
    Some((name.to_owned(), keys.ok()?))
}

fn required_claims(section: &Section<'_>) -> Vec<(String, serde_json::Value)> {
    let required = section.section("required_claims");
    let claims = required.names().into_iter().filter_map(|name| {
        let value = to_json(required.value(&name)?);
        Some((name, value))
    });
    claims.collect()
}

/// Which claims say what; where `[identity.user]` does not say otherwise, the
/// standard claims of OpenID Connect.
fn mapping(section: &Section<'_>) -> UserMapping {
    let user = section.section("user");
    let organization = user.section("organization");
    let attributes = user.section("attributes");
    let attribute =
        |name: String| Some((name.clone(), expression(&attributes, &name, Absent::ReadsAsEmpty)?));
    let mapping = UserMapping {
        id: word(&user, "id", Some("sub")),
        email: word(&user, "email", Some("email")),
        name: word(&user, "name", Some("name")),
        username: word(&user, "username", Some("preferred_username")),
        groups: word(&user, "groups", Some("groups")),
        organization_id: word(&organization, "id", None),
        organization_name: word(&organization, "name", None),
        attributes: attributes.names().into_iter().filter_map(attribute).collect(),
    };
    organization.finish();
    attributes.finish();
    user.finish();
    mapping
}

/// The expression that is written, else the standard claim.
fn word(section: &Section<'_>, name: &str, standard: Option<&str>) -> Option<ClaimExpression> {
    if section.has(name) {
        return expression(section, name, Absent::YieldsNothing);
    }
    // asked for all the same, so that a wrong key is told what there is
    section.value(name);
    standard.and_then(|claim| ClaimExpression::compile(claim, Absent::YieldsNothing).ok())
}

/// An expression; an empty one says that nothing is to be read.
fn expression(section: &Section<'_>, name: &str, absent: Absent) -> Option<ClaimExpression> {
    section.optional(name, "write an expression over the token's claims, such as \"sub\"", |written| {
        ClaimExpression::compile(written, absent)
    })
}
