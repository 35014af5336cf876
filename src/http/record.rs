//! Records every response, in one place: the audit event, the counters, and the fields of the root
//! span.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::ParseError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use tracing::Span;

use super::context::RequestContext;
use super::refused::RefusedRequest;
use super::served::ServedRequest;
use super::{EntranceRuntime, Shared};
use crate::audit::{AuditEvent, AuditUnavailable, Outcome, RecordDetails};
use crate::refusal::{Reason, Refusal};
use crate::request::Peer;
use crate::sign_on::EventDetails;

/// The label of requests outside of entrances.
const NO_ENTRANCE: &str = "none";

/// The time limit for storing the event of a refusal if the cause of the refusal is that the store
/// does not respond.
pub(super) const FAILING_STORE_LIMIT: Duration = Duration::from_secs(1);

/// Records a response that is not a refusal. After an error the response must not
/// be sent.
pub(super) async fn record_served(
    context: &RequestContext,
    request: &HttpRequest,
    status: StatusCode,
) -> Result<(), RefusedRequest> {
    let metrics = &context.shared.metrics;
    let Some(served) = context.served.take() else {
        metrics.count_request(NO_ENTRANCE, status.as_u16());
        return Ok(());
    };
    let ServedRequest { runtime, outcome, details, url_bytes } = served;
    if let Some(outcome) = outcome {
        let recorded = record(context, request, Some(&runtime), outcome, &details).await;
        if recorded.is_err() {
            let cause = "the audit event cannot be stored; see store.url and the log";
            let refused = RefusedRequest::at(&runtime, Reason::AuditUnavailable.because(cause));
            return Err(RefusedRequest { details, ..refused });
        }
        if let Outcome::HandedOff { .. } = outcome {
            runtime.metrics.hand_offs.inc();
            #[expect(clippy::cast_precision_loss, reason = "a URL is short")]
            metrics.location_bytes.observe(url_bytes as f64);
        }
        if details.embed_violation.is_some() {
            runtime.metrics.embed_violations.inc();
        }
    }
    if status == StatusCode::TEMPORARY_REDIRECT {
        runtime.metrics.redirects.inc();
    } else {
        metrics.count_request(&runtime.entrance.name, status.as_u16());
    }
    Ok(())
}

/// Records a refusal. If its event cannot be stored, and requests are refused in this case, the
/// event is only logged, with the reason `audit_unavailable`.
pub(super) async fn record_refused(
    context: &RequestContext,
    request: &HttpRequest,
    mut refused: RefusedRequest,
) -> RefusedRequest {
    let code = refused.refusal.reason.code();
    if refused.refusal.reason != Reason::AuditUnavailable {
        let outcome = Outcome::Refused(&refused.refusal);
        let recorded = record(context, request, refused.runtime.as_ref(), outcome, &refused.details);
        let is_recorded = if refused.refusal.reason == Reason::StoreUnavailable {
            matches!(tokio::time::timeout(FAILING_STORE_LIMIT, recorded).await, Ok(Ok(())))
        } else {
            recorded.await.is_ok()
        };
        if !is_recorded {
            let cause = format!("the audit event of a refusal ({code}) cannot be stored");
            refused.replace(Reason::AuditUnavailable.because(cause));
        }
    }
    if refused.refusal.reason == Reason::AuditUnavailable {
        let outcome = Outcome::Refused(&refused.refusal);
        context.shared.audit.log(&event(context, refused.runtime.as_ref(), outcome, &refused.details));
    }
    let entrance = refused.runtime.as_ref().map_or(NO_ENTRANCE, |runtime| &runtime.entrance.name);
    context.shared.metrics.count_refusal(entrance, refused.refusal.reason);
    context.shared.metrics.count_request(entrance, refused.status().as_u16());
    refused
}

/// Records what a handler outside of entrances did. After an error the response must not be sent.
pub(super) async fn record_outcome(
    context: &RequestContext,
    request: &HttpRequest,
    outcome: Outcome<'_>,
    details: &EventDetails,
) -> Result<(), Refusal> {
    let recorded = record(context, request, None, outcome, details).await;
    let cause = "the audit event cannot be stored; see store.url and the log";
    recorded.map_err(|_| Reason::AuditUnavailable.because(cause))
}

/// Records a request that actix-http refused before any handler: it responds only with a status
/// line, and closes the connection.
pub fn record_unparsed(shared: &Shared, peer: Peer, error: &ParseError) {
    let status = match error {
        ParseError::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    shared.metrics.count_request(NO_ENTRANCE, status.as_u16());
    tracing::warn!(%peer, status = status.as_u16(), %error, "refused a request that cannot be parsed");
}

/// Logs and stores the audit event, and fills in the root span.
async fn record(
    context: &RequestContext,
    request: &HttpRequest,
    runtime: Option<&Arc<EntranceRuntime>>,
    outcome: Outcome<'_>,
    details: &EventDetails,
) -> Result<(), AuditUnavailable> {
    let event = event(context, runtime, outcome, details);
    fill_span(&event);
    if !context.shared.audit.stores() {
        context.shared.audit.log(&event);
        return Ok(());
    }
    // boxed, so that the future of a request is smaller if events are not stored
    Box::pin(store(context, request, runtime, event, details)).await
}

/// Logs and stores the audit event.
async fn store(
    context: &RequestContext,
    request: &HttpRequest,
    runtime: Option<&Arc<EntranceRuntime>>,
    event: AuditEvent<'_>,
    details: &EventDetails,
) -> Result<(), AuditUnavailable> {
    let entrance = runtime.map(|runtime| &runtime.entrance);
    let link = match event.outcome {
        Outcome::Refused(_) => details.link.clone().without_texts().to_text(),
        Outcome::HandedOff { .. }
        | Outcome::LinkCreated
        | Outcome::Verified
        | Outcome::SignedIn
        | Outcome::SignedOut
        | Outcome::SessionsEnded
        | Outcome::Instance(_) => details.link.to_text(),
    };
    let stored = RecordDetails {
        subject: details.subject.recorded.as_deref(),
        account: entrance.map(|entrance| entrance.marketplace.account().as_str()),
        identity_kind: match &details.api_token {
            Some(_) => Some("api"),
            None => entrance.map(|entrance| entrance.authenticator.kind()),
        },
        issuer: details.credentials.issuer.as_deref(),
        key_id: details.credentials.key_id.as_deref(),
        user_agent: request.headers().get(header::USER_AGENT).map(HeaderValue::as_bytes),
        link: Some(&link),
    };
    context.shared.audit.record(&event, &stored).await
}

fn event<'a>(
    context: &RequestContext,
    runtime: Option<&'a Arc<EntranceRuntime>>,
    outcome: Outcome<'a>,
    details: &'a EventDetails,
) -> AuditEvent<'a> {
    let took = context.stopwatch.elapsed();
    AuditEvent {
        at: context.received.later_by(took),
        request_id: context.request_id,
        entrance: runtime.map(|runtime| runtime.entrance.name.as_str()),
        environment: runtime.map(|runtime| runtime.entrance.environment),
        outcome,
        subject: details.subject.logged.as_deref(),
        peer: context.peer,
        fetch_dest: details.fetch_dest,
        api_token: details.api_token.as_deref(),
        instance_id: details.instance_id,
        embed_violation: details.embed_violation.as_ref().map(|violation| &*violation.cause),
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    }
}

fn fill_span(event: &AuditEvent<'_>) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let (outcome, reason) = match event.outcome {
        Outcome::HandedOff { .. } => ("handed_off", ""),
        Outcome::LinkCreated => ("link_created", ""),
        Outcome::Verified => ("verified", ""),
        Outcome::SignedIn => ("signed_in", ""),
        Outcome::SignedOut => ("signed_out", ""),
        Outcome::SessionsEnded => ("sessions_ended", ""),
        Outcome::Instance(event) => (event.code(), ""),
        Outcome::Refused(refusal) => ("refused", refusal.reason.code()),
    };
    span.record("entrance", event.entrance.unwrap_or_default());
    span.record("outcome", outcome);
    span.record("reason", reason);
}
