//! What outlasts the process: one face over two engines, SQLite for one machine and
//! PostgreSQL for several replicas.
//!
//! Tables are grouped by what they hold, a module each: [`events`] and `writers`
//! for the audit. To add one: a migration (see `migrations`), and a module with its
//! rows, and methods of [`Store`] written with `reading!` and `writing!`. Their body is
//! compiled for each engine; SQL is the same for both, with parameters `$1`, `$2`, … and
//! these types:
//!
//! | Rust | SQLite | PostgreSQL |
//! |---|---|---|
//! | `i64`; a time in microseconds since the Unix epoch | `INTEGER` | `BIGINT` |
//! | `Uuid` | `BLOB` | `UUID` |
//! | `String` | `TEXT` | `TEXT` |
//! | `Vec<u8>` | `BLOB` | `BYTEA` |

mod engine;
mod error;
mod macros;
mod migrations;
mod runtime;
mod url;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::StoreError;
pub use self::url::{BadStoreUrl, PostgresUrl, StoreUrl};
use engine::Engine;
use macros::{reading, writing};
use runtime::StoreRuntime;

/// An open store. Clones share its connections. Usable from any Tokio runtime.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    runtime: StoreRuntime,
    limit: Duration,
    shown: String,
}

/// How to open a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where it is.
    pub url: StoreUrl,
    /// The time limit of each operation.
    pub timeout: Duration,
}

/// What to do where a SQLite file does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Create it, and its folder.
    Create,
    /// Fail with [`StoreError::Missing`].
    Fail,
}

/// The time limit for connecting and migrating, where other processes may migrate at the same time.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

impl Store {
    /// Connects, and brings the tables up to date.
    pub async fn open(settings: &StoreSettings, if_missing: IfMissing) -> Result<Self, StoreError> {
        let StoreSettings { url, timeout: limit } = settings.clone();
        let runtime = StoreRuntime::start().map_err(|_| StoreError::Stopped)?;
        let shown = url.to_string();
        let open = async move {
            let opening = Engine::open(&url, if_missing, limit);
            tokio::time::timeout(OPEN_LIMIT, opening).await.map_err(|_| StoreError::TimedOut(OPEN_LIMIT))?
        };
        let engine = runtime.run(open).await?;
        Ok(Self { inner: Arc::new(Inner { engine, runtime, limit, shown }) })
    }

    /// Whether the store answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        reading!(self, |connection| {
            sqlx::query("SELECT 1").execute(&mut *connection).await?;
        })
    }

    /// Runs a task on the store's thread; it ends by itself, or with the store.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.runtime.spawn(task);
    }

    /// Closes all connections, after the operations in progress.
    pub async fn close(&self) {
        let engine = self.inner.engine.clone();
        let close = async move {
            engine.close().await;
            Ok(())
        };
        // an error: it is closed already
        let _ = self.inner.runtime.run(close).await;
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
