//! The two engines, SQLite and PostgreSQL: one connection for writing, and some for reading.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Database, Pool, Postgres, Sqlite};
use tokio::sync::Mutex;

use super::url::PostgresUrl;
use super::{IfMissing, StoreError, StoreUrl, migrations};

/// A connected database.
#[derive(Clone)]
pub(super) enum Engine {
    Sqlite(Arc<Connections<Sqlite>>),
    Postgres(Arc<Connections<Postgres>>),
}

/// The connections to a database.
pub(super) struct Connections<DB: Database> {
    options: <DB::Connection as Connection>::Options,
    /// SQLite has one writer at a time, and the audit events of a process are a chain; so
    /// writes take turns. `None` until the first write, and after an error.
    pub writer: Mutex<Option<DB::Connection>>,
    pub readers: Pool<DB>,
    /// Whether a connection whose operation timed out is closed. A thread of SQLite cannot
    /// be interrupted: another connection would only add one more that waits.
    pub closes_after_timeout: bool,
}

/// Connections for reading, opened as needed.
const MAX_READERS: u32 = 4;

/// Prepared statements that a connection keeps: an insert for each number of rows, and
/// the others.
const STATEMENTS: usize = 200;

/// SQLite waits this part of the time limit for the lock of another process.
const BUSY_PART: f32 = 0.8;

/// The pause between two attempts to switch a new SQLite file to WAL, which another process does
/// at the same time.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Connects, and brings the tables up to date.
    pub async fn open(url: &StoreUrl, if_missing: IfMissing, limit: Duration) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Sqlite(path) => open_sqlite(path, if_missing, limit).await,
            StoreUrl::Postgres(url) => open_postgres(url, limit).await,
        }
    }

    /// Closes all connections. SQLite moves the content of its log into the database.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(connections) => connections.close().await,
            Self::Postgres(connections) => connections.close().await,
        }
    }
}

impl<DB: Database> Connections<DB> {
    fn new(
        options: <DB::Connection as Connection>::Options,
        reading: <DB::Connection as Connection>::Options,
        limit: Duration,
    ) -> Self {
        let pool = PoolOptions::new().max_connections(MAX_READERS).acquire_timeout(limit);
        Self {
            options,
            writer: Mutex::new(None),
            readers: pool.connect_lazy_with(reading),
            closes_after_timeout: true,
        }
    }

    /// Opens a connection for writing.
    pub async fn connect(&self) -> Result<DB::Connection, StoreError> {
        self.options.connect().await.map_err(StoreError::connecting)
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            // it is of no more use, closed or not
            let _ = writer.close().await;
        }
    }
}

async fn open_sqlite(path: &Path, if_missing: IfMissing, limit: Duration) -> Result<Engine, StoreError> {
    let shown = path.display().to_string();
    match if_missing {
        IfMissing::Create => create(path).map_err(|error| StoreError::Create { path: shown, error })?,
        IfMissing::Fail if !path.exists() => return Err(StoreError::Missing(shown)),
        IfMissing::Fail => {}
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(limit.mul_f32(BUSY_PART))
        .synchronous(SqliteSynchronous::Full)
        // what is erased is overwritten
        .pragma("secure_delete", "ON")
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let reading = options.clone().read_only(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let connections =
        Connections::<Sqlite> { closes_after_timeout: false, ..Connections::new(options, reading, limit) };
    let mut writer = loop {
        match connections.connect().await {
            // the switch to WAL does not wait for a lock; the caller limits the time
            Err(StoreError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            other => break other?,
        }
    };
    // the transaction locks the file, so that processes that start together take turns
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    migrations::sqlite().run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    *connections.writer.lock().await = Some(writer);
    Ok(Engine::Sqlite(Arc::new(connections)))
}

/// Creates the file, readable by its owner alone, and its folder.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn open_postgres(url: &PostgresUrl, limit: Duration) -> Result<Engine, StoreError> {
    let options: PgConnectOptions =
        url.options().clone().statement_cache_capacity(STATEMENTS).disable_statement_logging();
    let connections = Connections::<Postgres>::new(options.clone(), options, limit);
    let mut writer = connections.connect().await?;
    // takes an advisory lock, so that replicas that start together take turns
    migrations::postgres().run_direct(None, &mut writer, false).await?;
    *connections.writer.lock().await = Some(writer);
    Ok(Engine::Postgres(Arc::new(connections)))
}
