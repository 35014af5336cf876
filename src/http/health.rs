//! Health and metrics, for load balancers and operators. Readiness waits for
//! the first answer of every issuer whose keys are fetched at the start, good or
//! bad; after that it depends on no foreign server, nor on a new configuration.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::RequestContext;
use super::refused::{NO_ENTRANCE, Refused};
use super::routes::Health;
use crate::clock::Timestamp;
use crate::refusal::Reason;

/// Ready. Entrances without keys answer 503 to every token.
#[derive(Serialize)]
struct Healthy<'a> {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrances_without_keys: Vec<&'a str>,
}

impl RequestContext<'_> {
    /// `/livez`, `/readyz` and `/healthz`.
    pub(super) fn health(&self, kind: Health) -> HttpResponse {
        if kind == Health::Ready && self.shared.is_draining() {
            return self.refuse(Refused::nowhere(&Reason::Draining.because("the service is about to stop")));
        }
        if kind == Health::Ready && !self.shared.has_started() {
            let refusal = Reason::KeysUnavailable.because("keys are being fetched for the first time");
            return self.refuse(Refused::nowhere(&refusal));
        }
        let mut answer = HttpResponse::Ok();
        self.common_headers(&mut answer);
        self.shared.metrics.count_request(NO_ENTRANCE, 200);
        let now = Timestamp::now();
        let without_keys =
            self.snapshot.entrances.iter().filter(|runtime| !runtime.entrance.authenticator.has_keys(now));
        answer.json(Healthy {
            status: "ok",
            version: env!("CARGO_PKG_VERSION"),
            entrances_without_keys: without_keys.map(|runtime| runtime.entrance.name.as_str()).collect(),
        })
    }

    /// `/metrics`, in the text format.
    pub(super) fn metrics(&self) -> HttpResponse {
        self.shared.metrics.set_dropped_lines(self.shared.lines.dropped());
        let now = Timestamp::now();
        let reports = self
            .snapshot
            .entrances
            .iter()
            .flat_map(|runtime| runtime.entrance.authenticator.key_reports(now));
        self.shared.metrics.set_keys(reports);
        let mut answer = HttpResponse::Ok();
        self.common_headers(&mut answer);
        answer
            .insert_header((
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ))
            .body(self.shared.metrics.to_text())
    }
}
