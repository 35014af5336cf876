//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): the provider ends sessions.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use url::form_urlencoded;

use crate::audit::Outcome;
use crate::authn::oidc::LoggedOut;
use crate::authn::{Once, SignIn};
use crate::clock::Timestamp;
use crate::http::context::RequestContext;
use crate::http::limiting;
use crate::http::refused::{Recipient, RefusedRequest};
use crate::http::served::ServedRequest;
use crate::http::{EntranceRuntime, body};
use crate::refusal::{Reason, Refusal};
use crate::session::EndedKey;
use crate::sign_on::EventDetails;
use crate::user::Credentials;

/// The maximum length of a body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The time limit for receiving a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Handles `POST …/backchannel-logout`.
pub(super) async fn logout(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    sign_in: &SignIn,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    let details = end_sessions(runtime, sign_in, request, payload).await;
    let details = details.map_err(|refusal| {
        // 400 is the status of a bad logout token (2.8); a provider tries again after a 503
        let reason = match refusal.reason {
            Reason::InvalidToken | Reason::ExpiredToken => Reason::BadRequest,
            other => other,
        };
        let refusal = Refusal { reason, ..refusal };
        let refused = RefusedRequest { recipient: Recipient::Api, ..RefusedRequest::at(runtime, refusal) };
        // only errors of the peer count: an unavailable store is not one
        if refused.status().is_client_error() { limiting::limit_guesses(context, refused) } else { refused }
    })?;
    let served = ServedRequest {
        outcome: Some(Outcome::SessionsEnded),
        details: Box::new(details),
        ..ServedRequest::at(Arc::clone(runtime))
    };
    Ok(context.served(served, HttpResponse::Ok().finish()))
}

async fn end_sessions(
    runtime: &EntranceRuntime,
    sign_in: &SignIn,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<EventDetails, Refusal> {
    let token = read(request, payload).await?;
    let token = sign_in.client.verify_logout_token(&token, Timestamp::now).await?;
    let issuer = token.issuer.as_str();
    let (keys, subject) = match &token.sessions {
        LoggedOut::Subject(subject) => (vec![EndedKey::of_subject(issuer, subject)], Some(subject)),
        LoggedOut::Session { sid, subject } => {
            let of_sid = EndedKey::of_sid(issuer, sid);
            // a session of this user without a sid may be this one
            let without_sid =
                subject.as_ref().map(|subject| EndedKey::of_subject_without_sid(issuer, subject));
            (std::iter::once(of_sid).chain(without_sid).collect(), subject.as_ref())
        }
    };
    let once = Once {
        key: EndedKey::of_logout_token(issuer, &token.jti),
        until: Timestamp::from_unix_seconds(token.remember_until),
    };
    sign_in.end(&keys, Some(once), Timestamp::now()).await?;
    Ok(EventDetails {
        subject: subject.map(|subject| runtime.entrance.subject_forms.write(subject)).unwrap_or_default(),
        credentials: Credentials { issuer: Some(token.issuer.clone()), ..Credentials::default() },
        ..EventDetails::default()
    })
}

/// Reads the logout token from a form.
async fn read(request: &HttpRequest, payload: web::Payload) -> Result<String, Refusal> {
    let bad = |cause: &'static str| Reason::BadRequest.because(cause);
    if !request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(bad("the Content-Type is not application/x-www-form-urlencoded"));
    }
    let body = body::receive(payload, MAX_BODY, BODY_TIMEOUT).await?;
    let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token.into_owned()),
        (None, _) | (Some(_), Some(_)) => Err(bad("the form does not have one logout_token")),
    }
}
