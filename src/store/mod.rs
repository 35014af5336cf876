//! Persistent data: one interface for two engines, SQLite for one machine and PostgreSQL for
//! several replicas.
//!
//! Tables are grouped by content, with one module for each group: [`events`] and `writers` for the
//! audit, whose events [`statistics`] counts, [`api_tokens`] for the API, `tickets` for single-use
//! addresses, `ended_sessions` for sign-outs, `session_refreshes` for sessions, [`instances`] for
//! mittwald. To add one: a migration (see `migrations`), and a module with its rows, and methods of
//! [`Store`] written with `reading!` and `writing!`. Their body is compiled for each engine; SQL is
//! the same for both, with parameters `$1`, `$2`, … and these types:
//!
//! | Rust | SQLite | PostgreSQL |
//! |---|---|---|
//! | `i64`; a time in microseconds since the Unix epoch | `INTEGER` | `BIGINT` |
//! | `Uuid` | `BLOB` | `UUID` |
//! | `String` | `TEXT` | `TEXT` |
//! | `Vec<u8>` | `BLOB` | `BYTEA` |

pub mod api_tokens;
mod appender;
mod ended_sessions;
mod engine;
mod error;
pub mod events;
mod heads;
pub mod instances;
mod macros;
mod migrations;
mod runtime;
mod session_refreshes;
pub mod statistics;
mod tickets;
mod url;
mod writers;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::ended_sessions::EndedSession;
pub use self::error::StoreError;
pub use self::events::{Anchor, Batch};
pub use self::heads::Head;
pub use self::session_refreshes::SessionRefresh;
pub use self::tickets::{FoundTicket, NewTicket};
pub use self::url::{BadStoreUrl, PostgresUrl, StoreUrl};
pub use self::writers::{Witnessed, Writer};
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

use engine::Engine;
use macros::reading;
use runtime::StoreRuntime;

/// An open store. Clones share its connections. Usable from any Tokio runtime.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    runtime: StoreRuntime,
    /// The thread that appends audit events, if an append blocks its thread.
    appending: Option<StoreRuntime>,
    limit: Duration,
    shown: String,
    if_missing: IfMissing,
    is_prepared: OnceCell<()>,
}

/// How to open a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The location of the store.
    pub url: StoreUrl,
    /// The time limit of each operation.
    pub timeout: Duration,
}

/// What to do if a SQLite file does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Create it, and its folder.
    Create,
    /// Fail with [`StoreError::Missing`].
    Fail,
}

/// The time limit for connecting and migrating, during which other processes may migrate.
const PREPARE_LIMIT: Duration = Duration::from_secs(60);

impl Store {
    /// Connects, and brings the tables up to date.
    pub async fn open(settings: &StoreSettings, if_missing: IfMissing) -> Result<Self, StoreError> {
        let store = Self::open_later(settings, if_missing)?;
        store.check().await?;
        Ok(store)
    }

    /// Like [`Self::open`], but without connecting: each operation tries to connect until one
    /// succeeds. For services that have to start without their store.
    pub fn open_later(settings: &StoreSettings, if_missing: IfMissing) -> Result<Self, StoreError> {
        let start = |name| StoreRuntime::start(name).map_err(|_| StoreError::Stopped);
        let runtime = start("store")?;
        let engine = runtime.enter(|| Engine::new(&settings.url, settings.timeout));
        let appending = match engine {
            Engine::Sqlite(..) => Some(start("audit-append")?),
            Engine::Postgres(_) => None,
        };
        let inner = Inner {
            engine,
            runtime,
            appending,
            limit: settings.timeout,
            shown: settings.url.to_string(),
            if_missing,
            is_prepared: OnceCell::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The time limit of an operation.
    pub fn timeout(&self) -> Duration {
        self.inner.limit
    }

    /// Checks that the store responds.
    pub async fn check(&self) -> Result<(), StoreError> {
        reading!(self, |connection| {
            sqlx::query("SELECT 1").execute(&mut *connection).await?;
        })
    }

    /// Runs a task on the store's thread, until it ends, is aborted by the handle, or the store is
    /// dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.inner.runtime.spawn(task)
    }

    /// Like [`Self::spawn`], on the thread that [`Self::append_events`] uses. With SQLite an append blocks
    /// that thread, and a task there appends without a switch of threads.
    pub fn spawn_appending(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.inner.appending.as_ref().unwrap_or(&self.inner.runtime).spawn(task)
    }

    /// Closes all connections, after the operations in progress. Stops waiting for them at the time limit.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        let close = async move {
            inner.engine.close().await;
            Ok(())
        };
        // an inner error: it is closed already
        if tokio::time::timeout(self.inner.limit, self.inner.runtime.run(close)).await.is_err() {
            tracing::warn!("the store does not respond, and is not closed");
        }
    }
}

impl Inner {
    /// Brings the tables up to date before the first operation.
    async fn prepare(&self) -> Result<(), StoreError> {
        let prepare = async || {
            let preparing = self.engine.prepare(self.if_missing);
            tokio::time::timeout(PREPARE_LIMIT, preparing)
                .await
                .unwrap_or(Err(StoreError::TimedOut(PREPARE_LIMIT)))
        };
        self.is_prepared.get_or_try_init(prepare).await.copied()
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.shown)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({self})")
    }
}
