//! Ends a sign-in: the provider has sent the browser back with a code.

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};

use super::login::BegunLogin;
use super::{LoginRequest, Mode, check_navigation, internal, pages, redirect};
use crate::audit::Outcome;
use crate::authn::SignIn;
use crate::authn::oidc::{AccountChoice, AuthorizationResponse, OidcError};
use crate::authn::sign_in::new_session;
use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::http::EntranceRuntime;
use crate::http::context::{RequestContext, headers};
use crate::http::refused::{FailedSignIn, RefusedRequest};
use crate::http::served::ServedRequest;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::session::EndedKey;
use crate::sign_on::EventDetails;

/// Handles `GET …/callback`.
pub(super) async fn callback(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    sign_in: &SignIn,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let headers = headers(request);
    let entrance = &runtime.entrance;
    // a page that leads on, whatever is wrong
    let refused = |refusal: Refusal, login: &LoginRequest| {
        let details =
            Box::new(EventDetails { fetch_dest: FetchDestination::of(&headers), ..EventDetails::default() });
        let is_denied = refusal.reason == Reason::NotAllowed && sign_in.client.asks_for_account();
        let account = if is_denied { AccountChoice::Other } else { login.account };
        let login_again = LoginRequest { account, ..login.clone() }.address(runtime);
        let failed = FailedSignIn { login_again, account, set_cookie: None };
        let failed_sign_in = Some(Box::new(failed));
        RefusedRequest { details, failed_sign_in, ..RefusedRequest::at(runtime, refusal) }
    };
    let own = LoginRequest::of(entrance);
    check_navigation(&headers).map_err(|refusal| refused(refusal, &own))?;
    let response = AuthorizationResponse::parse(request.uri().query().unwrap_or_default())
        .map_err(|why| refused(OidcError::from(why).into(), &own))?;
    let state = response.state.as_deref().unwrap_or_default();
    let login = match sign_in.logins.open(&headers, state, context.received) {
        Ok(data) => BegunLogin::read(&data, entrance),
        // the page was reloaded, or the browser went back to it
        Err(_) if sign_in.session(&headers, context.received).is_some() => {
            let response = pages::signed_in(context, runtime, request, &own.return_to, None, &[]);
            let response = response.map_err(|refusal| refused(refusal, &own))?;
            return Ok(context.served(ServedRequest::at(Arc::clone(runtime)), response));
        }
        Err(why) => return Err(refused(Reason::InvalidToken.because(why.cause()), &own)),
    };
    // a `state` is used once, also where the sign-in fails
    let deleted = sign_in.logins.delete(state);
    let used = |mut refused: RefusedRequest| {
        if let Some(failed) = &mut refused.failed_sign_in {
            failed.set_cookie = HeaderValue::try_from(&deleted).ok();
        }
        refused
    };
    let (pending, login) = login.ok_or_else(|| {
        let refusal = Reason::InvalidToken.because("the login cookie is of another version");
        used(refused(refusal, &own))
    })?;
    let at = |refusal| used(refused(refusal, &login));
    // a large future, which actix would move several times
    let signed_in = Box::pin(sign_in.client.finish(&response, &pending, Timestamp::now)).await;
    let session = signed_in
        .map_err(Refusal::from)
        .and_then(|signed_in| new_session(signed_in, Timestamp::now()).map_err(internal));
    let session = session.map_err(at)?;
    let cookies = [sign_in.sessions.set(&session).map_err(internal).map_err(at)?, deleted.clone()];
    end_earlier(sign_in, &headers).await;
    let return_to = &login.return_to;
    let response = match &login.mode {
        Mode::Top => redirect(return_to.as_str(), &cookies),
        Mode::Popup { ticket, opener } => {
            let ticket = if *ticket {
                pages::ticket(context, runtime, sign_in, &session, return_to).await
            } else {
                Ok(None)
            };
            ticket.and_then(|ticket| {
                let opener = pages::Opener { ticket, origin: opener.as_deref() };
                pages::signed_in(context, runtime, request, return_to, Some(opener), &cookies)
            })
        }
    };
    let response = response.map_err(at)?;
    let details = Box::new(EventDetails {
        fetch_dest: FetchDestination::of(&headers),
        subject: entrance.subject(&session.user),
        credentials: session.user.credentials,
        ..EventDetails::default()
    });
    let served =
        ServedRequest { outcome: Some(Outcome::SignedIn), details, ..ServedRequest::at(Arc::clone(runtime)) };
    Ok(context.served(served, response))
}

/// Ends the session that the browser had before.
async fn end_earlier(sign_in: &SignIn, headers: &Headers<'_>) {
    let now = Timestamp::now();
    let Some(earlier) = sign_in.session(headers, now) else { return };
    let key = EndedKey::of_sign_in(&earlier);
    if let Err(refusal) = sign_in.end(&[key], None, now).await {
        // the browser gets the new one all the same
        tracing::warn!(cause = %refusal.cause, "the earlier session of a user ends in this process only");
    }
}
