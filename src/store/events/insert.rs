//! Inserts events: in PostgreSQL many with one statement, because each statement waits for the
//! server; in SQLite one by one. The audit events of requests are inserted into SQLite by
//! `store::appender`.

use std::sync::LazyLock;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, SqliteConnection};
use uuid::Uuid;

use super::{Batch, COLUMNS, StoredEvent, Text};
use crate::store::heads::MOVE_HEAD;

/// A connection that inserts events.
pub(in crate::store) trait InsertEvents {
    /// Inserts all events.
    fn insert_events(
        &mut self,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// The statement that inserts an event into SQLite.
pub(in crate::store) static INSERT_INTO_SQLITE: LazyLock<String> = LazyLock::new(|| {
    let values = ["?"; COLUMNS.len()].join(", ");
    format!("INSERT INTO audit_events ({}) VALUES ({values})", COLUMNS.join(", "))
});

impl InsertEvents for SqliteConnection {
    async fn insert_events(&mut self, events: &[StoredEvent]) -> Result<(), sqlx::Error> {
        for StoredEvent { writer, seq, event, salt, hash, erasure: _ } in events {
            sqlx::query(AssertSqlSafe(INSERT_INTO_SQLITE.as_str()))
                .bind(writer)
                .bind(seq)
                .bind(event.at_us)
                .bind(&*event.outcome)
                .bind(event.request_id)
                .bind(event.entrance.as_deref())
                .bind(event.environment.as_deref())
                .bind(event.account.as_deref())
                .bind(event.reason.as_deref())
                .bind(event.detail.as_deref())
                .bind(event.jti)
                .bind(event.identity_kind.as_deref())
                .bind(event.issuer.as_deref())
                .bind(event.key_id.as_deref())
                .bind(event.fetch_dest.as_deref())
                .bind(event.embed_violation.as_deref())
                .bind(event.link.as_deref())
                .bind(event.took_us)
                .bind(event.data.as_deref())
                .bind(event.personal.subject.as_deref())
                .bind(event.personal.peer.as_deref())
                .bind(event.personal.user_agent.as_deref())
                .bind(salt.as_deref())
                .bind(hash.as_slice())
                .execute(&mut *self)
                .await?;
        }
        Ok(())
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
}

/// Moves the head of a chain in PostgreSQL and inserts its next events, with one statement.
/// `false`: the head is not at `batch.after`, and nothing was changed.
pub(super) async fn append(
    connection: &mut PgConnection,
    writer: Uuid,
    batch: &Batch,
) -> Result<bool, sqlx::Error> {
    let Batch { events, after, head } = batch;
    let append = if events.is_empty() {
        sqlx::query(MOVE_HEAD)
    } else {
        let append = sqlx::query(insert_into_postgres!(
            "WITH moved AS (UPDATE audit_writers SET head_seq = $25, head_hash = $26, head_mac = $27
            WHERE writer = $28 AND head_seq = $29 RETURNING 1) ",
            "moved, "
        ));
        bind_columns(append, events)
    };
    let append = append.bind(head.seq).bind(head.hash.as_slice()).bind(head.mac.as_slice());
    let appended = append.bind(writer).bind(after).execute(connection).await?;
    Ok(appended.rows_affected() > 0)
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
