//! Signs a user out: ends the session on all replicas, and redirects the browser to the provider's
//! logout page.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};

use super::{LoginRequest, internal, pages, redirect};
use crate::audit::Outcome;
use crate::authn::SignIn;
use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::http::EntranceRuntime;
use crate::http::context::{RequestContext, headers};
use crate::http::refused::RefusedRequest;
use crate::http::sender::Sender;
use crate::http::served::ServedRequest;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::session::EndedKey;
use crate::sign_on::EventDetails;

/// Handles `POST …/logout`.
pub(super) async fn logout(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    sign_in: &SignIn,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let at = |refusal| RefusedRequest::at(runtime, refusal);
    let headers = headers(request);
    check_origin(context, runtime, &headers).map_err(at)?;
    let now = Timestamp::now();
    let session = sign_in.session(&headers, now);
    let (mut outcome, mut details) = (None, Box::<EventDetails>::default());
    if let Some(session) = session {
        let key = EndedKey::of_sign_in(&session);
        if let Err(refusal) = sign_in.end(&[key], None, now).await {
            // the cookie is deleted nevertheless
            tracing::error!(cause = %refusal.cause, "a session that its user has ended ends in this process only");
        }
        outcome = Some(Outcome::SignedOut);
        details.fetch_dest = FetchDestination::of(&headers);
        details.subject = runtime.entrance.subject(&session.user);
        details.credentials = session.user.credentials;
    }
    let cookies = [sign_in.sessions.delete()];
    let response = match sign_in.client.end_session_url(Timestamp::now).await {
        Some(url) => redirect(&url, &cookies),
        None => match &runtime.entrance.embed.login_url {
            Some(url) => redirect(&origin_of(url).map_err(at)?, &cookies),
            None => pages::signed_out(
                context,
                request,
                &LoginRequest::of(&runtime.entrance).address(runtime),
                &cookies,
            ),
        },
    };
    let served = ServedRequest { outcome, details, ..ServedRequest::at(Arc::clone(runtime)) };
    Ok(context.served(served, response.map_err(at)?))
}

/// Refuses requests from pages of another origin that is not a parent. Browsers send `Origin` with
/// each POST.
fn check_origin(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    headers: &Headers<'_>,
) -> Result<(), Refusal> {
    let Sender { origin, site } = Sender::read(headers)?;
    match (origin, site) {
        (_, Some(b"same-origin")) => Ok(()),
        (Some(origin), None | Some(_))
            if context.snapshot.public_url.as_deref() == Some(origin)
                || runtime.entrance.embed.parents.allow_origin(origin) =>
        {
            Ok(())
        }
        (Some(_) | None, None | Some(_)) => {
            let cause = "a sign-out is accepted only from a page of this service or of embed.parents";
            Err(Reason::CrossSiteRequest.because(cause))
        }
    }
}

fn origin_of(url: &str) -> Result<String, Refusal> {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).map_err(internal)
}
