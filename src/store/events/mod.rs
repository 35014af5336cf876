//! The tables `audit_events` and `audit_anchors`: appending, reading, purging and erasing. The
//! meaning of the hashes is known only to the caller.

mod insert;
mod query;
mod row;

use std::sync::Arc;

use uuid::Uuid;

use super::heads::{HEAD_MOVED, Head, move_head};
use super::macros::{reading, writing};
use super::{Engine, Store, StoreError};
use insert::append;
pub(super) use insert::{INSERT_INTO_SQLITE, InsertEvents};
pub use query::{EventFilter, EventOrder, EventPosition, EventQuery};
use row::{COLUMNS, SELECT};
pub use row::{Erasure, Event, Personal, StoredEvent, Text};

/// Events to append to a writer's chain.
#[derive(Debug)]
pub struct Batch {
    /// The events, in the order of their `seq`.
    pub events: Vec<StoredEvent>,
    /// The `seq` of the head that they follow.
    pub after: i64,
    /// The new head.
    pub head: Head,
}

/// Where a chain continues whose earlier events were purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The last event that was purged.
    pub through_seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// The id of the key that created `mac`.
    pub chain_key_id: String,
    /// Authenticates the anchor.
    pub mac: Vec<u8>,
}

impl Store {
    /// Appends events, and moves the head, in one transaction. Fails with
    /// [`StoreError::Conflict`] if the head is not at `batch.after`.
    pub async fn append_events(&self, writer: Uuid, batch: Arc<Batch>) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let append = async move {
            inner.prepare().await?;
            match &inner.engine {
                Engine::Sqlite(_, appender) => appender.append(writer, &batch).await,
                Engine::Postgres(connections) => {
                    let limit = inner.limit;
                    writing!(@on connections, limit, |connection| { append(connection, writer, &batch).await? })
                }
            }
        };
        let runtime = self.inner.appending.as_ref().unwrap_or(&self.inner.runtime);
        let limit = self.inner.limit;
        // twice: an append first waits for the writes before it
        let appended = tokio::time::timeout(2 * limit, runtime.run(append)).await;
        let is_appended = appended.unwrap_or(Err(StoreError::TimedOut(limit)))?;
        is_appended.then_some(()).ok_or(StoreError::Conflict(HEAD_MOVED))
    }

    /// The events that a query selects, in its order.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<StoredEvent>, StoreError> {
        reading!(self, |connection| {
            let (sql, values) = query.to_sql();
            let mut select = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for value in values {
                select = match value {
                    query::Value::Number(number) => select.bind(number),
                    query::Value::Text(text) => select.bind(text),
                    query::Value::Id(id) => select.bind(id),
                };
            }
            select.fetch_all(&mut *connection).await?
        })
    }

    /// The number of events; slow if there are many.
    pub async fn count_events(&self) -> Result<i64, StoreError> {
        reading!(self, |connection| {
            sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&mut *connection).await?
        })
    }

    /// A writer's events after `seq`, in the order of their `seq`.
    pub async fn chain(&self, writer: Uuid, after: i64, limit: i64) -> Result<Vec<StoredEvent>, StoreError> {
        reading!(self, |connection| {
            let sql = format!("{SELECT} WHERE writer = $1 AND seq > $2 ORDER BY seq LIMIT $3");
            let select = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(writer).bind(after).bind(limit);
            select.fetch_all(&mut *connection).await?
        })
    }

    /// The writers of events.
    pub async fn writers_of_events(&self) -> Result<Vec<Uuid>, StoreError> {
        // takes one step in the index for each writer
        let sql = "WITH RECURSIVE found(writer) AS (
                SELECT * FROM (SELECT writer FROM audit_events ORDER BY writer LIMIT 1) AS first
                UNION ALL
                SELECT (SELECT e.writer FROM audit_events e WHERE e.writer > found.writer ORDER BY e.writer LIMIT 1)
                FROM found WHERE found.writer IS NOT NULL
            ) SELECT writer FROM found WHERE writer IS NOT NULL";
        reading!(self, |connection| { sqlx::query_scalar(sql).fetch_all(&mut *connection).await? })
    }

    /// Where a writer's chain begins, if earlier events were purged.
    pub async fn anchor(&self, writer: Uuid) -> Result<Option<Anchor>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT through_seq, hash, chain_key_id, mac FROM audit_anchors WHERE writer = $1";
            let found: Option<(i64, Vec<u8>, String, Vec<u8>)> =
                sqlx::query_as(sql).bind(writer).fetch_optional(&mut *connection).await?;
            found.map(|(through_seq, hash, chain_key_id, mac)| Anchor {
                through_seq,
                hash,
                chain_key_id,
                mac,
            })
        })
    }

    /// Deletes at most `limit` events of a writer, from its first on, while they are older than
    /// `before_us`, and stores the anchor that `sign` creates from the last deleted `seq` and hash.
    /// Returns how many were deleted.
    pub async fn purge_events(
        &self,
        writer: Uuid,
        before_us: i64,
        limit: i64,
        sign: impl FnOnce(i64, Vec<u8>) -> Anchor + Send + 'static,
    ) -> Result<u64, StoreError> {
        writing!(self, |transaction| {
            let sql = "SELECT seq, at_us, hash FROM audit_events WHERE writer = $1 ORDER BY seq LIMIT $2";
            let oldest: Vec<(i64, i64, Vec<u8>)> =
                sqlx::query_as(sql).bind(writer).bind(limit).fetch_all(&mut *transaction).await?;
            let last = oldest.into_iter().take_while(|(_, at_us, _)| *at_us < before_us).last();
            match last {
                None => 0,
                Some((seq, _, hash)) => {
                    let anchor = sign(seq, hash);
                    // if two processes purge, the anchor with the larger `seq` is kept
                    let sql = "INSERT INTO audit_anchors (writer, through_seq, hash, chain_key_id, mac)
                        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (writer) DO UPDATE SET
                        through_seq = excluded.through_seq, hash = excluded.hash,
                        chain_key_id = excluded.chain_key_id, mac = excluded.mac
                        WHERE audit_anchors.through_seq < excluded.through_seq";
                    sqlx::query(sql)
                        .bind(writer)
                        .bind(anchor.through_seq)
                        .bind(anchor.hash)
                        .bind(anchor.chain_key_id)
                        .bind(anchor.mac)
                        .execute(&mut *transaction)
                        .await?;
                    let sql = "DELETE FROM audit_events WHERE writer = $1 AND seq <= $2";
                    sqlx::query(sql).bind(writer).bind(seq).execute(&mut *transaction).await?.rows_affected()
                }
            }
        })
    }

    /// Erases the personal data in at most `limit` events with this `subject`, and appends the
    /// batch that `record` creates from their number, in one transaction. Returns the number and
    /// the new head; `None` if there is no such event.
    pub async fn erase_events(
        &self,
        subject: String,
        limit: i64,
        erase: impl Fn(&StoredEvent) -> Erasure + Send + Sync + 'static,
        writer: Uuid,
        record: impl FnOnce(usize) -> Batch + Send + 'static,
    ) -> Result<Option<(usize, Head)>, StoreError> {
        writing!(self, |transaction| {
            let sql = format!("{SELECT} WHERE subject = $1 LIMIT $2");
            let select = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(subject).bind(limit);
            let found: Vec<StoredEvent> = select.fetch_all(&mut *transaction).await?;
            for stored in &found {
                let erasure = erase(stored);
                let sql = "UPDATE audit_events SET subject = NULL, peer = NULL, user_agent = NULL, salt = NULL,
                    erased_commitment = $1, erased_key_id = $2, erased_mac = $3 WHERE writer = $4 AND seq = $5";
                sqlx::query(sql)
                    .bind(erasure.commitment)
                    .bind(erasure.chain_key_id)
                    .bind(erasure.mac)
                    .bind(stored.writer)
                    .bind(stored.seq)
                    .execute(&mut *transaction)
                    .await?;
            }
            if found.is_empty() {
                None
            } else {
                let batch = record(found.len());
                move_head!(transaction, writer, batch.after, batch.head);
                transaction.insert_events(&batch.events).await?;
                Some((found.len(), batch.head))
            }
        })
    }

    /// Overwrites erased data in SQLite's log, which keeps older versions of pages. In PostgreSQL,
    /// vacuum does this.
    pub async fn overwrite_erased(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let work = async move {
            match &inner.engine {
                Engine::Sqlite(connections, _) => {
                    let mut writer = connections.writer.lock().await;
                    if let Some(connection) = writer.as_mut() {
                        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
                        sqlx::query(sql).execute(connection).await?;
                    }
                    Ok(())
                }
                Engine::Postgres(_) => Ok(()),
            }
        };
        self.inner.runtime.run(work).await
    }
}
