//! The keys of a region's load balancers: each is fetched by its id when a token
//! first names it, and cached without expiry, since the key at a URL never
//! changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use uuid::Uuid;

use crate::clock::{Stopwatch, Timestamp};
use crate::jwt::jwks::FetchCounts;
use crate::jwt::jwks::fetch::{FetchError, Fetcher, KeyUrl};
use crate::jwt::jwks::single_flight::{Flight, SingleFlight, update};
use crate::jwt::key_set::KeySet;
use crate::jwt::verify::VerifyError;

/// The keys of one region.
#[derive(Debug)]
pub struct KeysById {
    base: KeyUrl,
    fetcher: Fetcher,
    cooldown_s: u64,
    cached: ArcSwap<CachedKeys>,
    fetches: SingleFlight,
}

#[derive(Clone, Debug, Default)]
struct CachedKeys {
    /// The latest last.
    keys: Vec<(Uuid, Arc<KeySet>)>,
    /// Ids for which the response was 404, and when.
    not_found: Vec<(Uuid, Timestamp)>,
    /// When the last fetch failed otherwise.
    failed: Option<Timestamp>,
    counts: FetchCounts,
}

/// The maximum number of cached keys. A region has few; more would be requested
/// by a client that knows the key ids of other balancers.
const MAX_KEYS: usize = 64;

/// The maximum number of unknown ids per cooldown, so that invented ids neither
/// cause endless fetches nor delay those of real ones.
const MAX_NOT_FOUND: usize = 8;

/// The largest key in PEM, in bytes.
const MAX_BYTES: usize = 16 * 1024;

impl KeysById {
    /// Keys at `base/ID`. After a failed fetch there is none until the cooldown has
    /// passed.
    pub fn new(base: KeyUrl, fetcher: Fetcher, cooldown_s: u64) -> Arc<Self> {
        let (cached, fetches) = (ArcSwap::default(), SingleFlight::default());
        Arc::new(Self { base, fetcher, cooldown_s, cached, fetches })
    }

    /// The base URL, without its query.
    pub fn address(&self) -> String {
        self.base.without_query()
    }

    /// Fetches by outcome.
    pub fn counts(&self) -> FetchCounts {
        self.cached.load().counts
    }

    /// The earlier cache of the same keys, if there is one, so that a reload does
    /// not fetch them again.
    #[must_use]
    pub fn or_earlier(self: &Arc<Self>, earlier: &[Arc<Self>]) -> Arc<Self> {
        let is_same = |earlier: &&Arc<Self>| {
            earlier.base == self.base
                && earlier.fetcher == self.fetcher
                && earlier.cooldown_s == self.cooldown_s
        };
        Arc::clone(earlier.iter().find(is_same).unwrap_or(self))
    }

    /// Adds a key without fetching it.
    pub fn insert(&self, id: Uuid, key: KeySet) {
        let key = Arc::new(key);
        update(&self.cached, |cached| cached.insert(id, &key));
    }

    /// The key of that id. [`VerifyError::NoKeys`] where fetching may provide it.
    pub(super) fn key(&self, id: Uuid, now: Timestamp) -> Result<Arc<KeySet>, VerifyError> {
        let cached = self.cached.load();
        match cached.find(id) {
            Some(key) => Ok(Arc::clone(key)),
            None if cached.is_not_found(id, self.cooldown_s, now) => Err(VerifyError::UnknownKey),
            None => Err(VerifyError::NoKeys),
        }
    }

    /// Fetches the key of that id, unless a fetch failed within the cooldown.
    /// `false` where nothing was fetched.
    pub async fn renew(self: &Arc<Self>, id: Uuid, now: Timestamp) -> bool {
        let mut has_fetched = false;
        let fetch = async {
            // the fetch in flight may be for another key
            while self.cached.load().find(id).is_none() {
                let Some(in_flight) = self.start_fetch(id, now) else { break };
                in_flight.finished().await;
                has_fetched = true;
            }
        };
        // a request waits at most as long as for one fetch
        let _ = tokio::time::timeout(self.fetcher.timeout, fetch).await;
        has_fetched
    }

    fn start_fetch(self: &Arc<Self>, id: Uuid, now: Timestamp) -> Option<Flight> {
        self.fetches.join_or_start(|| {
            if !self.cached.load().may_fetch(id, self.cooldown_s, now) {
                return None;
            }
            let (keys, stopwatch) = (Arc::clone(self), Stopwatch::start());
            Some(async move {
                let outcome = keys.fetch(id).await;
                keys.store(id, outcome, now.later_by(stopwatch.elapsed()));
            })
        })
    }

    async fn fetch(&self, id: Uuid) -> Result<KeySet, FetchError> {
        let address = self.base.join(&id.hyphenated().to_string());
        Ok(KeySet::from_pem(&self.fetcher.get(&address, MAX_BYTES).await?)?)
    }

    fn store(&self, id: Uuid, outcome: Result<KeySet, FetchError>, now: Timestamp) {
        match outcome {
            Ok(key) => {
                let key = Arc::new(key);
                update(&self.cached, |cached| {
                    cached.insert(id, &key);
                    cached.counts.succeeded += 1;
                });
            }
            Err(error) => {
                tracing::warn!(address = %self.address(), %error, "a load balancer's key cannot be fetched");
                update(&self.cached, |cached| {
                    if error.is_not_found() {
                        cached.not_found.retain(|(_, at)| at.is_within(self.cooldown_s, now));
                        cached.not_found.push((id, now));
                    } else {
                        cached.failed = Some(now);
                    }
                    cached.counts.failed += 1;
                });
            }
        }
    }
}

impl CachedKeys {
    fn find(&self, id: Uuid) -> Option<&Arc<KeySet>> {
        self.keys.iter().find(|(own, _)| *own == id).map(|(_, key)| key)
    }

    fn insert(&mut self, id: Uuid, key: &Arc<KeySet>) {
        if self.keys.len() >= MAX_KEYS {
            self.keys.remove(0);
        }
        self.keys.push((id, Arc::clone(key)));
    }

    fn is_not_found(&self, id: Uuid, cooldown_s: u64, now: Timestamp) -> bool {
        self.not_found.iter().any(|(own, at)| *own == id && at.is_within(cooldown_s, now))
    }

    fn may_fetch(&self, id: Uuid, cooldown_s: u64, now: Timestamp) -> bool {
        let not_found = self.not_found.iter().filter(|(_, at)| at.is_within(cooldown_s, now)).count();
        let failed = self.failed.is_some_and(|at| at.is_within(cooldown_s, now));
        !failed && not_found < MAX_NOT_FOUND && !self.is_not_found(id, cooldown_s, now)
    }
}
