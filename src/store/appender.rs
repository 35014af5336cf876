//! Appends audit events to a SQLite file by calling SQLite directly. sqlx passes each statement and each
//! result from one thread to another, which costs more than inserting the rows of a batch. All other
//! uses of the file are through sqlx.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use sqlx::SqliteConnection;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::events::{INSERT_INTO_SQLITE, StoredEvent};
use super::heads::MOVE_HEAD;
use super::{Batch, StoreError};
use crate::clock::Stopwatch;

/// A connection that is opened at the first batch.
pub(super) struct Appender {
    settings: AppenderSettings,
    others: WriterLock,
    connection: Mutex<Option<Connection>>,
    is_closed: AtomicBool,
}

/// How the file is opened.
pub(super) struct AppenderSettings {
    /// The file, which must exist.
    pub path: PathBuf,
    /// The time limit of a batch.
    pub limit: Duration,
    /// How long to wait for the lock of another process.
    pub busy_timeout: Duration,
    /// The pragmas of each connection that writes: names and values.
    pub pragmas: &'static [(&'static str, &'static str)],
}

/// A page cache of 16 MiB (a negative number of KiB), because the events of an hour are spread over
/// the indexes.
const CACHE_SIZE: (&str, &str) = ("cache_size", "-16384");

/// The connection of all other writes. Its lock is held while a batch is appended: SQLite does not
/// grant the lock of the file in the order of the requests. (Only after another write has timed out,
/// its thread may still hold that lock.)
type WriterLock = Arc<Mutex<Option<SqliteConnection>>>;

impl Appender {
    /// An appender that waits for the other writes of this process.
    pub fn new(settings: AppenderSettings, others: &WriterLock) -> Self {
        let is_closed = AtomicBool::new(false);
        Self { settings, others: Arc::clone(others), connection: Mutex::default(), is_closed }
    }

    /// Moves the head of a chain and inserts its next events, in one transaction. `false`: the head
    /// is not at `batch.after`, and nothing was changed. Blocks the thread while SQLite runs; no
    /// commit begins after the time limit.
    pub async fn append(&self, writer: Uuid, batch: &Batch) -> Result<bool, StoreError> {
        let limit = self.settings.limit;
        let stopwatch = Stopwatch::start();
        let locks = async { (self.others.lock().await, self.connection.lock().await) };
        let (_turn, mut connection) =
            tokio::time::timeout(limit, locks).await.map_err(|_| StoreError::TimedOut(limit))?;
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(StoreError::Stopped);
        }
        let append = || append(&mut connection, &self.settings, writer, batch, stopwatch);
        // after a panic, the connection is closed, which rolls back
        let appended = std::panic::catch_unwind(AssertUnwindSafe(append)).unwrap_or(Err(StoreError::Stopped));
        if appended.is_err() {
            // its transaction may be in any state
            *connection = None;
        }
        appended
    }

    /// Closes the file, after the batch in progress.
    pub async fn close(&self) {
        let mut connection = self.connection.lock().await;
        self.is_closed.store(true, Ordering::Relaxed);
        *connection = None;
    }
}

fn append(
    connection: &mut Option<Connection>,
    settings: &AppenderSettings,
    writer: Uuid,
    batch: &Batch,
    stopwatch: Stopwatch,
) -> Result<bool, StoreError> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(open(settings)?),
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Batch { events, after, head } = batch;
    let mut move_head = transaction.prepare_cached(MOVE_HEAD)?;
    if move_head.execute(params![head.seq, head.hash, head.mac, writer.as_bytes(), after])? == 0 {
        return Ok(false);
    }
    if events.is_empty() {
        // writes a page: SQLite does not write an unchanged row, but this tests whether it can write
        transaction.execute_batch("PRAGMA user_version = 0")?;
    }
    let mut insert = transaction.prepare_cached(&INSERT_INTO_SQLITE)?;
    for StoredEvent { writer, seq, event, salt, hash, erasure: _ } in events {
        insert.execute(params![
            writer.as_bytes(),
            seq,
            event.at_us,
            event.outcome.as_str(),
            event.request_id.as_ref().map(Uuid::as_bytes),
            event.entrance.as_deref(),
            event.environment.as_deref(),
            event.account.as_deref(),
            event.reason.as_deref(),
            event.detail.as_deref(),
            event.jti.as_ref().map(Uuid::as_bytes),
            event.identity_kind.as_deref(),
            event.issuer.as_deref(),
            event.key_id.as_deref(),
            event.fetch_dest.as_deref(),
            event.embed_violation.as_deref(),
            event.link.as_deref(),
            event.took_us,
            event.data.as_deref(),
            event.personal.subject.as_deref(),
            event.personal.peer.as_deref(),
            event.personal.user_agent.as_deref(),
            salt,
            hash,
        ])?;
    }
    drop((move_head, insert));
    // the requests of the batch no longer wait
    if stopwatch.elapsed() >= settings.limit {
        return Err(StoreError::TimedOut(settings.limit));
    }
    transaction.commit()?;
    Ok(true)
}

fn open(
    AppenderSettings { path, busy_timeout, pragmas, .. }: &AppenderSettings,
) -> rusqlite::Result<Connection> {
    // one thread at a time uses the connection, so it needs no lock of its own
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(*busy_timeout)?;
    for (name, value) in pragmas.iter().chain([&CACHE_SIZE]) {
        connection.pragma_update(None, name, value)?;
    }
    Ok(connection)
}
