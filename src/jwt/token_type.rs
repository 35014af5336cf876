//! The `typ` header (RFC 7515, 4.1.9; RFC 8725, 3.11): a media type that states
//! a token's purpose. Issuers sign logout tokens, security events and DPoP proofs
//! with the same keys, so only listed types are accepted.

use std::borrow::Cow;

use serde_json::Value;

/// A token's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// The header has no `typ`.
    Absent,
    /// A media type, in lower case, including `application/`.
    Named(Cow<'static, str>),
}

/// The types accepted by default: no `typ`, a JWT (RFC 7519, 5.1), an access
/// token (RFC 9068, 2.1).
pub const DEFAULT_TYPES: [TokenType; 3] = [
    TokenType::Absent,
    TokenType::Named(Cow::Borrowed("application/jwt")),
    TokenType::Named(Cow::Borrowed("application/at+jwt")),
];

impl TokenType {
    /// Parses a media type from the configuration; `""` means no `typ`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(Self::Absent) } else { Self::named(text) }
    }

    /// Parses the `typ` of a header; `None` if it is not a media type.
    pub fn of(typ: Option<&Value>) -> Option<Self> {
        match typ {
            None => Some(Self::Absent),
            Some(Value::String(text)) => Self::named(text),
            Some(_) => None,
        }
    }

    fn named(text: &str) -> Option<Self> {
        // `token` of RFC 9110, 5.6.2; at most one slash
        let is_token = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        let lower = text.to_ascii_lowercase();
        let whole = if lower.contains('/') { lower } else { format!("application/{lower}") };
        let (kind, name) = whole.split_once('/')?;
        (is_token(kind) && is_token(name)).then_some(Self::Named(Cow::Owned(whole)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::jwt(json!("JWT"), true)]
    #[case::lower_case(json!("jwt"), true)]
    #[case::with_its_prefix(json!("application/JWT"), true)]
    #[case::access_token(json!("at+jwt"), true)]
    #[case::access_token_with_its_prefix(json!("Application/AT+JWT"), true)]
    #[case::log_out(json!("logout+jwt"), false)]
    #[case::proof_of_possession(json!("dpop+jwt"), false)]
    #[case::event(json!("secevent+jwt"), false)]
    #[case::introspection(json!("token-introspection+jwt"), false)]
    #[case::jws(json!("JOSE"), false)]
    #[case::another_tree(json!("text/jwt"), false)]
    #[case::twice_prefixed(json!("application/application/jwt"), false)]
    #[case::with_a_parameter(json!("jwt;v=1"), false)]
    #[case::white_space(json!(" JWT"), false)]
    #[case::empty(json!(""), false)]
    #[case::only_a_prefix(json!("application/"), false)]
    #[case::null(json!(null), false)]
    #[case::number(json!(1), false)]
    #[case::list(json!(["JWT"]), false)]
    fn a_typ_is_compared_as_a_media_type(#[case] typ: Value, #[case] is_accepted: bool) {
        let read = TokenType::of(Some(&typ));
        assert_eq!(read.is_some_and(|read| DEFAULT_TYPES.contains(&read)), is_accepted);
    }

    #[test]
    fn a_missing_typ_is_a_type_of_its_own() {
        assert_eq!(TokenType::of(None), Some(TokenType::Absent));
        assert_eq!(TokenType::parse(""), Some(TokenType::Absent));
        assert_eq!(TokenType::parse("application/JWT"), TokenType::parse("jwt"));
        assert_eq!(TokenType::parse("a b"), None);
    }
}
