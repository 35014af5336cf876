//! An audit event as a row.

use smol_str::SmolStr;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use uuid::Uuid;

/// A text. It is allocated only if it is longer than 23 bytes and no constant of the program: events
/// are created by one thread and dropped by another, where allocations cost most.
pub type Text = SmolStr;

/// The content of an event. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub at_us: i64,
    /// What happened: `handed_off`, `refused`, `started`, …
    pub outcome: Text,
    /// The request's id.
    pub request_id: Option<Uuid>,
    /// The entrance's name.
    pub entrance: Option<Text>,
    /// Pandium's environment.
    pub environment: Option<Text>,
    /// Pandium's account.
    pub account: Option<Text>,
    /// The reason of a refusal.
    pub reason: Option<Text>,
    /// The cause of a refusal.
    pub detail: Option<Text>,
    /// The id of the token.
    pub jti: Option<Uuid>,
    /// The kind of the authenticator.
    pub identity_kind: Option<Text>,
    /// The issuer of the credentials.
    pub issuer: Option<Text>,
    /// The id of the key that verified them.
    pub key_id: Option<Text>,
    /// What the response is for: a frame, a document, …
    pub fetch_dest: Option<Text>,
    /// Why the request violates the embed policy, if it was served nevertheless.
    pub embed_violation: Option<Text>,
    /// The link parameters.
    pub link: Option<Text>,
    /// The time to decide.
    pub took_us: Option<i64>,
    /// Fields that only some outcomes have, as a JSON object.
    pub data: Option<Text>,
    /// What identifies a person.
    pub personal: Personal,
}

/// The personal data of an event, which can be erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Personal {
    /// The subject, in the form that `audit.subject` selects.
    pub subject: Option<Text>,
    /// The peer of the connection.
    pub peer: Option<Text>,
    /// The user agent.
    pub user_agent: Option<Text>,
}

/// An event in a writer's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The writer.
    pub writer: Uuid,
    /// The position in its chain, from 1.
    pub seq: i64,
    /// The content.
    pub event: Event,
    /// Prevents that the personal part is guessed from its commitment; `None` after it was erased.
    pub salt: Option<Vec<u8>>,
    /// Covers the writer, `seq`, the content and the previous hash.
    pub hash: Vec<u8>,
    /// The record that replaces the personal part when it is erased.
    pub erasure: Option<Erasure>,
}

/// The record that replaces the personal part of an event when it is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// What `hash` covers in place of the personal part.
    pub commitment: Vec<u8>,
    /// The id of the key that created `mac`.
    pub chain_key_id: String,
    /// Authenticates the erasure.
    pub mac: Vec<u8>,
}

/// The columns of an insert, in order.
pub(super) const COLUMNS: [&str; 24] = [
    "writer",
    "seq",
    "at_us",
    "outcome",
    "request_id",
    "entrance",
    "environment",
    "account",
    "reason",
    "detail",
    "jti",
    "identity_kind",
    "issuer",
    "key_id",
    "fetch_dest",
    "embed_violation",
    "link",
    "took_us",
    "data",
    "subject",
    "peer",
    "user_agent",
    "salt",
    "hash",
];

/// Selects whole rows.
pub(super) const SELECT: &str = "SELECT * FROM audit_events";

impl<'r, R: Row> FromRow<'r, R> for StoredEvent
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let text = |column: &'static str| -> Result<Option<Text>, sqlx::Error> {
            Ok(row.try_get::<Option<&str>, _>(column)?.map(Text::new))
        };
        let commitment: Option<Vec<u8>> = row.try_get("erased_commitment")?;
        let chain_key_id: Option<String> = row.try_get("erased_key_id")?;
        let mac: Option<Vec<u8>> = row.try_get("erased_mac")?;
        let erasure = commitment.zip(chain_key_id).zip(mac);
        Ok(Self {
            writer: row.try_get("writer")?,
            seq: row.try_get("seq")?,
            event: Event {
                at_us: row.try_get("at_us")?,
                outcome: Text::new(row.try_get::<&str, _>("outcome")?),
                request_id: row.try_get("request_id")?,
                entrance: text("entrance")?,
                environment: text("environment")?,
                account: text("account")?,
                reason: text("reason")?,
                detail: text("detail")?,
                jti: row.try_get("jti")?,
                identity_kind: text("identity_kind")?,
                issuer: text("issuer")?,
                key_id: text("key_id")?,
                fetch_dest: text("fetch_dest")?,
                embed_violation: text("embed_violation")?,
                link: text("link")?,
                took_us: row.try_get("took_us")?,
                data: text("data")?,
                personal: Personal {
                    subject: text("subject")?,
                    peer: text("peer")?,
                    user_agent: text("user_agent")?,
                },
            },
            salt: row.try_get("salt")?,
            hash: row.try_get("hash")?,
            erasure: erasure.map(|((commitment, chain_key_id), mac)| Erasure {
                commitment,
                chain_key_id,
                mac,
            }),
        })
    }
}
