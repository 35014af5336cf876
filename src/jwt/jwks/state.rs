//! What is known of the keys at an address, and what follows from it: when the
//! issuer is asked, and whether a key that is not among them is unknown for good.
//! Values only; the time is an argument.

use std::sync::Arc;
use std::time::Duration;

use super::budget::FetchBudget;
use crate::clock::Timestamp;
use crate::jwt::key_set::KeySet;

/// How often an issuer is asked, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// When it is asked again though nothing is amiss.
    pub refresh_s: u64,
    /// How long keys are believed that it no longer confirms.
    pub keep_s: u64,
    /// How long it is left alone after a question that failed; and the time in
    /// which tokens may cause one fetch, beside a few at once.
    pub cooldown_s: u64,
    /// Whether it is asked before anybody comes with a token of its.
    pub first: First,
}

/// When an issuer is asked for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// At the start.
    AtStart,
    /// When a token comes that needs its keys.
    WhenNeeded,
}

/// What is known of an issuer's keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub keys: Option<Held>,
    pub asked: Option<Asked>,
    /// Fetches that tokens may cause.
    pub budget: FetchBudget,
    /// Questions in vain since the last that was not.
    pub failures_in_row: u32,
    pub counts: Counts,
}

/// Keys that an issuer has published.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub set: Arc<KeySet>,
    /// When it was asked for them.
    pub asked_at: Timestamp,
    /// When they were there.
    pub fetched_at: Timestamp,
}

/// Why an issuer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A token needs keys that are not known.
    Token,
    /// It is time to.
    Age,
}

/// The latest question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub at: Timestamp,
    /// A question that has not ended, and may never, counts as one that failed.
    pub was_answered: bool,
}

/// How questions ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// With keys.
    pub answered: u64,
    /// Without.
    pub failed: u64,
}

/// How long an issuer is left alone that did not answer the first time.
const FIRST_PAUSE_S: u64 = 5;

impl RefreshPolicy {
    /// [`Self::cooldown_s`] as a duration.
    pub const fn cooldown(self) -> Duration {
        Duration::from_secs(self.cooldown_s)
    }
}

impl Held {
    /// Whether the issuer was asked for them no earlier than that: a key that
    /// was published before is among them. What was asked for in the future was
    /// so before the clock went back, and tells nothing.
    pub fn was_asked_for_since(&self, received: Timestamp, now: Timestamp) -> bool {
        (received..=now).contains(&self.asked_at)
    }
}

impl Known {
    /// The keys, unless the issuer has not confirmed them for too long.
    pub fn keys(&self, pace: RefreshPolicy, now: Timestamp) -> Option<&Held> {
        self.keys.as_ref().filter(|held| now.seconds_since(held.fetched_at) < pace.keep_s)
    }

    pub fn may_be_asked(&self, cause: Cause, pace: RefreshPolicy, now: Timestamp) -> bool {
        match cause {
            Cause::Token => {
                self.budget.is_left(pace.cooldown(), now)
                    && !self.failed_at().is_some_and(|at| at.is_within(pace.cooldown_s, now))
            }
            Cause::Age => self.is_due(pace, now),
        }
    }

    fn is_due(&self, pace: RefreshPolicy, now: Timestamp) -> bool {
        match self.asked {
            None => pace.first == First::AtStart,
            Some(Asked { at, was_answered: true }) => at > now || now.seconds_since(at) >= pace.refresh_s,
            Some(Asked { at, .. }) => at > now || now.seconds_since(at) >= self.pause_s(pace),
        }
    }

    /// How long an issuer is left alone that did not answer: where there are no
    /// keys at all, so much shorter at first that a start is not lost to a hiccup.
    fn pause_s(&self, pace: RefreshPolicy) -> u64 {
        match self.keys {
            Some(_) => pace.cooldown_s,
            None => (FIRST_PAUSE_S << self.failures_in_row.saturating_sub(1).min(10)).min(pace.cooldown_s),
        }
    }

    fn failed_at(&self) -> Option<Timestamp> {
        self.asked.filter(|asked| !asked.was_answered).map(|asked| asked.at)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PACE: RefreshPolicy =
        RefreshPolicy { refresh_s: 300, keep_s: 3600, cooldown_s: 30, first: First::AtStart };

    fn known(asked: Option<(u64, bool)>) -> Known {
        let asked =
            asked.map(|(at, was_answered)| Asked { at: Timestamp::from_unix_seconds(at), was_answered });
        Known { asked, ..Known::default() }
    }

    fn held(asked_at: u64, fetched_at: u64) -> Held {
        let [asked_at, fetched_at] = [asked_at, fetched_at].map(Timestamp::from_unix_seconds);
        Held { set: Arc::new(KeySet::none()), asked_at, fetched_at }
    }

    #[test]
    fn a_token_may_have_the_issuer_asked_unless_that_failed_a_moment_ago() {
        let may = |known: Known, now: u64| {
            known.may_be_asked(Cause::Token, PACE, Timestamp::from_unix_seconds(now))
        };
        assert!(may(known(None), 1000), "it was never asked");
        assert!(may(known(Some((1000, true))), 1000), "what it answered may be old already");
        assert!(!may(known(Some((1000, false))), 1029) && may(known(Some((1000, false))), 1030));
        assert!(may(known(Some((1000, false))), 500), "the clock went back");
    }

    #[test]
    fn an_issuer_is_asked_again_before_its_keys_grow_old() {
        let due = |known: Known, now: u64| known.is_due(PACE, Timestamp::from_unix_seconds(now));
        assert!(due(known(None), 1000));
        assert!(!due(known(Some((1000, true))), 1299));
        assert!(due(known(Some((1000, true))), 1300));
        assert!(due(known(Some((1000, false))), 1005), "there is no key at all");
        let failed = || Known { keys: Some(held(999, 999)), ..known(Some((1000, false))) };
        assert!(!due(failed(), 1029) && due(failed(), 1030));
        assert!(due(known(Some((1000, true))), 500), "the clock went back");
    }

    /// When the keys were asked for, when a request was received, and the time.
    #[rstest]
    #[case::before_the_request(1000, 1001, 1002, false)]
    #[case::under_way_as_it_came(1000, 1001, 1009, false)]
    #[case::because_of_it(1000, 1000, 1005, true)]
    #[case::after_it(1003, 1000, 1005, true)]
    #[case::before_the_clock_went_back(1000, 500, 501, false)]
    fn an_unknown_key_is_refused_only_by_keys_asked_for_since(
        #[case] asked_at: u64,
        #[case] received: u64,
        #[case] now: u64,
        #[case] is_settled: bool,
    ) {
        let [received, now] = [received, now].map(Timestamp::from_unix_seconds);
        assert_eq!(held(asked_at, 1005).was_asked_for_since(received, now), is_settled);
    }
}
