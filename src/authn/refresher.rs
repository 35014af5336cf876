//! Refreshes the data of signed-in users: once for all requests of a session that wait for it, at all
//! replicas that share a store, and not again for a minute.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::oidc::{NotRefreshed, OidcClient, OidcError, Previous, SignedIn};
use super::shared_sessions::{OtherRefresh, Refreshing, SharedSessions};
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
    /// The provider does not respond, or its response cannot be used. The earlier data stays in
    /// use.
    Unavailable,
    /// Another replica refreshes the session. Until then the earlier data stays in use, and the
    /// cookie is not renewed: the browser may have a newer one from that replica.
    Elsewhere {
        /// The first request after this time asks again.
        until: Timestamp,
    },
    /// The provider has ended the session, or no longer confirms its user. All sessions of this
    /// sign-in have ended.
    Over,
}

struct Attempt {
    begun: Timestamp,
    /// What was refreshed: the result does not apply to other data or another refresh token.
    key: RefreshKey,
    result: watch::Receiver<Option<Refreshed>>,
}

/// How long a result is kept, in seconds. Requests that were sent with the earlier cookie use it,
/// because most providers accept a refresh token only once.
const KEPT_S: u64 = 60;

/// How long to wait before the result of another replica is read again.
const ELSEWHERE_KEPT: Duration = Duration::from_secs(5);

/// The number of kept results above which the oldest ones are removed early.
const MAX_ATTEMPTS: usize = 10_000;

impl Refresher {
    /// The result of the last refresh of a session.
    pub(super) fn result(&self, session: &Session, now: Timestamp) -> Option<Refreshed> {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.get(&session.id).filter(|attempt| attempt.is_kept(now))?;
        let result = attempt.result.borrow().clone()?;
        // otherwise the request has the result of a later refresh, possibly by another replica
        Some(if attempt.key == RefreshKey::of(session) { result } else { Refreshed::Unavailable })
    }

    /// The refresh of a session that is in progress, or a new one.
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
            && attempt.is_kept(now)
            && !has_failed(attempt)
        {
            return attempt.result.clone();
        }
        let key = RefreshKey::of(session);
        let has_waited = attempts.get(&session.id).is_some_and(|attempt| attempt.has_waited_for(key, now));
        // refreshes by other replicas are kept too: no request waits again for one that ended without a result
        attempts.retain(|_, attempt| attempt.begun.is_within(KEPT_S, now));
        if attempts.len() >= MAX_ATTEMPTS {
            forget_oldest(&mut attempts);
        }
        let (sender, result) = watch::channel(None);
        let attempt = Attempt { begun: now, key, result: result.clone() };
        attempts.insert(session.id, attempt);
        // in its own task: a client that disconnects would otherwise cancel it, and the new refresh
        // token would be lost
        tokio::spawn(needs.clone().refresh(sender, has_waited, clock));
        result
    }
}

impl Attempt {
    fn is_kept(&self, now: Timestamp) -> bool {
        let is_past = match *self.result.borrow() {
            Some(Refreshed::Elsewhere { until }) => until <= now,
            Some(Refreshed::Session(_) | Refreshed::Unavailable | Refreshed::Over) | None => false,
        };
        self.begun.is_within(KEPT_S, now) && !is_past
    }

    /// Whether requests have waited for another replica's result, and there was none.
    fn has_waited_for(&self, key: RefreshKey, now: Timestamp) -> bool {
        let was_elsewhere = matches!(*self.result.borrow(), Some(Refreshed::Elsewhere { .. }));
        was_elsewhere && self.key == key && self.begun.is_within(KEPT_S, now)
    }
}

impl NeedsRefresh {
    /// Refreshes the data. `true`: deciding again makes a difference.
    pub(super) async fn fetch(&self, clock: fn() -> Timestamp) -> bool {
        let mut result = self.refresher.join_or_start(self, clock);
        result.wait_for(Option::is_some).await.is_ok()
    }

    /// Refreshes the data at one of the replicas. Requests at this replica get the result before it
    /// is stored, since the store may not respond.
    async fn refresh(
        self,
        result: watch::Sender<Option<Refreshed>>,
        has_waited: bool,
        clock: fn() -> Timestamp,
    ) {
        let Self { client, refresher: _, shared, cookies, session } = self;
        let claim = match shared.begin_refresh(&cookies, RefreshKey::of(&session), has_waited, clock).await {
            Refreshing::Here(claim) => claim,
            Refreshing::Elsewhere(other) => {
                let _ = result.send(Some(Refreshed::by(other, clock())));
                return;
            }
        };
        let refreshed = match refresh(&client, &cookies, &session, clock).await {
            Ok(newer) => Refreshed::Session(newer),
            Err(NotRefreshed { error, refresh_token }) => {
                let is_used = matches!(error, OidcError::GrantRejected(_)) && !claim.is_exclusive;
                let other = if is_used { shared.other_refresh(&cookies, &claim, clock).await } else { None };
                match other {
                    Some(other) => Refreshed::by(other, clock()),
                    None => not_refreshed(error, refresh_token, &session, clock()),
                }
            }
        };
        let sign_in = EndedKey::of_sign_in(&session);
        let newer = match &refreshed {
            Refreshed::Session(newer) => Some(newer.clone()),
            Refreshed::Unavailable | Refreshed::Elsewhere { .. } => None,
            Refreshed::Over => {
                shared.ended().add([(sign_in, clock())]);
                None
            }
        };
        let is_over = matches!(refreshed, Refreshed::Over);
        let _ = result.send(Some(refreshed));
        if is_over && let Err(refusal) = shared.end(&cookies, &[sign_in], None, clock()).await {
            tracing::error!(cause = %refusal.cause, "a session whose refresh was refused ends in this process only");
        }
        shared.end_refresh(&cookies, claim, newer.as_deref()).await;
    }
}

impl Refreshed {
    /// The result of another replica.
    fn by(other: OtherRefresh, now: Timestamp) -> Self {
        match other {
            OtherRefresh::Done(session) => Self::Session(session),
            OtherRefresh::Running => Self::Elsewhere { until: now.later_by(ELSEWHERE_KEPT) },
        }
    }
}

/// The session with newer data, or, if that is too large for a cookie, with only the newer refresh
/// token.
async fn refresh(
    client: &OidcClient,
    cookies: &SessionCookies,
    session: &Session,
    clock: fn() -> Timestamp,
) -> Result<Box<Session>, NotRefreshed> {
    let token = session.refresh_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    let token = oauth2::RefreshToken::new(token.to_owned());
    let previous = Previous {
        subject: &session.subject,
        sid: session.sid.as_deref(),
        nonce: &session.nonce,
        authenticated_at: session.authenticated.map(Timestamp::unix_seconds),
    };
    let SignedIn { user, sid, nonce, authenticated_at, refresh_token, issuer: _, subject: _ } =
        client.refresh(&token, previous, clock).await?;
    let refreshed = Session {
        refreshed: clock(),
        authenticated: authenticated_at.map(Timestamp::from_unix_seconds),
        sid,
        nonce,
        refresh_token: refresh_token.as_ref().map(secret),
        user,
        ..session.clone()
    };
    Ok(Box::new(match cookies.set(&refreshed) {
        // otherwise the browser would keep a refresh token that was used already
        Err(error @ NotACookie::TooLarge { .. }) => {
            tracing::error!(%error, "the newer data of a signed-in user is too large for a cookie; the earlier data stays in use");
            Session {
                refreshed: refreshed.refreshed,
                refresh_token: refreshed.refresh_token,
                ..session.clone()
            }
        }
        Ok(_) | Err(NotACookie::NoJson | NotACookie::Crypto(_)) => refreshed,
    }))
}

fn not_refreshed(
    error: OidcError,
    refresh_token: Option<oauth2::RefreshToken>,
    session: &Session,
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
        // a failed refresh is tried again after a minute; an unsupported one only when the next
        // refresh is due
        refreshed: if is_supported { session.refreshed } else { now },
        refresh_token: Some(secret(&newest)),
        ..session.clone()
    }))
}

fn secret(token: &oauth2::RefreshToken) -> SecretString {
    SecretString::from(token.secret().clone())
}

/// Removes the oldest tenth of the results. Refreshes in progress stay, since each uses a refresh
/// token that can be used only once.
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
