//! The cache of an issuer's JWKS: fetched on demand or at start, refreshed on a
//! schedule, and kept for a limited time while fetches fail.
//!
//! Decisions are pure functions of the cache's state and the time. An unknown key
//! is final only if the set was requested after the request was received. However
//! many requests have unknown keys, one fetch runs at a time, within a budget.

mod budget;
mod document;
pub mod fetch;
pub mod single_flight;
mod state;

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::key_set::KeySet;
use super::verify::{Validation, Verified, VerifyError, verify};
use crate::clock::{Stopwatch, Timestamp};
pub(super) use document::read_document;
pub use document::{SkippedKey, UnusableKey, list};
use fetch::{FetchError, Fetcher, KeyUrl};
use single_flight::{Flight, SingleFlight, update};
use state::{CacheState, CachedKeys, FetchTrigger, LastFetch};

pub use state::{FetchCounts, InitialFetch, RefreshPolicy};

/// Where an authenticator's keys come from.
#[derive(Debug)]
pub enum KeySource {
    /// Part of the configuration.
    Static(KeySet),
    /// Fetched from the issuer.
    Published(Arc<JwksCache>),
}

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
    /// At a fixed URL.
    Set(KeyUrl),
    /// At the `jwks_uri` of the issuer's discovery document.
    Discovered {
        /// The `issuer` that the document must contain.
        issuer: String,
        /// The document's URL.
        document: KeyUrl,
    },
}

impl KeySource {
    /// Verifies a token of a request received at `received`. Where newer keys may
    /// change the result ([`JwksCache::fetch_for_token`]), the error is
    /// [`VerifyError::NoKeys`] or [`VerifyError::KeysMayBeStale`].
    pub fn verify(
        &self,
        token: &str,
        validation: &Validation<'_>,
        received: Timestamp,
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        match self {
            Self::Static(keys) => verify(token, validation, keys, now),
            Self::Published(keys) => keys.verify(token, validation, received, now),
        }
    }

    /// The skipped keys of a configured set.
    pub fn skipped(&self) -> &[SkippedKey] {
        match self {
            Self::Static(keys) => keys.skipped(),
            Self::Published(_) => &[],
        }
    }

    /// Reuses the caches of the previous configuration.
    pub fn reuse_cached(&mut self, earlier: &[Arc<JwksCache>]) {
        if let Self::Published(keys) = self {
            *keys = keys.or_cached(earlier);
        }
    }

    /// The cache, if the keys are fetched.
    pub const fn published(&self) -> Option<&Arc<JwksCache>> {
        match self {
            Self::Static(_) => None,
            Self::Published(keys) => Some(keys),
        }
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
            JwksLocation::Set(url) | JwksLocation::Discovered { document: url, .. } => url.without_query(),
        }
    }

    /// The number of fetches so far, by result.
    pub fn counts(&self) -> FetchCounts {
        self.state.load().counts
    }

    /// The age of the keys in use, in seconds.
    pub fn age_s(&self, now: Timestamp) -> Option<u64> {
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

    /// Whether keys are available, or are not expected before a token needs them.
    pub fn has_keys(&self, now: Timestamp) -> bool {
        self.policy.initial_fetch == InitialFetch::OnDemand
            || self.state.load().keys(self.policy, now).is_some()
    }

    /// After a reload: the previous cache of the same location and settings, including
    /// its running fetch; otherwise this one, with the previous keys.
    #[must_use]
    pub fn or_cached(self: &Arc<Self>, earlier: &[Arc<Self>]) -> Arc<Self> {
        let at_same_location = || earlier.iter().filter(|earlier| earlier.location == self.location);
        // a cache that fetches at start also serves where keys are fetched on demand
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

    /// Fetches the keys because a token needs newer ones, or waits for the running
    /// fetch. `false`: no fetch is allowed now, and nothing has changed.
    pub async fn fetch_for_token(self: &Arc<Self>, now: Timestamp) -> bool {
        let Some(flight) = self.start_fetch(FetchTrigger::Token, now) else { return false };
        flight.finished().await;
        true
    }

    /// Starts a fetch if one is due; does not wait.
    pub fn refresh_if_due(self: &Arc<Self>, now: Timestamp) {
        if self.state.load().may_fetch(FetchTrigger::Schedule, self.policy, now) {
            let _ = self.start_fetch(FetchTrigger::Schedule, now);
        }
    }

    fn verify(
        &self,
        token: &str,
        validation: &Validation<'_>,
        received: Timestamp,
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let state = self.state.load();
        let cached = state.keys(self.policy, now);
        let empty = KeySet::empty();
        let outcome = verify(token, validation, cached.map_or(&empty, |cached| cached.set.as_ref()), now);
        match (&outcome, cached) {
            (Err(VerifyError::UnknownKey | VerifyError::AmbiguousKey | VerifyError::NoMatchingKey), None) => {
                Err(VerifyError::NoKeys)
            }
            (
                Err(VerifyError::UnknownKey | VerifyError::AmbiguousKey | VerifyError::NoMatchingKey),
                Some(cached),
            ) if !cached.was_requested_since(received, now) => Err(VerifyError::KeysMayBeStale),
            _ => outcome,
        }
    }

    /// The running fetch; a new one if allowed.
    fn start_fetch(self: &Arc<Self>, trigger: FetchTrigger, now: Timestamp) -> Option<Flight> {
        self.in_flight.join_or_start(|| {
            if !self.state.load().may_fetch(trigger, self.policy, now) {
                return None;
            }
            update(&self.state, |state| {
                state.last_fetch = Some(LastFetch::running(now));
                if trigger == FetchTrigger::Token {
                    state.budget = state.budget.spend_one(self.policy.cooldown(), now);
                }
            });
            let (keys, stopwatch) = (Arc::clone(self), Stopwatch::start());
            Some(async move {
                let outcome = keys.fetch().await;
                keys.store_outcome(outcome, now, now.later_by(stopwatch.elapsed()));
            })
        })
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        match &self.location {
            JwksLocation::Set(url) => self.fetcher.key_set(url).await,
            JwksLocation::Discovered { issuer, document } => {
                self.fetcher.discovered_key_set(issuer, document).await
            }
        }
    }

    /// Stores the outcome of a fetch. The cooldown after a failure starts at its end,
    /// so that a slow issuer also gets a pause.
    fn store_outcome(&self, outcome: Result<KeySet, FetchError>, requested_at: Timestamp, now: Timestamp) {
        let address = self.url();
        let keys = match outcome {
            Ok(keys) => {
                tracing::debug!(%address, "fetched keys");
                self.report_skipped(&keys);
                Some(Arc::new(keys))
            }
            Err(error) => {
                match self.age_s(now) {
                    Some(age_s) => {
                        tracing::warn!(%address, %error, age_s, "fetching keys failed; the cached keys stay in use for now");
                    }
                    None => tracing::warn!(%address, %error, "fetching keys failed, and none are cached"),
                }
                None
            }
        };
        let last_fetch = LastFetch::ended(now, keys.is_some());
        update(&self.state, |state| {
            state.last_fetch = Some(last_fetch);
            match &keys {
                Some(set) => {
                    state.keys = Some(CachedKeys { set: Arc::clone(set), requested_at, fetched_at: now });
                    state.counts.succeeded += 1;
                    state.consecutive_failures = 0;
                }
                None => {
                    state.counts.failed += 1;
                    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
                }
            }
        });
    }

    /// Logs the skipped keys of a set, unless the previous set had the same ones.
    fn report_skipped(&self, keys: &KeySet) {
        let skipped = keys.skipped();
        let state = self.state.load();
        let before = state.keys.as_ref().map(|cached| cached.set.skipped()).unwrap_or_default();
        if !skipped.is_empty() && skipped != before {
            let (address, count, keys) = (self.url(), skipped.len(), list(skipped));
            tracing::warn!(%address, skipped = count, %keys, "skipped unusable keys of the set");
        }
    }
}
