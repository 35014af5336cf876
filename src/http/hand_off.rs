//! Responses of entrances: the redirect, the URL as JSON, or the response to a CORS preflight.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use uuid::Uuid;

use super::context::{RequestContext, headers};
use super::refusal_response::entrance_headers;
use super::refused::RefusedRequest;
use super::served::ServedRequest;
use super::target::EntranceTarget;
use super::{EntranceRuntime, accept, cors, limiting, verify};
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::embed::SCRIPT_NOT_ALLOWED;
use crate::pandium::HandOff;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::{SignOn, SignOnRequest};

/// A hand-off for a script. Times are Unix seconds.
#[derive(Serialize)]
pub(super) struct HandOffJson<'a> {
    url: &'a str,
    jti: Uuid,
    issued_at: u64,
    expires_at: Option<u64>,
}

impl<'a> HandOffJson<'a> {
    /// The JSON of a hand-off.
    pub fn of(HandOff { url, jti, issued_at, expires_at, subject: _ }: &'a HandOff) -> Self {
        Self { url: url.expose(), jti: *jti, issued_at: *issued_at, expires_at: *expires_at }
    }
}

/// Handles a request to an entrance.
pub(super) async fn entrance(
    context: &RequestContext,
    target: EntranceTarget,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    match *request.method() {
        Method::GET => sign_on(context, target, request).await,
        Method::OPTIONS if cors::is_preflight(request.headers()) => {
            preflight(context, target.runtime, request)
        }
        _ => {
            let refused = RefusedRequest::method_not_allowed("GET", "a hand-off is requested with GET");
            Err(RefusedRequest { runtime: Some(target.runtime), ..refused })
        }
    }
}

/// Signs a user on.
async fn sign_on(
    context: &RequestContext,
    EntranceTarget { runtime, rest }: EntranceTarget,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let headers = headers(request);
    let query = request.uri().query().unwrap_or_default();
    let sign_on = SignOnRequest {
        auth: context.auth_request(Some(request.path()), query, &headers),
        query,
        install: rest.as_deref(),
    };
    // boxed, because actix would move this future several times
    let sign_on = Box::pin(runtime.entrance.sign_on(&sign_on, Uuid::new_v4(), Timestamp::now)).await;
    let renews_session = sign_on.outcome.is_ok() && sign_on.details.credentials.renews_session;
    let mut response = respond(context, &runtime, sign_on, |hand_off| response(request, &runtime, hand_off))?;
    if renews_session && let Some(sign_in) = runtime.entrance.authenticator.sign_in() {
        append_cookie(&mut response, sign_in.renewed_cookie(&headers, Timestamp::now()));
    }
    Ok(response)
}

/// Adds a `Set-Cookie`, if there is one; otherwise the browser keeps its cookie.
pub(super) fn append_cookie(response: &mut HttpResponse, cookie: Option<String>) {
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Responds with a hand-off, if it is within the user's limit.
pub(super) fn respond(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    SignOn { outcome, details }: SignOn,
    response: impl FnOnce(HandOff) -> Result<HttpResponse, Refusal>,
) -> Result<HttpResponse, RefusedRequest> {
    let refused = |refusal| RefusedRequest::at(runtime, refusal);
    // the outcome is recorded as a hand-off only if the response could be created
    let handed_off = outcome.map_err(refused).and_then(|hand_off| {
        limiting::check_handoff(context, runtime, &hand_off.subject)?;
        let (jti, url_bytes) = (hand_off.jti, hand_off.url.len());
        Ok((response(hand_off).map_err(refused)?, jti, url_bytes))
    });
    match handed_off {
        Ok((response, jti, url_bytes)) => {
            let outcome = Some(Outcome::HandedOff { jti });
            let served = ServedRequest { runtime: Arc::clone(runtime), outcome, details, url_bytes };
            Ok(context.served(served, response))
        }
        Err(refused) => Err(RefusedRequest { details, ..refused }),
    }
}

/// The redirect for a browser, or the JSON for a script.
fn response(
    request: &HttpRequest,
    runtime: &EntranceRuntime,
    hand_off: HandOff,
) -> Result<HttpResponse, Refusal> {
    if !accept::prefers_json(request) {
        return redirect(request, runtime, hand_off);
    }
    let mut response = HttpResponse::Ok();
    entrance_headers(&mut response, request, runtime);
    verify::protect_json(&mut response);
    Ok(response.json(HandOffJson::of(&hand_off)))
}

/// The redirect for a browser.
pub(super) fn redirect(
    request: &HttpRequest,
    runtime: &EntranceRuntime,
    hand_off: HandOff,
) -> Result<HttpResponse, Refusal> {
    let mut response = HttpResponse::TemporaryRedirect();
    entrance_headers(&mut response, request, runtime);
    let location = HeaderValue::try_from(hand_off.url.into_exposed())
        .map_err(|_| Reason::Internal.because("the URL is not a valid header field value"))?;
    Ok(response.insert_header((header::LOCATION, location)).finish())
}

/// Responds to a CORS preflight.
fn preflight(
    context: &RequestContext,
    runtime: Arc<EntranceRuntime>,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let mut response = HttpResponse::NoContent();
    if !cors::allow_origin(&mut response, request.headers(), &runtime.entrance.embed) {
        return Err(RefusedRequest::at(&runtime, Reason::CrossSiteRequest.because(SCRIPT_NOT_ALLOWED)));
    }
    cors::allow_request(&mut response, &runtime.entrance.authenticator.script_headers());
    Ok(context.served(ServedRequest::at(runtime), response.finish()))
}
