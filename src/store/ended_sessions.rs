//! The table `ended_sessions`: the sessions that were ended before they expired, for all replicas.

use super::macros::{reading, writing};
use super::{Engine, Store, StoreError};

/// A session that has ended, or several of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// The hash that identifies it.
    pub hash: Vec<u8>,
    /// When, in microseconds since the Unix epoch.
    pub ended_at_us: i64,
}

impl Store {
    /// Adds ended sessions. `once` identifies something that may be used only once, such as a
    /// logout token, and says until when it is remembered. If it was used before, nothing is added,
    /// and the result is `false`.
    pub async fn end_sessions(
        &self,
        hashes: Vec<Vec<u8>>,
        once: Option<(Vec<u8>, i64)>,
        ended_at_us: i64,
        forget_at_us: i64,
    ) -> Result<bool, StoreError> {
        writing!(self, |transaction| {
            let mut is_first = true;
            if let Some((once, until_us)) = once {
                let sql = "INSERT INTO ended_sessions (hash, ended_at_us, forget_at_us) VALUES ($1, $2, $3)
                    ON CONFLICT (hash) DO NOTHING";
                let inserted =
                    sqlx::query(sql).bind(once).bind(ended_at_us).bind(until_us).execute(&mut *transaction);
                is_first = inserted.await?.rows_affected() > 0;
            }
            if is_first {
                for hash in hashes {
                    let sql =
                        "INSERT INTO ended_sessions (hash, ended_at_us, forget_at_us) VALUES ($1, $2, $3)
                        ON CONFLICT (hash) DO UPDATE
                        SET ended_at_us = excluded.ended_at_us, forget_at_us = excluded.forget_at_us
                        WHERE ended_sessions.ended_at_us < excluded.ended_at_us";
                    let added = sqlx::query(sql)
                        .bind(hash)
                        .bind(ended_at_us)
                        .bind(forget_at_us)
                        .execute(&mut *transaction);
                    added.await?;
                }
            }
            is_first
        })
    }

    /// The sessions that were ended after this time.
    pub async fn ended_sessions(&self, after_us: i64) -> Result<Vec<EndedSession>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT hash, ended_at_us FROM ended_sessions WHERE ended_at_us > $1";
            let rows: Vec<(Vec<u8>, i64)> =
                sqlx::query_as(sql).bind(after_us).fetch_all(&mut *connection).await?;
            rows.into_iter().map(|(hash, ended_at_us)| EndedSession { hash, ended_at_us }).collect()
        })
    }

    /// Deletes sessions that would have expired by now anyway. Returns their number.
    pub async fn purge_ended_sessions(&self, now_us: i64) -> Result<u64, StoreError> {
        writing!(self, |transaction| {
            let sql = "DELETE FROM ended_sessions WHERE forget_at_us <= $1";
            sqlx::query(sql).bind(now_us).execute(&mut *transaction).await?.rows_affected()
        })
    }
}
