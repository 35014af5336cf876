//! The response of a refused request: a page, or a problem details object.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use super::accept::{self, Wanted};
use super::context::RequestContext;
use super::refused::{OwnPage, Recipient, RefusedRequest};
use super::{EntranceRuntime, auth, cors};
use crate::api_token::Scope;
use crate::page::RefusalPage;
use crate::refusal::Reason;

/// A problem details object (RFC 9457).
#[derive(Serialize)]
struct ProblemDetails<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    reason: &'static str,
    request_id: Uuid,
    /// The scope that an API token lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    /// The parameter of an API request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Where the user signs in, if this service signs users in.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<String>,
}

impl RefusedRequest {
    /// Creates the response.
    pub fn response(&self, context: &RequestContext, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        match (self.recipient, &self.runtime) {
            (Recipient::Browser, Some(runtime)) => entrance_headers(&mut response, request, runtime),
            (Recipient::AnyScript, _) => {
                let embeds = context.snapshot.entrances.iter().map(|runtime| &runtime.entrance.embed);
                cors::allow_error_read(&mut response, request.headers(), embeds);
            }
            (Recipient::Browser, None) | (Recipient::Api, _) => {}
        }
        self.add_status_headers(&mut response);
        let members = self.for_program.as_deref();
        if let Some(challenge) = members.and_then(|members| members.challenge.as_deref()) {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(cookie) = self.failed_sign_in.as_ref().and_then(|failed| failed.set_cookie.as_ref()) {
            response.insert_header((header::SET_COOKIE, cookie));
        }
        if let Some(retry_after) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, whole_seconds(retry_after)));
        }
        let is_for_api = self.recipient == Recipient::Api;
        if !is_for_api
            && accept::wanted(request) == Wanted::Html
            && let Some((page, policy)) = self.page(context, request)
        {
            response
                .insert_header((header::VARY, HeaderValue::from_static("Origin, Accept, Accept-Language")));
            response.insert_header((header::CONTENT_SECURITY_POLICY, policy));
            return response.content_type("text/html; charset=utf-8").body(page);
        }
        let reason = self.refusal.reason;
        let signs_in =
            self.runtime.as_ref().filter(|_| !is_for_api && self.status() == StatusCode::UNAUTHORIZED);
        let problem = ProblemDetails {
            r#type: format!("urn:marketplace-sso:{}", reason.code()),
            title: reason.title(),
            status: self.status().as_u16(),
            reason: reason.code(),
            request_id: context.request_id,
            scope: members.and_then(|members| members.scope).map(Scope::name),
            parameter: members.and_then(|members| members.parameter.as_deref()),
            detail: members.and_then(|members| members.detail.as_deref()).or_else(|| self.detail_for_any()),
            login_url: signs_in.and_then(|runtime| auth::public_login_url(&context.snapshot, runtime)),
        };
        response
            .content_type("application/problem+json")
            .body(serde_json::to_string(&problem).unwrap_or_default())
    }

    /// The detail that any client gets: the wrong parameter of a link, which the app's developer
    /// has to correct.
    fn detail_for_any(&self) -> Option<&str> {
        (self.refusal.reason == Reason::BadLink).then_some(&self.refusal.cause)
    }

    /// Header fields that belong to a status.
    fn add_status_headers(&self, response: &mut HttpResponseBuilder) {
        match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                response.insert_header((header::ALLOW, HeaderValue::from_static(self.allow)));
            }
            StatusCode::UNAUTHORIZED => {
                let challenge =
                    self.runtime.as_ref().and_then(|runtime| runtime.entrance.authenticator.challenge());
                if let Some(scheme) = challenge {
                    let challenge = challenge_with(scheme, self.refusal.reason);
                    response.insert_header((header::WWW_AUTHENTICATE, challenge));
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, HeaderValue::from_static("5")));
            }
            _ => {}
        }
    }

    /// The HTML page and its policy, or `None` if rendering fails.
    fn page(&self, context: &RequestContext, request: &HttpRequest) -> Option<(String, HeaderValue)> {
        if let Some(OwnPage { body, policy }) = self.own_page.as_deref() {
            return Some((body.clone(), policy.clone()));
        }
        let nonce = nonce();
        let embed = self.runtime.as_ref().map(|runtime| &runtime.entrance.embed);
        let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let is_same_origin = field("sec-fetch-site") == Some("same-origin");
        let page = RefusalPage {
            reason: self.refusal.reason,
            request_id: context.request_id,
            is_about_sign_in: self.is_about_sign_in(),
            button: self.button(context, request),
            message_targets: embed.map_or_else(Vec::new, |embed| {
                embed.parents.message_targets(field("referer").unwrap_or_default(), is_same_origin)
            }),
        };
        // `/embed` frames every entrance, even if the service's own origin is not among the parents
        let ancestors = embed.map(|embed| embed.parents.frame_ancestors_and_self());
        let policy = page_policy(&nonce, "", ancestors.as_deref().unwrap_or("frame-ancestors 'none'"));
        match context.snapshot.pages.refusal(&page, accept::language(request), &nonce) {
            Ok(page) => Some((page, HeaderValue::try_from(policy).ok()?)),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                None
            }
        }
    }
}

/// Header fields of every response of an entrance.
pub(super) fn entrance_headers(
    response: &mut HttpResponseBuilder,
    request: &HttpRequest,
    runtime: &EntranceRuntime,
) {
    response.insert_header((header::REFERRER_POLICY, runtime.referrer_policy.clone()));
    response.insert_header((header::CONTENT_SECURITY_POLICY, runtime.frame_ancestors.clone()));
    cors::allow_origin(response, request.headers(), &runtime.entrance.embed);
}

/// The challenge: the scheme, and the error code if the request had a token (RFC 6750, 3.1).
fn challenge_with(scheme: &str, reason: Reason) -> String {
    match reason {
        Reason::InvalidToken | Reason::ExpiredToken => format!("{scheme} error=\"invalid_token\""),
        _ => scheme.to_owned(),
    }
}

/// A duration in seconds, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The policy of a page: only styles and scripts with its nonce, inline images,
/// and `more`; and which pages may frame it.
pub(super) fn page_policy(nonce: &str, more: &str, ancestors: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; {more}\
         base-uri 'none'; form-action 'none'; {ancestors}"
    )
}

/// A nonce of 122 random bits for one page's style and script.
pub(super) fn nonce() -> String {
    URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
}
