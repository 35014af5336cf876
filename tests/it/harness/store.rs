//! An empty store of either engine, for tests with the same body on both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use marketplace_sso::store::{IfMissing, Store, StoreSettings, StoreUrl};
use tempfile::TempDir;

use super::TIMEOUT;
use super::postgres::Postgres;

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// An empty database.
pub struct TestStore {
    pub engine: Engine,
    pub url: String,
    folder: TempDir,
}

impl TestStore {
    /// Creates a database, for PostgreSQL on the server that tests share.
    pub fn new(engine: Engine) -> Self {
        let folder = TempDir::new().unwrap();
        let url = match engine {
            Engine::Sqlite => format!("sqlite:{}/data/sso.db", folder.path().display()),
            Engine::Postgres => Postgres::shared().new_database(),
        };
        Self { engine, url, folder }
    }

    /// The file of SQLite.
    pub fn file(&self) -> PathBuf {
        self.folder().join("data/sso.db")
    }

    /// A folder for the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings that open it.
    pub fn settings(&self) -> StoreSettings {
        settings(&self.url)
    }

    /// Like [`Self::open`], for work that takes too long.
    pub async fn open_impatient(&self) -> Store {
        Store::open(&impatient(&self.url), IfMissing::Create).await.unwrap()
    }

    /// Opens it, with its tables.
    pub async fn open(&self) -> Store {
        Store::open(&self.settings(), IfMissing::Create).await.unwrap()
    }

    /// Makes SQLite take some seconds for each event, until the trigger `slow` is dropped.
    pub async fn slow_down_appends(&self) {
        self.execute(SLOW).await;
    }

    /// Locks tables of PostgreSQL (`NAMES [IN … MODE]`), or all of SQLite, with another connection.
    pub async fn lock(&self, tables: &str) -> Lock {
        use sqlx::{AssertSqlSafe, Connection};
        match self.engine {
            Engine::Sqlite => {
                let url = format!("sqlite:{}", self.file().display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                Lock::Sqlite(connection)
            }
            Engine::Postgres => {
                let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
                let sql = AssertSqlSafe(format!("BEGIN; LOCK TABLE {tables}"));
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                Lock::Postgres(connection)
            }
        }
    }

    /// Runs `work` during such a lock.
    pub async fn locked<T>(&self, tables: &str, work: impl FnOnce() -> T) -> T {
        let lock = self.lock(tables).await;
        let result = work();
        lock.release().await;
        result
    }

    /// Runs statements on a separate connection, and returns the number of changed rows.
    pub async fn execute(&self, sql: &str) -> u64 {
        use sqlx::{AssertSqlSafe, Connection};
        match self.engine {
            Engine::Sqlite => {
                let mut connection =
                    sqlx::SqliteConnection::connect(&format!("sqlite:{}", self.file().display()))
                        .await
                        .unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap().rows_affected()
            }
            Engine::Postgres => {
                let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap().rows_affected()
            }
        }
    }
}

/// Blocks the thread that inserts an event into SQLite for some seconds.
const SLOW: &str = "CREATE TRIGGER slow BEFORE INSERT ON audit_events BEGIN
    SELECT count(*) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 40000000) SELECT x FROM n);
    END";

/// A connection that holds a lock.
pub enum Lock {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Lock {
    pub async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => {
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.map(drop)
            }
            Self::Postgres(mut connection) => {
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.map(drop)
            }
        }
        .unwrap();
    }
}

/// The settings that open a store.
pub fn settings(url: &str) -> StoreSettings {
    StoreSettings { url: StoreUrl::parse(url).unwrap(), timeout: TIMEOUT / 2 }
}

/// Settings with a short time limit, for work that takes too long.
pub fn impatient(url: &str) -> StoreSettings {
    StoreSettings { timeout: Duration::from_secs(2), ..settings(url) }
}

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
