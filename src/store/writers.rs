//! The table `audit_writers`: the processes that write audit events, and the heads of their
//! chains.

use uuid::Uuid;

use super::events::InsertEvents;
use super::heads::Head;
use super::macros::{reading, writing};
use super::{Batch, Engine, Store, StoreError};

/// A process that writes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its id.
    pub writer: Uuid,
    /// The name of its host.
    pub host: String,
    /// The version of the encoding that its hashes cover.
    pub version: i64,
    /// The id of the key that created its hashes.
    pub chain_key_id: String,
    /// When it started, in microseconds since the Unix epoch.
    pub started_at_us: i64,
}

/// The head of another writer's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The writer.
    pub writer: Uuid,
    /// The `seq` of its last event.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// The maximum number of heads in one event. The heads of ended processes are recorded only once,
/// so there are rarely more than this; the next writer records the rest.
const MAX_WITNESSED: i64 = 500;

impl Store {
    /// Adds a writer with its first events, which `first` creates from the heads of other writers
    /// that no event contains yet. Returns the writer's head.
    pub async fn add_writer(
        &self,
        writer: Writer,
        first: impl FnOnce(Vec<Witnessed>) -> Batch + Send + 'static,
    ) -> Result<Head, StoreError> {
        writing!(self, |transaction| {
            let sql = "SELECT writer, head_seq, head_hash FROM audit_writers
                WHERE head_seq <> witnessed_seq ORDER BY writer LIMIT $1";
            let heads: Vec<(Uuid, i64, Vec<u8>)> =
                sqlx::query_as(sql).bind(MAX_WITNESSED).fetch_all(&mut *transaction).await?;
            for (other, seq, _) in &heads {
                let sql =
                    "UPDATE audit_writers SET witnessed_seq = $1 WHERE writer = $2 AND witnessed_seq < $1";
                sqlx::query(sql).bind(seq).bind(other).execute(&mut *transaction).await?;
            }
            let heads = heads.into_iter().map(|(writer, seq, hash)| Witnessed { writer, seq, hash });
            let batch = first(heads.collect());
            let sql = "INSERT INTO audit_writers (writer, host, version, chain_key_id, started_at_us,
                head_seq, head_hash, head_mac, witnessed_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)";
            sqlx::query(sql)
                .bind(writer.writer)
                .bind(writer.host)
                .bind(writer.version)
                .bind(writer.chain_key_id)
                .bind(writer.started_at_us)
                .bind(batch.head.seq)
                .bind(batch.head.hash.as_slice())
                .bind(batch.head.mac.as_slice())
                .execute(&mut *transaction)
                .await?;
            transaction.insert_events(&batch.events).await?;
            batch.head
        })
    }

    /// All writers, in the order of their ids.
    pub async fn writers(&self) -> Result<Vec<Writer>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT writer, host, version, chain_key_id, started_at_us FROM audit_writers ORDER BY writer";
            let rows: Vec<(Uuid, String, i64, String, i64)> =
                sqlx::query_as(sql).fetch_all(&mut *connection).await?;
            let writer = |(writer, host, version, chain_key_id, started_at_us)| Writer {
                writer,
                host,
                version,
                chain_key_id,
                started_at_us,
            };
            rows.into_iter().map(writer).collect()
        })
    }

    /// The head of a writer's chain.
    pub async fn head(&self, writer: Uuid) -> Result<Option<Head>, StoreError> {
        reading!(self, |connection| {
            let sql = "SELECT head_seq, head_hash, head_mac FROM audit_writers WHERE writer = $1";
            let found: Option<(i64, Vec<u8>, Vec<u8>)> =
                sqlx::query_as(sql).bind(writer).fetch_optional(&mut *connection).await?;
            found.map(|(seq, hash, mac)| Head { seq, hash, mac })
        })
    }
}
