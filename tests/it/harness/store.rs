//! An empty store of either engine, for tests with the same body on both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use marketplace_sso::store::{IfMissing, Store, StoreSettings, StoreUrl};
use tempfile::TempDir;

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
    /// Creates it, on the server that tests share.
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

    /// How to open it.
    pub fn settings(&self) -> StoreSettings {
        settings(&self.url)
    }

    /// Opens it, with its tables.
    pub async fn open(&self) -> Store {
        Store::open(&self.settings(), IfMissing::Create).await.unwrap()
    }

    /// Does something while another connection has locked tables of PostgreSQL, or all of SQLite.
    pub async fn locked<T>(&self, tables: &str, work: impl FnOnce() -> T) -> T {
        use sqlx::{AssertSqlSafe, Connection};
        match self.engine {
            Engine::Sqlite => {
                let url = format!("sqlite:{}", self.file().display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                let result = work();
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
                result
            }
            Engine::Postgres => {
                let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
                let sql = AssertSqlSafe(format!("BEGIN; LOCK TABLE {tables}"));
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                let result = work();
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
                result
            }
        }
    }

    /// Runs statements on a connection of its own, and returns the number of rows changed.
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

/// How to open a store, with a short time limit.
pub fn settings(url: &str) -> StoreSettings {
    StoreSettings { url: StoreUrl::parse(url).unwrap(), timeout: Duration::from_secs(2) }
}

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
