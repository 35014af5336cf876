//! Where in a request a token is: in a header, after an optional scheme, or in a
//! cookie.

use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Repeated};

/// Where in a request a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenLocation {
    /// In a header field, after an optional authentication scheme.
    Header {
        /// The field's name, in lower case.
        name: String,
        /// The scheme (RFC 9110, 11.1), such as `Bearer`; `None`: the value is the token.
        scheme: Option<String>,
    },
    /// In a cookie of that name.
    Cookie(String),
}

impl TokenLocation {
    /// A header and the optional scheme before the token.
    pub fn header(name: &str, scheme: Option<&str>) -> Self {
        Self::Header { name: name.to_owned(), scheme: scheme.map(str::to_owned) }
    }

    /// The token; `None` if it is absent or empty.
    pub fn find<'a>(&self, headers: &Headers<'a>) -> Result<Option<&'a str>, Refusal> {
        let value = match self {
            Self::Header { name, .. } => {
                headers.only(name).map_err(|Repeated| repeated("the header that carries the token"))?
            }
            Self::Cookie(name) => {
                let mut found = headers.cookies().filter(|(other, _)| *other == name.as_bytes());
                match (found.next(), found.next()) {
                    (None, _) => None,
                    (Some((_, value)), None) => Some(value),
                    (Some(_), Some(_)) => return Err(repeated("the cookie that carries the token")),
                }
            }
        };
        let Some(value) = value.filter(|value| !value.trim_ascii().is_empty()) else { return Ok(None) };
        let value =
            std::str::from_utf8(value).map_err(|_| Reason::InvalidToken.because("the token is not UTF-8"))?;
        match self {
            Self::Header { scheme: Some(scheme), .. } => after_scheme(value, scheme).map(Some),
            Self::Header { scheme: None, .. } | Self::Cookie(_) => Ok(Some(value)),
        }
    }
}

/// What follows the scheme, whose case is ignored, and one space.
fn after_scheme<'a>(value: &'a str, scheme: &str) -> Result<&'a str, Refusal> {
    match value.split_once(' ') {
        Some((named, token)) if named.eq_ignore_ascii_case(scheme) => Ok(token),
        _ => Err(Reason::InvalidToken.because("the header's value does not begin with the expected scheme")),
    }
}

fn repeated(what: &str) -> Refusal {
    Reason::AmbiguousIdentity.because(format!("{what} is repeated"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn find(location: TokenLocation, fields: &[(&str, &str)]) -> Result<Option<String>, Reason> {
        let headers: Headers<'_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        location.find(&headers).map(|token| token.map(str::to_owned)).map_err(|refusal| refusal.reason)
    }

    #[rstest]
    #[case::nothing(&[], Ok(None))]
    #[case::empty(&[("authorization", " ")], Ok(None))]
    #[case::token(&[("authorization", "Bearer a.b.c")], Ok(Some("a.b.c")))]
    #[case::case_of_the_scheme(&[("authorization", "bearer a.b.c")], Ok(Some("a.b.c")))]
    #[case::no_scheme(&[("authorization", "a.b.c")], Err(Reason::InvalidToken))]
    #[case::another_scheme(&[("authorization", "Basic a.b.c")], Err(Reason::InvalidToken))]
    #[case::twice(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Err(Reason::AmbiguousIdentity))]
    fn a_token_is_found_after_its_scheme(
        #[case] fields: &[(&str, &str)],
        #[case] token: Result<Option<&str>, Reason>,
    ) {
        let location = TokenLocation::Header { name: "authorization".into(), scheme: Some("Bearer".into()) };
        assert_eq!(find(location, fields), token.map(|token| token.map(str::to_owned)));
    }

    #[rstest]
    #[case::nothing(&[("cookie", "a=b")], Ok(None))]
    #[case::token(&[("cookie", "a=b; session=a.b.c; c=d")], Ok(Some("a.b.c")))]
    #[case::twice(&[("cookie", "session=a; session=b")], Err(Reason::AmbiguousIdentity))]
    #[case::in_two_fields(&[("cookie", "session=a"), ("cookie", "session=a")], Err(Reason::AmbiguousIdentity))]
    #[case::another_case(&[("cookie", "Session=a")], Ok(None))]
    #[case::empty(&[("cookie", "session=")], Ok(None))]
    fn a_token_is_found_in_its_cookie(
        #[case] fields: &[(&str, &str)],
        #[case] token: Result<Option<&str>, Reason>,
    ) {
        assert_eq!(
            find(TokenLocation::Cookie("session".into()), fields),
            token.map(|token| token.map(str::to_owned))
        );
    }

    #[test]
    fn other_cookies_need_not_be_utf8() {
        let location = TokenLocation::Cookie("session".into());
        let find = |fields: &[&[u8]]| {
            let headers: Headers<'_> = fields.iter().map(|value| ("cookie", *value)).collect();
            location.find(&headers).map(|token| token.map(str::to_owned)).map_err(|refusal| refusal.reason)
        };
        assert_eq!(find(&[b"x=\xff; session=a.b.c"]), Ok(Some("a.b.c".to_owned())));
        assert_eq!(find(&[b"session=a", b"session=b; x=\xff"]), Err(Reason::AmbiguousIdentity));
        assert_eq!(find(&["\u{a0}session=a".as_bytes()]), Ok(None));
        assert_eq!(find(&[b"session=\xff"]), Err(Reason::InvalidToken));
    }
}
