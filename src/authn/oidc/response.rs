//! The authorization response (RFC 6749, 4.1.2; RFC 9207), parsed strictly from the query
//! of the redirect URI. Nothing in it is trusted before its `state` is compared.

use std::fmt;

use url::form_urlencoded;

use crate::refusal::Reason;

/// What a provider sends to this service through the user's browser.
#[derive(Default)]
pub struct AuthorizationResponse {
    /// The authorization code.
    pub code: Option<String>,
    /// The `state` of the request.
    pub state: Option<String>,
    /// The issuer (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<Denial>,
}

/// Why a query is not an authorization response. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// Longer than [`MAX_QUERY_BYTES`].
    #[error("it is longer than {MAX_QUERY_BYTES} bytes")]
    TooLong,
    /// A parameter more than once (RFC 6749, 3.1).
    #[error("it has a parameter more than once")]
    Repeated,
    /// A value that is not visible ASCII.
    #[error("its {0} is empty, or has characters that are not allowed")]
    Characters(&'static str),
    /// Neither a code nor an error, or both.
    #[error("it has neither a code nor an error, or both")]
    Incomplete,
}

/// The `error` of an authorization response (RFC 6749, 4.1.2.1; OpenID Connect Core, 3.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The user or the provider denied the request.
    AccessDenied,
    /// The user has to log in, to consent, or to choose an account, but the provider was not
    /// allowed to ask.
    InteractionRequired,
    /// The provider is overloaded or fails.
    Unavailable,
    /// The provider does not accept the request: the client's settings differ from the provider's.
    RequestRejected,
    /// Any other error.
    Other,
}

/// The maximum length of a query, in bytes.
pub const MAX_QUERY_BYTES: usize = 16 * 1024;

impl AuthorizationResponse {
    /// Parses the raw query of the request.
    pub fn parse(query: &str) -> Result<Self, BadResponse> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(BadResponse::TooLong);
        }
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(BadResponse::Repeated);
        }
        let text = |name: &'static str| match parameters.iter().find(|(own, _)| own == name) {
            None => Ok(None),
            // RFC 6749, appendix A: VSCHAR, or NQSCHAR for errors; a value that was not UTF-8
            // contains U+FFFD here, which is not ASCII
            Some((_, value))
                if !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) =>
            {
                Ok(Some(value.clone()))
            }
            Some(_) => Err(BadResponse::Characters(name)),
        };
        let error = text("error")?.map(|code| Denial::of_code(&code));
        let response = Self { code: text("code")?, state: text("state")?, iss: text("iss")?, error };
        if response.code.is_some() == response.error.is_some() {
            return Err(BadResponse::Incomplete);
        }
        Ok(response)
    }
}

impl Denial {
    fn of_code(code: &str) -> Self {
        match code {
            "access_denied" => Self::AccessDenied,
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                Self::InteractionRequired
            }
            "server_error" | "temporarily_unavailable" => Self::Unavailable,
            "invalid_request"
            | "unauthorized_client"
            | "unsupported_response_type"
            | "invalid_scope"
            | "request_not_supported"
            | "request_uri_not_supported"
            | "registration_not_supported"
            | "unmet_authentication_requirements" => Self::RequestRejected,
            _ => Self::Other,
        }
    }

    /// The stable reason.
    pub const fn reason(self) -> Reason {
        match self {
            Self::AccessDenied => Reason::NotAllowed,
            Self::InteractionRequired => Reason::Unauthenticated,
            Self::Unavailable => Reason::UpstreamUnavailable,
            Self::RequestRejected | Self::Other => Reason::Internal,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessDenied => "access_denied: the user or the provider denied the request",
            Self::InteractionRequired => "that the user has to log in, to consent, or to choose an account",
            Self::Unavailable => "that it is temporarily unavailable",
            Self::RequestRejected => {
                "that it does not accept the request; compare client_id, scopes and the redirect URI with its settings"
            }
            Self::Other => "an error that is not standardized",
        })
    }
}

/// Hides the code and the state.
impl fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationResponse").field("error", &self.error).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_response_is_parsed() {
        let response =
            AuthorizationResponse::parse("code=a%2Bb&state=s&iss=https%3A%2F%2Fid.example&x=1").unwrap();
        assert_eq!(response.code.as_deref(), Some("a+b"));
        assert_eq!(response.state.as_deref(), Some("s"));
        assert_eq!(response.iss.as_deref(), Some("https://id.example"));
    }

    #[rstest]
    #[case::code_twice("code=a&code=b&state=s", BadResponse::Repeated)]
    #[case::state_twice("code=a&state=s&state=s", BadResponse::Repeated)]
    #[case::unknown_twice("code=a&state=s&x=1&x=2", BadResponse::Repeated)]
    #[case::encoded_name("code=a&co%64e=b", BadResponse::Repeated)]
    #[case::nothing("", BadResponse::Incomplete)]
    #[case::code_and_error("code=a&error=access_denied&state=s", BadResponse::Incomplete)]
    #[case::empty_code("code=&state=s", BadResponse::Characters("code"))]
    #[case::line_break("code=a%0Ab&state=s", BadResponse::Characters("code"))]
    #[case::not_utf8("code=%ff&state=s", BadResponse::Characters("code"))]
    #[case::not_ascii("code=a&state=%C3%A9", BadResponse::Characters("state"))]
    fn an_ambiguous_response_is_rejected(#[case] query: &str, #[case] why: BadResponse) {
        assert_eq!(AuthorizationResponse::parse(query).unwrap_err(), why);
    }

    #[rstest]
    #[case("access_denied", Reason::NotAllowed)]
    #[case("login_required", Reason::Unauthenticated)]
    #[case("server_error", Reason::UpstreamUnavailable)]
    #[case("invalid_scope", Reason::Internal)]
    #[case("something", Reason::Internal)]
    fn an_error_has_a_reason(#[case] code: &str, #[case] reason: Reason) {
        let response = AuthorizationResponse::parse(&format!("error={code}&state=s")).unwrap();
        assert_eq!(response.error.unwrap().reason(), reason);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(query in any::<String>()) {
            let _ = AuthorizationResponse::parse(&query);
        }
    }
}
