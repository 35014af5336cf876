//! Inserts many events by one statement: a statement costs more than its rows.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgConnection, SqliteConnection};

use super::{COLUMNS, StoredEvent, Text};

/// A connection that inserts events, by the quickest statement of its engine.
pub(in crate::store) trait InsertEvents {
    /// Inserts all of them.
    fn insert_events(
        &mut self,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Rows of one statement of SQLite, which is prepared anew for each number of rows.
const MAX_ROWS: usize = 64;

/// SQLite: a list of values.
impl InsertEvents for SqliteConnection {
    async fn insert_events(&mut self, events: &[StoredEvent]) -> Result<(), sqlx::Error> {
        for events in events.chunks(MAX_ROWS) {
            // ROLLBACK: the transaction is rolled back after any error, so that a statement
            // needs no journal of its own
            let mut sql = format!("INSERT OR ROLLBACK INTO audit_events ({}) VALUES ", COLUMNS.join(", "));
            for row in 0..events.len() {
                let separator = if row == 0 { "(" } else { ", (" };
                // writing to a String cannot fail
                let _ = write!(sql, "{separator}{})", ["?"; COLUMNS.len()].join(", "));
            }
            let mut insert = sqlx::query(AssertSqlSafe(sql));
            for StoredEvent { writer, seq, event, salt, hash, erasure: _ } in events {
                insert = insert
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
                    .bind(hash.as_slice());
            }
            insert.execute(&mut *self).await?;
        }
        Ok(())
    }
}

/// PostgreSQL: an array for each column, so that the statement is the same for any number
/// of rows.
impl InsertEvents for PgConnection {
    async fn insert_events(&mut self, events: &[StoredEvent]) -> Result<(), sqlx::Error> {
        const SQL: &str = "INSERT INTO audit_events (writer, seq, at_us, outcome, request_id, entrance, environment,
            account, reason, detail, jti, identity_kind, issuer, key_id, fetch_dest, embed_violation, link, took_us,
            data, subject, peer, user_agent, salt, hash)
            SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::uuid[], $12::text[], $13::text[], $14::text[],
            $15::text[], $16::text[], $17::text[], $18::bigint[], $19::text[], $20::text[], $21::text[],
            $22::text[], $23::bytea[], $24::bytea[])";
        let texts = |of: fn(&StoredEvent) -> &Option<Text>| -> Vec<Option<&str>> {
            events.iter().map(|stored| of(stored).as_deref()).collect()
        };
        sqlx::query(SQL)
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
            .execute(&mut *self)
            .await?;
        Ok(())
    }
}
