//! Health and metrics, for load balancers and operators.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::json;

use super::Visit;
use super::refused::{NO_ENTRANCE, Refused};
use super::routes::Health;
use crate::refusal::Reason;

impl Visit<'_> {
    /// `/livez`, `/readyz` and `/healthz`.
    pub(super) fn health(&self, kind: Health) -> HttpResponse {
        if kind == Health::Ready && self.shared.is_draining() {
            return self.refuse(Refused::nowhere(&Reason::Draining.because("the service is about to stop")));
        }
        let mut answer = HttpResponse::Ok();
        self.dress(&mut answer);
        self.shared.metrics.count_request(NO_ENTRANCE, 200);
        answer.json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
    }

    /// `/metrics`, in the text format.
    pub(super) fn metrics(&self) -> HttpResponse {
        self.shared.metrics.set_lost_lines(self.shared.lines.lost());
        let mut answer = HttpResponse::Ok();
        self.dress(&mut answer);
        answer
            .insert_header((
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ))
            .body(self.shared.metrics.to_text())
    }
}
