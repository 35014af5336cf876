//! Responses of entrances: the redirect, or the URL as JSON.

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use tracing::Span;
use uuid::Uuid;

use super::accept;
use super::refused::Refused;
use super::{EntranceRuntime, RequestContext, cors};
use crate::audit::{AuditEvent, Outcome};
use crate::clock::Timestamp;
use crate::embed::SCRIPT_NOT_ALLOWED;
use crate::pandium::HandOff;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::{SignOn, SignOnRequest};

/// The URL for scripts. Times are Unix seconds.
#[derive(Serialize)]
struct Address<'a> {
    url: &'a str,
    jti: Uuid,
    issued_at: u64,
    expires_at: Option<u64>,
}

impl RequestContext<'_> {
    /// Handles a request to an entrance.
    pub(super) async fn entrance(&self, runtime: &EntranceRuntime, install: Option<&str>) -> HttpResponse {
        match *self.request.method() {
            Method::GET => self.sign_on(runtime, install).await,
            Method::OPTIONS if cors::is_preflight(self.request.headers()) => self.preflight(runtime),
            _ => {
                let refusal = Reason::MethodNotAllowed.because("a hand-off is requested with GET");
                self.refuse(Refused::at(runtime, &refusal))
            }
        }
    }

    async fn sign_on(&self, runtime: &EntranceRuntime, install: Option<&str>) -> HttpResponse {
        let headers = self.headers();
        let request = SignOnRequest {
            auth: self.auth_request(Some(self.request.path()), &headers),
            query: self.request.uri().query().unwrap_or_default(),
            install,
        };
        let SignOn { outcome, fetch_dest, embed_violation, subject } =
            runtime.entrance.sign_on(&request, Uuid::new_v4(), Timestamp::now).await;
        // the audit event says that the user was handed off once there is a response that does it
        let handed_off = outcome.and_then(|hand_off| {
            let (jti, length) = (hand_off.jti, hand_off.url.len());
            self.hand_off_response(runtime, hand_off).map(|response| (response, jti, length))
        });
        let (response, jti, length) = match handed_off {
            Ok(handed_off) => handed_off,
            Err(refusal) => {
                return self.refuse(Refused { subject, fetch_dest, ..Refused::at(runtime, &refusal) });
            }
        };
        self.record(&AuditEvent {
            at: Timestamp::now(),
            request_id: self.request_id,
            entrance: Some(&runtime.entrance.name),
            environment: Some(runtime.entrance.environment),
            outcome: Outcome::HandedOff { jti },
            subject,
            peer: request.auth.peer,
            fetch_dest,
            embed_violation: embed_violation.as_ref().map(|violation| &*violation.cause),
            took_us: self.took_us(),
        });
        runtime.metrics.hand_offs.inc();
        if embed_violation.is_some() {
            runtime.metrics.embed_violations.inc();
        }
        #[expect(clippy::cast_precision_loss, reason = "a URL is short")]
        self.shared.metrics.location_bytes.observe(length as f64);
        response
    }

    /// The redirect for a browser, or the JSON for a script.
    fn hand_off_response(
        &self,
        runtime: &EntranceRuntime,
        hand_off: HandOff,
    ) -> Result<HttpResponse, Refusal> {
        let prefers_json = accept::prefers_json(self.request.headers());
        let status = if prefers_json { StatusCode::OK } else { StatusCode::TEMPORARY_REDIRECT };
        let mut response = HttpResponse::build(status);
        self.common_headers(&mut response);
        self.entrance_headers(&mut response, runtime);
        if prefers_json {
            self.shared.metrics.count_request(&runtime.entrance.name, status.as_u16());
            Self::protect_json(&mut response);
            let HandOff { url, jti, issued_at, expires_at, .. } = &hand_off;
            return Ok(response.json(Address {
                url: url.expose(),
                jti: *jti,
                issued_at: *issued_at,
                expires_at: *expires_at,
            }));
        }
        let location = HeaderValue::try_from(hand_off.url.into_exposed())
            .map_err(|_| Reason::Internal.because("the URL is no valid header field value"))?;
        runtime.metrics.redirects.inc();
        Ok(response.insert_header((header::LOCATION, location)).finish())
    }

    /// Header fields of every response of an entrance.
    pub(super) fn entrance_headers(&self, response: &mut HttpResponseBuilder, runtime: &EntranceRuntime) {
        response.insert_header((header::REFERRER_POLICY, runtime.referrer_policy.clone()));
        response.insert_header((header::CONTENT_SECURITY_POLICY, runtime.frame_ancestors.clone()));
        cors::allow_origin(response, self.request.headers(), &runtime.entrance.embed);
    }

    /// Responds to a CORS preflight.
    fn preflight(&self, runtime: &EntranceRuntime) -> HttpResponse {
        let mut response = HttpResponse::NoContent();
        self.common_headers(&mut response);
        if !cors::allow_origin(&mut response, self.request.headers(), &runtime.entrance.embed) {
            let refusal = Reason::CrossSiteRequest.because(SCRIPT_NOT_ALLOWED);
            return self.refuse(Refused::at(runtime, &refusal));
        }
        cors::allow_request(&mut response, &runtime.entrance.authenticator.script_headers());
        self.shared.metrics.count_request(&runtime.entrance.name, StatusCode::NO_CONTENT.as_u16());
        response.finish()
    }

    /// Writes the audit event, and fills in the root span.
    pub(super) fn record(&self, entry: &AuditEvent<'_>) {
        let span = Span::current();
        if !span.is_disabled() {
            let (outcome, reason) = match entry.outcome {
                Outcome::HandedOff { .. } => ("handed_off", ""),
                Outcome::Verified => ("verified", ""),
                Outcome::Refused(refusal) => ("refused", refusal.reason.code()),
            };
            span.record("entrance", entry.entrance.unwrap_or_default());
            span.record("outcome", outcome);
            span.record("reason", reason);
        }
        self.shared.recorder.write(entry);
    }

    /// Microseconds since the request was received.
    pub(super) fn took_us(&self) -> u64 {
        u64::try_from(self.stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
