//! The heads of chains of events, in the table `audit_writers`.

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The `seq` of the last event.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// Authenticates the head.
    pub mac: Vec<u8>,
}

/// The conflict if the head of a chain is not the expected one.
pub(super) const HEAD_MOVED: &str = "the head of its audit chain was moved";

/// Moves the head of a chain, if it is the expected one.
pub(super) const MOVE_HEAD: &str = "UPDATE audit_writers SET head_seq = $1, head_hash = $2, head_mac = $3
    WHERE writer = $4 AND head_seq = $5";

/// Executes [`MOVE_HEAD`]; fails if the head is another.
macro_rules! move_head {
    ($transaction:ident, $writer:expr, $after:expr, $head:expr) => {{
        let moved = sqlx::query($crate::store::heads::MOVE_HEAD)
            .bind($head.seq)
            .bind($head.hash.as_slice())
            .bind($head.mac.as_slice())
            .bind($writer)
            .bind($after)
            .execute(&mut *$transaction)
            .await?;
        if moved.rows_affected() != 1 {
            return Err(StoreError::Conflict(HEAD_MOVED));
        }
    }};
}
pub(super) use move_head;
