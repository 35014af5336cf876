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

/// Answers an offer: the token at its place, believed or not, and the user of
/// whom it speaks.
pub(super) fn arrive<V>(
    place: &Place,
    offer: Offer<'_>,
    believe: impl FnOnce(&str) -> Result<V, Refused>,
    user: impl FnOnce(V) -> Result<User, Refusal>,
) -> Arrival {
    let token = match place.find(offer.headers) {
        Ok(Some(token)) => token,
        Ok(None) => return Arrival::Absent,
        Err(refusal) => return Arrival::Refused(refusal),
    };
    match believe(token).map_err(refuse).and_then(user) {
        Ok(user) => Arrival::Known(Box::new(user)),
        Err(refusal) => Arrival::Refused(refusal),
    }
}

/// What a verdict means to the person who brought the token.
fn refuse(why: Refused) -> Refusal {
    let reason = match why {
        Refused::Expired => Reason::ExpiredToken,
        Refused::NoKeys => Reason::KeysUnavailable,
        Refused::NoPerson(_) => Reason::NotAllowed,
        Refused::NotCompact(_)
        | Refused::WrongAlgorithm
        | Refused::Critical
        | Refused::OtherPurpose
        | Refused::BadKeyId
        | Refused::UnknownKey
        | Refused::MisfitKey
        | Refused::NoKeySignedIt
        | Refused::WrongSignature
        | Refused::WrongClaim(_) => Reason::InvalidToken,
    };
    reason.because(format!("the token is not believed: {why}"))
}
