//! What replicas share of sessions, in the store: which have ended, and refreshes. Without a store, a
//! replica has its own.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::refusal::{Reason, Refusal};
use crate::session::{EndedKey, EndedSessions, RefreshKey, Session, SessionCookies};
use crate::store::{SessionRefresh, Store, StoreError};

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
    Here(Claim),
    /// Another one.
    Elsewhere(OtherRefresh),
}

/// The refresh of a session by another replica.
pub(super) enum OtherRefresh {
    /// It has ended; this is the result.
    Done(Box<Session>),
    /// It takes long, the replica was ended, or the result cannot be opened here.
    Running,
}

/// A refresh that was begun here.
pub(super) struct Claim {
    key: RefreshKey,
    /// Names it among the refreshes of this key: when it expires, in microseconds since the Unix epoch.
    expires_at_us: i64,
    /// Whether the store says that no other replica does the same.
    pub is_exclusive: bool,
}

/// How long a refresh is that of one replica, and how long others find its result, from its beginning. With
/// the default time limits, all requests to a provider take less. The [`Refresher`](super::Refresher) keeps
/// results for as long.
const KEPT: Duration = Duration::from_secs(60);

/// How long a request waits for the store, and for the refresh of another replica.
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
        let expires_at_us = clock().later_by(KEPT).unix_microseconds();
        let claim = Claim { key, expires_at_us, is_exclusive: false };
        let Some(store) = &self.store else { return Refreshing::Here(claim) };
        let mut is_running = false;
        let begun = tokio::time::timeout(WAIT, async {
            while let Some(found) = claim.begin(store, clock).await? {
                is_running = true;
                if let Some(found) = claim.wait_for(store, found, clock).await? {
                    return Ok(Some(found));
                }
            }
            Ok::<_, StoreError>(None)
        });
        match begun.await {
            Ok(Ok(None)) => Refreshing::Here(Claim { is_exclusive: true, ..claim }),
            Ok(Ok(Some(found))) => Refreshing::Elsewhere(OtherRefresh::open(cookies, key, found)),
            Ok(Err(_)) | Err(_) if is_running => Refreshing::Elsewhere(OtherRefresh::Running),
            Ok(Err(error)) => claim.without_store(&error),
            Err(_) => claim.without_store(&StoreError::TimedOut(WAIT)),
        }
    }

    /// The refresh of another replica, which has used the refresh token before this one.
    pub(super) async fn other_refresh(
        &self,
        cookies: &SessionCookies,
        claim: &Claim,
        clock: fn() -> Timestamp,
    ) -> Option<OtherRefresh> {
        let found = tokio::time::timeout(WAIT, claim.look(self.store.as_ref()?, clock)).await;
        // otherwise the store does not answer
        let found = found.ok()?.ok()??;
        Some(OtherRefresh::open(cookies, claim.key, found))
    }

    /// Ends a refresh that was begun here, for the other replicas. Without a session each may try itself.
    pub(super) async fn end_refresh(
        &self,
        cookies: &SessionCookies,
        Claim { key, expires_at_us, is_exclusive: _ }: Claim,
        session: Option<&Session>,
    ) {
        let Some(store) = &self.store else { return };
        let sealed = session.map(|session| cookies.seal_refreshed(key, session)).transpose();
        let sealed =
            sealed.inspect_err(|error| tracing::error!(%error, "a refreshed session cannot be sealed"));
        let ended =
            store.end_session_refresh(key.as_bytes().to_vec(), expires_at_us, sealed.unwrap_or_default());
        if let Err(error) = ended.await {
            tracing::warn!(%error, "other replicas do not learn of a refreshed session");
        }
    }
}

impl Claim {
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

    /// Waits until the refresh of another replica has a result. `None`: it has none.
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

    /// The store may have begun it all the same: so it is ended like any other.
    fn without_store(self, error: &StoreError) -> Refreshing {
        tracing::warn!(%error, "a session is refreshed by this replica alone: the store does not answer");
        Refreshing::Here(self)
    }
}

impl OtherRefresh {
    fn open(cookies: &SessionCookies, key: RefreshKey, found: SessionRefresh) -> Self {
        match found {
            SessionRefresh::Running => Self::Running,
            // `None`: it was sealed with a key that this replica lacks
            SessionRefresh::Done(sealed) => {
                cookies.open_refreshed(key, &sealed).map_or(Self::Running, Self::Done)
            }
        }
    }
}
