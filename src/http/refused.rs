//! Refused requests: the error of extractors and handlers, and the one place that
//! maps a reason to its status. `refusal_response` creates the response.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpResponse, ResponseError};

use super::EntranceRuntime;
use crate::api_token::Scope;
use crate::authn::oidc::AccountChoice;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::EventDetails;

/// A refused request. The middleware creates its response and records it.
#[derive(Clone, Debug)]
pub(super) struct RefusedRequest {
    pub refusal: Refusal,
    /// The entrance whose path is that of the request, or a prefix of it.
    pub runtime: Option<Arc<EntranceRuntime>>,
    pub details: Box<EventDetails>,
    pub recipient: Recipient,
    /// The methods of the resource, for a 405.
    pub allow: &'static str,
    /// A page that replaces the usual one.
    pub own_page: Option<Box<OwnPage>>,
    /// A sign-in that failed.
    pub failed_sign_in: Option<Box<FailedSignIn>>,
    /// `Retry-After`, for a 429.
    pub retry_after: Option<Duration>,
    /// Members of the response that only programs get.
    pub for_program: Option<Box<ForProgram>>,
}

/// A page for one refusal.
#[derive(Clone, Debug)]
pub(super) struct OwnPage {
    pub body: String,
    /// Its Content-Security-Policy.
    pub policy: HeaderValue,
}

/// Members of the response to a program.
#[derive(Clone, Debug, Default)]
pub(super) struct ForProgram {
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// The scope that its token lacks.
    pub scope: Option<Scope>,
    /// The parameter that is wrong.
    pub parameter: Option<String>,
    /// What is wrong.
    pub detail: Option<Cow<'static, str>>,
}

/// The kind of client that reads a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipient {
    /// Browsers, and scripts that the entrance allows.
    Browser,
    /// Scripts that any entrance allows; used if the entrance is unknown, for example mistyped.
    AnyScript,
    /// A program, or a proxy that verifies a request to an API: no HTML, no header fields for
    /// browsers.
    Api,
}

/// A sign-in that failed.
#[derive(Clone)]
pub(super) struct FailedSignIn {
    /// The URL that begins it again.
    pub login_again: String,
    /// Whether the user then has to choose another account.
    pub account: AccountChoice,
    /// The `Set-Cookie` that deletes its login cookie.
    pub set_cookie: Option<HeaderValue>,
}

impl fmt::Debug for FailedSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailedSignIn(hidden)")
    }
}

impl From<Refusal> for RefusedRequest {
    /// A refusal outside of entrances.
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            runtime: None,
            details: Box::default(),
            recipient: Recipient::Browser,
            allow: "",
            own_page: None,
            failed_sign_in: None,
            retry_after: None,
            for_program: None,
        }
    }
}

impl RefusedRequest {
    /// A refusal at an entrance.
    pub fn at(runtime: &Arc<EntranceRuntime>, refusal: Refusal) -> Self {
        Self { runtime: Some(Arc::clone(runtime)), ..Self::from(refusal) }
    }

    /// A refusal for a program.
    pub fn for_program(refusal: Refusal, members: ForProgram) -> Self {
        Self { recipient: Recipient::Api, for_program: Some(Box::new(members)), ..Self::from(refusal) }
    }

    /// Replaces this refusal by another one, and removes the parts that belong only to the former
    /// refusal.
    pub fn replace(&mut self, refusal: Refusal) {
        self.refusal = refusal;
        self.allow = "";
        self.own_page = None;
        self.retry_after = None;
        self.for_program = None;
    }

    /// A 404.
    pub fn not_found() -> Self {
        Reason::NotFound.because("there is nothing at this path").into()
    }

    /// A 405 with the methods that are allowed.
    pub fn method_not_allowed(allow: &'static str, cause: &'static str) -> Self {
        Self { allow, ..Reason::MethodNotAllowed.because(cause).into() }
    }

    /// An internal error.
    pub fn internal(cause: &'static str) -> Self {
        Reason::Internal.because(cause).into()
    }

    /// The status of the response.
    pub const fn status(&self) -> StatusCode {
        status(self.refusal.reason)
    }
}

impl fmt::Display for RefusedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.refusal.reason.code())
    }
}

impl ResponseError for RefusedRequest {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// A response without a body, which the middleware replaces.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}

/// The status of a reason.
pub(super) const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::AmbiguousIdentity | Reason::BadIdentity | Reason::BadLink | Reason::BadRequest => {
            StatusCode::BAD_REQUEST
        }
        Reason::Unauthenticated | Reason::InvalidToken | Reason::ExpiredToken => StatusCode::UNAUTHORIZED,
        Reason::UntrustedPeer
        | Reason::NotAllowed
        | Reason::EmbeddingNotAllowed
        | Reason::CrossSiteRequest
        | Reason::MissingScope => StatusCode::FORBIDDEN,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::LinkExpired => StatusCode::GONE,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
        Reason::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Reason::TokenTooLarge | Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::KeysUnavailable
        | Reason::UpstreamUnavailable
        | Reason::AuditUnavailable
        | Reason::StoreUnavailable
        | Reason::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}
