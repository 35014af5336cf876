//! Health and metrics, for load balancers and operators. Readiness waits for the first fetch from
//! every issuer whose keys are fetched at the start, successful or not; after that it depends on no
//! other server, except on the store if requests are refused without it, and not on reloads of the
//! configuration.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::context::Context;
use super::refused::RefusedRequest;
use crate::audit::AuditHealth;
use crate::clock::Timestamp;
use crate::refusal::Reason;

/// The paths of health checks, which are served for any host.
pub(super) const PATHS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// The body of a ready response. It names entrances without keys, which respond 503 to every token.
#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrances_without_keys: Vec<&'a str>,
    /// Absent if events are not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<&'static str>,
}

/// Liveness: the process runs.
pub(super) async fn live(context: Context) -> Result<HttpResponse, RefusedRequest> {
    let now = Timestamp::now();
    let without_keys =
        context.snapshot.entrances.iter().filter(|runtime| !runtime.entrance.authenticator.has_keys(now));
    Ok(HttpResponse::Ok().json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        entrances_without_keys: without_keys.map(|runtime| runtime.entrance.name.as_str()).collect(),
        audit: match context.shared.audit.health() {
            AuditHealth::LogOnly => None,
            AuditHealth::Stored => Some("stored"),
            AuditHealth::Failing { .. } => Some("failing"),
        },
    }))
}

/// Readiness: the service accepts requests.
pub(super) async fn ready(context: Context) -> Result<HttpResponse, RefusedRequest> {
    if context.shared.is_draining() {
        return Err(Reason::Draining.because("the service is about to stop").into());
    }
    if !context.shared.has_started() {
        return Err(Reason::KeysUnavailable.because("keys are being fetched for the first time").into());
    }
    if context.snapshot.longest_session().is_some() && !context.shared.ended_sessions.is_read() {
        let cause = "the ended sessions have not been read from the store since the start";
        return Err(Reason::StoreUnavailable.because(cause).into());
    }
    if let AuditHealth::Failing { refuses: true, .. } = context.shared.audit.health() {
        return Err(Reason::AuditUnavailable.because("audit events cannot be stored").into());
    }
    live(context).await
}

/// The metrics, in the text format.
pub(super) async fn metrics(context: Context) -> Result<HttpResponse, RefusedRequest> {
    let metrics = &context.shared.metrics;
    metrics.set_dropped_lines(context.shared.log_writer.dropped());
    let now = Timestamp::now();
    let entrances = context.snapshot.entrances.iter();
    metrics.set_keys(entrances.flat_map(|runtime| runtime.entrance.authenticator.key_reports(now)));
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, media_type)).body(metrics.to_text()))
}
