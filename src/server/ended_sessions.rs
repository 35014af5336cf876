//! Reads from the store which sessions other replicas have ended.

use std::time::Duration;

use actix_web::web;

use crate::clock::Timestamp;
use crate::http::Shared;
use crate::session::EndedKey;
use crate::store::{Store, StoreError};

/// The time between two reads: a session that another replica has ended stays valid at this one for
/// at most this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// Each read begins this long before the last one: clocks of replicas differ, and a transaction may
/// be committed later than the time in its rows.
const OVERLAP: Duration = Duration::from_secs(30);

/// After this number of reads, everything is read again.
const LOOKS_UNTIL_ALL: u32 = 60;

/// How long the start waits for the first read. Sessions are refused until it has succeeded.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads all ended sessions once, before requests are accepted. If this fails, [`run`] tries again
/// and logs the failure.
pub(super) async fn read_before_start(shared: &Shared) {
    let (Some(store), Some(longest)) = (&shared.store, shared.snapshot().longest_session()) else { return };
    let _failed_or_late = tokio::time::timeout(FIRST_LOOK_TIMEOUT, read(shared, store, longest)).await;
}

/// Runs until aborted.
pub(super) async fn run(shared: web::Data<Shared>) {
    let Some(store) = shared.store.clone() else { return };
    let (mut looks, mut is_failing) = (0, false);
    loop {
        // checked each time, because a reload may add sessions to the configuration
        if let Some(longest) = shared.snapshot().longest_session() {
            let back = if looks % LOOKS_UNTIL_ALL == 0 { longest } else { OVERLAP + INTERVAL };
            match read(&shared, &store, back).await {
                Ok(()) => {
                    looks += 1;
                    is_failing = false;
                }
                Err(error) => {
                    if !is_failing {
                        tracing::error!(%error, "sessions that other replicas end stay valid at this one until the store responds");
                    }
                    // read everything when the store responds again
                    (looks, is_failing) = (0, true);
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Reads the sessions that ended within `back` before now.
async fn read(shared: &Shared, store: &Store, back: Duration) -> Result<(), StoreError> {
    let rows = store.ended_sessions(Timestamp::now().earlier_by(back).unix_microseconds()).await?;
    let ended = rows.iter().filter_map(|row| {
        let at = Timestamp::from_unix_microseconds(row.ended_at_us);
        Some((EndedKey::from_bytes(&row.hash)?, at))
    });
    shared.ended_sessions.add(ended);
    shared.ended_sessions.set_read();
    Ok(())
}
