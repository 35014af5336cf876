//! Opens a session with an API token, and ends it. The token is in the body of a form, never in a
//! URL.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use serde::Serialize;
use url::form_urlencoded;

use super::super::body;
use super::super::context::RequestContext;
use super::super::refused::{OwnPage, RefusedRequest};
use super::pages::{self, Current};
use super::{LOGIN, api_token, see};
use crate::refusal::{Reason, Refusal};

#[derive(Serialize)]
struct Form<'a> {
    /// Why the last attempt was refused.
    error: Option<&'a str>,
}

/// The maximum length of a form, in bytes. A token is much shorter.
const MAX_FORM: usize = 4096;

/// How long a client may take to send a form.
const FORM_TIMEOUT: Duration = Duration::from_secs(5);

/// The form.
pub(super) fn form(context: &RequestContext, error: Option<&str>) -> Result<HttpResponse, RefusedRequest> {
    let page = pages::render(context, None, Current::Login, "login.html", Form { error })?;
    Ok(page.response(StatusCode::OK))
}

/// Verifies the token of a form, and opens a session.
pub(super) async fn log_in(
    context: &RequestContext,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    let opened = match read(payload).await {
        Ok(token) => open(context, token).await,
        Err(refusal) => Err(refusal.into()),
    };
    let cookie = opened.map_err(|refused| with_form(context, refused))?;
    // ends the session that the browser had before
    context.shared.sessions.close(request);
    let mut response = see("/dashboard");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Ends the session.
pub(super) fn log_out(context: &RequestContext, request: &HttpRequest) -> HttpResponse {
    let mut response = see(LOGIN);
    response.headers_mut().insert(header::SET_COOKIE, context.shared.sessions.close(request));
    response
}

async fn open(context: &RequestContext, token: String) -> Result<HeaderValue, RefusedRequest> {
    let name = api_token::verify(context, &token).await?;
    let cookie = context.shared.sessions.open(SecretString::from(token), context.received);
    let cookie = cookie.ok_or_else(|| RefusedRequest::internal("the system has no random numbers"))?;
    tracing::info!(token = name, peer = %context.peer, "a session of the dashboard was opened");
    Ok(cookie)
}

/// Reads the field `token` of a form.
async fn read(payload: web::Payload) -> Result<String, Refusal> {
    let wrong = || {
        Reason::InvalidToken
            .because("the form cannot be read: it is too long, incomplete, or was sent too slowly")
    };
    let body = body::receive(payload, MAX_FORM, FORM_TIMEOUT).await.map_err(|_| wrong())?;
    let mut fields = form_urlencoded::parse(&body).filter(|(name, _)| name == "token");
    let token = fields.next().map(|(_, token)| token.trim().to_owned()).filter(|token| !token.is_empty());
    token.ok_or_else(|| Reason::Unauthenticated.because("the form has no token"))
}

/// The refusal, with the form as its page.
fn with_form(context: &RequestContext, refused: RefusedRequest) -> RefusedRequest {
    let form = Form { error: Some(&refused.refusal.cause) };
    let page = pages::render(context, None, Current::Login, "login.html", form);
    let own_page = page.ok().map(|page| Box::new(OwnPage { body: page.body, policy: page.policy }));
    RefusedRequest { own_page, ..refused }
}
