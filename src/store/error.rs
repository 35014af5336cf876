//! Why an operation on the store failed. No message contains a value or a password.

use std::time::Duration;

use sqlx::migrate::MigrateError;

use crate::refusal::{Reason, Refusal};

/// Why an operation on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file, and it must not be created.
    #[error("there is no database at {0}")]
    Missing(String),
    /// The file or its folder cannot be created or written.
    #[error("the database {path} cannot be created or written: {error}")]
    Create {
        /// The path of the file.
        path: String,
        /// The cause.
        error: std::io::Error,
    },
    /// No connection: no server, no network, wrong password, no such database.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The connection ended during the operation. Whether a commit took effect is unknown.
    #[error("the connection to the database was lost: {0}")]
    ConnectionLost(String),
    /// No result in time. Whether a commit took effect is unknown.
    #[error("the database did not respond within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Another connection, usually of another process, holds the lock of the SQLite file.
    #[error("another connection holds the lock of the database")]
    Busy,
    /// The disk or the quota is full.
    #[error("the disk of the database is full")]
    Full,
    /// The file system, the file or the server accepts no writes.
    #[error("the database is read-only")]
    ReadOnly,
    /// A migration failed, or one that was applied differs from this version's.
    #[error("the tables cannot be brought up to date: {0}")]
    Migration(String),
    /// Another process wrote rows that only this process may write.
    #[error("the stored state is not that of this process: {0}")]
    Conflict(&'static str),
    /// The database rejects a statement, or holds a value of another type.
    #[error("the database reports: {0}")]
    Database(String),
    /// The store's thread is not available.
    #[error("the store has stopped")]
    Stopped,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Reason::StoreUnavailable.because(error.to_string())
    }
}

impl StoreError {
    /// The error of an attempt to connect.
    pub(super) fn connecting(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Database(why) | Self::ConnectionLost(why) => Self::Unreachable(why),
            other => other,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                of_code(&code, error.message())
            }
            sqlx::Error::Io(error) => Self::ConnectionLost(error.to_string()),
            sqlx::Error::Tls(error) => Self::Unreachable(format!("TLS: {error}")),
            error @ (sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed) => {
                Self::ConnectionLost(error.to_string())
            }
            sqlx::Error::PoolClosed => Self::Stopped,
            error => Self::Database(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(error, message) => {
                let message = message.unwrap_or_else(|| error.to_string());
                of_code(&error.extended_code.to_string(), &message)
            }
            error => Self::Database(error.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => error.into(),
            MigrateError::ExecuteMigration(error, version) => match Self::from(error) {
                Self::Database(why) => Self::Migration(format!("migration {version}: {why}")),
                other => other,
            },
            other => Self::Migration(other.to_string()),
        }
    }
}

/// Maps the numeric codes of SQLite (<https://sqlite.org/rescode.html>) and the five
/// characters of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_code(code: &str, message: &str) -> StoreError {
    if code.len() == 5 {
        return match code {
            "53100" => StoreError::Full,
            "25006" => StoreError::ReadOnly,
            "55P03" => StoreError::Busy,
            _ if code.starts_with("08") || code.starts_with("57P") => {
                StoreError::ConnectionLost(message.to_owned())
            }
            _ if code.starts_with("28") || code.starts_with("3D") || code.starts_with("53") => {
                StoreError::Unreachable(message.to_owned())
            }
            _ => StoreError::Database(message.to_owned()),
        };
    }
    // the low byte of an extended code is the primary code
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => StoreError::Busy,
        Ok(8) => StoreError::ReadOnly,
        Ok(13) => StoreError::Full,
        Ok(14) => StoreError::Unreachable(message.to_owned()),
        Ok(_) | Err(_) => StoreError::Database(message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5", "another connection holds the lock of the database")]
    #[case("517", "another connection holds the lock of the database")]
    #[case("1544", "the database is read-only")]
    #[case("13", "the disk of the database is full")]
    #[case("53100", "the disk of the database is full")]
    #[case("57P01", "the connection to the database was lost: x")]
    #[case("28P01", "the database cannot be reached: x")]
    #[case("42P01", "the database reports: x")]
    fn a_code_names_its_cause(#[case] code: &str, #[case] shown: &str) {
        assert_eq!(of_code(code, "x").to_string(), shown);
    }
}
