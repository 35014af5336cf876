//! Inserts many events by one statement: a statement costs more than its rows. A batch of a few
//! events is appended by one call, since each waits for another thread or process.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::error::ErrorKind;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::{Batch, COLUMNS, Event, StoredEvent, Text};

/// A connection that inserts events, by the quickest statement of its engine.
pub(in crate::store) trait InsertEvents {
    /// Inserts all of them.
    fn insert_events(
        &mut self,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Moves the head of a chain and inserts its next events, at least one and at most
    /// [`MAX_ROWS`], in a transaction of their own. `false`: the head was elsewhere, and nothing
    /// is changed.
    fn append(
        &mut self,
        writer: Uuid,
        batch: &Batch,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}

/// Rows of one statement of SQLite, which is prepared anew for each number of rows.
pub(in crate::store) const MAX_ROWS: usize = 64;

/// SQLite: a list of values.
impl InsertEvents for SqliteConnection {
    async fn insert_events(&mut self, events: &[StoredEvent]) -> Result<(), sqlx::Error> {
        for events in events.chunks(MAX_ROWS) {
            let insert = sqlx::query(AssertSqlSafe(insert_into_sqlite("?", events.len())));
            bind_rows(insert, events).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn append(&mut self, writer: Uuid, batch: &Batch) -> Result<bool, sqlx::Error> {
        // Where the head is elsewhere, the first writer is null, which no row may have. With a function,
        // as `changes()`, in place of the subquery, SQLite would write a journal of the statement.
        let writer_at_head = "(SELECT writer FROM audit_writers WHERE head_seq = ? AND writer = ?)";
        let insert = insert_into_sqlite(writer_at_head, batch.events.len());
        let sql = format!(
            "BEGIN IMMEDIATE;
            {insert};
            UPDATE audit_writers SET head_seq = ?, head_hash = ?, head_mac = ? WHERE writer = ?;
            COMMIT"
        );
        let append = bind_rows(sqlx::query(AssertSqlSafe(sql)).bind(batch.after), &batch.events)
            .bind(batch.head.seq)
            .bind(batch.head.hash.as_slice())
            .bind(batch.head.mac.as_slice())
            .bind(writer);
        match append.execute(&mut *self).await {
            Ok(_) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::NotNullViolation => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The statement that inserts this number of rows, with an expression for the first row's writer.
fn insert_into_sqlite(first_writer: &str, rows: usize) -> String {
    // ROLLBACK: the transaction is rolled back after any error, so that a statement needs no
    // journal of its own
    let mut sql = format!("INSERT OR ROLLBACK INTO audit_events ({}) VALUES ", COLUMNS.join(", "));
    let others = ", ?".repeat(COLUMNS.len() - 1);
    for row in 0..rows {
        let (separator, writer) = if row == 0 { ("", first_writer) } else { (", ", "?") };
        // writing to a String cannot fail
        let _ = write!(sql, "{separator}({writer}{others})");
    }
    sql
}

fn bind_rows<'q>(
    mut insert: Query<'q, Sqlite, SqliteArguments>,
    events: &'q [StoredEvent],
) -> Query<'q, Sqlite, SqliteArguments> {
    let mut texts = <[Option<Arc<str>>; 10]>::default();
    for StoredEvent { writer, seq, event, salt, hash, erasure: _ } in events {
        share_texts(&mut texts, event);
        let [outcome, entrance, environment, account, reason, detail, kind, issuer, key_id, fetch_dest] =
            texts.clone();
        insert = insert
            .bind(writer)
            .bind(seq)
            .bind(event.at_us)
            .bind(outcome)
            .bind(event.request_id)
            .bind(entrance)
            .bind(environment)
            .bind(account)
            .bind(reason)
            .bind(detail)
            .bind(event.jti)
            .bind(kind)
            .bind(issuer)
            .bind(key_id)
            .bind(fetch_dest)
            .bind(event.embed_violation.as_deref())
            .bind(event.link.as_deref())
            .bind(event.took_us)
            .bind(event.data.as_deref())
            .bind(event.personal.subject.as_deref())
            .bind(event.personal.peer.as_deref())
            .bind(event.personal.user_agent.as_deref())
            .bind(salt.as_deref())
            .bind(hash.as_slice());
    }
    insert
}

/// Replaces the texts of the row before by those of an event: those that most rows repeat. To share
/// one copy costs less than another, which the thread of SQLite would free.
fn share_texts(texts: &mut [Option<Arc<str>>; 10], event: &Event) {
    let of_event = [
        Some(&*event.outcome),
        event.entrance.as_deref(),
        event.environment.as_deref(),
        event.account.as_deref(),
        event.reason.as_deref(),
        event.detail.as_deref(),
        event.identity_kind.as_deref(),
        event.issuer.as_deref(),
        event.key_id.as_deref(),
        event.fetch_dest.as_deref(),
    ];
    for (text, of_event) in texts.iter_mut().zip(of_event) {
        if text.as_deref() != of_event {
            *text = of_event.map(Arc::from);
        }
    }
}

/// The columns of PostgreSQL's rows, and their values.
macro_rules! insert_into_postgres {
    ($with:literal, $from:literal) => {
        concat!(
            $with,
            "INSERT INTO audit_events (writer, seq, at_us, outcome, request_id, entrance, environment,
            account, reason, detail, jti, identity_kind, issuer, key_id, fetch_dest, embed_violation, link, took_us,
            data, subject, peer, user_agent, salt, hash) SELECT rows.* FROM ",
            $from,
            "UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::uuid[], $12::text[], $13::text[], $14::text[],
            $15::text[], $16::text[], $17::text[], $18::bigint[], $19::text[], $20::text[], $21::text[],
            $22::text[], $23::bytea[], $24::bytea[]) AS rows"
        )
    };
}

/// PostgreSQL: an array for each column, so that the statement is the same for any number
/// of rows.
impl InsertEvents for PgConnection {
    async fn insert_events(&mut self, events: &[StoredEvent]) -> Result<(), sqlx::Error> {
        let insert = sqlx::query(insert_into_postgres!("", ""));
        bind_columns(insert, events).execute(&mut *self).await?;
        Ok(())
    }

    async fn append(&mut self, writer: Uuid, batch: &Batch) -> Result<bool, sqlx::Error> {
        let append = sqlx::query(insert_into_postgres!(
            "WITH moved AS (UPDATE audit_writers SET head_seq = $25, head_hash = $26, head_mac = $27
            WHERE writer = $28 AND head_seq = $29 RETURNING 1) ",
            "moved, "
        ));
        let appended = bind_columns(append, &batch.events)
            .bind(batch.head.seq)
            .bind(batch.head.hash.as_slice())
            .bind(batch.head.mac.as_slice())
            .bind(writer)
            .bind(batch.after)
            .execute(&mut *self)
            .await?;
        Ok(appended.rows_affected() > 0)
    }
}

fn bind_columns<'q>(
    insert: Query<'q, Postgres, PgArguments>,
    events: &'q [StoredEvent],
) -> Query<'q, Postgres, PgArguments> {
    let texts = |of: fn(&StoredEvent) -> &Option<Text>| -> Vec<Option<&str>> {
        events.iter().map(|stored| of(stored).as_deref()).collect()
    };
    insert
        .bind(events.iter().map(|stored| stored.writer).collect::<Vec<_>>())
        .bind(events.iter().map(|stored| stored.seq).collect::<Vec<_>>())
        .bind(events.iter().map(|stored| stored.event.at_us).collect::<Vec<_>>())
        .bind(events.iter().map(|stored| &*stored.event.outcome).collect::<Vec<_>>())
        .bind(events.iter().map(|stored| stored.event.request_id).collect::<Vec<_>>())
        .bind(texts(|stored| &stored.event.entrance))
        .bind(texts(|stored| &stored.event.environment))
        .bind(texts(|stored| &stored.event.account))
        .bind(texts(|stored| &stored.event.reason))
        .bind(texts(|stored| &stored.event.detail))
        .bind(events.iter().map(|stored| stored.event.jti).collect::<Vec<_>>())
        .bind(texts(|stored| &stored.event.identity_kind))
        .bind(texts(|stored| &stored.event.issuer))
        .bind(texts(|stored| &stored.event.key_id))
        .bind(texts(|stored| &stored.event.fetch_dest))
        .bind(texts(|stored| &stored.event.embed_violation))
        .bind(texts(|stored| &stored.event.link))
        .bind(events.iter().map(|stored| stored.event.took_us).collect::<Vec<_>>())
        .bind(texts(|stored| &stored.event.data))
        .bind(texts(|stored| &stored.event.personal.subject))
        .bind(texts(|stored| &stored.event.personal.peer))
        .bind(texts(|stored| &stored.event.personal.user_agent))
        .bind(events.iter().map(|stored| stored.salt.as_deref()).collect::<Vec<_>>())
        .bind(events.iter().map(|stored| stored.hash.as_slice()).collect::<Vec<_>>())
}
