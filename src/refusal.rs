//! Refusals: a stable reason code, which is the same in response, log, metric and audit event, and
//! a cause for the operator's log.

mod advice;

use std::borrow::Cow;

pub use advice::Advice;

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request has no credentials.
    Unauthenticated,
    /// A token is invalid.
    InvalidToken,
    /// A token has expired.
    ExpiredToken,
    /// There are several values, but one is expected.
    AmbiguousIdentity,
    /// A value is not a valid id, e-mail address or name.
    BadIdentity,
    /// Link parameters are invalid, or reserved for this service.
    BadLink,
    /// A request to the API cannot be read, or a parameter is invalid.
    BadRequest,
    /// The body of a request is too large.
    BodyTooLarge,
    /// Identity headers from a peer that is not a trusted proxy.
    UntrustedPeer,
    /// The user is not authorized.
    NotAllowed,
    /// The embed policy does not allow this frame.
    EmbeddingNotAllowed,
    /// Another request initiated by another site: a script, an image, a prefetch, a
    /// preflight.
    CrossSiteRequest,
    /// The API token lacks the scope.
    MissingScope,
    /// Nothing is at this path.
    NotFound,
    /// A single-use address was used before, has expired, or is unknown.
    LinkExpired,
    /// The method is not allowed.
    MethodNotAllowed,
    /// The `Host` is not a name of this service.
    MisdirectedRequest,
    /// A limit of `[limits]` is reached.
    TooManyRequests,
    /// The signed URL would exceed the limit.
    TokenTooLarge,
    /// An internal error; details are in the log.
    Internal,
    /// The verification keys are not available.
    KeysUnavailable,
    /// An identity provider or a platform does not respond, or its response cannot be used.
    UpstreamUnavailable,
    /// The audit event cannot be stored, and a request without one is refused.
    AuditUnavailable,
    /// The store cannot be read or written.
    StoreUnavailable,
    /// The service is shutting down.
    Draining,
}

/// A refusal: a public reason and a cause for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// What is wrong. Quotes nothing from the request but names of `pandium.link_parameters`.
    pub cause: Cow<'static, str>,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 25] = [
        Self::Unauthenticated,
        Self::InvalidToken,
        Self::ExpiredToken,
        Self::AmbiguousIdentity,
        Self::BadIdentity,
        Self::BadLink,
        Self::BadRequest,
        Self::BodyTooLarge,
        Self::UntrustedPeer,
        Self::NotAllowed,
        Self::EmbeddingNotAllowed,
        Self::CrossSiteRequest,
        Self::MissingScope,
        Self::NotFound,
        Self::LinkExpired,
        Self::MethodNotAllowed,
        Self::MisdirectedRequest,
        Self::TooManyRequests,
        Self::TokenTooLarge,
        Self::Internal,
        Self::KeysUnavailable,
        Self::UpstreamUnavailable,
        Self::AuditUnavailable,
        Self::StoreUnavailable,
        Self::Draining,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidToken => "invalid_token",
            Self::ExpiredToken => "expired_token",
            Self::AmbiguousIdentity => "ambiguous_identity",
            Self::BadIdentity => "bad_identity",
            Self::BadLink => "bad_link",
            Self::BadRequest => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::UntrustedPeer => "untrusted_peer",
            Self::NotAllowed => "not_allowed",
            Self::EmbeddingNotAllowed => "embedding_not_allowed",
            Self::CrossSiteRequest => "cross_site_request",
            Self::MissingScope => "missing_scope",
            Self::NotFound => "not_found",
            Self::LinkExpired => "link_expired",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MisdirectedRequest => "misdirected_request",
            Self::TooManyRequests => "too_many_requests",
            Self::TokenTooLarge => "token_too_large",
            Self::Internal => "internal",
            Self::KeysUnavailable => "keys_unavailable",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::AuditUnavailable => "audit_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::Draining => "draining",
        }
    }

    /// A short description for programs and operators, the `title` of problem details (RFC 9457).
    /// Pages for users have other titles.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unauthenticated => "The user is not authenticated",
            Self::InvalidToken => "The token is not valid",
            Self::ExpiredToken => "The token has expired",
            Self::AmbiguousIdentity => "The identity is ambiguous",
            Self::BadIdentity => "The identity is not valid",
            Self::BadLink => "The link parameters are not valid",
            Self::UntrustedPeer => "The peer is not a trusted proxy",
            Self::NotAllowed => "The user is not authorized",
            Self::EmbeddingNotAllowed => "The embedding page is not allowed",
            Self::CrossSiteRequest => "The request was initiated by another site",
            Self::MissingScope => "The token lacks a scope",
            Self::BadRequest => "The request is not valid",
            Self::BodyTooLarge => "The body is too large",
            Self::NotFound => "Nothing is at this path",
            Self::LinkExpired => "The link is no longer valid",
            Self::MethodNotAllowed => "The method is not allowed",
            Self::MisdirectedRequest => "This service does not serve the host",
            Self::TooManyRequests => "There are too many requests",
            Self::TokenTooLarge => "The signed URL is too long",
            Self::Internal => "An internal error occurred",
            Self::KeysUnavailable => "The verification keys are not available",
            Self::UpstreamUnavailable => "The identity provider or platform is not available",
            Self::AuditUnavailable => "The audit event cannot be stored",
            Self::StoreUnavailable => "The store is not available",
            Self::Draining => "The service is shutting down",
        }
    }

    /// A refusal with this reason and a cause.
    pub fn because(self, cause: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { reason: self, cause: cause.into() }
    }
}
