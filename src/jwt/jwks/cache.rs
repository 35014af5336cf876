//! The cache of an issuer's keys: fetched on demand or at start, refreshed on a
//! schedule, and kept for a limited time while fetches fail.
//!
//! Decisions are pure functions of the cache's state and the time. A token with an unknown `kid` is
//! rejected finally only if the keys were fetched after its request was received. However many
//! requests have an unknown `kid`, one fetch runs at a time, within a budget.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::fetch::{FetchError, Fetcher, KeyUrl};
use super::single_flight::{Flight, SingleFlight, update};
use super::state::{
    CacheState, CachedKeys, FetchCounts, FetchTrigger, InitialFetch, LastFetch, RefreshPolicy,
};
use crate::clock::{Stopwatch, Timestamp};
use crate::jwt::compact::Compact;
use crate::jwt::key_set::KeySet;
use crate::jwt::skipped_key::list;
use crate::jwt::verify::{Validation, Verified, VerifyError, verify_compact};

/// The cached keys of one location.
#[derive(Debug)]
pub struct JwksCache {
    location: JwksLocation,
    policy: RefreshPolicy,
    fetcher: Fetcher,
    state: ArcSwap<CacheState>,
    in_flight: SingleFlight,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksLocation {
    /// At a fixed URL, all in one set.
    Set(KeyUrl),
    /// Each key in PEM at this URL followed by its `kid`. The key at a URL never
    /// changes, so keys neither expire nor are refreshed.
    ById(KeyUrl),
    /// At the `jwks_uri` of the issuer's discovery document.
    Discovered {
        /// The `issuer` that the document must contain.
        issuer: String,
        /// The document's URL.
        document: KeyUrl,
    },
}

/// Why a token is not verified.
#[derive(Debug)]
pub enum NotVerified {
    /// It is rejected, whatever keys are fetched.
    Rejected(VerifyError),
    /// Newer keys may verify it.
    Needs(NeedsKeys),
}

/// Keys that a token needs and that are not cached.
#[derive(Clone, Debug)]
pub struct NeedsKeys {
    cache: Arc<JwksCache>,
    kid: Option<String>,
    has_others: bool,
}

/// The maximum number of cached keys of a location by `kid`. An issuer has few in use.
const MAX_KEYS_BY_ID: usize = 64;

/// The maximum size of a key in PEM, in bytes.
const MAX_PEM_BYTES: usize = 16 * 1024;

impl From<VerifyError> for NotVerified {
    fn from(error: VerifyError) -> Self {
        Self::Rejected(error)
    }
}

impl NeedsKeys {
    /// Fetches the keys, or waits for the running fetch. `false`: no fetch is allowed
    /// now (the last one failed within the cooldown, or the budget of fetches that
    /// tokens cause is spent), and nothing has changed.
    pub async fn fetch(&self, now: Timestamp) -> bool {
        self.cache.fetch_for_token(self.kid.as_deref(), now).await
    }
}

impl std::fmt::Display for NeedsKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.has_others {
            true => "no cached key matches, and newer keys could not be fetched yet",
            false => "no keys are available to verify it",
        })
    }
}

impl JwksCache {
    /// Creates an empty cache.
    pub fn new(location: JwksLocation, policy: RefreshPolicy, fetcher: Fetcher) -> Arc<Self> {
        Arc::new(Self {
            location,
            policy,
            fetcher,
            state: ArcSwap::default(),
            in_flight: SingleFlight::default(),
        })
    }

    /// The URL of the key set or of the discovery document, without its query.
    pub fn url(&self) -> String {
        match &self.location {
            JwksLocation::Set(url)
            | JwksLocation::ById(url)
            | JwksLocation::Discovered { document: url, .. } => url.without_query(),
        }
    }

    /// The number of fetches so far, by result.
    pub fn counts(&self) -> FetchCounts {
        self.state.load().counts
    }

    /// The age of the keys in use, in seconds; `None` if there are none, or if they do not expire.
    pub fn age_s(&self, now: Timestamp) -> Option<u64> {
        if self.is_by_id() {
            return None;
        }
        let state = self.state.load();
        state.keys(self.policy, now).map(|cached| now.seconds_since(cached.fetched_at))
    }

    /// The number of skipped keys of the set in use.
    pub fn skipped(&self, now: Timestamp) -> Option<usize> {
        let state = self.state.load();
        state.keys(self.policy, now).map(|cached| cached.set.skipped().len())
    }

    /// Whether the initial fetch has completed, or none is due at start.
    pub fn initial_fetch_done(&self) -> bool {
        let state = self.state.load();
        self.policy.initial_fetch == InitialFetch::OnDemand
            || state.counts != FetchCounts::default()
            || state.keys.is_some()
    }

    /// Whether the keys are fetched at start.
    pub fn fetches_at_start(&self) -> bool {
        self.policy.initial_fetch == InitialFetch::AtStart
    }

    /// Whether keys are available. Also true if they are fetched only when a token needs them.
    pub fn has_keys(&self, now: Timestamp) -> bool {
        self.policy.initial_fetch == InitialFetch::OnDemand
            || self.state.load().keys(self.policy, now).is_some()
    }

    /// After a reload: the previous cache of the same location and settings, including
    /// its running fetch; otherwise this one, with the previous keys.
    #[must_use]
    pub fn or_cached(self: &Arc<Self>, earlier: &[Arc<Self>]) -> Arc<Self> {
        let at_same_location = || earlier.iter().filter(|earlier| earlier.location == self.location);
        // a cache that fetches at start can replace one that fetches on demand
        let is_compatible = |earlier: &&Arc<Self>| {
            let own = self.policy.initial_fetch;
            let is_early_enough = [own, InitialFetch::AtStart].contains(&earlier.policy.initial_fetch);
            let policy = RefreshPolicy { initial_fetch: own, ..earlier.policy };
            is_early_enough && policy == self.policy && earlier.fetcher == self.fetcher
        };
        if let Some(same) = at_same_location().find(is_compatible) {
            return Arc::clone(same);
        }
        if let Some(earlier) = at_same_location().next() {
            // without `last_fetch`, so that the new policy triggers a fetch
            let CacheState { keys, counts, .. } = CacheState::clone(&earlier.state.load());
            update(&self.state, |state| (state.keys, state.counts) = (keys.clone(), counts));
        }
        Arc::clone(self)
    }

    /// Starts a fetch if one is due; does not wait.
    pub fn refresh_if_due(self: &Arc<Self>, now: Timestamp) {
        if !self.is_by_id() && self.state.load().may_fetch(FetchTrigger::Schedule, self.policy, now) {
            let _ = self.start_fetch(FetchTrigger::Schedule, None, now);
        }
    }

    /// Verifies a token of a request received at `received`.
    pub fn verify(
        self: &Arc<Self>,
        token: Compact<'_>,
        validation: &Validation,
        received: Timestamp,
        now: Timestamp,
    ) -> Result<Verified, NotVerified> {
        let state = self.state.load();
        let cached = state.keys(self.policy, now);
        let kid = if self.is_by_id() { token.kid().map(str::to_owned) } else { None };
        let empty = KeySet::empty();
        let outcome =
            verify_compact(token, validation, cached.map_or(&empty, |cached| cached.set.as_ref()), now);
        let is_final = match &kid {
            Some(kid) => state.is_not_found(kid, self.policy, now),
            None => cached.is_some_and(|cached| cached.was_requested_since(received, now)),
        };
        match outcome {
            Err(VerifyError::UnknownKey | VerifyError::AmbiguousKey | VerifyError::NoMatchingKey)
                if !is_final =>
            {
                let has_others = cached.is_some();
                Err(NotVerified::Needs(NeedsKeys { cache: Arc::clone(self), kid, has_others }))
            }
            outcome => Ok(outcome?),
        }
    }

    const fn is_by_id(&self) -> bool {
        matches!(self.location, JwksLocation::ById(_))
    }

    async fn fetch_for_token(self: &Arc<Self>, kid: Option<&str>, now: Timestamp) -> bool {
        let Some(flight) = self.start_fetch(FetchTrigger::Token, kid, now) else { return false };
        flight.finished().await;
        let others = async {
            // the fetch in progress may have been for another key
            while let Some(kid) = kid.filter(|kid| self.lacks(kid, now)) {
                let Some(flight) = self.start_fetch(FetchTrigger::Token, Some(kid), now) else { break };
                flight.finished().await;
            }
        };
        // waits at most as long as one more fetch may take
        let _ = tokio::time::timeout(self.fetcher.timeout, others).await;
        true
    }

    fn lacks(&self, kid: &str, now: Timestamp) -> bool {
        let state = self.state.load();
        let has_key = state.keys.as_ref().is_some_and(|cached| cached.set.contains_id(kid));
        !has_key && !state.is_not_found(kid, self.policy, now)
    }

    /// The running fetch; a new one if allowed.
    fn start_fetch(
        self: &Arc<Self>,
        trigger: FetchTrigger,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Option<Flight> {
        self.in_flight.join_or_start(|| {
            if !self.state.load().may_fetch(trigger, self.policy, now) {
                return None;
            }
            update(&self.state, |state| {
                state.last_fetch = Some(LastFetch::running(now));
                // keys by kid: only an unknown kid counts against the budget, since each existing
                // key is fetched only once
                if trigger == FetchTrigger::Token && kid.is_none() {
                    state.budget = state.budget.spend_one(self.policy.cooldown(), now);
                }
            });
            let (cache, kid, stopwatch) = (Arc::clone(self), kid.map(str::to_owned), Stopwatch::start());
            Some(async move {
                let outcome = cache.fetch(kid.as_deref()).await;
                cache.store_outcome(outcome, kid.as_deref(), now, now.later_by(stopwatch.elapsed()));
            })
        })
    }

    async fn fetch(&self, kid: Option<&str>) -> Result<KeySet, FetchError> {
        match (&self.location, kid) {
            (JwksLocation::Set(url), _) => self.fetcher.key_set(url).await,
            (JwksLocation::Discovered { issuer, document }, _) => {
                self.fetcher.discovered_key_set(issuer, document).await
            }
            (JwksLocation::ById(base), Some(kid)) => {
                let key = KeySet::from_pem(&self.fetcher.get(&base.join(kid), MAX_PEM_BYTES).await?)?;
                let state = self.state.load();
                let known = state.keys.as_ref().map_or_else(KeySet::empty, |cached| (*cached.set).clone());
                Ok(known.with(kid, &key, MAX_KEYS_BY_ID))
            }
            (JwksLocation::ById(_), None) => Err(FetchError::NoKeyId),
        }
    }

    /// Stores the outcome of a fetch. The cooldown after a failure starts at its end,
    /// so that a slow issuer also gets a pause.
    fn store_outcome(
        &self,
        outcome: Result<KeySet, FetchError>,
        kid: Option<&str>,
        requested_at: Timestamp,
        now: Timestamp,
    ) {
        let not_found = match (&outcome, kid) {
            (Err(error), Some(kid)) if error.is_not_found() => Some(kid),
            _ => None,
        };
        let keys = outcome.map(Arc::new);
        self.log_outcome(&keys, now);
        // a response that says that there is no such kid is a successful fetch, too
        let last_fetch = LastFetch::ended(now, keys.is_ok() || not_found.is_some());
        update(&self.state, |state| {
            state.last_fetch = Some(last_fetch);
            if let Some(kid) = not_found {
                state.add_not_found(kid, self.policy, now);
            }
            match &keys {
                Ok(set) => {
                    state.keys = Some(CachedKeys { set: Arc::clone(set), requested_at, fetched_at: now });
                    state.counts.succeeded += 1;
                    state.consecutive_failures = 0;
                }
                Err(_) => {
                    state.counts.failed += 1;
                    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
                }
            }
        });
    }

    fn log_outcome(&self, outcome: &Result<Arc<KeySet>, FetchError>, now: Timestamp) {
        let url = self.url();
        match outcome {
            Ok(keys) => {
                tracing::debug!(%url, "fetched keys");
                self.log_skipped(keys);
            }
            Err(error) if self.state.load().keys(self.policy, now).is_some() => {
                let age_s = self.age_s(now);
                tracing::warn!(%url, %error, age_s, "fetching keys failed; the cached keys stay in use for now");
            }
            Err(error) => tracing::warn!(%url, %error, "fetching keys failed, and none are cached"),
        }
    }

    /// Logs the skipped keys of a set, unless the previous set had the same ones.
    fn log_skipped(&self, keys: &KeySet) {
        let skipped = keys.skipped();
        let state = self.state.load();
        let before = state.keys.as_ref().map(|cached| cached.set.skipped()).unwrap_or_default();
        if !skipped.is_empty() && skipped != before {
            let (url, count, keys) = (self.url(), skipped.len(), list(skipped));
            tracing::warn!(%url, skipped = count, %keys, "skipped unusable keys of the set");
        }
    }
}
