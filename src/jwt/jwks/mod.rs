//! Keys that an issuer publishes: fetched when they are needed, fetched again
//! before they grow old, and kept for a while when the issuer does not answer.
//!
//! What is known is a value; deciding by it is pure, with the time as an
//! argument. A key is unknown only to an issuer that was asked after the request
//! was received; until then it is not known yet. However many requests name
//! unknown keys, one question at a time goes out, and few in a cooldown.

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
pub use document::{Skipped, Unusable, list};
use fetch::{FetchError, Fetcher, KeyAddress};
use single_flight::{Flight, SingleFlight, learn};
use state::{Asked, Cause, Held, Known};

pub use state::{Counts, First, RefreshPolicy};

/// The keys of a way in.
#[derive(Debug)]
pub enum KeySource {
    /// Handed over with the configuration.
    Given(KeySet),
    /// Published by the issuer.
    Published(Arc<JwksCache>),
}

/// Keys at an address.
#[derive(Debug)]
pub struct JwksCache {
    place: JwksLocation,
    pace: RefreshPolicy,
    fetcher: Fetcher,
    known: ArcSwap<Known>,
    questions: SingleFlight,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksLocation {
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

impl KeySource {
    /// Verifies a token of a request that was received at that moment.
    /// [`VerifyError::NoKeys`] or [`VerifyError::NotKnownYet`] where newer keys may change
    /// the answer: see [`JwksCache::renew`].
    pub fn verify(
        &self,
        token: &str,
        validation: &Validation<'_>,
        received: Timestamp,
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        match self {
            Self::Given(keys) => verify(token, validation, keys, now),
            Self::Published(keys) => keys.verify(token, validation, received, now),
        }
    }

    /// The keys of a set that was handed over and that are not used.
    pub fn skipped(&self) -> &[Skipped] {
        match self {
            Self::Given(keys) => keys.skipped(),
            Self::Published(_) => &[],
        }
    }

    /// Goes on with the keys of an earlier configuration, if they are the same.
    pub fn take_over(&mut self, earlier: &[Arc<JwksCache>]) {
        if let Self::Published(keys) = self {
            *keys = keys.or_earlier(earlier);
        }
    }

    /// The keys at an address, if that is where they are.
    pub const fn published(&self) -> Option<&Arc<JwksCache>> {
        match self {
            Self::Given(_) => None,
            Self::Published(keys) => Some(keys),
        }
    }
}

impl JwksCache {
    /// Keys of which nothing is known yet.
    pub fn new(place: JwksLocation, pace: RefreshPolicy, fetcher: Fetcher) -> Arc<Self> {
        Arc::new(Self { place, pace, fetcher, known: ArcSwap::default(), questions: SingleFlight::default() })
    }

    /// The address that is asked first, without its query.
    pub fn address(&self) -> String {
        match &self.place {
            JwksLocation::Set(address) | JwksLocation::Discovered { document: address, .. } => {
                address.shown()
            }
        }
    }

    /// How questions ended so far.
    pub fn counts(&self) -> Counts {
        self.known.load().counts
    }

    /// The age in seconds of the keys in use; none, where there are none.
    pub fn age_s(&self, now: Timestamp) -> Option<u64> {
        let known = self.known.load();
        known.keys(self.pace, now).map(|held| now.seconds_since(held.fetched_at))
    }

    /// How many keys of the set in use cannot be used; none, where there is no set.
    pub fn skipped(&self, now: Timestamp) -> Option<usize> {
        let known = self.known.load();
        known.keys(self.pace, now).map(|held| held.set.skipped().len())
    }

    /// Whether the issuer has been asked as it should have been at the start.
    pub fn is_started(&self) -> bool {
        let known = self.known.load();
        self.pace.first == First::WhenNeeded || known.counts != Counts::default() || known.keys.is_some()
    }

    /// Whether the issuer is asked before a token needs its keys.
    pub fn is_asked_at_start(&self) -> bool {
        self.pace.first == First::AtStart
    }

    /// Whether keys would be there at once for a token that needs them.
    pub fn has_keys(&self, now: Timestamp) -> bool {
        self.pace.first == First::WhenNeeded || self.known.load().keys(self.pace, now).is_some()
    }

    /// What stands in for these keys when a configuration is exchanged: those of
    /// the old one, if they are the same, question under way and all.
    #[must_use]
    pub fn or_earlier(self: &Arc<Self>, earlier: &[Arc<Self>]) -> Arc<Self> {
        let of_same_place = || earlier.iter().filter(|earlier| earlier.place == self.place);
        // one that is asked at the start will do for one that need not be
        let is_same = |earlier: &&Arc<Self>| {
            let may_be_first = earlier.pace.first == self.pace.first || earlier.pace.first == First::AtStart;
            let pace = RefreshPolicy { first: self.pace.first, ..earlier.pace };
            may_be_first && pace == self.pace && earlier.fetcher == self.fetcher
        };
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

    /// Asks the issuer because of a token, if that is allowed now, and waits for
    /// the end of it; or for that of the question which is under way. `false`:
    /// nothing was asked, and nothing has changed.
    pub async fn renew(self: &Arc<Self>, now: Timestamp) -> bool {
        let Some(under_way) = self.ask(Cause::Token, now) else { return false };
        under_way.ended().await;
        true
    }

    /// Asks the issuer, if it is time to, and does not wait.
    pub fn refresh(self: &Arc<Self>, now: Timestamp) {
        if self.known.load().may_be_asked(Cause::Age, self.pace, now) {
            let _ = self.ask(Cause::Age, now);
        }
    }

    fn verify(
        &self,
        token: &str,
        validation: &Validation<'_>,
        received: Timestamp,
        now: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let known = self.known.load();
        let held = known.keys(self.pace, now);
        let none = KeySet::none();
        let outcome = verify(token, validation, held.map_or(&none, |held| held.set.as_ref()), now);
        match (&outcome, held) {
            (Err(VerifyError::UnknownKey | VerifyError::UnclearKey | VerifyError::NoKeySignedIt), None) => {
                Err(VerifyError::NoKeys)
            }
            (
                Err(VerifyError::UnknownKey | VerifyError::UnclearKey | VerifyError::NoKeySignedIt),
                Some(held),
            ) if !held.was_asked_for_since(received, now) => Err(VerifyError::NotKnownYet),
            _ => outcome,
        }
    }

    /// The question that is under way; a new one, where there may be one.
    fn ask(self: &Arc<Self>, cause: Cause, now: Timestamp) -> Option<Flight> {
        self.questions.ask(|| {
            if !self.known.load().may_be_asked(cause, self.pace, now) {
                return None;
            }
            learn(&self.known, |known| {
                known.asked = Some(Asked { at: now, was_answered: false });
                if cause == Cause::Token {
                    known.budget = known.budget.less_one(self.pace.cooldown(), now);
                }
            });
            let (keys, stopwatch) = (Arc::clone(self), Stopwatch::start());
            Some(async move {
                let outcome = keys.fetch().await;
                keys.conclude(outcome, now, now.later_by(stopwatch.elapsed()));
            })
        })
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        match &self.place {
            JwksLocation::Set(address) => self.fetcher.key_set(address).await,
            JwksLocation::Discovered { issuer, document } => {
                self.fetcher.discovered_key_set(issuer, document).await
            }
        }
    }

    /// Remembers how a question ended. The cooldown after a failure begins now, not
    /// when it was asked: an issuer that is slow is not to be asked without a pause.
    fn conclude(&self, outcome: Result<KeySet, FetchError>, asked_at: Timestamp, now: Timestamp) {
        let address = self.address();
        let keys = match outcome {
            Ok(keys) => {
                tracing::debug!(%address, "keys were fetched");
                self.report_skipped(&keys);
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
            match &keys {
                Some(set) => {
                    known.keys = Some(Held { set: Arc::clone(set), asked_at, fetched_at: now });
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

    /// Logs which keys of a set cannot be used, unless they are those of the set
    /// before.
    fn report_skipped(&self, keys: &KeySet) {
        let skipped = keys.skipped();
        let known = self.known.load();
        let before = known.keys.as_ref().map(|held| held.set.skipped()).unwrap_or_default();
        if !skipped.is_empty() && skipped != before {
            let (address, count, keys) = (self.address(), skipped.len(), list(skipped));
            tracing::warn!(%address, skipped = count, %keys, "keys of the set cannot be used, and are skipped");
        }
    }
}
