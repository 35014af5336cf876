//! Refreshes issuers' published keys in the background, before they expire.

use std::time::Duration;

use actix_web::web;

use crate::clock::Timestamp;
use crate::http::Shared;

/// How often to check which keys are due for a refresh.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until aborted.
pub(super) async fn run(shared: web::Data<Shared>) {
    loop {
        start_due_refreshes(&shared);
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// Starts fetching the keys that are due, without waiting for them.
fn start_due_refreshes(shared: &Shared) {
    let now = Timestamp::now();
    for runtime in &shared.snapshot().entrances {
        runtime.entrance.authenticator.refresh_keys(now);
    }
}
