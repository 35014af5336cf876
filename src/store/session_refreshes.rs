//! The table `session_refreshes`: which sessions are being refreshed, and the results, so that only
//! one process uses a refresh token. Times are microseconds since the Unix epoch.

use super::macros::{reading, writing};
use super::{Engine, Store, StoreError};

/// The refresh of a session by another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRefresh {
    /// It runs, or the process has ended without a result.
    Running,
    /// It has ended with this session, encrypted.
    Done(Vec<u8>),
}

impl Store {
    /// Claims a refresh until `expires_at_us`, unless another process has claimed it and its claim
    /// has not expired. `None`: this process has claimed it.
    pub async fn begin_session_refresh(
        &self,
        hash: Vec<u8>,
        now_us: i64,
        expires_at_us: i64,
    ) -> Result<Option<SessionRefresh>, StoreError> {
        writing!(self, |transaction| {
            let sql = "INSERT INTO session_refreshes (hash, expires_at_us) VALUES ($1, $2)
                ON CONFLICT (hash) DO UPDATE SET session = NULL, expires_at_us = excluded.expires_at_us
                WHERE session_refreshes.expires_at_us <= $3 OR session_refreshes.expires_at_us > $4";
            let begun = sqlx::query(sql)
                .bind(&hash)
                .bind(expires_at_us)
                .bind(now_us)
                .bind(latest_expiry_us(now_us, expires_at_us))
                .execute(&mut *transaction);
            if begun.await?.rows_affected() > 0 {
                None
            } else {
                let sql = "SELECT session FROM session_refreshes WHERE hash = $1";
                let found: Option<Option<Vec<u8>>> =
                    sqlx::query_scalar(sql).bind(&hash).fetch_optional(&mut *transaction).await?;
                Some(SessionRefresh::of(found.flatten()))
            }
        })
    }

    /// The refresh by another process. `None`: it ended without a result or its claim has expired,
    /// so the refresh can be claimed.
    pub async fn session_refresh(
        &self,
        hash: Vec<u8>,
        now_us: i64,
        expires_at_us: i64,
    ) -> Result<Option<SessionRefresh>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT session FROM session_refreshes
                WHERE hash = $1 AND expires_at_us > $2 AND expires_at_us <= $3";
            let found: Option<Option<Vec<u8>>> = sqlx::query_scalar(sql)
                .bind(hash)
                .bind(now_us)
                .bind(latest_expiry_us(now_us, expires_at_us))
                .fetch_optional(&mut *connection)
                .await?;
            found.map(SessionRefresh::of)
        })
    }

    /// Ends the refresh that this process has claimed with this expiry; a later claim of another
    /// process stays. Without a session, any process may claim the refresh again.
    pub async fn end_session_refresh(
        &self,
        hash: Vec<u8>,
        expires_at_us: i64,
        session: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        writing!(self, |transaction| {
            let statement = match session {
                Some(session) => {
                    let sql = "UPDATE session_refreshes SET session = $3
                        WHERE hash = $1 AND expires_at_us = $2 AND session IS NULL";
                    sqlx::query(sql).bind(hash).bind(expires_at_us).bind(session)
                }
                None => {
                    let sql = "DELETE FROM session_refreshes
                        WHERE hash = $1 AND expires_at_us = $2 AND session IS NULL";
                    sqlx::query(sql).bind(hash).bind(expires_at_us)
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

impl SessionRefresh {
    fn of(session: Option<Vec<u8>>) -> Self {
        session.map_or(Self::Running, Self::Done)
    }
}

/// The latest plausible expiry. A claim that expires later was made before the clock was set back,
/// and does not count.
fn latest_expiry_us(now_us: i64, expires_at_us: i64) -> i64 {
    expires_at_us.saturating_add(expires_at_us.saturating_sub(now_us))
}
