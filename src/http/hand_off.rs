//! Answers at entrances: the redirect, or the address as JSON.

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use tracing::Span;
use uuid::Uuid;

use super::accept;
use super::refused::Refused;
use super::{EntranceRuntime, KeysFirst, RequestContext, cors};
use crate::audit::{AuditEvent, Outcome};
use crate::clock::Timestamp;
use crate::embed::SCRIPT_NOT_ALLOWED;
use crate::pandium::HandOff;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::{SignOn, SignOnRequest};

/// The address for scripts. Times are Unix seconds.
#[derive(Serialize)]
struct Address<'a> {
    url: &'a str,
    jti: Uuid,
    issued_at: u64,
    expires_at: Option<u64>,
}

impl RequestContext<'_> {
    /// Somebody arrives at an entrance.
    pub(super) fn enter(
        &self,
        runtime: &EntranceRuntime,
        install: Option<&str>,
    ) -> Result<HttpResponse, KeysFirst> {
        match *self.request.method() {
            Method::GET => self.sign_on(runtime, install),
            Method::OPTIONS if cors::is_preflight(self.request.headers()) => Ok(self.preflight(runtime)),
            _ => {
                let refusal = Reason::MethodNotAllowed.because("a hand-off is asked for with GET");
                Ok(self.refuse(Refused::at(runtime, &refusal)))
            }
        }
    }

    fn sign_on(&self, runtime: &EntranceRuntime, install: Option<&str>) -> Result<HttpResponse, KeysFirst> {
        let now = Timestamp::now();
        let headers = self.headers();
        let ask = SignOnRequest {
            offer: self.offer(Some(self.request.path()), &headers),
            query: self.request.uri().query().unwrap_or_default(),
            install,
        };
        let SignOn { outcome, fetch_dest, reported, subject } =
            runtime.entrance.sign_on(&ask, Uuid::new_v4(), now);
        self.keys_first(outcome.as_ref().err())?;
        // the record says that somebody was sent on when there is an answer that does it
        let handed_over = outcome.and_then(|hand_off| {
            let (jti, length) = (hand_off.jti, hand_off.url.len());
            self.hand_over(runtime, hand_off).map(|answer| (answer, jti, length))
        });
        let (answer, jti, length) = match handed_over {
            Ok(handed_over) => handed_over,
            Err(refusal) => {
                return Ok(self.refuse(Refused { subject, fetch_dest, ..Refused::at(runtime, &refusal) }));
            }
        };
        self.record(&AuditEvent {
            at: now,
            request_id: self.request_id,
            entrance: Some(&runtime.entrance.name),
            environment: Some(runtime.entrance.environment),
            outcome: Outcome::HandedOff { jti },
            subject,
            peer: ask.offer.peer,
            fetch_dest,
            embed_violation: reported.as_ref().map(|objection| &*objection.cause),
            took_us: self.took_us(),
        });
        runtime.metrics.hand_offs.inc();
        if reported.is_some() {
            runtime.metrics.embed_violations.inc();
        }
        #[expect(clippy::cast_precision_loss, reason = "an address is short")]
        self.shared.metrics.location_bytes.observe(length as f64);
        Ok(answer)
    }

    /// Sends the browser on, or tells the script where to.
    fn hand_over(&self, runtime: &EntranceRuntime, hand_off: HandOff) -> Result<HttpResponse, Refusal> {
        let prefers_json = accept::prefers_json(self.request.headers());
        let status = if prefers_json { StatusCode::OK } else { StatusCode::TEMPORARY_REDIRECT };
        let mut answer = HttpResponse::build(status);
        self.common_headers(&mut answer);
        self.entrance_headers(&mut answer, runtime);
        if prefers_json {
            self.shared.metrics.count_request(&runtime.entrance.name, status.as_u16());
            Self::protect_json(&mut answer);
            let HandOff { url, jti, issued_at, expires_at, .. } = &hand_off;
            return Ok(answer.json(Address {
                url: url.expose(),
                jti: *jti,
                issued_at: *issued_at,
                expires_at: *expires_at,
            }));
        }
        let location = HeaderValue::try_from(hand_off.url.into_exposed())
            .map_err(|_| Reason::Internal.because("the address is no header's value"))?;
        runtime.metrics.redirects.inc();
        Ok(answer.insert_header((header::LOCATION, location)).finish())
    }

    /// Headers that every answer at an entrance has.
    pub(super) fn entrance_headers(&self, answer: &mut HttpResponseBuilder, runtime: &EntranceRuntime) {
        answer.insert_header((header::REFERRER_POLICY, runtime.referrer_policy.clone()));
        answer.insert_header((header::CONTENT_SECURITY_POLICY, runtime.frame_ancestors.clone()));
        cors::allow_origin(answer, self.request.headers(), &runtime.entrance.embed);
    }

    /// A browser asks whether a script may ask.
    fn preflight(&self, runtime: &EntranceRuntime) -> HttpResponse {
        let mut answer = HttpResponse::NoContent();
        self.common_headers(&mut answer);
        if !cors::allow_origin(&mut answer, self.request.headers(), &runtime.entrance.embed) {
            let refusal = Reason::CrossSiteRequest.because(SCRIPT_NOT_ALLOWED);
            return self.refuse(Refused::at(runtime, &refusal));
        }
        cors::allow_request(&mut answer, &runtime.entrance.identity.script_headers());
        self.shared.metrics.count_request(&runtime.entrance.name, StatusCode::NO_CONTENT.as_u16());
        answer.finish()
    }

    /// Writes the record's line, and tells the root span.
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

    /// Microseconds since the request arrived.
    pub(super) fn took_us(&self) -> u64 {
        u64::try_from(self.stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
