//! Which entrances would take a token that a platform or an issuer has signed,
//! and why the others would not.

use serde_json::{Map, Value};

use crate::access::Access;
use crate::arrival::{Arrival, Headers, Offer, Peer};
use crate::clock::Moment;
use crate::config::Config;
use crate::identity::Identity;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::Entrance;
use crate::user::{Email, Identifier, User};

/// What an entrance would say to a token.
pub(super) struct Verdict<'a> {
    pub entrance: &'a str,
    pub kind: &'static str,
    /// Who it is, in words; or why nobody.
    pub outcome: Result<String, Refusal>,
}

/// Asks every entrance that is entered with a token; fetches keys, where it
/// needs any.
pub(super) fn ask<'a>(
    config: &'a Config,
    token: &str,
    claims: &Map<String, Value>,
) -> std::io::Result<Vec<Verdict<'a>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let by_token = config.entrances.iter().filter(|entrance| entrance.identity.place().is_some());
    let verdict = |entrance: &'a Entrance| Verdict {
        entrance: &entrance.name,
        kind: entrance.identity.kind(),
        outcome: runtime.block_on(bring(&entrance.identity, &entrance.access, token, claims)),
    };
    Ok(by_token.map(verdict).collect())
}

async fn bring(
    identity: &Identity,
    access: &Access,
    token: &str,
    claims: &Map<String, Value>,
) -> Result<String, Refusal> {
    let fields = identity.fields_with(token, claims);
    let headers: Headers<'_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let offer = Offer { peer: Peer::Unknown, path: None, headers: &headers };
    let now = Moment::now();
    let mut arrival = identity.arrive(offer, now);
    let wants_keys = |arrival: &Arrival| matches!(arrival, Arrival::Refused(refusal) if refusal.reason == Reason::KeysUnavailable);
    if wants_keys(&arrival) && identity.renew_keys(offer, now).await {
        arrival = identity.arrive(offer, now);
    }
    match arrival {
        Arrival::Known(user) => access.allow(&user).map(|()| name(&user)),
        Arrival::Absent => Err(Reason::NoIdentity.because("it would not see a token there")),
        Arrival::Refused(refusal) => Err(refusal),
    }
}

/// A user in a few words.
fn name(user: &User) -> String {
    let id = user.id.as_ref().map(|id| format!("id {}", Identifier::as_str(id)));
    let email = user.email.as_ref().map(|email| format!("email {}", Email::as_str(email)));
    let words: Vec<String> = id.into_iter().chain(email).collect();
    if words.is_empty() { "a user without id and e-mail".to_owned() } else { words.join(", ") }
}
