//! Health and metrics, for load balancers and operators. Readiness waits for
//! the first fetch from every issuer whose keys are fetched at the start,
//! successful or not; after that it depends on no other server, nor on a new
//! configuration.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::context::Context;
use super::refused::RefusedRequest;
use crate::clock::Timestamp;
use crate::refusal::Reason;

/// The paths of health checks, which are served for any host.
pub(super) const PATHS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// Ready. Entrances without keys respond 503 to every token.
#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrances_without_keys: Vec<&'a str>,
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
    }))
}

/// Readiness: the service takes requests.
pub(super) async fn ready(context: Context) -> Result<HttpResponse, RefusedRequest> {
    if context.shared.is_draining() {
        return Err(Reason::Draining.because("the service is about to stop").into());
    }
    if !context.shared.has_started() {
        return Err(Reason::KeysUnavailable.because("keys are being fetched for the first time").into());
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
