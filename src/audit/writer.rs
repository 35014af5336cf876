//! Writes a process's own chain of events.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::chain::{ChainKey, Hash, VERSION};
use super::record::Operation;
use super::witnessed;
use crate::clock::Timestamp;
use crate::store::events::{Event, StoredEvent};
use crate::store::{Batch, Head, Store, StoreError, Witnessed, Writer};

/// A process's own chain: its key, and where it ends.
pub struct ChainWriter {
    store: Store,
    key: ChainKey,
    writer: Uuid,
    seq: i64,
    hash: Hash,
    /// The head of the last batch whose commit is in doubt.
    in_doubt: Option<Head>,
}

/// How often to append a batch whose connection is lost.
const ATTEMPTS: usize = 3;

impl ChainWriter {
    /// Begins a chain. Its first event names the command that this process runs, and holds the
    /// heads of other chains, so that their last events cannot be removed unnoticed.
    pub async fn start(store: Store, key: ChainKey, command: &str) -> Result<Self, StoreError> {
        let now = Timestamp::now();
        let writer = Writer {
            writer: Uuid::now_v7(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            version: VERSION,
            chain_key_id: key.id().to_owned(),
            started_at_us: now.unix_microseconds(),
        };
        let (id, previous, command) = (writer.writer, key.first_hash(&writer), command.to_owned());
        let signer = key.clone();
        let first = move |heads: Vec<Witnessed>| {
            let heads: Vec<Value> = heads.iter().map(witnessed::to_json).collect();
            let data = json!({ "command": command, "version": env!("CARGO_PKG_VERSION"), "heads": heads });
            seal(&signer, id, (0, &previous), vec![Operation::Started.event(now, &data)])
        };
        let Head { seq, hash, mac: _ } = store.add_writer(writer, first).await?;
        Ok(Self { store, key, writer: id, seq, hash, in_doubt: None })
    }

    /// The id of this writer.
    pub const fn id(&self) -> Uuid {
        self.writer
    }

    /// Appends the event of an operation. `data`: an object with what only this operation has,
    /// or null; no secrets, and nothing personal.
    pub async fn write_operation(&mut self, operation: Operation, data: &Value) -> Result<(), StoreError> {
        let batch = self.seal(vec![operation.event(Timestamp::now(), data)]);
        self.append(&batch).await
    }

    /// Events with their hashes, to append next. Not empty.
    pub(super) fn seal(&self, events: Vec<Event>) -> Arc<Batch> {
        Arc::new(seal(&self.key, self.writer, (self.seq, &self.hash), events))
    }

    /// Appends a batch. Where the connection is lost, finds out whether the commit took effect,
    /// and tries again at once: it may have been cut while it was idle.
    pub(super) async fn append(&mut self, batch: &Arc<Batch>) -> Result<(), StoreError> {
        for _ in 1..ATTEMPTS {
            match self.try_append(batch).await {
                Err(StoreError::ConnectionLost(_) | StoreError::Conflict(_)) => {}
                result => return result,
            }
            match self.resync().await {
                Ok(()) if self.hash == batch.head.hash => return Ok(()),
                Ok(()) | Err(StoreError::ConnectionLost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.try_append(batch).await
    }

    async fn try_append(&mut self, batch: &Arc<Batch>) -> Result<(), StoreError> {
        self.in_doubt = Some(batch.head.clone());
        self.store.append_events(self.writer, Arc::clone(batch)).await?;
        self.moved_to(&batch.head);
        Ok(())
    }

    /// Reads where the chain ends. Fails with [`StoreError::Conflict`] where that is neither of
    /// the ends that this process wrote: the database is another, or an older copy.
    pub(super) async fn resync(&mut self) -> Result<(), StoreError> {
        let head = self.store.head(self.writer).await?;
        match (head, self.in_doubt.take()) {
            (Some(head), in_doubt) if head.hash == self.hash => {
                // a commit that takes effect only now is found by the next conflict
                self.in_doubt = in_doubt;
                Ok(())
            }
            (Some(head), Some(in_doubt)) if head == in_doubt => {
                self.moved_to(&head);
                Ok(())
            }
            (Some(_), _) | (None, _) => {
                Err(StoreError::Conflict("another head of its audit chain is stored"))
            }
        }
    }

    /// Writes the head as it is: whether the store accepts writes.
    pub(super) async fn try_write(&mut self) -> Result<(), StoreError> {
        self.resync().await?;
        let head = self.key.head(self.writer, self.seq, self.hash.clone());
        self.store.append_events(self.writer, Arc::new(Batch { events: vec![], after: self.seq, head })).await
    }

    /// Erases what identifies a person in at most `limit` events, and appends the event that
    /// says so. Returns the number of events erased.
    pub(super) async fn erase(&mut self, subject: &str, limit: i64) -> Result<usize, StoreError> {
        let (eraser, sealer) = (self.key.clone(), self.key.clone());
        let (writer, seq, hash) = (self.writer, self.seq, self.hash.clone());
        let record = move |erased: usize| {
            let event = Operation::Forgotten.event(Timestamp::now(), &json!({ "events": erased }));
            seal(&sealer, writer, (seq, &hash), vec![event])
        };
        let erase = move |stored: &StoredEvent| eraser.erase(stored);
        let erased = self.store.erase_events(subject.to_owned(), limit, erase, writer, record).await?;
        Ok(match erased {
            Some((count, head)) => {
                self.moved_to(&head);
                count
            }
            None => 0,
        })
    }

    fn moved_to(&mut self, head: &Head) {
        self.seq = head.seq;
        self.hash.clone_from(&head.hash);
        self.in_doubt = None;
    }
}

/// Events with their hashes, which follow an event's `seq` and hash.
fn seal(key: &ChainKey, writer: Uuid, (after, hash): (i64, &Hash), events: Vec<Event>) -> Batch {
    let (mut seq, mut hash) = (after, hash.clone());
    let mut sealed = Vec::with_capacity(events.len());
    for event in events {
        seq += 1;
        let event = key.seal(writer, seq, &hash, event);
        hash.clone_from(&event.hash);
        sealed.push(event);
    }
    Batch { events: sealed, after, head: key.head(writer, seq, hash) }
}
