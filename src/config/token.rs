//! The settings of `[identity]` that token authenticators share: location,
//! algorithms, types, leeway, mapping.

use jsonwebtoken::Algorithm;

use crate::authn::proxy_headers::FieldName;
use crate::authn::token::{ClaimExpression, TokenLocation, UserMapping};
use crate::expression::MissingValue;
use crate::jwt::key_set::{is_symmetric, parse_algorithm};
use crate::jwt::token_type::TokenType;
use crate::settings::Section;

/// The standard claims of OpenID Connect (Core 1.0, 5.1), and `groups`.
pub(super) const STANDARD_CLAIMS: [(&str, &str); 5] = [
    ("id", "sub"),
    ("email", "email"),
    ("name", "name"),
    ("username", "preferred_username"),
    ("groups", "groups"),
];

/// A header and its scheme, or a cookie; `header` and `scheme` are the default.
pub(super) fn location(section: &Section<'_>, header: &str, scheme: Option<&str>) -> Option<TokenLocation> {
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
    Some(TokenLocation::header(&name, Some(scheme.as_str()).filter(|scheme| !scheme.is_empty())))
}

/// The tolerated clock difference, in seconds.
pub(super) fn leeway_s(section: &Section<'_>, standard: u64) -> Option<u64> {
    section.or_default("leeway_s", standard, |section| section.number("leeway_s", 0, 300))
}

/// The accepted algorithms; `standard` is the default.
pub(super) fn algorithms(section: &Section<'_>, standard: &[&str]) -> Option<Vec<Algorithm>> {
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
        section.report("algorithms", "it is empty, or mixes HMAC with public-key algorithms", help);
        return None;
    }
    Some(algorithms)
}

/// The accepted values of `typ`; `standard` is the default.
pub(super) fn types(section: &Section<'_>, standard: &[TokenType]) -> Option<Vec<TokenType>> {
    let help = "write the tokens' typ, such as [\"JWT\", \"at+jwt\"], and \"\" for tokens without one";
    let types = section.or_default("accepted_types", standard.to_vec(), |section| {
        section
            .all_parsed("accepted_types", help, |text| TokenType::parse(text).ok_or("it is not a media type"))
    })?;
    if types.is_empty() {
        section.report("accepted_types", "it is empty, so every token would be refused", help);
        return None;
    }
    Some(types)
}

/// A required string that is not empty.
pub(super) fn nonempty_text(section: &Section<'_>, name: &str, help: &str) -> Option<String> {
    section.required_text(name, help).filter(|text| {
        if text.is_empty() {
            section.report(name, "it is empty", help);
        }
        !text.is_empty()
    })
}

/// The mapping of `[identity.user]`, with `standard` as the default.
pub(super) fn mapping(section: &Section<'_>, standard: &[(&str, &str)]) -> UserMapping {
    let user = section.section("user");
    let organization = user.section("organization");
    let attributes = user.section("attributes");
    let default = |name: &str| standard.iter().find(|(own, _)| *own == name).map(|(_, claim)| *claim);
    let attribute = |name: String| Some((name.clone(), expression(&attributes, &name, MissingValue::Empty)?));
    let default_attributes = standard.iter().filter_map(|(own, claim)| {
        let name = own.strip_prefix("attributes.").filter(|name| !attributes.has(name))?;
        Some((name.to_owned(), ClaimExpression::compile(claim, MissingValue::Empty).ok()?))
    });
    let mapping = UserMapping {
        id: expression_or_default(&user, "id", default("id")),
        email: expression_or_default(&user, "email", default("email")),
        name: expression_or_default(&user, "name", default("name")),
        username: expression_or_default(&user, "username", default("username")),
        groups: expression_or_default(&user, "groups", default("groups")),
        organization_id: expression_or_default(&organization, "id", default("organization.id")),
        organization_name: expression_or_default(&organization, "name", default("organization.name")),
        attributes: attributes.names().into_iter().filter_map(attribute).chain(default_attributes).collect(),
    };
    organization.finish();
    attributes.finish();
    user.finish();
    mapping
}

/// The configured expression, else the standard claim.
fn expression_or_default(
    section: &Section<'_>,
    name: &str,
    standard: Option<&str>,
) -> Option<ClaimExpression> {
    if section.has(name) {
        return expression(section, name, MissingValue::Undefined);
    }
    // read, so that it counts as known where another key is misspelt
    section.value(name);
    standard.and_then(|claim| ClaimExpression::compile(claim, MissingValue::Undefined).ok())
}

/// An expression; `None` where it is empty, which disables the field.
fn expression(section: &Section<'_>, name: &str, missing: MissingValue) -> Option<ClaimExpression> {
    section.optional(name, "write an expression over the token's claims, such as \"sub\"", |written| {
        ClaimExpression::compile(written, missing)
    })
}
