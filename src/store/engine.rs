//! The two engines, SQLite and PostgreSQL: one connection for writing, and some for reading.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, Database, Pool, Postgres, Sqlite};
use tokio::sync::Mutex;

use super::appender::{Appender, AppenderSettings};
use super::{IfMissing, StoreError, StoreUrl, migrations};

/// A connected database.
pub(super) enum Engine {
    Sqlite(Connections<Sqlite>, Appender),
    Postgres(Connections<Postgres>),
}

/// The connections to a database.
pub(super) struct Connections<DB: Database> {
    options: <DB::Connection as Connection>::Options,
    /// SQLite has one writer at a time, and the audit events of a process are a chain, so one write
    /// runs at a time. `None` until the first write, and after an error.
    pub writer: Arc<Mutex<Option<DB::Connection>>>,
    pub readers: Pool<DB>,
    /// Whether a connection is closed when its operation times out. Not for SQLite: its thread
    /// cannot be interrupted, and another connection would only wait as well.
    pub closes_after_timeout: bool,
}

/// Connections for reading, opened as needed.
const MAX_READERS: u32 = 4;

/// How each connection that writes to a SQLite file is configured: commits are on disk, erased data is
/// overwritten, and the log is moved into the database at 8,192 pages of 4 KiB. A page that changes
/// several times before that is moved only once.
const WRITER_PRAGMAS: [(&str, &str); 3] =
    [("synchronous", "FULL"), ("secure_delete", "ON"), ("wal_autocheckpoint", "8192")];

/// The number of rows that SQLite's thread reads ahead: each wait for the reader costs a switch of
/// threads.
const ROW_BUFFER: usize = 1024;

/// SQLite waits this part of the time limit for the lock of another process.
const BUSY_PART: f32 = 0.8;

/// The pause between two attempts to switch a new SQLite file to WAL while another process does the
/// same.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Creates the engine without connecting. Must be called on the store's runtime.
    pub fn new(url: &StoreUrl, limit: Duration) -> Self {
        match url {
            StoreUrl::Sqlite(path) => {
                let busy_timeout = limit.mul_f32(BUSY_PART);
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .busy_timeout(busy_timeout)
                    .disable_statement_logging();
                let reading = options.clone().read_only(true).row_buffer_size(ROW_BUFFER);
                let writing = options.journal_mode(SqliteJournalMode::Wal);
                let writing = WRITER_PRAGMAS
                    .into_iter()
                    .fold(writing, |writing, (name, value)| writing.pragma(name, value));
                let connections = Connections::new(writing, reading, limit, false);
                let (path, pragmas) = (path.clone(), &WRITER_PRAGMAS);
                let settings = AppenderSettings { path, limit, busy_timeout, pragmas };
                let appender = Appender::new(settings, &connections.writer);
                Self::Sqlite(connections, appender)
            }
            StoreUrl::Postgres(url) => {
                let options = url.options().clone();
                let options = options.disable_statement_logging();
                Self::Postgres(Connections::new(options.clone(), options, limit, true))
            }
        }
    }

    /// Connects, and brings the tables up to date.
    pub async fn prepare(&self, if_missing: IfMissing) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connections, _) => prepare_sqlite(connections, if_missing).await,
            Self::Postgres(connections) => prepare_postgres(connections).await,
        }
    }

    /// Closes all connections. SQLite moves the content of its log into the database.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(connections, appender) => {
                appender.close().await;
                connections.close().await;
            }
            Self::Postgres(connections) => connections.close().await,
        }
    }
}

impl<DB: Database> Connections<DB> {
    fn new(
        options: <DB::Connection as Connection>::Options,
        reading: <DB::Connection as Connection>::Options,
        limit: Duration,
        closes_after_timeout: bool,
    ) -> Self {
        let readers =
            PoolOptions::new().max_connections(MAX_READERS).acquire_timeout(limit).connect_lazy_with(reading);
        Self { options, writer: Arc::default(), readers, closes_after_timeout }
    }

    /// Opens a connection for writing.
    pub async fn connect(&self) -> Result<DB::Connection, StoreError> {
        self.options.connect().await.map_err(StoreError::connecting)
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            // an error has no consequence: the connection is not used again
            let _ = writer.close().await;
        }
    }
}

async fn prepare_sqlite(connections: &Connections<Sqlite>, if_missing: IfMissing) -> Result<(), StoreError> {
    let path = connections.options.get_filename();
    let shown = path.display().to_string();
    match if_missing {
        IfMissing::Create => create(path).map_err(|error| match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
            _ => StoreError::Create { path: shown, error },
        })?,
        IfMissing::Fail if !path.exists() => return Err(StoreError::Missing(shown)),
        IfMissing::Fail => {}
    }
    let mut writer = loop {
        match connections.connect().await {
            // the switch to WAL does not wait for a lock; the caller limits the time
            Err(StoreError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            other => break other?,
        }
    };
    // the transaction locks the file, so that of processes that start at the same time one migrates
    // at a time
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    migrations::sqlite().run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    *connections.writer.lock().await = Some(writer);
    Ok(())
}

/// Creates the file, which only its owner can read, and its folder. Checks that an existing file is
/// writable: SQLite's own error would only say that it cannot be opened.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).open(path).map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn prepare_postgres(connections: &Connections<Postgres>) -> Result<(), StoreError> {
    let mut writer = connections.connect().await?;
    // takes an advisory lock, so that of replicas that start at the same time one migrates at a
    // time
    migrations::postgres().run_direct(None, &mut writer, false).await?;
    *connections.writer.lock().await = Some(writer);
    Ok(())
}
