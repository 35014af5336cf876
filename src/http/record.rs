//! What is recorded of every response, in one place: the audit event, the
//! counters, and the fields of the root span.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::error::ParseError;
use actix_web::http::StatusCode;
use tracing::Span;
use uuid::Uuid;

use super::context::RequestContext;
use super::refused::RefusedRequest;
use super::{EntranceRuntime, Shared};
use crate::audit::{AuditEvent, Outcome};
use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::refusal::Refusal;
use crate::request::Peer;

/// What a handler did at an entrance, in the extensions of its response. A
/// response without it is counted as one outside of entrances.
pub(super) struct ServedRequest {
    pub runtime: Arc<EntranceRuntime>,
    pub action: Action,
}

/// What is audited. `subject` is the user, as audit events name users.
pub(super) enum Action {
    /// Nothing about a user.
    None,
    /// A user was reported to an API.
    Verified { subject: Option<String> },
    /// A user was handed off.
    HandedOff {
        jti: Uuid,
        url_bytes: usize,
        subject: Option<String>,
        fetch_dest: FetchDestination,
        /// What the embed policy objects to.
        embed_violation: Option<Refusal>,
    },
}

/// The label of requests outside of entrances.
const NO_ENTRANCE: &str = "none";

impl ServedRequest {
    /// Adds this to a response.
    pub fn attach_to(self, response: HttpResponse) -> HttpResponse {
        let mut response = response;
        response.extensions_mut().insert(self);
        response
    }
}

/// Records a response that is not a refusal.
pub(super) fn record_served(context: &RequestContext, response: &HttpResponse) {
    let metrics = &context.shared.metrics;
    let extensions = response.extensions();
    let Some(ServedRequest { runtime, action }) = extensions.get() else {
        return metrics.count_request(NO_ENTRANCE, response.status().as_u16());
    };
    match response.status() {
        StatusCode::TEMPORARY_REDIRECT => drop(runtime.metrics.redirects.inc()),
        status => metrics.count_request(&runtime.entrance.name, status.as_u16()),
    }
    match action {
        Action::None => {}
        Action::Verified { subject } => {
            let event = event(context, Some(runtime), Outcome::Verified);
            write(context, &AuditEvent { subject: subject.clone(), ..event });
        }
        Action::HandedOff { jti, url_bytes, subject, fetch_dest, embed_violation } => {
            write(
                context,
                &AuditEvent {
                    subject: subject.clone(),
                    fetch_dest: *fetch_dest,
                    embed_violation: embed_violation.as_ref().map(|violation| &*violation.cause),
                    ..event(context, Some(runtime), Outcome::HandedOff { jti: *jti })
                },
            );
            runtime.metrics.hand_offs.inc();
            if embed_violation.is_some() {
                runtime.metrics.embed_violations.inc();
            }
            #[expect(clippy::cast_precision_loss, reason = "a URL is short")]
            metrics.location_bytes.observe(*url_bytes as f64);
        }
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
