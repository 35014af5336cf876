//! Refreshes the data of signed-in users: once for all requests of a session that wait for it, at all
//! replicas that share a store, and not again for a minute.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::oidc::{NotRefreshed, OidcClient, OidcError, Previous, SignedIn};
use super::shared_sessions::{Refreshing, SharedSessions};
use crate::clock::Timestamp;
use crate::refusal::Refusal;
use crate::session::{EndedKey, NotACookie, RefreshKey, Session, SessionCookies, SessionId};

/// The refreshes of the last minute.
#[derive(Default)]
pub struct Refresher(Mutex<HashMap<SessionId, Attempt>>);

/// A session whose user's data is to be refreshed before it is used.
#[derive(Clone)]
pub struct NeedsRefresh {
    pub(super) client: Arc<OidcClient>,
    pub(super) refresher: Arc<Refresher>,
    pub(super) shared: SharedSessions,
    pub(super) cookies: SessionCookies,
    pub(super) session: Box<Session>,
}

/// The result of a refresh.
#[derive(Clone, Debug)]
pub(super) enum Refreshed {
    /// The session with newer data, or with a newer refresh token only.
    Session(Box<Session>),
    /// The provider does not answer, its answer is of no use, or another replica still waits for it. The
    /// earlier data stays.
    Unavailable,
    /// The provider has ended the session, or no longer vouches for its user. The sessions of its sign-in have
    /// ended.
    Over,
}

struct Attempt {
    begun: Timestamp,
    result: watch::Receiver<Option<Refreshed>>,
}

/// Seconds for which a result is kept: for requests that were sent with the earlier cookie, since most
/// providers accept a refresh token once.
const KEPT_S: u64 = 60;

/// Above it, the oldest refreshes that have ended are forgotten early.
const MAX_ATTEMPTS: usize = 10_000;

impl Refresher {
    /// The result of the last refresh of a session.
    pub(super) fn result(&self, session: &Session, now: Timestamp) -> Option<Refreshed> {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.get(&session.id).filter(|attempt| attempt.begun.is_within(KEPT_S, now))?;
        match attempt.result.borrow().clone()? {
            // the request has the result of a later refresh, at another replica
            Refreshed::Session(earlier) if earlier.refreshed < session.refreshed => {
                Some(Refreshed::Unavailable)
            }
            result @ (Refreshed::Session(_) | Refreshed::Unavailable | Refreshed::Over) => Some(result),
        }
    }

    /// The running refresh of a session, or one that starts now.
    fn join_or_start(
        &self,
        needs: &NeedsRefresh,
        clock: fn() -> Timestamp,
    ) -> watch::Receiver<Option<Refreshed>> {
        let now = clock();
        let session = &needs.session;
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
            forget_oldest(&mut attempts);
        }
        let (sender, result) = watch::channel(None);
        attempts.insert(session.id, Attempt { begun: now, result: result.clone() });
        let needs = needs.clone();
        // a task of its own: where a disconnecting client cancelled it, the new refresh token would be lost
        tokio::spawn(async move {
            let _ = sender.send(Some(needs.refresh(clock).await));
        });
        result
    }
}

impl NeedsRefresh {
    /// Refreshes the data. `true`: deciding again makes a difference.
    pub(super) async fn fetch(&self, clock: fn() -> Timestamp) -> bool {
        let mut result = self.refresher.join_or_start(self, clock);
        result.wait_for(Option::is_some).await.is_ok()
    }

    /// Refreshes the data at one of the replicas.
    async fn refresh(self, clock: fn() -> Timestamp) -> Refreshed {
        let Self { client, refresher: _, shared, cookies, session } = self;
        let Some(token) = session.refresh_token.clone() else { return Refreshed::Unavailable };
        let key = RefreshKey::new(session.id, &token);
        match shared.begin_refresh(&cookies, key, clock).await {
            Refreshing::Here => {}
            Refreshing::Done(session) => return Refreshed::Session(session),
            Refreshing::Elsewhere => return Refreshed::Unavailable,
        }
        let sign_in = EndedKey::of_sign_in(&session);
        let refreshed = refresh(&client, &cookies, session, &token, clock).await;
        let newer = match &refreshed {
            Refreshed::Session(newer) => Some(newer.as_ref()),
            Refreshed::Unavailable => None,
            Refreshed::Over => {
                let ended = shared.end(&cookies, &[sign_in], None, clock()).await;
                if let Err(refusal) = ended {
                    tracing::error!(cause = %refusal.cause, "a session whose refresh was refused ends in this process only");
                }
                None
            }
        };
        shared.end_refresh(&cookies, key, newer).await;
        refreshed
    }
}

async fn refresh(
    client: &OidcClient,
    cookies: &SessionCookies,
    session: Box<Session>,
    token: &SecretString,
    clock: fn() -> Timestamp,
) -> Refreshed {
    let token = oauth2::RefreshToken::new(token.expose_secret().to_owned());
    let previous = Previous {
        subject: &session.subject,
        sid: session.sid.as_deref(),
        nonce: &session.nonce,
        authenticated_at: session.authenticated.map(Timestamp::unix_seconds),
    };
    match client.refresh(&token, previous, clock).await {
        Ok(SignedIn { user, sid, nonce, authenticated_at, refresh_token, issuer: _, subject: _ }) => {
            let refreshed = Box::new(Session {
                refreshed: clock(),
                authenticated: authenticated_at.map(Timestamp::from_unix_seconds),
                sid,
                nonce,
                refresh_token: refresh_token.as_ref().map(secret),
                user,
                ..(*session).clone()
            });
            match cookies.set(&refreshed) {
                // otherwise the browser would keep a refresh token that was used
                Err(error @ NotACookie::TooLarge { .. }) => {
                    tracing::error!(%error, "the newer data of a signed-in user has no place; the earlier data stays in use");
                    Refreshed::Session(Box::new(Session {
                        refreshed: refreshed.refreshed,
                        refresh_token: refreshed.refresh_token,
                        ..*session
                    }))
                }
                Ok(_) | Err(NotACookie::NoJson | NotACookie::Crypto(_)) => Refreshed::Session(refreshed),
            }
        }
        Err(NotRefreshed { error, refresh_token }) => not_refreshed(error, refresh_token, session, clock()),
    }
}

fn not_refreshed(
    error: OidcError,
    refresh_token: Option<oauth2::RefreshToken>,
    session: Box<Session>,
    now: Timestamp,
) -> Refreshed {
    let (is_over, is_supported) = (error.ends_session(), !matches!(error, OidcError::NotSupported(_)));
    let Refusal { reason, cause, .. } = Refusal::from(error);
    let reason = reason.code();
    if is_over {
        tracing::info!(reason, %cause, "a session has ended: its refresh was refused");
        return Refreshed::Over;
    }
    if is_supported {
        tracing::warn!(reason, %cause, "the data of a signed-in user cannot be refreshed; the earlier data stays in use");
    } else {
        tracing::debug!(reason, %cause, "the data of a signed-in user stays as it was");
    }
    let Some(newest) = refresh_token else { return Refreshed::Unavailable };
    Refreshed::Session(Box::new(Session {
        // what failed is tried again after a minute, what is not supported as if it had been refreshed
        refreshed: if is_supported { session.refreshed } else { now },
        refresh_token: Some(secret(&newest)),
        ..*session
    }))
}

fn secret(token: &oauth2::RefreshToken) -> SecretString {
    SecretString::from(token.secret().clone())
}

/// Forgets the oldest tenth. Those that run stay, since each has a refresh token that is used once.
fn forget_oldest(attempts: &mut HashMap<SessionId, Attempt>) {
    let ended = attempts.iter().filter(|(_, attempt)| attempt.result.borrow().is_some());
    let mut oldest: Vec<_> = ended.map(|(id, attempt)| (attempt.begun, *id)).collect();
    oldest.sort_by_key(|(begun, _)| *begun);
    for (_, id) in oldest.into_iter().take(MAX_ATTEMPTS / 10) {
        attempts.remove(&id);
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
