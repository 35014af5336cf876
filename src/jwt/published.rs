//! Keys that an issuer publishes: fetched when they are needed, fetched again
//! before they grow old, and kept for a while when the issuer does not answer.
//!
//! What is known is a value; deciding by it is pure, with the time as an
//! argument. However many requests come with keys that nobody knows, one
//! question at a time goes out, and no second one until a cooldown is over.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::fetch::{FetchError, Fetcher, KeyAddress};
use super::keys::KeySet;
use super::one_at_a_time::{OneAtATime, UnderWay, learn};
use super::verify::{Refused, Rules, Verified, verify};
use crate::clock::{Moment, Stopwatch};

/// The keys of a way in.
#[derive(Debug)]
pub enum Keys {
    /// Handed over with the configuration.
    Given(KeySet),
    /// Published by the issuer.
    Published(Arc<PublishedKeys>),
}

/// Keys at an address.
#[derive(Debug)]
pub struct PublishedKeys {
    place: KeyPlace,
    pace: Pace,
    fetcher: Fetcher,
    known: ArcSwap<Known>,
    questions: OneAtATime,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// At an address.
    Set(KeyAddress),
    /// Where the issuer's discovery document says.
    Discovered {
        /// The issuer, as the document has to name it.
        issuer: String,
        /// The document's address.
        document: KeyAddress,
    },
}

/// How often an issuer is asked, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// When it is asked again though nothing is amiss.
    pub refresh_s: u64,
    /// How long keys are believed that it no longer confirms.
    pub keep_s: u64,
    /// How long it is left alone after each question.
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
struct Known {
    keys: Option<(Arc<KeySet>, Moment)>,
    asked: Option<Asked>,
    /// When a token was last the reason for asking.
    wanted: Option<Moment>,
    /// Questions in vain since the last that was not.
    failures_in_row: u32,
    counts: Counts,
}

/// The latest question.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Moment,
    /// A question that has not ended, and may never, counts as one that failed.
    was_answered: bool,
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

impl Keys {
    /// Believes a token, or says why not. [`Refused::NoKeys`] where newer keys
    /// may change that: see [`PublishedKeys::renew`].
    pub fn verify(&self, token: &str, rules: &Rules<'_>, now: Moment) -> Result<Verified, Refused> {
        match self {
            Self::Given(keys) => verify(token, rules, keys, now),
            Self::Published(keys) => keys.verify(token, rules, now),
        }
    }

    /// Goes on with the keys of an earlier configuration, if they are the same.
    pub fn take_over(&mut self, earlier: &[Arc<PublishedKeys>]) {
        if let Self::Published(keys) = self {
            *keys = keys.or_earlier(earlier);
        }
    }

    /// The keys at an address, if that is where they are.
    pub const fn published(&self) -> Option<&Arc<PublishedKeys>> {
        match self {
            Self::Given(_) => None,
            Self::Published(keys) => Some(keys),
        }
    }
}

impl PublishedKeys {
    /// Keys of which nothing is known yet.
    pub fn new(place: KeyPlace, pace: Pace, fetcher: Fetcher) -> Arc<Self> {
        Arc::new(Self { place, pace, fetcher, known: ArcSwap::default(), questions: OneAtATime::default() })
    }

    /// The address that is asked first, without its query.
    pub fn address(&self) -> String {
        match &self.place {
            KeyPlace::Set(address) | KeyPlace::Discovered { document: address, .. } => address.shown(),
        }
    }

    /// How questions ended so far.
    pub fn counts(&self) -> Counts {
        self.known.load().counts
    }

    /// The age in seconds of the keys in use; none, where there are none.
    pub fn age_s(&self, now: Moment) -> Option<u64> {
        let known = self.known.load();
        known.keys(self.pace, now).map(|(_, had)| now.seconds_since(had))
    }

    /// Whether the issuer has been asked as it should have been at the start.
    pub fn is_started(&self) -> bool {
        let known = self.known.load();
        self.pace.first == First::WhenNeeded || known.counts != Counts::default() || known.keys.is_some()
    }

    /// Whether keys would be there at once for a token that needs them.
    pub fn has_keys(&self, now: Moment) -> bool {
        self.pace.first == First::WhenNeeded || self.known.load().keys(self.pace, now).is_some()
    }

    /// What stands in for these keys when a configuration is exchanged: those of
    /// the old one, if they are the same, question under way and all.
    #[must_use]
    pub fn or_earlier(self: &Arc<Self>, earlier: &[Arc<Self>]) -> Arc<Self> {
        let of_same_place = || earlier.iter().filter(|earlier| earlier.place == self.place);
        let is_same = |earlier: &&Arc<Self>| earlier.pace == self.pace && earlier.fetcher == self.fetcher;
        if let Some(same) = of_same_place().find(is_same) {
            return Arc::clone(same);
        }
        if let Some(earlier) = of_same_place().next() {
            // when it was asked is left out, so that it is asked anew, as it now should be
            let Known { keys, counts, .. } = Known::clone(&earlier.known.load());
            learn(&self.known, |known| (known.keys, known.counts) = (keys.clone(), counts));
        }
        Arc::clone(self)
    }

    /// Asks the issuer because of a token, unless it was asked because of one a
    /// moment ago, and waits for the end of it. `false`: nothing was asked, and
    /// nothing has changed.
    pub async fn renew(self: &Arc<Self>, now: Moment) -> bool {
        let Some(under_way) = self.ask(now, Known::may_be_wanted) else { return false };
        learn(&self.known, |known| known.wanted = Some(now));
        under_way.ended().await;
        true
    }

    /// Asks the issuer, if it is time to, and does not wait.
    pub fn refresh(self: &Arc<Self>, now: Moment) {
        if self.known.load().is_due(self.pace, now) {
            let _ = self.ask(now, Known::is_due);
        }
    }

    fn verify(&self, token: &str, rules: &Rules<'_>, now: Moment) -> Result<Verified, Refused> {
        let known = self.known.load();
        let none = KeySet::none();
        let (keys, is_up_to_date) = match known.keys(self.pace, now) {
            Some((keys, _)) => (keys.as_ref(), known.is_up_to_date(self.pace, now)),
            None => (&none, false),
        };
        match verify(token, rules, keys, now) {
            Err(Refused::UnknownKey | Refused::NoKeySignedIt) if !is_up_to_date => Err(Refused::NoKeys),
            outcome => outcome,
        }
    }

    /// The question that is under way; a new one, where there may be one.
    fn ask(
        self: &Arc<Self>,
        now: Moment,
        may_be: impl FnOnce(&Known, Pace, Moment) -> bool,
    ) -> Option<UnderWay> {
        self.questions.ask(|| {
            if !may_be(&self.known.load(), self.pace, now) {
                return None;
            }
            learn(&self.known, |known| known.asked = Some(Asked { at: now, was_answered: false }));
            let (keys, stopwatch) = (Arc::clone(self), Stopwatch::start());
            Some(async move {
                let outcome = keys.fetch().await;
                keys.conclude(outcome, now, now.later_by(stopwatch.elapsed()));
            })
        })
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        match &self.place {
            KeyPlace::Set(address) => self.fetcher.key_set(address).await,
            KeyPlace::Discovered { issuer, document } => {
                self.fetcher.discovered_key_set(issuer, document).await
            }
        }
    }

    /// Remembers how a question ended. The cooldown begins now, not when it was
    /// asked: an issuer that is slow is not to be asked without a pause.
    fn conclude(&self, outcome: Result<KeySet, FetchError>, began: Moment, now: Moment) {
        let address = self.address();
        let keys = match outcome {
            Ok(keys) => {
                tracing::debug!(%address, "keys were fetched");
                Some(Arc::new(keys))
            }
            Err(error) => {
                match self.age_s(now) {
                    Some(age_s) => {
                        tracing::warn!(%address, %error, age_s, "keys cannot be fetched; those that are known stay in use for a time");
                    }
                    None => tracing::warn!(%address, %error, "keys cannot be fetched, and none are known"),
                }
                None
            }
        };
        learn(&self.known, |known| {
            known.asked = Some(Asked { at: now, was_answered: keys.is_some() });
            if known.wanted >= Some(began) {
                known.wanted = Some(now);
            }
            match &keys {
                Some(keys) => {
                    known.keys = Some((Arc::clone(keys), now));
                    known.counts.answered += 1;
                    known.failures_in_row = 0;
                }
                None => {
                    known.counts.failed += 1;
                    known.failures_in_row = known.failures_in_row.saturating_add(1);
                }
            }
        });
    }
}

impl Known {
    /// The keys, unless nobody has confirmed them for too long.
    fn keys(&self, pace: Pace, now: Moment) -> Option<(&Arc<KeySet>, Moment)> {
        let (keys, had) = self.keys.as_ref()?;
        (now.seconds_since(*had) < pace.keep_s).then_some((keys, *had))
    }

    /// Whether the issuer has said what its keys are since a token last gave
    /// reason to ask: one that is still unknown then is nobody's.
    fn is_up_to_date(&self, pace: Pace, now: Moment) -> bool {
        self.asked.is_some_and(|asked| asked.was_answered)
            && self.wanted.is_some_and(|at| at.is_within(pace.cooldown_s, now))
    }

    /// Whether a token is reason enough to ask. What was asked for no token's
    /// sake does not count: the issuer may have changed its keys right after.
    fn may_be_wanted(&self, pace: Pace, now: Moment) -> bool {
        !self.wanted.is_some_and(|at| at.is_within(pace.cooldown_s, now))
            && !self.failed_at().is_some_and(|at| at.is_within(pace.cooldown_s, now))
    }

    fn is_due(&self, pace: Pace, now: Moment) -> bool {
        match self.asked {
            None => pace.first == First::AtStart,
            Some(Asked { at, was_answered: true }) => at > now || now.seconds_since(at) >= pace.refresh_s,
            Some(Asked { at, .. }) => at > now || now.seconds_since(at) >= self.pause_s(pace),
        }
    }

    /// How long an issuer is left alone that did not answer: where there are no
    /// keys at all, so much shorter at first that a start is not lost to a hiccup.
    fn pause_s(&self, pace: Pace) -> u64 {
        match self.keys {
            Some(_) => pace.cooldown_s,
            None => (FIRST_PAUSE_S << self.failures_in_row.saturating_sub(1).min(10)).min(pace.cooldown_s),
        }
    }

    fn failed_at(&self) -> Option<Moment> {
        self.asked.filter(|asked| !asked.was_answered).map(|asked| asked.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { refresh_s: 300, keep_s: 3600, cooldown_s: 30, first: First::AtStart };

    fn known(asked: Option<(u64, bool)>, wanted: Option<u64>) -> Known {
        let asked = asked.map(|(at, was_answered)| Asked { at: Moment::from_unix_seconds(at), was_answered });
        Known { asked, wanted: wanted.map(Moment::from_unix_seconds), ..Known::default() }
    }

    #[test]
    fn a_token_is_reason_to_ask_once_in_a_cooldown() {
        let may = |known: Known, now: u64| known.may_be_wanted(PACE, Moment::from_unix_seconds(now));
        assert!(may(known(None, None), 1000), "nobody was asked");
        assert!(may(known(Some((1000, true)), None), 1001), "asked, but for no token's sake");
        assert!(!may(known(Some((1000, true)), Some(1000)), 1029));
        assert!(may(known(Some((1000, true)), Some(1000)), 1030));
        assert!(!may(known(Some((1000, false)), None), 1029), "in vain a moment ago");
        assert!(may(known(Some((1000, false)), Some(1000)), 500), "the clock went back");
    }

    #[test]
    fn an_issuer_is_asked_again_before_its_keys_grow_old() {
        let due = |known: Known, now: u64| known.is_due(PACE, Moment::from_unix_seconds(now));
        assert!(due(known(None, None), 1000));
        assert!(!due(known(Some((1000, true)), None), 1299));
        assert!(due(known(Some((1000, true)), None), 1300));
        assert!(due(known(Some((1000, false)), None), 1005), "there is no key at all");
        let had = |known: Known| {
            let keys = Some((Arc::new(KeySet::none()), Moment::from_unix_seconds(999)));
            Known { keys, ..known }
        };
        let failed = || had(known(Some((1000, false)), None));
        assert!(!due(failed(), 1029) && due(failed(), 1030));
        assert!(due(known(Some((1000, true)), None), 500), "the clock went back");
    }

    #[test]
    fn an_unknown_key_is_nobodys_only_after_the_issuer_was_asked_for_it() {
        let is = |known: Known, now: u64| known.is_up_to_date(PACE, Moment::from_unix_seconds(now));
        assert!(is(known(Some((1000, true)), Some(1000)), 1029));
        assert!(!is(known(Some((1000, true)), None), 1001));
        assert!(!is(known(Some((1000, false)), Some(1000)), 1001));
        assert!(!is(known(Some((1000, true)), Some(1000)), 1030));
    }
}
