//! Why somebody is not sent on: the stable code, the same in the answer, the
//! log, the metric and the record, and the cause in words for the operator.

use std::borrow::Cow;

/// The stable code of a refusal. A reason exists once something raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody has signed in, as far as this request shows.
    Unauthenticated,
    /// A token that is not what it should be.
    InvalidToken,
    /// A token whose time is over.
    ExpiredToken,
    /// More than one value where one person is meant.
    AmbiguousIdentity,
    /// A value that cannot be what it stands for.
    BadIdentity,
    /// Link parameters that the marketplace would not understand, or that
    /// nobody but us may set.
    BadLink,
    /// An identity from a peer that is not trusted to give one.
    UntrustedPeer,
    /// A known user whom the operator does not let in.
    NotAllowed,
    /// A frame that the embed policy refuses.
    EmbeddingNotAllowed,
    /// Anything else that a page of another site makes a browser send: a script,
    /// an image, a prefetch, a preflight.
    CrossSiteRequest,
    /// There is nothing at this address.
    NotFound,
    /// Only GET gives a hand-off.
    MethodNotAllowed,
    /// A `Host` that this service does not answer to.
    MisdirectedRequest,
    /// The address would be longer than the limit.
    TokenTooLarge,
    /// A fault of ours; the log says more.
    Internal,
    /// The keys to verify with cannot be had.
    KeysUnavailable,
    /// The service is about to stop.
    Draining,
}

/// A refusal: the code for everybody, the cause for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub reason: Reason,
    /// What was wrong, in words that quote nothing the client sent.
    pub cause: Cow<'static, str>,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 17] = [
        Self::Unauthenticated,
        Self::InvalidToken,
        Self::ExpiredToken,
        Self::AmbiguousIdentity,
        Self::BadIdentity,
        Self::BadLink,
        Self::UntrustedPeer,
        Self::NotAllowed,
        Self::EmbeddingNotAllowed,
        Self::CrossSiteRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::MisdirectedRequest,
        Self::TokenTooLarge,
        Self::Internal,
        Self::KeysUnavailable,
        Self::Draining,
    ];

    /// The code as it is written everywhere.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidToken => "invalid_token",
            Self::ExpiredToken => "expired_token",
            Self::AmbiguousIdentity => "ambiguous_identity",
            Self::BadIdentity => "bad_identity",
            Self::BadLink => "bad_link",
            Self::UntrustedPeer => "untrusted_peer",
            Self::NotAllowed => "not_allowed",
            Self::EmbeddingNotAllowed => "embedding_not_allowed",
            Self::CrossSiteRequest => "cross_site_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MisdirectedRequest => "misdirected_request",
            Self::TokenTooLarge => "token_too_large",
            Self::Internal => "internal",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Draining => "draining",
        }
    }

    /// A sentence's worth of it, for people who do not know the code.
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
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "This method is not allowed",
            Self::MisdirectedRequest => "This address is not served here",
            Self::TokenTooLarge => "There is too much to say about this account",
            Self::Internal => "Something went wrong",
            Self::KeysUnavailable => "The keys cannot be had at the moment",
            Self::Draining => "The service is about to stop",
        }
    }

    /// The refusal for this reason, with its cause.
    pub fn because(self, cause: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { reason: self, cause: cause.into() }
    }
}
