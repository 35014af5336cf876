//! Responses to refused requests: the one place that maps a reason to its
//! status, writes the audit event and counts it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use super::accept::{self, Wanted};
use super::{EntranceRuntime, RequestContext};
use crate::audit::{AuditEvent, Outcome};
use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::page::RefusalPage;
use crate::refusal::{Reason, Refusal};

/// A refusal, with the details of its audit event.
pub(super) struct Refused<'a> {
    pub runtime: Option<&'a EntranceRuntime>,
    pub refusal: &'a Refusal,
    pub fetch_dest: FetchDestination,
    pub subject: Option<String>,
    /// Whether a proxy verifies a request to an API: no HTML, no header fields for browsers.
    pub is_for_api: bool,
}

impl<'a> Refused<'a> {
    /// A refusal at an entrance.
    pub fn at(runtime: &'a EntranceRuntime, refusal: &'a Refusal) -> Self {
        Self { runtime: Some(runtime), ..Self::nowhere(refusal) }
    }

    /// A refusal by `/v1/verify`.
    pub fn for_api(runtime: &'a EntranceRuntime, refusal: &'a Refusal) -> Self {
        Self { is_for_api: true, ..Self::at(runtime, refusal) }
    }

    /// A refusal outside of entrances.
    pub const fn nowhere(refusal: &'a Refusal) -> Self {
        Self {
            runtime: None,
            refusal,
            fetch_dest: FetchDestination::Unknown,
            subject: None,
            is_for_api: false,
        }
    }
}

/// The label of requests outside of entrances.
pub(super) const NO_ENTRANCE: &str = "none";

/// A problem details object (RFC 9457).
#[derive(Serialize)]
struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    reason: &'static str,
    request_id: Uuid,
}

impl RequestContext<'_> {
    /// Writes the audit event, counts the refusal, and makes the response.
    pub(super) fn refuse(&self, refused: Refused<'_>) -> HttpResponse {
        let Refused { runtime, refusal, fetch_dest, subject, is_for_api } = refused;
        self.record(&AuditEvent {
            at: Timestamp::now(),
            request_id: self.request_id,
            entrance: runtime.map(|runtime| runtime.entrance.name.as_str()),
            environment: runtime.map(|runtime| runtime.entrance.environment),
            outcome: Outcome::Refused(refusal),
            subject,
            peer: self.peer(),
            fetch_dest,
            embed_violation: None,
            took_us: self.took_us(),
        });
        let status = status(refusal.reason);
        let entrance = runtime.map_or(NO_ENTRANCE, |runtime| &runtime.entrance.name);
        self.shared.metrics.count_refusal(entrance, refusal.reason);
        self.shared.metrics.count_request(entrance, status.as_u16());

        let mut answer = HttpResponse::build(status);
        self.common_headers(&mut answer);
        if let Some(runtime) = runtime.filter(|_| !is_for_api) {
            self.entrance_headers(&mut answer, runtime);
        }
        answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            // some load balancers check health with HEAD
            let allowed = if runtime.is_some() { "GET" } else { "GET, HEAD" };
            answer.insert_header((header::ALLOW, HeaderValue::from_static(allowed)));
        }
        let challenge = runtime.and_then(|runtime| runtime.entrance.authenticator.challenge());
        if let Some(scheme) = challenge.filter(|_| status == StatusCode::UNAUTHORIZED) {
            answer.insert_header((header::WWW_AUTHENTICATE, challenge_with(scheme, refusal.reason)));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((header::RETRY_AFTER, HeaderValue::from_static("5")));
        }
        if !is_for_api
            && accept::wanted(self.request.headers()) == Wanted::Html
            && let Some((page, policy)) = self.page(runtime, refusal.reason)
        {
            answer.insert_header((header::VARY, HeaderValue::from_static("Origin, Accept, Accept-Language")));
            answer.insert_header((header::CONTENT_SECURITY_POLICY, policy));
            return answer.content_type("text/html; charset=utf-8").body(page);
        }
        let problem = Problem {
            r#type: format!("urn:marketplace-sso:{}", refusal.reason.code()),
            title: refusal.reason.title(),
            status: status.as_u16(),
            reason: refusal.reason.code(),
            request_id: self.request_id,
        };
        answer
            .content_type("application/problem+json")
            .body(serde_json::to_string(&problem).unwrap_or_default())
    }

    /// The `Referer`, or nothing.
    fn referer(&self) -> &str {
        self.request.headers().get(header::REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether the browser says that a page of this origin sent the request.
    fn is_same_origin(&self) -> bool {
        self.request.headers().get("sec-fetch-site").is_some_and(|site| site == "same-origin")
    }

    /// The HTML page and its policy, or `None` if rendering fails.
    fn page(&self, runtime: Option<&EntranceRuntime>, reason: Reason) -> Option<(String, HeaderValue)> {
        let nonce = nonce();
        let status = status(reason);
        let asks_to_sign_in = status == StatusCode::UNAUTHORIZED;
        let embed = runtime.map(|runtime| &runtime.entrance.embed);
        let page = RefusalPage {
            reason,
            request_id: self.request_id,
            is_about_sign_in: asks_to_sign_in,
            is_worth_another_try: status.is_server_error(),
            login_url: embed.filter(|_| asks_to_sign_in).and_then(|embed| embed.login_url.as_deref()),
            message_targets: embed
                .map(|embed| embed.parents.message_targets(self.referer(), self.is_same_origin()))
                .unwrap_or_default(),
        };
        // `/embed` frames every entrance, also if it is not among the parents
        let ancestors = runtime.map(|runtime| runtime.entrance.embed.parents.frame_ancestors_and_self());
        let policy = page_policy(&nonce, "", ancestors.as_deref().unwrap_or("frame-ancestors 'none'"));
        let language = accept::language(self.request.headers());
        match self.snapshot.pages.refusal(&page, language, &nonce) {
            Ok(page) => Some((page, HeaderValue::try_from(policy).ok()?)),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                None
            }
        }
    }
}

/// The challenge: the scheme, and the error of a token that was sent (RFC 6750, 3.1).
fn challenge_with(scheme: &str, reason: Reason) -> String {
    match reason {
        Reason::InvalidToken | Reason::ExpiredToken => format!("{scheme} error=\"invalid_token\""),
        _ => scheme.to_owned(),
    }
}

/// The status of a reason.
const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::AmbiguousIdentity | Reason::BadIdentity | Reason::BadLink => StatusCode::BAD_REQUEST,
        Reason::Unauthenticated | Reason::InvalidToken | Reason::ExpiredToken => StatusCode::UNAUTHORIZED,
        Reason::UntrustedPeer
        | Reason::NotAllowed
        | Reason::EmbeddingNotAllowed
        | Reason::CrossSiteRequest => StatusCode::FORBIDDEN,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
        Reason::TokenTooLarge | Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::KeysUnavailable | Reason::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
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
