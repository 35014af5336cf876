//! The session data that replicas share through the store: which sessions have ended, and the
//! results of refreshes. Without a store, each replica has its own.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::refusal::{Reason, Refusal};
use crate::session::{EndedKey, EndedSessions, RefreshKey, Session, SessionCookies};
use crate::store::{SessionRefresh, Store, StoreError};

/// The session data that replicas share. Clones refer to the same data.
#[derive(Clone, Debug, Default)]
pub struct SharedSessions {
    ended: Arc<EndedSessions>,
    store: Option<Store>,
}

/// Something that may be used only once, such as a logout token.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// Its key in the list of ended sessions.
    pub key: EndedKey,
    /// How long it is remembered.
    pub until: Timestamp,
}

/// Which replica refreshes a session.
pub(super) enum Refreshing {
    /// This replica, which reports the result with [`SharedSessions::end_refresh`].
    Here(RefreshClaim),
    /// Another replica.
    Elsewhere(OtherRefresh),
}

/// The refresh of a session by another replica.
pub(super) enum OtherRefresh {
    /// It has ended; this is the result.
    Done(Box<Session>),
    /// It has not ended yet, that replica has stopped, or this replica cannot decrypt the result.
    Running,
}

/// A refresh that this replica has begun.
pub(super) struct RefreshClaim {
    key: RefreshKey,
    /// When the claim expires, in microseconds since the Unix epoch. It distinguishes the claim
    /// from others for the same key.
    expires_at_us: i64,
    /// Whether the store has confirmed that no other replica refreshes this session.
    pub is_exclusive: bool,
}

/// How long only one replica may refresh a session, and how long others find its result; both from
/// the start of the refresh. With the default time limits, all requests of a refresh take less. The
/// [`Refresher`](super::Refresher) keeps results for the same time.
const KEPT: Duration = Duration::from_secs(60);

/// How long a request waits for the store, and for the refresh of another replica.
const WAIT: Duration = Duration::from_secs(5);

/// The interval at which the store is asked for the result of another replica.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

impl SharedSessions {
    /// Shares these ended sessions; `store` is the one that all replicas use.
    pub fn new(ended: &Arc<EndedSessions>, store: Option<&Store>) -> Self {
        Self { ended: Arc::clone(ended), store: store.cloned() }
    }

    /// Which sessions have ended.
    pub(super) fn ended(&self) -> &EndedSessions {
        &self.ended
    }

    /// Ends sessions of these cookies, in this process and in the store. `once`: nothing happens if
    /// it was used before.
    ///
    /// # Errors
    ///
    /// `once` was used before; or the store does not respond: then the sessions have ended only in
    /// this process, and `once` counts as not used.
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
            // a token that another replica has used must not end newer sessions at this one
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
        // kept at least until this time in the future
        self.ended.add(once.map(|once| (once.key, once.until.max(now))));
        Ok(())
    }

    /// Begins the refresh of a session, or waits for the refresh by another replica. If a request
    /// `has_waited` for that one before, this does not wait again: the other replica may have
    /// crashed.
    pub(super) async fn begin_refresh(
        &self,
        cookies: &SessionCookies,
        key: RefreshKey,
        has_waited: bool,
        clock: fn() -> Timestamp,
    ) -> Refreshing {
        let expires_at_us = clock().later_by(KEPT).unix_microseconds();
        let claim = RefreshClaim { key, expires_at_us, is_exclusive: false };
        let Some(store) = &self.store else { return Refreshing::Here(claim) };
        let mut is_running = false;
        let begun = tokio::time::timeout(WAIT, async {
            while let Some(found) = claim.begin(store, clock).await? {
                is_running = true;
                if has_waited {
                    return Ok(Some(found));
                }
                if let Some(found) = claim.wait_for(store, found, clock).await? {
                    return Ok(Some(found));
                }
            }
            Ok::<_, StoreError>(None)
        });
        match begun.await {
            Ok(Ok(None)) => Refreshing::Here(RefreshClaim { is_exclusive: true, ..claim }),
            Ok(Ok(Some(found))) => Refreshing::Elsewhere(OtherRefresh::open(cookies, key, found)),
            Ok(Err(_)) | Err(_) if is_running => Refreshing::Elsewhere(OtherRefresh::Running),
            Ok(Err(error)) => claim.without_store(&error),
            Err(_) => claim.without_store(&StoreError::TimedOut(WAIT)),
        }
    }

    /// The result of another replica, which has used the refresh token before this one.
    pub(super) async fn other_refresh(
        &self,
        cookies: &SessionCookies,
        claim: &RefreshClaim,
        clock: fn() -> Timestamp,
    ) -> Option<OtherRefresh> {
        let found = tokio::time::timeout(WAIT, claim.look(self.store.as_ref()?, clock)).await;
        // on a time-out or an error, the store does not respond
        let found = found.ok()?.ok()??;
        Some(OtherRefresh::open(cookies, claim.key, found))
    }

    /// Reports the end of a refresh to the other replicas. Without a session, each of them may try
    /// to refresh.
    pub(super) async fn end_refresh(
        &self,
        cookies: &SessionCookies,
        RefreshClaim { key, expires_at_us, is_exclusive: _ }: RefreshClaim,
        session: Option<&Session>,
    ) {
        let Some(store) = &self.store else { return };
        let sealed = session.map(|session| cookies.seal_refreshed(key, session)).transpose();
        let sealed =
            sealed.inspect_err(|error| tracing::error!(%error, "a refreshed session cannot be sealed"));
        let ended =
            store.end_session_refresh(key.as_bytes().to_vec(), expires_at_us, sealed.unwrap_or_default());
        if let Err(error) = ended.await {
            tracing::warn!(%error, "a refreshed session cannot be stored for other replicas");
        }
    }
}

impl RefreshClaim {
    async fn begin(
        &self,
        store: &Store,
        clock: fn() -> Timestamp,
    ) -> Result<Option<SessionRefresh>, StoreError> {
        let (hash, now_us) = (self.key.as_bytes().to_vec(), clock().unix_microseconds());
        store.begin_session_refresh(hash, now_us, self.expires_at_us).await
    }

    async fn look(
        &self,
        store: &Store,
        clock: fn() -> Timestamp,
    ) -> Result<Option<SessionRefresh>, StoreError> {
        let (hash, now_us) = (self.key.as_bytes().to_vec(), clock().unix_microseconds());
        store.session_refresh(hash, now_us, self.expires_at_us).await
    }

    /// Waits until the refresh of another replica has a result. `None`: it ended without one.
    async fn wait_for(
        &self,
        store: &Store,
        mut found: SessionRefresh,
        clock: fn() -> Timestamp,
    ) -> Result<Option<SessionRefresh>, StoreError> {
        while found == SessionRefresh::Running {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let Some(next) = self.look(store, clock).await? else { return Ok(None) };
            found = next;
        }
        Ok(Some(found))
    }

    /// Refreshes without the store. The store may have recorded the claim despite the error, so its
    /// end is reported as usual.
    fn without_store(self, error: &StoreError) -> Refreshing {
        tracing::warn!(%error, "a session is refreshed by this replica alone: the store does not respond");
        Refreshing::Here(self)
    }
}

impl OtherRefresh {
    fn open(cookies: &SessionCookies, key: RefreshKey, found: SessionRefresh) -> Self {
        match found {
            SessionRefresh::Running => Self::Running,
            // `None`: it was encrypted with a key that this replica does not have
            SessionRefresh::Done(sealed) => {
                cookies.open_refreshed(key, &sealed).map_or(Self::Running, Self::Done)
            }
        }
    }
}
