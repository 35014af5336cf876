//! What the ways in by token share: where the token is, what a verdict on it
//! means to the person who brought it, and what its claims say of a user. Not a
//! way in itself; which token is believed is each room's own matter.

mod mapping;
mod place;

pub use mapping::{ClaimExpression, UserMapping};
pub use place::Place;

use crate::arrival::{Arrival, Offer};
use crate::jwt::verify::Refused;
use crate::refusal::{Reason, Refusal};
use crate::user::User;

/// Answers an offer: by the token at its place, and the user whom a way in sees
/// in it.
pub(super) fn arrive(
    place: &Place,
    offer: Offer<'_>,
    believe: impl FnOnce(&str) -> Result<User, Refusal>,
) -> Arrival {
    let user = match place.find(offer.headers) {
        Ok(Some(token)) => believe(token),
        Ok(None) => return Arrival::Absent,
        Err(refusal) => Err(refusal),
    };
    match user {
        Ok(user) => Arrival::Known(Box::new(user)),
        Err(refusal) => Arrival::Refused(refusal),
    }
}

/// What a verdict means to the person who brought the token.
impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        let reason = match why {
            Refused::Expired => Reason::ExpiredToken,
            Refused::NoKeys | Refused::NotKnownYet => Reason::KeysUnavailable,
            Refused::NoPerson(_) => Reason::NotAllowed,
            Refused::NotCompact(_)
            | Refused::WrongAlgorithm
            | Refused::Critical
            | Refused::WrongType
            | Refused::BadKeyId
            | Refused::UnknownKey
            | Refused::MisfitKey
            | Refused::UnclearKey
            | Refused::NoKeySignedIt
            | Refused::WrongSignature
            | Refused::WrongClaim(_) => Reason::InvalidToken,
        };
        reason.because(format!("the token is not believed: {why}"))
    }
}
