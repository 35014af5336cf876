//! Verifies the chains of stored events, and names the first event of each chain that was changed,
//! removed or inserted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use super::chain::{ChainKey, Hash, VERSION, commitment};
use super::witnessed;
use crate::store::events::{Personal, StoredEvent};
use crate::store::{Anchor, Head, Store, StoreError, Witnessed, Writer};

/// What was verified, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that were read.
    pub events: u64,
    /// Chains that were read.
    pub chains: u64,
    /// What is wrong: the first break of each chain.
    pub findings: Vec<ChainFinding>,
    /// The head of each intact chain.
    pub heads: Vec<Witnessed>,
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFinding {
    /// Its writer.
    pub writer: Uuid,
    /// What is wrong.
    pub what: Break,
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// The event was changed, inserted, or moved here.
    Changed {
        /// Its `seq`.
        seq: i64,
        /// The time that it has now, in microseconds since the Unix epoch.
        at_us: i64,
    },
    /// The events from `first` to `last` were removed.
    Removed {
        /// The first `seq`.
        first: i64,
        /// The last `seq`.
        last: i64,
    },
    /// The event was inserted after the end of the chain.
    Inserted {
        /// Its `seq`.
        seq: i64,
    },
    /// Personal data was removed from the event, but not by `audit forget`.
    Erased {
        /// Its `seq`.
        seq: i64,
    },
    /// The end of the chain in `audit_writers` was changed.
    Head,
    /// The anchor in `audit_anchors` was changed.
    Anchor,
    /// There is no row in `audit_writers`.
    NoWriter,
    /// The chain cannot be verified without the key with this id, or without a version of the
    /// program that knows this encoding.
    Unverifiable {
        /// What is needed.
        needs: String,
    },
}

/// The number of events that are read with one query.
const PAGE: i64 = 1_000;

/// Verifies every chain. `keys`: the keys of the chains, in any order. `progress` gets the number of
/// events so far.
pub async fn verify(
    store: &Store,
    keys: &[ChainKey],
    mut progress: impl FnMut(u64),
) -> Result<Summary, StoreError> {
    let writers: BTreeMap<Uuid, Writer> =
        store.writers().await?.into_iter().map(|writer| (writer.writer, writer)).collect();
    let mut summary = Summary::default();
    // the last head of each chain that another chain contains
    let mut witnessed: BTreeMap<Uuid, Witnessed> = BTreeMap::new();
    let mut verified: BTreeSet<Uuid> = BTreeSet::new();
    for writer in writers.values() {
        let mut chain = Chain { store, keys, writer, events: 0, witnessed: Vec::new() };
        let result = chain.verify(&mut |events| progress(summary.events + events)).await;
        summary.events += chain.events;
        summary.chains += 1;
        for head in chain.witnessed {
            let known = witnessed.entry(head.writer).or_insert_with(|| head.clone());
            if known.seq < head.seq {
                *known = head;
            }
        }
        match result {
            Ok(head) => {
                verified.insert(writer.writer);
                summary.heads.push(head);
            }
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Broken(what)) => summary.findings.push(ChainFinding { writer: writer.writer, what }),
        }
    }
    let of_events = store.writers_of_events().await?;
    for writer in of_events.into_iter().filter(|writer| !writers.contains_key(writer)) {
        // a process may have started in the meantime
        if store.head(writer).await?.is_none() {
            summary.findings.push(ChainFinding { writer, what: Break::NoWriter });
        }
    }
    for head in witnessed.into_values() {
        let is_known = writers.contains_key(&head.writer);
        if is_known && !verified.contains(&head.writer) {
            // its first break is in the result already
            continue;
        }
        if let Some(what) = contradiction(store, &head, is_known).await? {
            summary.findings.push(ChainFinding { writer: head.writer, what });
        }
    }
    Ok(summary)
}

/// Whether an intact chain contradicts the head that another chain contains.
async fn contradiction(store: &Store, head: &Witnessed, is_known: bool) -> Result<Option<Break>, StoreError> {
    if !is_known {
        return Ok(Some(Break::Removed { first: 1, last: head.seq }));
    }
    if let Some(stored) = store.chain(head.writer, head.seq - 1, 1).await?.first()
        && stored.seq == head.seq
    {
        let is_same = stored.hash == head.hash;
        return Ok((!is_same).then_some(Break::Changed { seq: head.seq, at_us: stored.event.at_us }));
    }
    match (store.anchor(head.writer).await?, store.head(head.writer).await?) {
        // it was purged
        (Some(anchor), _) if anchor.through_seq >= head.seq => Ok(None),
        (_, Some(now)) => Ok(Some(Break::Removed { first: now.seq + 1, last: head.seq })),
        (_, None) => Ok(Some(Break::NoWriter)),
    }
}

/// One chain.
struct Chain<'a> {
    store: &'a Store,
    keys: &'a [ChainKey],
    writer: &'a Writer,
    events: u64,
    witnessed: Vec<Witnessed>,
}

enum Failure {
    Store(StoreError),
    Broken(Break),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Chain<'_> {
    /// Verifies the chain from its first event on, and returns its head.
    async fn verify(&mut self, progress: &mut impl FnMut(u64)) -> Result<Witnessed, Failure> {
        if self.writer.version != VERSION {
            let needs = format!("a version that knows encoding {}", self.writer.version);
            return Err(Failure::Broken(Break::Unverifiable { needs }));
        }
        let key = self.key(&self.writer.chain_key_id)?;
        // read before the events: more may be appended in the meantime
        let head = self.head(key).await?;
        let (mut seq, mut hash) = (0, key.first_hash(self.writer));
        loop {
            let page = self.store.chain(self.writer.writer, seq, PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            for stored in page {
                if stored.seq != seq + 1 {
                    match self.anchor().await? {
                        Some(anchor) if anchor.through_seq + 1 == stored.seq => hash = anchor.hash,
                        anchor => return Err(removed(seq, anchor.as_ref(), stored.seq - 1)),
                    }
                }
                self.verify_event(key, &hash, &stored)?;
                if stored.seq == head.seq && stored.hash != head.hash {
                    return Err(Failure::Broken(Break::Head));
                }
                (seq, hash) = (stored.seq, stored.hash);
                self.events += 1;
            }
            progress(self.events);
            if is_last {
                break;
            }
        }
        self.verify_end(key, &head, seq, hash).await
    }

    fn verify_event(&mut self, key: &ChainKey, previous: &[u8], stored: &StoredEvent) -> Result<(), Failure> {
        let (seq, at_us) = (stored.seq, stored.event.at_us);
        let personal = &stored.event.personal;
        let commitment = match (&stored.salt, &stored.erasure) {
            (Some(salt), None) => commitment(salt, personal),
            (None, Some(erasure)) => {
                let eraser = self.key(&erasure.chain_key_id)?;
                if *personal != Personal::default() || !eraser.verifies_erasure(stored, erasure) {
                    return Err(Failure::Broken(Break::Erased { seq }));
                }
                erasure.commitment.clone()
            }
            (None, None) => return Err(Failure::Broken(Break::Erased { seq })),
            (Some(_), Some(_)) => return Err(Failure::Broken(Break::Changed { seq, at_us })),
        };
        if !key.verifies_event(previous, stored, &commitment) {
            return Err(Failure::Broken(Break::Changed { seq, at_us }));
        }
        self.witnessed.extend(witnessed::of(&stored.event));
        Ok(())
    }

    /// Compares the last event with the head.
    async fn verify_end(
        &self,
        key: &ChainKey,
        head: &Head,
        last: i64,
        hash: Hash,
    ) -> Result<Witnessed, Failure> {
        let writer = self.writer.writer;
        if last < head.seq {
            // all events may have been purged
            return match self.anchor().await? {
                Some(Anchor { through_seq: seq, hash, .. }) if seq >= head.seq => {
                    Ok(Witnessed { writer, seq, hash })
                }
                anchor => Err(removed(last, anchor.as_ref(), head.seq)),
            };
        }
        if last > head.seq {
            let now = self.head(key).await?;
            if last > now.seq {
                return Err(Failure::Broken(Break::Inserted { seq: now.seq + 1 }));
            }
        }
        Ok(Witnessed { writer, seq: last, hash })
    }

    async fn head(&self, key: &ChainKey) -> Result<Head, Failure> {
        let writer = self.writer.writer;
        match self.store.head(writer).await? {
            Some(head) if key.verifies_head(writer, &head) => Ok(head),
            Some(_) => Err(Failure::Broken(Break::Head)),
            None => Err(Failure::Broken(Break::NoWriter)),
        }
    }

    async fn anchor(&self) -> Result<Option<Anchor>, Failure> {
        let writer = self.writer.writer;
        let Some(anchor) = self.store.anchor(writer).await? else { return Ok(None) };
        if self.key(&anchor.chain_key_id)?.verifies_anchor(writer, &anchor) {
            Ok(Some(anchor))
        } else {
            Err(Failure::Broken(Break::Anchor))
        }
    }
}

/// The break for missing events: those after `seq`, or after purged events, up to `last`.
fn removed(seq: i64, anchor: Option<&Anchor>, last: i64) -> Failure {
    let purged = anchor.map(|anchor| anchor.through_seq).filter(|purged| *purged < last);
    Failure::Broken(Break::Removed { first: seq.max(purged.unwrap_or(seq)) + 1, last })
}

impl<'a> Chain<'a> {
    fn key(&self, id: &str) -> Result<&'a ChainKey, Failure> {
        let needs = || Failure::Broken(Break::Unverifiable { needs: format!("the key {id}") });
        self.keys.iter().find(|key| key.id() == id).ok_or_else(needs)
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { seq, .. } => {
                write!(f, "event {seq} was changed, inserted or moved: its hash does not match")
            }
            Self::Removed { first, last } if first == last => write!(f, "event {first} was removed"),
            Self::Removed { first, last } => write!(f, "events {first} to {last} were removed"),
            Self::Inserted { seq } => write!(f, "event {seq} was inserted after the end"),
            Self::Erased { seq } => {
                write!(f, "event {seq} has no personal data any more, but `audit forget` did not remove it")
            }
            Self::Head => f.write_str("its end in audit_writers was changed"),
            Self::Anchor => f.write_str("its anchor in audit_anchors was changed"),
            Self::NoWriter => {
                f.write_str("its row in audit_writers was removed, or its events were inserted")
            }
            Self::Unverifiable { needs } => write!(f, "it cannot be verified without {needs}"),
        }
    }
}
