//! Refreshes the data of signed-in users: once for all requests of a session that wait for it, and
//! not again for a minute.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::oidc::{OidcClient, OidcError, Previous, SignedIn};
use crate::clock::Timestamp;
use crate::refusal::Refusal;
use crate::session::{Session, SessionId};

/// The refreshes of the last minute.
#[derive(Default)]
pub struct Refresher(Mutex<HashMap<SessionId, Attempt>>);

/// A session whose user's data is to be refreshed before it is used.
#[derive(Clone)]
pub struct NeedsRefresh {
    pub(super) client: Arc<OidcClient>,
    pub(super) refresher: Arc<Refresher>,
    pub(super) session: Box<Session>,
}

/// The result of a refresh.
#[derive(Clone, Debug)]
pub(super) enum Refreshed {
    /// The session with newer data.
    Session(Box<Session>),
    /// The provider does not answer, or its answer is of no use. The earlier data stays.
    Unavailable,
    /// The provider has ended the session.
    Over,
}

struct Attempt {
    begun: Timestamp,
    result: watch::Receiver<Option<Refreshed>>,
}

/// Seconds for which a result is kept: for requests that were sent with the earlier cookie, since most
/// providers accept a refresh token once.
const KEPT_S: u64 = 60;

/// Above it, the refreshes that have ended are forgotten early.
const MAX_ATTEMPTS: usize = 10_000;

impl Refresher {
    /// The result of the last refresh.
    pub(super) fn result(&self, id: SessionId, now: Timestamp) -> Option<Refreshed> {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.get(&id).filter(|attempt| attempt.begun.is_within(KEPT_S, now))?;
        attempt.result.borrow().clone()
    }

    /// The running refresh of a session, or one that starts now.
    fn join_or_start(
        &self,
        client: &Arc<OidcClient>,
        session: &Session,
        clock: fn() -> Timestamp,
    ) -> watch::Receiver<Option<Refreshed>> {
        let now = clock();
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_failed =
            |attempt: &Attempt| attempt.result.has_changed().is_err() && attempt.result.borrow().is_none();
        if let Some(attempt) = attempts.get(&session.id)
            && attempt.begun.is_within(KEPT_S, now)
            && !has_failed(attempt)
        {
            return attempt.result.clone();
        }
        attempts.retain(|_, attempt| attempt.begun.is_within(KEPT_S, now));
        if attempts.len() >= MAX_ATTEMPTS {
            attempts.retain(|_, attempt| attempt.result.borrow().is_none());
        }
        let (sender, result) = watch::channel(None);
        attempts.insert(session.id, Attempt { begun: now, result: result.clone() });
        let (client, session) = (Arc::clone(client), session.clone());
        // a task of its own: where a disconnecting client cancelled it, the new refresh token would be lost
        tokio::spawn(async move {
            let _ = sender.send(Some(refresh(&client, session, clock).await));
        });
        result
    }
}

impl NeedsRefresh {
    /// Refreshes the data. `true`: deciding again makes a difference.
    pub(super) async fn fetch(&self, clock: fn() -> Timestamp) -> bool {
        let mut result = self.refresher.join_or_start(&self.client, &self.session, clock);
        result.wait_for(Option::is_some).await.is_ok()
    }
}

async fn refresh(client: &OidcClient, session: Session, clock: fn() -> Timestamp) -> Refreshed {
    let Some(token) = &session.refresh_token else { return Refreshed::Over };
    let token = oauth2::RefreshToken::new(token.expose_secret().to_owned());
    let previous = Previous {
        subject: &session.subject,
        sid: session.sid.as_deref(),
        nonce: &session.nonce,
        authenticated_at: session.authenticated.map(Timestamp::unix_seconds),
    };
    match client.refresh(&token, previous, clock).await {
        Ok(SignedIn { user, sid, nonce, authenticated_at, refresh_token, issuer: _, subject: _ }) => {
            Refreshed::Session(Box::new(Session {
                refreshed: clock(),
                authenticated: authenticated_at.map(Timestamp::from_unix_seconds),
                sid,
                nonce,
                refresh_token: refresh_token.map(|token| SecretString::from(token.secret().clone())),
                user,
                ..session
            }))
        }
        Err(OidcError::GrantRejected(_)) => Refreshed::Over,
        Err(error) => {
            let refusal = Refusal::from(error);
            tracing::warn!(
                reason = refusal.reason.code(),
                cause = %refusal.cause,
                "the data of a signed-in user cannot be refreshed; the earlier data stays in use"
            );
            Refreshed::Unavailable
        }
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresher(hidden)")
    }
}

impl fmt::Debug for NeedsRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeedsRefresh(hidden)")
    }
}
