//! Keeps keys that issuers publish from growing old: looks once a second which
//! are due, and has them fetched beside the requests.

use std::time::Duration;

use actix_web::web;

use crate::clock::Timestamp;
use crate::http::Shared;

/// So often it is looked which keys are due.
const LOOKING: Duration = Duration::from_secs(1);

/// Looks for ever.
pub(super) async fn run(shared: web::Data<Shared>) {
    loop {
        refresh(&shared);
        tokio::time::sleep(LOOKING).await;
    }
}

/// Asks for the keys that are due, and does not wait.
fn refresh(shared: &Shared) {
    let now = Timestamp::now();
    for runtime in &shared.snapshot().entrances {
        runtime.entrance.identity.refresh_keys(now);
    }
}
