//! Which entrances would take a token that a platform or an issuer has signed,
//! and why the others would not.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::authn::AuthRequest;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Peer};
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
        outcome: runtime.block_on(bring(entrance, token, claims)),
    };
    Ok(by_token.map(verdict).collect())
}

async fn bring(entrance: &Entrance, token: &str, claims: &Map<String, Value>) -> Result<String, Refusal> {
    let fields = entrance.identity.fields_with(token, claims);
    let headers: Headers<'_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let now = Timestamp::now();
    let offer =
        AuthRequest { peer: Peer::Unknown, path: Some(&entrance.path), headers: &headers, received: now };
    let mut known = entrance.identify(offer, now).0;
    let wants_keys = |refusal: &Refusal| refusal.reason == Reason::KeysUnavailable;
    if known.as_ref().is_err_and(wants_keys) && entrance.identity.renew_keys(offer, now).await {
        known = entrance.identify(offer, now).0;
    }
    let user = known?;
    // somebody may be known, and yet nobody to the marketplace
    let listing = entrance.marketplace.links().parse("", None)?;
    entrance.hand_off(&user, &listing, Uuid::new_v4(), now)?;
    Ok(name(&user))
}

/// A user in a few words.
fn name(user: &User) -> String {
    let id = user.id.as_ref().map(|id| format!("id {}", Identifier::as_str(id)));
    let email = user.email.as_ref().map(|email| format!("email {}", Email::as_str(email)));
    let words: Vec<String> = id.into_iter().chain(email).collect();
    if words.is_empty() { "a user without id and e-mail".to_owned() } else { words.join(", ") }
}
