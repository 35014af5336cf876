//! The keys of a region's load balancers: each fetched by its id when a token
//! first names it, and then kept, since what stands at an address never
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use uuid::Uuid;

use crate::clock::Moment;
use crate::jwt::fetch::{FetchError, Fetcher, KeyAddress};
use crate::jwt::keys::KeySet;
use crate::jwt::one_at_a_time::{OneAtATime, UnderWay};
use crate::jwt::published::Counts;
use crate::jwt::verify::Refused;

/// The keys of one region.
#[derive(Debug)]
pub struct KeysById {
    base: KeyAddress,
    fetcher: Fetcher,
    cooldown_s: u64,
    known: ArcSwap<Known>,
    questions: OneAtATime,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: BTreeMap<Uuid, Arc<KeySet>>,
    failed: Option<Failed>,
    counts: Counts,
}

/// The latest question that brought no key.
#[derive(Clone, Copy, Debug)]
struct Failed {
    id: Uuid,
    at: Moment,
    /// There is no such key, as opposed to nobody to say so.
    is_none: bool,
}

/// The most keys that are kept. A region has few; the rest would be somebody's
/// who knows other balancers' ids.
const MAX_KEYS: usize = 64;

/// The most questions that a request waits for, the last one its own.
const MOST_WAITS: usize = 4;

/// The largest key in PEM, in bytes.
const MAX_BYTES: usize = 16 * 1024;

impl KeysById {
    /// Keys at `base/ID`. After a question that brought none, the next one
    /// waits for the cooldown.
    pub fn new(base: KeyAddress, fetcher: Fetcher, cooldown_s: u64) -> Arc<Self> {
        let (known, questions) = (ArcSwap::default(), OneAtATime::default());
        Arc::new(Self { base, fetcher, cooldown_s, known, questions })
    }

    /// The address that ids are added to, without its query.
    pub fn address(&self) -> String {
        self.base.shown()
    }

    /// How questions ended so far.
    pub fn counts(&self) -> Counts {
        self.known.load().counts
    }

    /// Takes over what another knows of the same place.
    pub fn adopt(&self, other: &Self) {
        if self.base == other.base {
            self.known.store(other.known.load_full());
        }
    }

    /// Adds a key that was handed over, and need not be fetched.
    pub fn know(&self, id: Uuid, key: KeySet) {
        let key = Arc::new(key);
        self.learn(|known| known.know(id, &key));
    }

    /// The key of that id. [`Refused::NoKeys`] where asking may bring it.
    pub(super) fn key(&self, id: Uuid, now: Moment) -> Result<Arc<KeySet>, Refused> {
        let known = self.known.load();
        match (known.keys.get(&id), known.recently_failed(self.cooldown_s, now)) {
            (Some(key), _) => Ok(Arc::clone(key)),
            (None, Some(failed)) if failed.id == id && failed.is_none => Err(Refused::UnknownKey),
            (None, _) => Err(Refused::NoKeys),
        }
    }

    /// Asks for the key of that id, unless asking was in vain a moment ago, and
    /// waits for the end of it. `false`: nothing was asked.
    pub async fn renew(self: &Arc<Self>, id: Uuid, now: Moment) -> bool {
        let mut was_asked = false;
        // the question that is under way may be for another key
        for _ in 0..MOST_WAITS {
            if self.known.load().keys.contains_key(&id) {
                break;
            }
            let Some(under_way) = self.ask(id, now) else { break };
            under_way.ended().await;
            was_asked = true;
        }
        was_asked
    }

    fn ask(self: &Arc<Self>, id: Uuid, now: Moment) -> Option<UnderWay> {
        self.questions.ask(|| {
            if self.known.load().recently_failed(self.cooldown_s, now).is_some() {
                return None;
            }
            let keys = Arc::clone(self);
            Some(async move { keys.conclude(id, keys.fetch(id).await, now) })
        })
    }

    async fn fetch(&self, id: Uuid) -> Result<KeySet, FetchError> {
        let address = self.base.join(&id.hyphenated().to_string());
        Ok(KeySet::from_pem(&self.fetcher.get(&address, MAX_BYTES).await?)?)
    }

    fn conclude(&self, id: Uuid, outcome: Result<KeySet, FetchError>, now: Moment) {
        match outcome {
            Ok(key) => {
                let key = Arc::new(key);
                self.learn(|known| {
                    known.know(id, &key);
                    known.counts.answered += 1;
                });
            }
            Err(error) => {
                tracing::warn!(address = %self.address(), %error, "a load balancer's key cannot be fetched");
                let failed = Failed { id, at: now, is_none: error.is_not_found() };
                self.learn(|known| {
                    known.failed = Some(failed);
                    known.counts.failed += 1;
                });
            }
        }
    }

    fn learn(&self, change: impl Fn(&mut Known)) {
        self.known.rcu(|known| {
            let mut known = Known::clone(known);
            change(&mut known);
            known
        });
    }
}

impl Known {
    fn know(&mut self, id: Uuid, key: &Arc<KeySet>) {
        while self.keys.len() >= MAX_KEYS {
            self.keys.pop_first();
        }
        self.keys.insert(id, Arc::clone(key));
    }

    fn recently_failed(&self, cooldown_s: u64, now: Moment) -> Option<Failed> {
        self.failed.filter(|failed| failed.at <= now && now.seconds_since(failed.at) < cooldown_s)
    }
}
