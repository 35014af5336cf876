//! The settings of `[identity]` that token authenticators share: location,
//! algorithms, types, leeway, mapping.

use jsonwebtoken::Algorithm;

use super::location::TokenLocation;
use super::mapping::{ClaimExpression, UserMapping};
use crate::expression::MissingValue;
use crate::jwt::key_set::{is_symmetric, parse_algorithm};
use crate::jwt::token_type::TokenType;
use crate::request::FieldName;
use crate::settings::{Reported, Section};

/// The standard claims of OpenID Connect (Core 1.0, 5.1), and `groups`.
pub(crate) const STANDARD_CLAIMS: [(&str, &str); 5] = [
    ("id", "sub"),
    ("email", "email"),
    ("name", "name"),
    ("username", "preferred_username"),
    ("groups", "groups"),
];

/// A header and its scheme, or a cookie; `header` and `scheme` are the default.
pub(crate) fn location(
    section: &Section<'_>,
    header: &str,
    scheme: Option<&str>,
) -> Result<TokenLocation, Reported> {
    if section.has("cookie") {
        for name in ["header", "scheme"] {
            if section.has(name) {
                section.value(name);
                section.report(name, "the token is in a cookie", "set either cookie, or header and scheme");
            }
        }
        return section.parsed("cookie", "write the cookie's name", |name| {
            FieldName::parse(name)
                .map(|_| TokenLocation::Cookie(name.to_owned()))
                .ok_or("it is not a cookie's name")
        });
    }
    let name = section.or_default("header", header.to_owned(), |section| {
        section.parsed("header", "write a header's name, such as \"Authorization\"", |name| {
            FieldName::parse(name).map(|name| name.as_str().to_owned()).ok_or("it is not a header's name")
        })
    })?;
    let standard = match name.as_str() {
        "authorization" => Some("Bearer"),
        other if other == header => scheme,
        _ => None,
    };
    let scheme = section.or_default("scheme", standard.unwrap_or_default().to_owned(), |section| {
        section.parsed("scheme", "write one word, such as \"Bearer\", or \"\" for none", |scheme| {
            let is_word = scheme.is_empty() || FieldName::parse(scheme).is_some();
            if is_word { Ok(scheme.to_owned()) } else { Err("it is not one word") }
        })
    })?;
    Ok(TokenLocation::header(&name, Some(scheme.as_str()).filter(|scheme| !scheme.is_empty())))
}

/// The tolerated clock difference, in seconds.
pub(crate) fn leeway_s(section: &Section<'_>, standard: u64) -> Result<u64, Reported> {
    section.or_default("leeway_s", standard, |section| section.number("leeway_s", 0, 300))
}

/// The accepted algorithms; `standard` is the default.
pub(crate) fn algorithms(section: &Section<'_>, standard: &[&str]) -> Result<Vec<Algorithm>, Reported> {
    let help =
        "write the algorithm that the issuer signs with, such as [\"RS256\"]; for HS256 give a shared_secret";
    let standard = standard.iter().filter_map(|name| parse_algorithm(name)).collect();
    let algorithms = section.or_default("algorithms", standard, |section| {
        section.all_parsed("algorithms", help, |name| {
            parse_algorithm(name).ok_or("the algorithm is not supported")
        })
    })?;
    let symmetric = algorithms.iter().filter(|algorithm| is_symmetric(**algorithm)).count();
    if algorithms.is_empty() || (symmetric > 0 && symmetric < algorithms.len()) {
        let what = "it is empty, or mixes HMAC with public-key algorithms";
        return Err(section.report("algorithms", what, help));
    }
    Ok(algorithms)
}

/// The accepted values of `typ`; `standard` is the default.
pub(crate) fn types(section: &Section<'_>, standard: &[TokenType]) -> Result<Vec<TokenType>, Reported> {
    let help = "write the tokens' typ, such as [\"JWT\", \"at+jwt\"], and \"\" for tokens without one";
    let types = section.or_default("accepted_types", standard.to_vec(), |section| {
        section
            .all_parsed("accepted_types", help, |text| TokenType::parse(text).ok_or("it is not a media type"))
    })?;
    if types.is_empty() {
        return Err(section.report("accepted_types", "it is empty, so every token would be refused", help));
    }
    Ok(types)
}

/// The mapping of `[identity.user]`, with `standard` as the default.
pub(crate) fn mapping(section: &Section<'_>, standard: &[(&str, &str)]) -> Result<UserMapping, Reported> {
    let user = section.section("user");
    let organization = user.section("organization");
    let attributes = user.section("attributes");
    let default = |name: &str| standard.iter().find(|(own, _)| *own == name).map(|(_, claim)| *claim);
    let field = |section: &Section<'_>, name: &str, path: &str| {
        expression(section, name, default(path), MissingValue::Undefined)
    };
    let (id, email, name) =
        (field(&user, "id", "id"), field(&user, "email", "email"), field(&user, "name", "name"));
    let (username, groups) = (field(&user, "username", "username"), field(&user, "groups", "groups"));
    let organization_id = field(&organization, "id", "organization.id");
    let organization_name = field(&organization, "name", "organization.name");
    let defaults =
        standard.iter().filter_map(|(name, _)| name.strip_prefix("attributes.").map(str::to_owned));
    let mut names = attributes.names();
    names.extend(defaults.filter(|name| !attributes.has(name)));
    let attribute = |name: String| {
        let default = default(&format!("attributes.{name}"));
        expression(&attributes, &name, default, MissingValue::Empty).map(|own| own.map(|own| (name, own)))
    };
    // all are read before the first error is returned, so that each problem is reported
    let all_attributes: Vec<_> = names.into_iter().map(attribute).collect();
    for section in [&organization, &attributes, &user] {
        section.finish();
    }
    Ok(UserMapping {
        id: id?,
        email: email?,
        name: name?,
        username: username?,
        groups: groups?,
        organization_id: organization_id?,
        organization_name: organization_name?,
        attributes: all_attributes.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?,
    })
}

/// The configured expression, else the standard claim; `None` if it is empty, which disables the
/// field.
fn expression(
    section: &Section<'_>,
    name: &str,
    standard: Option<&str>,
    missing: MissingValue,
) -> Result<Option<ClaimExpression>, Reported> {
    let compile = |written: &str| ClaimExpression::compile(written, missing);
    if section.has(name) {
        let help = "write an expression over the token's claims, such as \"sub\"";
        return section.optional(name, help, compile);
    }
    // read always, so that it is not reported as unknown if another key is misspelt
    section.value(name);
    Ok(standard.and_then(|claim| compile(claim).ok()))
}
