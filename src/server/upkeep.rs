//! Regularly deletes expired data: in the store tickets, ended sessions, refreshes of sessions,
//! received webhooks and removed extension instances; in memory counts of limits.

use std::time::Duration;

use actix_web::web;

use crate::authn::mittwald::settings::WEBHOOKS_KNOWN_FOR;
use crate::clock::Timestamp;
use crate::http::Shared;

/// The time between two runs: limits count by the minute, and a ticket is valid for a minute.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long expired tickets are kept, so that a refusal can name the cause.
const TICKETS_KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// How much longer than sessions can last ended sessions are kept, in case a clock is set back.
const CLOCK_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs until aborted.
pub(super) async fn run(shared: web::Data<Shared>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        shared.snapshot().limits.forget_old();
        let now = Timestamp::now();
        if let Some(longest) = shared.snapshot().longest_session() {
            shared.ended_sessions.forget_before(now.earlier_by(longest + CLOCK_MARGIN));
        }
        let Some(store) = &shared.store else { continue };
        let forget = now.earlier_by(TICKETS_KNOWN_FOR);
        if let Err(error) = store.purge_tickets(now.unix_microseconds(), forget.unix_microseconds()).await {
            tracing::warn!(%error, "expired tickets cannot be deleted; the next attempt is in a minute");
        }
        let forget = now.earlier_by(CLOCK_MARGIN);
        if let Err(error) = store.purge_ended_sessions(forget.unix_microseconds()).await {
            tracing::warn!(%error, "ended sessions cannot be deleted; the next attempt is in a minute");
        }
        if let Err(error) = store.purge_session_refreshes(now.unix_microseconds()).await {
            tracing::warn!(%error, "old refreshes of sessions cannot be deleted; the next attempt is in a minute");
        }
        let forget = now.earlier_by(WEBHOOKS_KNOWN_FOR);
        if let Err(error) = store.purge_instances(forget.unix_microseconds()).await {
            tracing::warn!(%error, "old webhooks cannot be deleted; the next attempt is in a minute");
        }
    }
}
