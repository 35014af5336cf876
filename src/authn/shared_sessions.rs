//! What replicas share of sessions, in the store: which have ended, and refreshes. Without a store, a
//! replica has its own.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Stopwatch, Timestamp};
use crate::refusal::{Reason, Refusal};
use crate::session::{EndedKey, EndedSessions, RefreshKey, Session, SessionCookies};
use crate::store::{SessionRefresh, Store};

/// What replicas share of sessions. Clones share it, too.
#[derive(Clone, Debug, Default)]
pub struct SharedSessions {
    ended: Arc<EndedSessions>,
    store: Option<Store>,
}

/// What is used once, such as a logout token.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// Its key among what has ended.
    pub key: EndedKey,
    /// It is remembered until then.
    pub until: Timestamp,
}

/// Which replica refreshes a session.
pub(super) enum Refreshing {
    /// This one, which then says how it [ended](SharedSessions::end_refresh).
    Here,
    /// Another one has done so; this is the result.
    Done(Box<Session>),
    /// Another one, which takes long, or was ended.
    Elsewhere,
}

/// How long a refresh is that of one replica, and how long others find its result, from its beginning. With
/// the default time limits, all requests to a provider take less. The [`Refresher`](super::Refresher) keeps
/// results for as long.
const KEPT: Duration = Duration::from_secs(60);

/// How long a request waits for the refresh of another replica.
const WAIT: Duration = Duration::from_secs(5);

/// The time between two looks at it.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

impl SharedSessions {
    /// With these ended sessions, and the store that all replicas have.
    pub fn new(ended: &Arc<EndedSessions>, store: Option<&Store>) -> Self {
        Self { ended: Arc::clone(ended), store: store.cloned() }
    }

    /// Which sessions have ended.
    pub(super) fn ended(&self) -> &EndedSessions {
        &self.ended
    }

    /// Ends sessions of these cookies, here and in the store. `once`: what may have been used before, for
    /// nothing then.
    ///
    /// # Errors
    ///
    /// It was used before; or the store does not answer: then the sessions have ended in this process only,
    /// and `once` counts as not used.
    pub(super) async fn end(
        &self,
        cookies: &SessionCookies,
        keys: &[EndedKey],
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let replayed = || Reason::BadRequest.because("the logout token was used before");
        let end_here = || self.ended.add(keys.iter().map(|key| (*key, now)));
        match once {
            Some(once) if self.ended.contains(&once.key) => return Err(replayed()),
            // a token that another replica has used must not end newer sessions here
            Some(_) => {}
            None => end_here(),
        }
        if let Some(store) = &self.store {
            let rows = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
            let once = once.map(|once| (once.key.as_bytes().to_vec(), once.until.unix_microseconds()));
            // a session that begins while its user is logged out has ended, too
            let forget = now.later_by(cookies.settings().absolute);
            let (now_us, forget_us) = (now.unix_microseconds(), forget.unix_microseconds());
            match store.end_sessions(rows, once, now_us, forget_us).await {
                Ok(true) => {}
                Ok(false) => return Err(replayed()),
                Err(error) => {
                    end_here();
                    return Err(error.into());
                }
            }
        }
        end_here();
        // a time ahead, before which it is not forgotten
        self.ended.add(once.map(|once| (once.key, once.until.max(now))));
        Ok(())
    }

    /// Begins the refresh of a session, or waits for that of another replica.
    pub(super) async fn begin_refresh(
        &self,
        cookies: &SessionCookies,
        key: RefreshKey,
        clock: fn() -> Timestamp,
    ) -> Refreshing {
        let Some(store) = &self.store else { return Refreshing::Here };
        let waiting = Stopwatch::start();
        loop {
            let now = clock();
            let expires_us = now.later_by(KEPT).unix_microseconds();
            let begun =
                store.begin_session_refresh(key.as_bytes().to_vec(), now.unix_microseconds(), expires_us);
            match begun.await {
                Ok(SessionRefresh::Begun) => return Refreshing::Here,
                Ok(SessionRefresh::Done(sealed)) => {
                    // nothing: another replica has keys that this one lacks
                    let session = cookies.open_refreshed(key, &sealed);
                    return session.map_or(Refreshing::Elsewhere, Refreshing::Done);
                }
                Ok(SessionRefresh::Running) if waiting.elapsed() < WAIT => {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
                Ok(SessionRefresh::Running) => return Refreshing::Elsewhere,
                Err(error) => {
                    tracing::warn!(%error, "a session is refreshed by this replica alone: the store does not answer");
                    return Refreshing::Here;
                }
            }
        }
    }

    /// Ends a refresh that was begun here, for the other replicas. Without a session each may try itself.
    pub(super) async fn end_refresh(
        &self,
        cookies: &SessionCookies,
        key: RefreshKey,
        session: Option<&Session>,
    ) {
        let Some(store) = &self.store else { return };
        let sealed = session.map(|session| cookies.seal_refreshed(key, session)).transpose();
        let sealed =
            sealed.inspect_err(|error| tracing::error!(%error, "a refreshed session cannot be sealed"));
        let ended = store.end_session_refresh(key.as_bytes().to_vec(), sealed.unwrap_or_default());
        if let Err(error) = ended.await {
            tracing::warn!(%error, "other replicas do not learn of a refreshed session");
        }
    }
}
