//! The state of a JWKS cache: when a fetch is allowed or due, and whether an unknown
//! key is final. Pure; the time is an argument.

use std::sync::Arc;
use std::time::Duration;

use super::budget::FetchBudget;
use crate::clock::Timestamp;
use crate::jwt::key_set::KeySet;

/// When keys are fetched, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// The longest interval between scheduled fetches.
    pub refresh_s: u64,
    /// How long keys stay in use after the last successful fetch.
    pub max_stale_s: u64,
    /// Pause after a failed fetch, and the interval in which tokens may cause one more fetch.
    pub cooldown_s: u64,
    /// When the first fetch starts.
    pub initial_fetch: InitialFetch,
}

/// When the first fetch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialFetch {
    /// At the start of the service.
    AtStart,
    /// When a token needs the keys.
    OnDemand,
}

/// The cached keys and the history of fetches.
#[derive(Clone, Debug, Default)]
pub(super) struct CacheState {
    pub keys: Option<CachedKeys>,
    pub last_fetch: Option<LastFetch>,
    /// Limits fetches caused by tokens.
    pub budget: FetchBudget,
    /// Consecutive failed fetches.
    pub consecutive_failures: u32,
    pub counts: FetchCounts,
    /// The `kid`s that the issuer does not know, and when it said so.
    pub not_found: Vec<(String, Timestamp)>,
}

/// The result of a successful fetch.
#[derive(Clone, Debug)]
pub(super) struct CachedKeys {
    pub set: Arc<KeySet>,
    /// When the fetch started.
    pub requested_at: Timestamp,
    /// When the fetch ended.
    pub fetched_at: Timestamp,
}

/// Why a fetch is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchTrigger {
    /// A token needs keys that are not cached.
    Token,
    /// A scheduled refresh or retry.
    Schedule,
}

/// The latest fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastFetch {
    pub at: Timestamp,
    /// `false` also while the fetch is running.
    pub succeeded: bool,
    /// Varies the time of the next scheduled fetch.
    pub jitter: Jitter,
}

/// A random part of a duration, from 0 to [`MAX_JITTER_PERCENT`]. Replicas that fetch at the same
/// time have different random numbers, so that their next fetches are at different times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jitter(u16);

/// The number of fetches by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchCounts {
    /// Successful fetches.
    pub succeeded: u64,
    /// Failed fetches.
    pub failed: u64,
}

/// The pause after the first failed fetch; doubled for each further one.
const FIRST_BACKOFF_S: u64 = 5;

/// The maximum of [`Jitter`].
const MAX_JITTER_PERCENT: u32 = 20;

impl LastFetch {
    /// A fetch that ended at `at`, with a random [`Jitter`].
    pub fn ended(at: Timestamp, succeeded: bool) -> Self {
        let mut number = [0; 2];
        // an error: without random numbers there is no jitter
        let _ = aws_lc_rs::rand::fill(&mut number);
        Self { at, succeeded, jitter: Jitter(u16::from_ne_bytes(number)) }
    }

    /// A fetch that is running since `at`.
    pub const fn running(at: Timestamp) -> Self {
        Self { at, succeeded: false, jitter: Jitter(0) }
    }
}

impl Jitter {
    fn of(self, time: Duration) -> Duration {
        time.saturating_mul(MAX_JITTER_PERCENT * u32::from(self.0)) / (100 * u32::from(u16::MAX))
    }
}

impl RefreshPolicy {
    /// [`Self::cooldown_s`] as a duration.
    pub const fn cooldown(self) -> Duration {
        Duration::from_secs(self.cooldown_s)
    }
}

impl CachedKeys {
    /// Whether the fetch started at or after `received`, so that the set contains
    /// every key published before. A start in the future means that the clock was set
    /// back, and does not count.
    pub fn was_requested_since(&self, received: Timestamp, now: Timestamp) -> bool {
        (received..=now).contains(&self.requested_at)
    }
}

impl CacheState {
    /// The keys, unless they are older than `max_stale_s`.
    pub fn keys(&self, policy: RefreshPolicy, now: Timestamp) -> Option<&CachedKeys> {
        self.keys.as_ref().filter(|cached| now.seconds_since(cached.fetched_at) < policy.max_stale_s)
    }

    pub fn may_fetch(&self, trigger: FetchTrigger, policy: RefreshPolicy, now: Timestamp) -> bool {
        match trigger {
            FetchTrigger::Token => {
                self.budget.has_left(policy.cooldown(), now)
                    && !self.failed_at().is_some_and(|at| at.is_within(policy.cooldown_s, now))
            }
            FetchTrigger::Schedule => self.is_due(policy, now),
        }
    }

    /// Whether the issuer has responded within the cooldown that it does not know a `kid`.
    pub fn is_not_found(&self, kid: &str, policy: RefreshPolicy, now: Timestamp) -> bool {
        self.not_found.iter().any(|(own, at)| own == kid && at.is_within(policy.cooldown_s, now))
    }

    /// Remembers for the cooldown that the issuer does not know a `kid`. It counts as
    /// a fetch that a token caused, which bounds the number.
    pub fn add_not_found(&mut self, kid: &str, policy: RefreshPolicy, now: Timestamp) {
        self.not_found.retain(|(_, at)| at.is_within(policy.cooldown_s, now));
        self.not_found.push((kid.to_owned(), now));
        self.budget = self.budget.spend_one(policy.cooldown(), now);
    }

    fn is_due(&self, policy: RefreshPolicy, now: Timestamp) -> bool {
        match self.last_fetch {
            // keys of an earlier configuration are refreshed under the new policy
            None => policy.initial_fetch == InitialFetch::AtStart || self.keys.is_some(),
            Some(fetch) => fetch.at > now || now.time_since(fetch.at) >= self.pause_after(fetch, policy),
        }
    }

    /// The time from a fetch to the next scheduled one. Jitter makes a refresh earlier, since keys
    /// may expire soon after `refresh_s`, and a retry later, so that a failing issuer is never
    /// asked before the pause is over.
    fn pause_after(&self, fetch: LastFetch, policy: RefreshPolicy) -> Duration {
        if fetch.succeeded {
            let interval = Duration::from_secs(policy.refresh_s);
            interval.saturating_sub(fetch.jitter.of(interval))
        } else {
            let backoff = Duration::from_secs(self.backoff_s(policy));
            backoff.saturating_add(fetch.jitter.of(backoff))
        }
    }

    /// The pause after a failure: the cooldown; without any keys, an exponential backoff up to the
    /// cooldown, so that the service recovers soon from a brief outage at its start.
    fn backoff_s(&self, policy: RefreshPolicy) -> u64 {
        match self.keys {
            Some(_) => policy.cooldown_s,
            None => (FIRST_BACKOFF_S << self.consecutive_failures.saturating_sub(1).min(10))
                .min(policy.cooldown_s),
        }
    }

    fn failed_at(&self) -> Option<Timestamp> {
        self.last_fetch.filter(|fetch| !fetch.succeeded).map(|fetch| fetch.at)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const POLICY: RefreshPolicy = RefreshPolicy {
        refresh_s: 300,
        max_stale_s: 3600,
        cooldown_s: 30,
        initial_fetch: InitialFetch::AtStart,
    };

    fn state(fetch: Option<(u64, bool)>) -> CacheState {
        state_with_jitter(fetch, 0)
    }

    fn state_with_jitter(fetch: Option<(u64, bool)>, jitter: u16) -> CacheState {
        let last_fetch = fetch.map(|(at, succeeded)| LastFetch {
            at: Timestamp::from_unix_seconds(at),
            succeeded,
            jitter: Jitter(jitter),
        });
        CacheState { last_fetch, ..CacheState::default() }
    }

    fn cached(requested_at: u64, fetched_at: u64) -> CachedKeys {
        let [requested_at, fetched_at] = [requested_at, fetched_at].map(Timestamp::from_unix_seconds);
        CachedKeys { set: Arc::new(KeySet::empty()), requested_at, fetched_at }
    }

    #[test]
    fn a_token_may_cause_a_fetch_except_after_a_failure() {
        let may = |state: CacheState, now: u64| {
            state.may_fetch(FetchTrigger::Token, POLICY, Timestamp::from_unix_seconds(now))
        };
        assert!(may(state(None), 1000), "never fetched");
        assert!(may(state(Some((1000, true))), 1000), "the fetched keys may be stale");
        assert!(!may(state(Some((1000, false))), 1029) && may(state(Some((1000, false))), 1030));
        assert!(may(state(Some((1000, false))), 500), "the clock was set back");
    }

    #[test]
    fn a_fetch_is_due_on_schedule_and_after_a_backoff() {
        let due = |state: CacheState, now: u64| state.is_due(POLICY, Timestamp::from_unix_seconds(now));
        assert!(due(state(None), 1000));
        assert!(!due(state(Some((1000, true))), 1299));
        assert!(due(state(Some((1000, true))), 1300));
        assert!(due(state(Some((1000, false))), 1005), "no keys yet");
        let failed = || CacheState { keys: Some(cached(999, 999)), ..state(Some((1000, false))) };
        assert!(!due(failed(), 1029) && due(failed(), 1030));
        assert!(due(state(Some((1000, true))), 500), "the clock was set back");
        let on_demand = RefreshPolicy { initial_fetch: InitialFetch::OnDemand, ..POLICY };
        let now = Timestamp::from_unix_seconds(1000);
        assert!(!state(None).is_due(on_demand, now));
        let reused = CacheState { keys: Some(cached(999, 999)), ..state(None) };
        assert!(reused.is_due(on_demand, now), "keys of an earlier configuration");
    }

    #[test]
    fn jitter_brings_a_refresh_forward_and_delays_a_retry() {
        let due = |succeeded: bool, jitter: u16, now: u64| {
            let fetched = state_with_jitter(Some((1000, succeeded)), jitter);
            CacheState { keys: Some(cached(999, 999)), ..fetched }
                .is_due(POLICY, Timestamp::from_unix_seconds(now))
        };
        assert!(!due(true, u16::MAX, 1239) && due(true, u16::MAX, 1240), "80 % of 300 seconds");
        assert!(!due(true, u16::MAX / 2, 1270) && due(true, u16::MAX / 2, 1271));
        assert!(!due(false, u16::MAX, 1035) && due(false, u16::MAX, 1036), "120 % of 30 seconds");
    }

    #[test]
    fn caches_that_fetch_together_do_not_refresh_together() {
        let pause = |succeeded: bool| {
            let fetch = LastFetch::ended(Timestamp::from_unix_seconds(1000), succeeded);
            state(None).pause_after(fetch, POLICY)
        };
        for succeeded in [true, false] {
            // eight equal random numbers of 16 bits occur in less than one of 10^33 runs
            let first = pause(succeeded);
            assert!((0..7).any(|_| pause(succeeded) != first));
        }
    }

    /// The arguments: when the fetch started, when the request was received, and the current time.
    #[rstest]
    #[case::before_the_request(1000, 1001, 1002, false)]
    #[case::running_when_received(1000, 1001, 1009, false)]
    #[case::because_of_it(1000, 1000, 1005, true)]
    #[case::after_it(1003, 1000, 1005, true)]
    #[case::before_the_clock_was_set_back(1000, 500, 501, false)]
    fn an_unknown_key_is_final_only_after_a_newer_fetch(
        #[case] requested_at: u64,
        #[case] received: u64,
        #[case] now: u64,
        #[case] is_final: bool,
    ) {
        let [received, now] = [received, now].map(Timestamp::from_unix_seconds);
        assert_eq!(cached(requested_at, 1005).was_requested_since(received, now), is_final);
    }
}
