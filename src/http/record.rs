//! What is recorded of every response, in one place: the audit event, the
//! counters, and the fields of the root span.

use std::sync::Arc;

use actix_web::error::ParseError;
use actix_web::http::StatusCode;
use tracing::Span;

use super::context::RequestContext;
use super::refused::RefusedRequest;
use super::served::ServedRequest;
use super::{EntranceRuntime, Shared};
use crate::audit::{AuditEvent, Outcome};
use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::request::Peer;

/// The label of requests outside of entrances.
const NO_ENTRANCE: &str = "none";

/// Records a response that is not a refusal.
pub(super) fn record_served(context: &RequestContext, status: StatusCode) {
    let metrics = &context.shared.metrics;
    let Some(served) = context.served.take() else {
        return metrics.count_request(NO_ENTRANCE, status.as_u16());
    };
    let ServedRequest { runtime, outcome, subject, fetch_dest, embed_violation, url_bytes } = served;
    if status == StatusCode::TEMPORARY_REDIRECT {
        runtime.metrics.redirects.inc();
    } else {
        metrics.count_request(&runtime.entrance.name, status.as_u16());
    }
    let Some(outcome) = outcome else { return };
    let event = event(context, Some(&runtime), outcome);
    let violation = embed_violation.as_ref().map(|violation| &*violation.cause);
    write(context, &AuditEvent { subject, fetch_dest, embed_violation: violation, ..event });
    if let Outcome::HandedOff { .. } = outcome {
        runtime.metrics.hand_offs.inc();
        #[expect(clippy::cast_precision_loss, reason = "a URL is short")]
        metrics.location_bytes.observe(url_bytes as f64);
    }
    if embed_violation.is_some() {
        runtime.metrics.embed_violations.inc();
    }
}

/// Records a refusal.
pub(super) fn record_refused(context: &RequestContext, refused: &RefusedRequest) {
    let RefusedRequest { refusal, runtime, subject, fetch_dest, .. } = refused;
    let event = event(context, runtime.as_ref(), Outcome::Refused(refusal));
    write(context, &AuditEvent { subject: subject.clone(), fetch_dest: *fetch_dest, ..event });
    let entrance = runtime.as_ref().map_or(NO_ENTRANCE, |runtime| &runtime.entrance.name);
    context.shared.metrics.count_refusal(entrance, refusal.reason);
    context.shared.metrics.count_request(entrance, refused.status().as_u16());
}

/// Records a request that actix-http refused before any handler: it responds with a
/// status line alone, and closes the connection.
pub fn record_unparsed(shared: &Shared, peer: Peer, error: &ParseError) {
    let status = match error {
        ParseError::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    shared.metrics.count_request(NO_ENTRANCE, status.as_u16());
    tracing::warn!(%peer, status = status.as_u16(), %error, "refused a request that cannot be parsed");
}

/// An event without what only some outcomes know.
fn event<'a>(
    context: &RequestContext,
    runtime: Option<&'a Arc<EntranceRuntime>>,
    outcome: Outcome<'a>,
) -> AuditEvent<'a> {
    AuditEvent {
        at: Timestamp::now(),
        request_id: context.request_id,
        entrance: runtime.map(|runtime| runtime.entrance.name.as_str()),
        environment: runtime.map(|runtime| runtime.entrance.environment),
        outcome,
        subject: None,
        peer: context.peer,
        fetch_dest: FetchDestination::Unknown,
        embed_violation: None,
        took_us: u64::try_from(context.stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

/// Writes the audit event, and fills in the root span.
fn write(context: &RequestContext, event: &AuditEvent<'_>) {
    let span = Span::current();
    if !span.is_disabled() {
        let (outcome, reason) = match event.outcome {
            Outcome::HandedOff { .. } => ("handed_off", ""),
            Outcome::Verified => ("verified", ""),
            Outcome::Refused(refusal) => ("refused", refusal.reason.code()),
        };
        span.record("entrance", event.entrance.unwrap_or_default());
        span.record("outcome", outcome);
        span.record("reason", reason);
    }
    context.shared.audit_log.write(event);
}
