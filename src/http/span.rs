//! The root span of a request: its path and outcome, never its query, which
//! carries tokens.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::redeem::TICKET_PATH;

/// The target of root spans. They are created only at `log.level` debug and
/// trace, since the audit event has the same fields.
pub const TARGET: &str = "marketplace_sso::request";

/// Creates root spans.
pub struct RootSpan;

/// The path, in which a ticket is replaced, because it is a credential.
fn loggable(path: &str) -> &str {
    if path.starts_with(TICKET_PATH) { TICKET_PATH } else { path }
}

impl RootSpanBuilder for RootSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let span = tracing::info_span!(
            target: TARGET,
            "request",
            method = %request.method(),
            path = loggable(request.path()),
            request_id = Empty,
            entrance = Empty,
            outcome = Empty,
            reason = Empty,
            status = Empty,
        );
        if !span.is_disabled()
            && let Some(id) = request.extensions().get::<RequestId>()
        {
            span.record("request_id", tracing::field::display(id));
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        if span.is_disabled() {
            return;
        }
        if let Ok(response) = outcome {
            span.record("status", response.status().as_u16());
        }
        tracing::debug!(target: TARGET, "responded");
    }
}
