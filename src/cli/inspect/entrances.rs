//! Which entrances accept a token of a platform or an issuer, and why the others
//! reject it.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::authn::AuthRequest;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::refusal::Refusal;
use crate::request::{Headers, Peer};
use crate::sign_on::Entrance;
use crate::user::{Email, Identifier, User};

/// The result of a token at one entrance.
pub(super) struct EntranceResult<'a> {
    pub entrance: &'a str,
    pub kind: &'static str,
    /// A description of the user, or why the token is rejected.
    pub outcome: Result<String, Refusal>,
}

/// Authenticates the token at every entrance that uses tokens. Fetches keys that are missing.
pub(super) fn check<'a>(
    config: &'a Config,
    token: &str,
    claims: &Map<String, Value>,
) -> std::io::Result<Vec<EntranceResult<'a>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let by_token =
        config.entrances.iter().filter(|entrance| entrance.authenticator.token_location().is_some());
    let result = |entrance: &'a Entrance| EntranceResult {
        entrance: &entrance.name,
        kind: entrance.authenticator.kind(),
        outcome: runtime.block_on(sign_on(entrance, token, claims)),
    };
    Ok(by_token.map(result).collect())
}

async fn sign_on(entrance: &Entrance, token: &str, claims: &Map<String, Value>) -> Result<String, Refusal> {
    let fields = entrance.authenticator.headers_for_token(token, claims);
    let headers: Headers<'_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let now = Timestamp::now();
    let request = AuthRequest {
        peer: Peer::Unknown,
        path: Some(&entrance.path),
        headers: &headers,
        query: "",
        received: now,
        fetched: None,
    };
    let user = entrance.identify(request, Timestamp::now).await.outcome?;
    // evaluated too, because the hand-off can fail, for example for a user without a subject
    let listing = entrance.marketplace.links().parse("", None)?;
    entrance.hand_off(&user, &listing, Uuid::new_v4(), now)?;
    Ok(describe(&user))
}

/// The id and e-mail of a user.
fn describe(user: &User) -> String {
    let id = user.id.as_ref().map(|id| format!("id {}", Identifier::as_str(id)));
    let email = user.email.as_ref().map(|email| format!("email {}", Email::as_str(email)));
    let parts: Vec<String> = id.into_iter().chain(email).collect();
    if parts.is_empty() { "a user without id and e-mail".to_owned() } else { parts.join(", ") }
}
