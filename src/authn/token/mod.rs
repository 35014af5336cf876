//! What the ways in by token share: where the token is, what a verdict on it
//! means to the person who brought it, and what its claims say of a user. Not a
//! way in itself; which token is believed is each room's own matter.

mod location;
mod mapping;

pub use location::TokenLocation;
pub use mapping::{ClaimExpression, UserMapping};

use crate::authn::{AuthRequest, Authentication};
use crate::jwt::verify::VerifyError;
use crate::refusal::{Reason, Refusal};
use crate::user::User;

/// Answers an offer: by the token at its place, and the user whom a way in sees
/// in it.
pub(super) fn arrive(
    place: &TokenLocation,
    offer: AuthRequest<'_>,
    believe: impl FnOnce(&str) -> Result<User, Refusal>,
) -> Authentication {
    let user = match place.find(offer.headers) {
        Ok(Some(token)) => believe(token),
        Ok(None) => return Authentication::NoCredentials,
        Err(refusal) => Err(refusal),
    };
    match user {
        Ok(user) => Authentication::User(Box::new(user)),
        Err(refusal) => Authentication::Rejected(refusal),
    }
}

/// What a verdict means to the person who brought the token.
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
        reason.because(format!("the token is not believed: {why}"))
    }
}
