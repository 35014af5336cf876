//! The table `tickets`. A ticket can be used for one hand-off, at any process that uses the store.

use super::macros::{reading, writing};
use super::{Engine, Store, StoreError};

/// A ticket that was just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTicket {
    /// The hash of the ticket.
    pub hash: Vec<u8>,
    /// The name of the entrance.
    pub entrance: String,
    /// The data for the hand-off, encrypted.
    pub data: Vec<u8>,
    /// When it was issued, in microseconds since the Unix epoch.
    pub created_at_us: i64,
    /// When it expires, in microseconds since the Unix epoch.
    pub expires_at_us: i64,
}

/// A ticket, before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTicket {
    /// The name of the entrance.
    pub entrance: String,
    /// Whether it was used before.
    pub is_used: bool,
    /// When it expires, in microseconds since the Unix epoch.
    pub expires_at_us: i64,
}

impl Store {
    /// Adds a ticket.
    pub async fn add_ticket(&self, ticket: NewTicket) -> Result<(), StoreError> {
        writing!(self, |transaction| {
            let sql = "INSERT INTO tickets (hash, entrance, data, created_at_us, expires_at_us)
                VALUES ($1, $2, $3, $4, $5)";
            sqlx::query(sql)
                .bind(ticket.hash)
                .bind(ticket.entrance)
                .bind(ticket.data)
                .bind(ticket.created_at_us)
                .bind(ticket.expires_at_us)
                .execute(&mut *transaction)
                .await?;
        })
    }

    /// Finds a ticket without using it.
    pub async fn find_ticket(&self, hash: Vec<u8>) -> Result<Option<FoundTicket>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT entrance, used_at_us, expires_at_us FROM tickets WHERE hash = $1";
            let found: Option<(String, Option<i64>, i64)> =
                sqlx::query_as(sql).bind(hash).fetch_optional(&mut *connection).await?;
            found.map(|(entrance, used_at_us, expires_at_us)| FoundTicket {
                entrance,
                is_used: used_at_us.is_some(),
                expires_at_us,
            })
        })
    }

    /// Uses a ticket, and deletes its data, which it returns; `None` if it was used before, has
    /// expired, or does not exist. Exactly one of several concurrent calls gets the data.
    pub async fn use_ticket(&self, hash: Vec<u8>, now_us: i64) -> Result<Option<Vec<u8>>, StoreError> {
        writing!(self, |transaction| {
            // RETURNING returns the new values, so the data is deleted by a second statement; until
            // then the row is locked
            let sql = "UPDATE tickets SET used_at_us = $1
                WHERE hash = $2 AND used_at_us IS NULL AND expires_at_us > $1 RETURNING data";
            let data: Option<Option<Vec<u8>>> =
                sqlx::query_scalar(sql).bind(now_us).bind(&hash).fetch_optional(&mut *transaction).await?;
            if data.is_some() {
                let sql = "UPDATE tickets SET data = NULL WHERE hash = $1";
                sqlx::query(sql).bind(&hash).execute(&mut *transaction).await?;
            }
            data.flatten()
        })
    }

    /// Deletes the data of tickets that expired before `now_us`, and the whole rows of those that
    /// expired before `forget_us`. Returns the number of deleted rows.
    pub async fn purge_tickets(&self, now_us: i64, forget_us: i64) -> Result<u64, StoreError> {
        writing!(self, |transaction| {
            let sql = "UPDATE tickets SET data = NULL WHERE expires_at_us <= $1 AND data IS NOT NULL";
            sqlx::query(sql).bind(now_us).execute(&mut *transaction).await?;
            let sql = "DELETE FROM tickets WHERE expires_at_us <= $1";
            sqlx::query(sql).bind(forget_us).execute(&mut *transaction).await?.rows_affected()
        })
    }
}
