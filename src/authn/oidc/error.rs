//! Why a sign-in fails, and the refusal reason for each cause.

use std::borrow::Cow;
use std::fmt;

use super::response::{BadResponse, Denial};
use crate::jwt::compact::NotCompact;
use crate::jwt::verify::VerifyError;
use crate::refusal::{Reason, Refusal};

/// Why a sign-in, a refresh or a logout token fails. Quotes nothing that a client or
/// the provider sent.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The authorization response cannot be parsed.
    #[error("the authorization response cannot be used: {0}")]
    Response(#[from] BadResponse),
    /// `state` is missing, or is that of another login.
    #[error("the state is not that of this login")]
    State,
    /// The login began too long ago.
    #[error("the login began more than {max_age_s} seconds ago")]
    LoginExpired {
        /// The maximum duration of a login, in seconds.
        max_age_s: u64,
    },
    /// The response, or the login, belongs to another issuer (RFC 9207).
    #[error("{0}")]
    AnotherIssuer(&'static str),
    /// The provider did not sign the user in.
    #[error("the provider responds {0}")]
    Denied(Denial),
    /// The provider does not accept the code or the refresh token (`invalid_grant`).
    #[error("the provider does not accept the {0}: it was used before, has expired or was revoked")]
    GrantRejected(&'static str),
    /// The provider rejects this client or its request.
    #[error(
        "the provider does not accept this client's request: {0}; compare its settings with the provider's"
    )]
    ClientRejected(&'static str),
    /// No response, or one with status 5xx.
    #[error("the {endpoint} is not available: {cause}")]
    Unavailable {
        /// Which endpoint.
        endpoint: Endpoint,
        /// What happened.
        cause: String,
    },
    /// A response that cannot be understood or used.
    #[error("the response of the {endpoint} cannot be used: {what}")]
    Malformed {
        /// Which endpoint.
        endpoint: Endpoint,
        /// What is wrong.
        what: Cow<'static, str>,
    },
    /// The ID token or the logout token is rejected.
    #[error("the {token} is rejected: {why}")]
    Token {
        /// Which token.
        token: TokenKind,
        /// Why.
        why: VerifyError,
    },
    /// The ID token or the logout token violates a rule of OpenID Connect.
    #[error("the {token} is rejected: {why}")]
    Rule {
        /// Which token.
        token: TokenKind,
        /// Which rule.
        why: &'static str,
    },
    /// The keys that verify the token cannot be fetched.
    #[error("the {token} cannot be verified: {why}")]
    Keys {
        /// Which token.
        token: TokenKind,
        /// Why.
        why: String,
    },
    /// The user info response is about another user.
    #[error("the sub of the user info is not that of the ID token")]
    AnotherSubject,
    /// The claims cannot be mapped to a user.
    #[error("{}", .0.cause)]
    User(Refusal),
    /// This client does not support the operation, such as a logout token where there are no ID tokens.
    #[error("the provider is not set up for {0}")]
    NotSupported(&'static str),
    /// The system has no randomness, or a key cannot sign.
    #[error("{0}")]
    Crypto(&'static str),
}

/// An endpoint of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The discovery document.
    Discovery,
    /// The token endpoint.
    Token,
    /// The user info endpoint.
    UserInfo,
}

/// A token that a provider signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The ID token.
    Id,
    /// The logout token.
    Logout,
}

impl OidcError {
    /// The stable reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Response(_) => Reason::BadRequest,
            Self::LoginExpired { .. } | Self::Token { why: VerifyError::Expired, .. } => Reason::ExpiredToken,
            Self::State
            | Self::AnotherIssuer(_)
            | Self::GrantRejected(_)
            | Self::Token { .. }
            | Self::Rule { .. }
            | Self::AnotherSubject => Reason::InvalidToken,
            Self::Denied(denial) => denial.reason(),
            Self::Unavailable { .. } | Self::Malformed { .. } => Reason::UpstreamUnavailable,
            Self::Keys { .. } => Reason::KeysUnavailable,
            Self::User(refusal) => refusal.reason,
            Self::ClientRejected(_) | Self::NotSupported(_) | Self::Crypto(_) => Reason::Internal,
        }
    }

    /// Whether a refresh that fails with this error ends the session. It does if the provider no
    /// longer confirms the user. An outage, an unreadable response or a wrong setting of this
    /// client ends no session.
    pub const fn ends_session(&self) -> bool {
        match self {
            Self::Response(_)
            | Self::State
            | Self::LoginExpired { .. }
            | Self::AnotherIssuer(_)
            | Self::Denied(_)
            | Self::GrantRejected(_)
            | Self::Token { .. }
            | Self::Rule { .. }
            | Self::AnotherSubject
            | Self::User(_) => true,
            Self::ClientRejected(_)
            | Self::Unavailable { .. }
            | Self::Malformed { .. }
            | Self::Keys { .. }
            | Self::NotSupported(_)
            | Self::Crypto(_) => false,
        }
    }

    pub(super) fn malformed(endpoint: Endpoint, what: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { endpoint, what: what.into() }
    }
}

impl TokenKind {
    pub(super) const fn breaks(self, why: &'static str) -> OidcError {
        OidcError::Rule { token: self, why }
    }

    pub(super) fn not_compact(self, why: NotCompact) -> OidcError {
        OidcError::Token { token: self, why: why.into() }
    }
}

impl From<OidcError> for Refusal {
    fn from(error: OidcError) -> Self {
        error.reason().because(error.to_string())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery document",
            Self::Token => "token endpoint",
            Self::UserInfo => "user info endpoint",
        })
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "ID token",
            Self::Logout => "logout token",
        })
    }
}
