//! Deletes old events, in small steps, so that other writes can take place between them.

use std::time::Duration;

use serde_json::json;

use super::chain::ChainKey;
use super::record::Operation;
use crate::clock::Timestamp;
use crate::store::events::Event;
use crate::store::{Store, StoreError};

/// The time between two runs.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The maximum number of events that one transaction deletes.
const STEP: i64 = 500;

/// The pause between two steps.
const PAUSE: Duration = Duration::from_millis(20);

/// Purges regularly, and records each run that deleted something.
pub(super) async fn run(store: Store, key: ChainKey, retention: Duration, record: impl Fn(Event) + Send) {
    loop {
        let now = Timestamp::now();
        match purge(&store, &key, now.earlier_by(retention)).await {
            Ok(0) => {}
            Ok(events) => {
                tracing::info!(events, "audit events were purged");
                record(Operation::Purged.event(now, &json!({ "events": events })));
            }
            Err(error) => {
                tracing::warn!(%error, "audit events cannot be purged; the next attempt is in an hour")
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Deletes the first events of each chain that are older than `before`, and stores an anchor where
/// the chain continues. Returns the number of deleted events. Events after one that is not older
/// are kept.
pub async fn purge(store: &Store, key: &ChainKey, before: Timestamp) -> Result<u64, StoreError> {
    let mut purged = 0;
    for writer in store.writers_of_events().await? {
        loop {
            let signer = key.clone();
            let sign = move |through_seq, hash| signer.anchor(writer, through_seq, hash);
            match store.purge_events(writer, before.unix_microseconds(), STEP, sign).await? {
                0 => break,
                deleted => purged += deleted,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(purged)
}
