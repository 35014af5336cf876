//! Shared by the authenticators that use tokens: where the token is, how claims
//! map to a user, and which refusal a failed verification is.

mod location;
mod mapping;

pub use location::TokenLocation;
pub use mapping::{ClaimExpression, UserMapping};

use crate::authn::{AuthRequest, Authentication};
use crate::jwt::verify::VerifyError;
use crate::refusal::{Reason, Refusal};
use crate::user::User;

/// Authenticates by the token at a location, which `verify` turns into a user.
pub(super) fn authenticate(
    location: &TokenLocation,
    request: AuthRequest<'_>,
    verify: impl FnOnce(&str) -> Result<User, Refusal>,
) -> Authentication {
    let user = match location.find(request.headers) {
        Ok(Some(token)) => verify(token),
        Ok(None) => return Authentication::NoCredentials,
        Err(refusal) => Err(refusal),
    };
    match user {
        Ok(user) => Authentication::User(Box::new(user)),
        Err(refusal) => Authentication::Rejected(refusal),
    }
}

impl From<VerifyError> for Refusal {
    fn from(why: VerifyError) -> Self {
        let reason = match why {
            VerifyError::Expired => Reason::ExpiredToken,
            VerifyError::NoKeys | VerifyError::KeysMayBeStale => Reason::KeysUnavailable,
            VerifyError::NotAUser(_) => Reason::NotAllowed,
            VerifyError::NotCompact(_)
            | VerifyError::WrongAlgorithm
            | VerifyError::Critical
            | VerifyError::WrongType
            | VerifyError::BadKeyId
            | VerifyError::UnknownKey
            | VerifyError::KeyAlgorithmMismatch
            | VerifyError::AmbiguousKey
            | VerifyError::NoMatchingKey
            | VerifyError::WrongSignature
            | VerifyError::WrongClaim(_) => Reason::InvalidToken,
        };
        reason.because(format!("the token is rejected: {why}"))
    }
}
