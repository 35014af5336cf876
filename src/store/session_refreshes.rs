//! The table `session_refreshes`: which sessions are being refreshed, and what came of it, so that of all
//! processes one uses a refresh token.

use super::macros::writing;
use super::{Engine, Store, StoreError};

/// The refresh of a session, for a process that is about to begin it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRefresh {
    /// It has begun: this process does it.
    Begun,
    /// Another process does it, or has ended without a result.
    Running,
    /// Another process has done it: the session, encrypted.
    Done(Vec<u8>),
}

impl Store {
    /// Begins a refresh, unless another process has begun it and that has not expired. Times are
    /// microseconds since the Unix epoch.
    pub async fn begin_session_refresh(
        &self,
        hash: Vec<u8>,
        now_us: i64,
        expires_at_us: i64,
    ) -> Result<SessionRefresh, StoreError> {
        writing!(self, |transaction| {
            let sql = "INSERT INTO session_refreshes (hash, expires_at_us) VALUES ($1, $2)
                ON CONFLICT (hash) DO UPDATE SET session = NULL, expires_at_us = excluded.expires_at_us
                WHERE session_refreshes.expires_at_us <= $3";
            let begun =
                sqlx::query(sql).bind(&hash).bind(expires_at_us).bind(now_us).execute(&mut *transaction);
            if begun.await?.rows_affected() > 0 {
                SessionRefresh::Begun
            } else {
                let sql = "SELECT session FROM session_refreshes WHERE hash = $1";
                let found: Option<Option<Vec<u8>>> =
                    sqlx::query_scalar(sql).bind(&hash).fetch_optional(&mut *transaction).await?;
                found.flatten().map_or(SessionRefresh::Running, SessionRefresh::Done)
            }
        })
    }

    /// Ends a refresh that this process has begun. Without a session, any process may begin it again.
    pub async fn end_session_refresh(
        &self,
        hash: Vec<u8>,
        session: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        writing!(self, |transaction| {
            let statement = match session {
                Some(session) => {
                    let sql = "UPDATE session_refreshes SET session = $2 WHERE hash = $1 AND session IS NULL";
                    sqlx::query(sql).bind(hash).bind(session)
                }
                None => {
                    let sql = "DELETE FROM session_refreshes WHERE hash = $1 AND session IS NULL";
                    sqlx::query(sql).bind(hash)
                }
            };
            statement.execute(&mut *transaction).await?;
        })
    }

    /// Deletes the refreshes that expired before `now_us`.
    pub async fn purge_session_refreshes(&self, now_us: i64) -> Result<u64, StoreError> {
        writing!(self, |transaction| {
            let sql = "DELETE FROM session_refreshes WHERE expires_at_us <= $1";
            sqlx::query(sql).bind(now_us).execute(&mut *transaction).await?.rows_affected()
        })
    }
}
