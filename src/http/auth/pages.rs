//! The pages after a sign-in and a sign-out, and the ticket for a frame whose requests have no
//! cookie.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::{ReturnAddress, add_cookies, internal, protect};
use crate::authn::SignIn;
use crate::authn::sign_in::of_frame;
use crate::clock::Timestamp;
use crate::http::context::RequestContext;
use crate::http::link_request::{SignedInUser, Terms};
use crate::http::refusal_response::{nonce, page_policy};
use crate::http::{EntranceRuntime, accept, links};
use crate::page::SignedInPage;
use crate::refusal::Refusal;
use crate::session::{SameSite, Session};

/// The page that opened the pop-up.
pub(super) struct Opener<'a> {
    /// A single-use address for its frame.
    pub ticket: Option<String>,
    /// Its origin, if it is known.
    pub origin: Option<&'a str>,
}

/// Whether single-use addresses are available.
pub(super) fn gives_tickets(context: &RequestContext) -> bool {
    context.shared.store.is_some()
        && context.snapshot.ticket_key.is_some()
        && context.snapshot.public_url.is_some()
}

/// A single-use address for a frame; `None` if they are not available.
pub(super) async fn ticket(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    sign_in: &SignIn,
    session: &Session,
    return_to: &ReturnAddress,
) -> Result<Option<String>, Refusal> {
    if !gives_tickets(context) {
        return Ok(None);
    }
    let (path, query) = return_to.as_str().split_once('?').unwrap_or((return_to.as_str(), ""));
    let rest = path.strip_prefix(runtime.entrance.path.as_str());
    let (query, install) = match rest {
        Some(rest) => (query, rest.strip_prefix("/install/")),
        None => ("", None),
    };
    // a cookie for the frame's own partition, which no pop-up can set
    let set_cookie = match sign_in.sessions.settings().same_site {
        SameSite::Lax => None,
        SameSite::NonePartitioned => {
            let own = of_frame(session).map_err(internal)?;
            Some(sign_in.sessions.set(&own).map_err(internal)?)
        }
    };
    let signed_in =
        SignedInUser { user: session.user.clone(), issuer: Some(session.issuer.clone()), set_cookie };
    let terms = Terms::of_signed_in(signed_in, query, install).map_err(internal)?;
    let (url, _) = links::new_ticket(context, runtime, &terms, Timestamp::now()).await?;
    Ok(Some(url))
}

/// The page that says that the user is signed in, and posts a message to the opener.
pub(super) fn signed_in(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    request: &HttpRequest,
    return_to: &ReturnAddress,
    opener: Option<Opener<'_>>,
    cookies: &[String],
) -> Result<HttpResponse, Refusal> {
    let targets = opener.as_ref().map(|opener| match opener.origin {
        Some(origin) => vec![origin.to_owned()],
        None => {
            let mut targets = runtime.entrance.embed.parents.listed_origins();
            targets.extend(context.snapshot.public_url.clone().filter(|own| !targets.contains(own)));
            targets
        }
    });
    let page = SignedInPage {
        is_signed_in: true,
        continue_url: Some(return_to.as_str()),
        opener_targets: targets.unwrap_or_default(),
        ticket: opener.as_ref().and_then(|opener| opener.ticket.as_deref()),
    };
    render(context, request, &page, cookies)
}

/// The page that says that the user is signed out.
pub(super) fn signed_out(
    context: &RequestContext,
    request: &HttpRequest,
    continue_url: &str,
    cookies: &[String],
) -> Result<HttpResponse, Refusal> {
    let page = SignedInPage {
        is_signed_in: false,
        continue_url: Some(continue_url),
        opener_targets: Vec::new(),
        ticket: None,
    };
    render(context, request, &page, cookies)
}

fn render(
    context: &RequestContext,
    request: &HttpRequest,
    page: &SignedInPage<'_>,
    cookies: &[String],
) -> Result<HttpResponse, Refusal> {
    let nonce = nonce();
    let body = context.snapshot.pages.signed_in(page, accept::language(request), &nonce).map_err(internal)?;
    let policy =
        HeaderValue::try_from(page_policy(&nonce, "", "frame-ancestors 'none'")).map_err(internal)?;
    let mut response = HttpResponse::Ok();
    protect(&mut response);
    response.insert_header((header::CONTENT_SECURITY_POLICY, policy));
    response.insert_header((header::VARY, HeaderValue::from_static("Accept-Language, Cookie")));
    add_cookies(&mut response, cookies)?;
    Ok(response.content_type("text/html; charset=utf-8").body(body))
}
