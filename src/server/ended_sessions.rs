//! Learns from the store which sessions other replicas have ended.

use std::time::Duration;

use actix_web::web;

use crate::clock::Timestamp;
use crate::http::Shared;
use crate::session::EndedKey;
use crate::store::{Store, StoreError};

/// A session that another replica has ended is valid here for so long at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// What ended so long before the last look is looked at again: clocks of replicas differ, and a
/// transaction may be committed later than its time says.
const OVERLAP: Duration = Duration::from_secs(30);

/// Everything is read again after so many looks.
const LOOKS_UNTIL_ALL: u32 = 60;

/// How long a start waits for the first look. Until there was one, sessions are refused.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads all that the store has, once, before requests are accepted. Where this fails, [`run`] goes on
/// trying, and says so.
pub(super) async fn read_before_start(shared: &Shared) {
    let (Some(store), Some(longest)) = (&shared.store, shared.snapshot().longest_session()) else { return };
    let _failed_or_late = tokio::time::timeout(FIRST_LOOK_TIMEOUT, read(shared, store, longest)).await;
}

/// Runs until aborted.
pub(super) async fn run(shared: web::Data<Shared>) {
    let Some(store) = shared.store.clone() else { return };
    let (mut looks, mut is_failing) = (0, false);
    loop {
        // a configuration without sessions may be replaced by one with them
        if let Some(longest) = shared.snapshot().longest_session() {
            let back = if looks % LOOKS_UNTIL_ALL == 0 { longest } else { OVERLAP + INTERVAL };
            match read(&shared, &store, back).await {
                Ok(()) => {
                    looks += 1;
                    is_failing = false;
                }
                Err(error) => {
                    if !is_failing {
                        tracing::error!(%error, "sessions that other replicas end stay valid here until the store answers");
                    }
                    // then everything is read
                    (looks, is_failing) = (0, true);
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Reads what ended in so long a time before now.
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
