//! `POST /v1/links`: a server requests an address that hands its user off.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::Serialize;
use uuid::Uuid;

use super::context::{Context, RequestContext};
use super::hand_off::{self, HandOffJson};
use super::link_request::{Form, LinkRequest, Terms};
use super::redeem::TICKET_PATH;
use super::refused::{ForProgram, Recipient, RefusedRequest};
use super::served::ServedRequest;
use super::verify::protect_json;
use super::{EntranceRuntime, api_auth, body};
use crate::api_token::Scope;
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::refusal::{Reason, Refusal};
use crate::seal::CryptoFailure;
use crate::sign_on::{EventDetails, SignOn};
use crate::store::NewTicket;
use crate::ticket;

/// A single-use address. The time is in Unix seconds.
#[derive(Serialize)]
struct LinkJson<'a> {
    url: &'a str,
    expires_at: u64,
}

pub(super) const PATH: &str = "/v1/links";

/// The maximum length of a body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The time limit for receiving a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Handles a request for an address.
pub(super) async fn create(
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    let caller = api_auth::authorize(&context, &request, Scope::LinksCreate).await?;
    let api_token = caller.token_name;
    let responded = respond(&context, &request, payload, &api_token).await;
    responded.map_err(|refused| {
        // the operator's own server gets the cause; for other clients it is only in the log
        let members = ForProgram { detail: Some(refused.refusal.cause.clone()), ..ForProgram::default() };
        let for_program = Some(Box::new(members));
        let mut refused = RefusedRequest { recipient: Recipient::Api, for_program, ..refused };
        refused.details.api_token = Some(api_token);
        refused
    })
}

async fn respond(
    context: &RequestContext,
    request: &HttpRequest,
    payload: web::Payload,
    api_token: &str,
) -> Result<HttpResponse, RefusedRequest> {
    let body = json_body(request, payload).await?;
    let LinkRequest { user, entrance, form, terms } = LinkRequest::parse(&body, api_token.to_owned())?;
    let details = EventDetails { api_token: Some(api_token.to_owned()), ..EventDetails::default() };
    let runtime = context.snapshot.entrances.iter().find(|runtime| runtime.entrance.name == entrance);
    let runtime = runtime.ok_or_else(|| Reason::BadRequest.because("there is no entrance of this name"))?;
    let link = (terms.query.as_str(), terms.install.as_deref());
    let (jti, now) = (Uuid::new_v4(), Timestamp::now());
    let SignOn { outcome, details } = runtime.entrance.hand_off_for(&user, link, jti, now, Box::new(details));
    let outcome = outcome.map_err(of_a_named_user);
    match form {
        Form::Direct => hand_off::respond(context, runtime, SignOn { outcome, details }, |hand_off| {
            let mut response = HttpResponse::Created();
            protect_json(&mut response);
            Ok(response.json(HandOffJson::of(&hand_off)))
        }),
        Form::Once => {
            // signed only to test whether it can be; this token is discarded
            let created = match outcome {
                Ok(_) => create_ticket(context, runtime, &terms, now).await,
                Err(refusal) => Err(refusal),
            };
            match created {
                Ok(response) => {
                    let outcome = Some(Outcome::LinkCreated);
                    let served = ServedRequest { outcome, details, ..ServedRequest::at(Arc::clone(runtime)) };
                    Ok(context.served(served, response))
                }
                Err(refusal) => Err(RefusedRequest { details, ..RefusedRequest::at(runtime, refusal) }),
            }
        }
    }
}

/// Stores a ticket, and responds with its address.
async fn create_ticket(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    terms: &Terms,
    now: Timestamp,
) -> Result<HttpResponse, Refusal> {
    let (url, expires) = new_ticket(context, runtime, terms, now).await?;
    response(&url, expires)
}

/// Stores a ticket. Returns its address, and when it expires.
pub(super) async fn new_ticket(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    terms: &Terms,
    now: Timestamp,
) -> Result<(String, Timestamp), Refusal> {
    let Some(public_url) = &context.snapshot.public_url else {
        return Err(Reason::BadRequest
            .because("there are no single-use addresses, since server.public_url is not set"));
    };
    let (Some(store), Some(key)) = (&context.shared.store, &context.snapshot.ticket_key) else {
        return Err(
            Reason::BadRequest.because("there are no single-use addresses, since store.url is not set")
        );
    };
    let failed = |failure: CryptoFailure| Reason::Internal.because(failure.to_string());
    let ticket = key.issue().map_err(failed)?;
    let terms = serde_json::to_vec(terms).map_err(|_| Reason::Internal.because("the link is no JSON"))?;
    let expires = now.later_by(ticket::LIFETIME);
    let new = NewTicket {
        hash: ticket.hash(),
        entrance: runtime.entrance.name.clone(),
        data: ticket.seal(&terms).map_err(failed)?,
        created_at_us: now.unix_microseconds(),
        expires_at_us: expires.unix_microseconds(),
    };
    store.add_ticket(new).await?;
    Ok((format!("{public_url}{TICKET_PATH}{}", ticket.expose()), expires))
}

fn response(url: &str, expires: Timestamp) -> Result<HttpResponse, Refusal> {
    let location = HeaderValue::try_from(url)
        .map_err(|_| Reason::Internal.because("server.public_url is not a valid header field value"))?;
    let mut response = HttpResponse::Created();
    protect_json(&mut response);
    response.insert_header((header::LOCATION, location));
    Ok(response.json(LinkJson { url, expires_at: expires.unix_seconds() }))
}

/// Receives the body; it has to be JSON of at most [`MAX_BODY`].
async fn json_body(request: &HttpRequest, payload: web::Payload) -> Result<Bytes, Refusal> {
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(Reason::BadRequest.because("the Content-Type is not application/json"));
    }
    Ok(body::receive(payload, MAX_BODY, BODY_TIMEOUT).await?)
}

/// Replaces the reasons with status 401: the server is authenticated, and a 401 would mean that its
/// API token is not valid.
fn of_a_named_user(refusal: Refusal) -> Refusal {
    match refusal.reason {
        Reason::Unauthenticated => Refusal { reason: Reason::BadIdentity, ..refusal },
        _ => refusal,
    }
}
