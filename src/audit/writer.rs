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
    /// The head after the last batch, if it is unknown whether that batch was committed.
    in_doubt: Option<Head>,
}

/// How many times a batch is appended if the connection is lost.
const ATTEMPTS: usize = 3;

impl ChainWriter {
    /// Begins a chain. Its first event names the command that this process runs, and contains the
    /// heads of other chains, so that a removal of their last events is detected.
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

    /// Appends the event of an operation. `data`: an object with the fields that only this
    /// operation has, or null; without secrets and personal data.
    pub async fn write_operation(&mut self, operation: Operation, data: &Value) -> Result<(), StoreError> {
        let batch = self.seal(vec![operation.event(Timestamp::now(), data)]);
        self.append(&batch).await
    }

    /// Events with their hashes, to append next. Not empty.
    pub(super) fn seal(&self, events: Vec<Event>) -> Arc<Batch> {
        Arc::new(seal(&self.key, self.writer, (self.seq, &self.hash), events))
    }

    /// Appends a batch. If the connection is lost, reads whether the commit took effect, and tries
    /// again immediately: the connection may have been closed while it was idle.
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

    /// Reads where the chain ends. Fails with [`StoreError::Conflict`] if that is neither of the
    /// two ends that this process may have written: the database is another one, or an older copy.
    pub(super) async fn resync(&mut self) -> Result<(), StoreError> {
        let head = self.store.head(self.writer).await?;
        match (head, self.in_doubt.take()) {
            (Some(head), in_doubt) if head.hash == self.hash => {
                // if the commit takes effect only after this, the next conflict detects it
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

    /// Writes the head unchanged, to test whether the store accepts writes.
    pub(super) async fn try_write(&mut self) -> Result<(), StoreError> {
        match self.write_head().await {
            // a batch that had timed out was committed after the head was read
            Err(StoreError::Conflict(_)) => self.write_head().await,
            result => result,
        }
    }

    async fn write_head(&mut self) -> Result<(), StoreError> {
        self.resync().await?;
        let head = self.key.head(self.writer, self.seq, self.hash.clone());
        self.store.append_events(self.writer, Arc::new(Batch { events: vec![], after: self.seq, head })).await
    }

    /// Erases the personal data in at most `limit` events, and appends an event that records it.
    /// Returns the number of events erased.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::SharedSecret;
    use crate::store::{IfMissing, StoreSettings, StoreUrl};

    /// A batch times out, the head is read, and then the batch is committed.
    #[tokio::test]
    async fn a_commit_after_its_time_out_does_not_end_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::parse(&format!("sqlite:{}/sso.db", folder.path().display())).unwrap();
        let settings = StoreSettings { url, timeout: Duration::from_secs(5) };
        let store = Store::open(&settings, IfMissing::Create).await.unwrap();
        let key = ChainKey::new(&SharedSecret::parse("0123456789abcdef0123456789abcdef").unwrap());
        let mut chain = ChainWriter::start(store.clone(), key, "test").await.unwrap();
        let late = chain.seal(vec![Operation::Reloaded.event(Timestamp::now(), &json!({}))]);
        chain.in_doubt = Some(late.head.clone());

        let (writer, seq) = (chain.id(), late.head.seq);
        let lock = rusqlite::Connection::open(folder.path().join("sso.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let unlock = async {
            store.head(writer).await.unwrap();
            lock.execute_batch("ROLLBACK").unwrap();
        };
        let (committed, written, ()) =
            tokio::join!(store.append_events(writer, late), chain.try_write(), unlock);
        committed.unwrap();
        written.unwrap();
        assert_eq!((chain.seq, store.head(writer).await.unwrap().unwrap().seq), (seq, seq));
    }
}
