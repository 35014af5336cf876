//! Refusals: a stable reason code, the same in response, log, metric and audit event,
//! and a cause for the operator's log.

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
    /// Several values where one is expected.
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
    /// An identity provider or a platform does not answer, or cannot be understood.
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
    /// What is wrong. Quotes nothing from the request.
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

    /// A short description for users.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unauthenticated => "Nobody is signed in",
            Self::InvalidToken => "The token is not valid",
            Self::ExpiredToken => "The token has expired",
            Self::AmbiguousIdentity => "It is not clear who is signed in",
            Self::BadIdentity => "The signed-in user cannot be read",
            Self::BadLink => "The link is not right",
            Self::UntrustedPeer => "The request came by an untrusted way",
            Self::NotAllowed => "This account may not use the marketplace",
            Self::EmbeddingNotAllowed => "The marketplace cannot be shown here",
            Self::CrossSiteRequest => "The request came from another site",
            Self::MissingScope => "The token does not permit this",
            Self::BadRequest => "The request cannot be read",
            Self::BodyTooLarge => "The request is too large",
            Self::NotFound => "There is nothing here",
            Self::LinkExpired => "This link is no longer valid",
            Self::MethodNotAllowed => "This method is not allowed",
            Self::MisdirectedRequest => "This address is not served here",
            Self::TooManyRequests => "There were too many requests",
            Self::TokenTooLarge => "There is too much to say about this account",
            Self::Internal => "Something went wrong",
            Self::KeysUnavailable => "The keys cannot be had at the moment",
            Self::UpstreamUnavailable => "The sign-in service does not answer at the moment",
            Self::AuditUnavailable => "The request cannot be recorded at the moment",
            Self::StoreUnavailable => "The stored data cannot be had at the moment",
            Self::Draining => "The service is about to stop",
        }
    }

    /// A refusal with this reason and a cause.
    pub fn because(self, cause: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { reason: self, cause: cause.into() }
    }
}
