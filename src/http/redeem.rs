//! `/l/<ticket>`: a single-use address. A navigation uses up the ticket, and is redirected with a
//! token that is signed at that moment. Other requests do not use it up: scripts, prefetches,
//! previews, HEAD, frames in pages that are not allowed.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::context::{Context, RequestContext, headers};
use super::link_request::Terms;
use super::refusal_response::{nonce, page_policy};
use super::refused::RefusedRequest;
use super::{accept, hand_off, limiting, previewers};
use crate::clock::Timestamp;
use crate::embed::{FetchDestination, FetchMetadata};
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::sign_on::EventDetails;
use crate::store::{FoundTicket, Store};
use crate::ticket::{LIFETIME, Ticket};
use crate::user::Credentials;

/// The path of single-use addresses, before the ticket.
pub(super) const TICKET_PATH: &str = "/l/";

/// How much the remaining validity of a ticket may exceed [`LIFETIME`], because clocks differ.
/// Without this limit, a ticket would stay valid for a day if the clock was set back by a day.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Handles `/l/<ticket>`.
pub(super) async fn redeem(context: Context, request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let text = request.path().strip_prefix(TICKET_PATH);
    let main = context.snapshot.entrances.first();
    let (Some(store), Some(key), Some(main), Some(text)) =
        (&context.shared.store, &context.snapshot.ticket_key, main, text)
    else {
        return Err(RefusedRequest::not_found());
    };
    if request.method() != Method::GET {
        let refused = RefusedRequest::method_not_allowed("GET", "a single-use address is opened with GET");
        return Err(RefusedRequest { runtime: Some(Arc::clone(main)), ..refused });
    }
    let headers = headers(&request);
    let is_reported = check_navigation(&headers).map_err(|refusal| RefusedRequest::at(main, refusal))?;
    if !is_reported && previewers::is_preview(&headers) {
        return preview(&context, &request);
    }
    let Some(ticket) = key.recognize(text) else {
        let refused = RefusedRequest::at(main, expired("this service did not issue the ticket"));
        return Err(limiting::limit_guesses(&context, refused));
    };
    // boxed, because actix would move this large future several times
    let fetch_dest = FetchDestination::of(&headers);
    let opened = Box::pin(open(&context, &request, &headers, fetch_dest, store, &ticket)).await;
    opened.map_err(|mut refused| {
        refused.details.fetch_dest = fetch_dest;
        RefusedRequest { runtime: refused.runtime.or_else(|| Some(Arc::clone(main))), ..refused }
    })
}

/// Uses the ticket, and hands its user off.
async fn open(
    context: &RequestContext,
    request: &HttpRequest,
    headers: &Headers<'_>,
    fetch_dest: FetchDestination,
    store: &Store,
    ticket: &Ticket,
) -> Result<HttpResponse, RefusedRequest> {
    let found = store.find_ticket(ticket.hash()).await.map_err(Refusal::from)?;
    let found =
        found.ok_or_else(|| expired("there is no such ticket any more: it expired more than an hour ago"))?;
    let mut entrances = context.snapshot.entrances.iter();
    let runtime = entrances.find(|runtime| runtime.entrance.name == found.entrance);
    let runtime = runtime.ok_or_else(|| expired("the entrance of the ticket was removed"))?;
    let at = |refusal| RefusedRequest::at(runtime, refusal);

    // checked first, so that a frame in a page that is not allowed does not use up the ticket
    let embed_violation = runtime.entrance.embed.check_embedding(headers).map_err(at)?;
    check_unused(&found, Timestamp::now()).map_err(at)?;
    let terms = use_ticket(store, ticket).await.map_err(at)?;

    let user = terms.user().map_err(at)?;
    let link = (terms.query.as_str(), terms.install.as_deref());
    // only in a frame: as a page, the ticket would let an attacker sign another user's browser in
    // as the attacker
    let is_own_frame = fetch_dest == FetchDestination::Frame && embed_violation.is_none();
    let details = Box::new(EventDetails {
        fetch_dest,
        embed_violation,
        api_token: terms.api_token,
        credentials: Credentials {
            issuer: terms.signed_in.as_ref().and_then(|signed_in| signed_in.issuer.clone()),
            ..Credentials::default()
        },
        ..EventDetails::default()
    });
    let sign_on = runtime.entrance.hand_off_for(&user, link, Uuid::new_v4(), Timestamp::now(), details);
    let response = hand_off::respond(context, runtime, sign_on, |hand_off| {
        hand_off::redirect(request, runtime, hand_off)
    });
    let mut response = response?;
    // sets the cookie of the frame's session
    let set_cookie = terms.signed_in.filter(|_| is_own_frame).and_then(|signed_in| signed_in.set_cookie);
    hand_off::append_cookie(&mut response, set_cookie);
    Ok(response)
}

/// Refuses requests that are not navigations. Returns whether Fetch Metadata proves a navigation:
/// programs and old browsers send none.
fn check_navigation(headers: &Headers<'_>) -> Result<bool, Refusal> {
    let metadata =
        FetchMetadata::read(headers).map_err(|why| Reason::CrossSiteRequest.because(why.cause()))?;
    match metadata.destination {
        None => Ok(false),
        Some(b"document" | b"iframe" | b"frame") => Ok(true),
        Some(_) => Err(Reason::CrossSiteRequest.because("only a page or a frame opens a single-use address")),
    }
}

/// Refuses a ticket that was used before or has expired. Using it would fail as well, but without
/// this cause in the log.
fn check_unused(found: &FoundTicket, now: Timestamp) -> Result<(), Refusal> {
    if found.is_used {
        return Err(expired("the ticket was used before"));
    }
    if found.expires_at_us <= now.unix_microseconds() {
        return Err(expired("the ticket has expired"));
    }
    if found.expires_at_us > now.later_by(LIFETIME).later_by(CLOCK_SKEW).unix_microseconds() {
        return Err(expired(
            "the ticket was issued by a clock that is ahead, or this clock was set back since",
        ));
    }
    Ok(())
}

/// Marks the ticket as used. Of all requests, at all replicas, exactly one succeeds.
async fn use_ticket(store: &Store, ticket: &Ticket) -> Result<Terms, Refusal> {
    let used = store.use_ticket(ticket.hash(), Timestamp::now().unix_microseconds()).await;
    let sealed = used?;
    let sealed = sealed.ok_or_else(|| expired("another request used the ticket at the same time"))?;
    let terms = ticket.open(sealed).map_err(|failure| Reason::Internal.because(failure.to_string()))?;
    serde_json::from_slice(&terms)
        .map_err(|_| Reason::Internal.because("what is stored for the ticket cannot be read"))
}

/// A page without information, for programs that preview links.
fn preview(context: &RequestContext, request: &HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let nonce = nonce();
    let failed = || RefusedRequest::internal("a page could not be rendered");
    let page = context.snapshot.pages.preview(accept::language(request), &nonce).map_err(|_| failed())?;
    let policy = page_policy(&nonce, "", "frame-ancestors 'none'");
    let policy = HeaderValue::try_from(policy).map_err(|_| failed())?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::VARY, HeaderValue::from_static("Accept-Language, User-Agent")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .content_type("text/html; charset=utf-8")
        .body(page))
}

fn expired(cause: &'static str) -> Refusal {
    Reason::LinkExpired.because(cause)
}
