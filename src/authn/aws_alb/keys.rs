//! The keys of a region's load balancers: each fetched by its id when a token
//! first names it, and then kept, since what stands at an address never
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
    known: ArcSwap<Known>,
    questions: SingleFlight,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// The latest last.
    keys: Vec<(Uuid, Arc<KeySet>)>,
    /// Ids of which there is no key, and when that was said.
    none: Vec<(Uuid, Timestamp)>,
    /// When nobody was there to ask.
    failed: Option<Timestamp>,
    counts: FetchCounts,
}

/// The most keys that are kept. A region has few; the rest would be somebody's
/// who knows other balancers' ids.
const MAX_KEYS: usize = 64;

/// The most ids in a cooldown that may turn out to be nobody's: whoever makes
/// them up shall not keep us asking, nor keep others from being asked for.
const MAX_NONE: usize = 8;

/// The largest key in PEM, in bytes.
const MAX_BYTES: usize = 16 * 1024;

impl KeysById {
    /// Keys at `base/ID`. After a question that brought none, the next one
    /// waits for the cooldown.
    pub fn new(base: KeyUrl, fetcher: Fetcher, cooldown_s: u64) -> Arc<Self> {
        let (known, questions) = (ArcSwap::default(), SingleFlight::default());
        Arc::new(Self { base, fetcher, cooldown_s, known, questions })
    }

    /// The address that ids are added to, without its query.
    pub fn address(&self) -> String {
        self.base.without_query()
    }

    /// How questions ended so far.
    pub fn counts(&self) -> FetchCounts {
        self.known.load().counts
    }

    /// What stands in for these keys when a configuration is exchanged: those of
    /// the old one, if they are the same.
    #[must_use]
    pub fn or_earlier(self: &Arc<Self>, earlier: &[Arc<Self>]) -> Arc<Self> {
        let is_same = |earlier: &&Arc<Self>| {
            earlier.base == self.base
                && earlier.fetcher == self.fetcher
                && earlier.cooldown_s == self.cooldown_s
        };
        Arc::clone(earlier.iter().find(is_same).unwrap_or(self))
    }

    /// Adds a key that was handed over, and need not be fetched.
    pub fn know(&self, id: Uuid, key: KeySet) {
        let key = Arc::new(key);
        update(&self.known, |known| known.know(id, &key));
    }

    /// The key of that id. [`VerifyError::NoKeys`] where asking may bring it.
    pub(super) fn key(&self, id: Uuid, now: Timestamp) -> Result<Arc<KeySet>, VerifyError> {
        let known = self.known.load();
        match known.find(id) {
            Some(key) => Ok(Arc::clone(key)),
            None if known.is_none(id, self.cooldown_s, now) => Err(VerifyError::UnknownKey),
            None => Err(VerifyError::NoKeys),
        }
    }

    /// Asks for the key of that id, unless asking was in vain a moment ago, and
    /// waits for the end of it. `false`: nothing was asked.
    pub async fn renew(self: &Arc<Self>, id: Uuid, now: Timestamp) -> bool {
        let mut was_asked = false;
        let ask = async {
            // the question that is under way may be for another key
            while self.known.load().find(id).is_none() {
                let Some(under_way) = self.ask(id, now) else { break };
                under_way.finished().await;
                was_asked = true;
            }
        };
        // however many others are in front of it, nobody waits longer than for one
        let _ = tokio::time::timeout(self.fetcher.timeout, ask).await;
        was_asked
    }

    fn ask(self: &Arc<Self>, id: Uuid, now: Timestamp) -> Option<Flight> {
        self.questions.join_or_start(|| {
            if !self.known.load().may_be_asked_for(id, self.cooldown_s, now) {
                return None;
            }
            let (keys, stopwatch) = (Arc::clone(self), Stopwatch::start());
            Some(async move {
                let outcome = keys.fetch(id).await;
                keys.conclude(id, outcome, now.later_by(stopwatch.elapsed()));
            })
        })
    }

    async fn fetch(&self, id: Uuid) -> Result<KeySet, FetchError> {
        let address = self.base.join(&id.hyphenated().to_string());
        Ok(KeySet::from_pem(&self.fetcher.get(&address, MAX_BYTES).await?)?)
    }

    fn conclude(&self, id: Uuid, outcome: Result<KeySet, FetchError>, now: Timestamp) {
        match outcome {
            Ok(key) => {
                let key = Arc::new(key);
                update(&self.known, |known| {
                    known.know(id, &key);
                    known.counts.succeeded += 1;
                });
            }
            Err(error) => {
                tracing::warn!(address = %self.address(), %error, "a load balancer's key cannot be fetched");
                update(&self.known, |known| {
                    if error.is_not_found() {
                        known.none.retain(|(_, at)| at.is_within(self.cooldown_s, now));
                        known.none.push((id, now));
                    } else {
                        known.failed = Some(now);
                    }
                    known.counts.failed += 1;
                });
            }
        }
    }
}

impl Known {
    fn find(&self, id: Uuid) -> Option<&Arc<KeySet>> {
        self.keys.iter().find(|(own, _)| *own == id).map(|(_, key)| key)
    }

    fn know(&mut self, id: Uuid, key: &Arc<KeySet>) {
        if self.keys.len() >= MAX_KEYS {
            self.keys.remove(0);
        }
        self.keys.push((id, Arc::clone(key)));
    }

    fn is_none(&self, id: Uuid, cooldown_s: u64, now: Timestamp) -> bool {
        self.none.iter().any(|(own, at)| *own == id && at.is_within(cooldown_s, now))
    }

    fn may_be_asked_for(&self, id: Uuid, cooldown_s: u64, now: Timestamp) -> bool {
        let in_vain = self.none.iter().filter(|(_, at)| at.is_within(cooldown_s, now)).count();
        let failed = self.failed.is_some_and(|at| at.is_within(cooldown_s, now));
        !failed && in_vain < MAX_NONE && !self.is_none(id, cooldown_s, now)
    }
}
