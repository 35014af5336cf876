//! The user of a request, for proxies that authorize requests to an API: nginx
//! `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`, Envoy
//! `ext_authz`. Nothing is signed here.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::context::{Context, headers};
use super::refused::{Recipient, RefusedRequest};
use super::sender::Sender;
use super::served::ServedRequest;
use super::target::EntranceTarget;
use crate::audit::Outcome;
use crate::authn::token::TokenLocation;
use crate::clock::Timestamp;
use crate::host::HostNames;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::sign_on::{Entrance, Identification};
use crate::user::{Email, Identifier, Label, User};

/// The user as JSON.
#[derive(Serialize)]
struct VerifiedUser<'a> {
    entrance: &'a str,
    user: &'a User,
}

const USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const GROUPS: HeaderName = HeaderName::from_static("x-auth-request-groups");

/// Handles `/v1/verify/NAME` with any method, and with any path after the name: some proxies copy
/// method and path of the request that they authorize.
pub(super) async fn verify(
    context: Context,
    EntranceTarget { runtime, rest }: EntranceTarget,
    request: HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let headers = headers(&request);
    let entrance = &runtime.entrance;
    let Identification { outcome, details } =
        match check_cookie_origin(entrance, &context.snapshot.hosts, &headers) {
            Ok(()) => {
                entrance.identify(context.auth_request(rest.as_deref(), "", &headers), Timestamp::now).await
            }
            Err(refusal) => Identification { outcome: Err(refusal), details: Box::default() },
        };
    let user = match outcome.and_then(with_name) {
        Ok(user) => user,
        Err(refusal) => {
            let refused = RefusedRequest::at(&runtime, refusal);
            return Err(RefusedRequest { details, recipient: Recipient::Api, ..refused });
        }
    };
    let mut response = HttpResponse::Ok();
    let id = user.id.as_ref().map(Identifier::as_str).filter(|id| is_one_word(id));
    let email = user.email.as_ref().map(Email::as_str).filter(|email| is_one_word(email));
    let groups = groups(&user.groups);
    for (name, value) in [(USER, id), (EMAIL, email), (GROUPS, groups.as_deref())] {
        // parsed values have no control characters; UTF-8 is sent unchanged
        let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let Some(value) = value {
            response.insert_header((name, value));
        }
    }
    protect_json(&mut response);
    let response = response.json(VerifiedUser { entrance: &entrance.name, user: &user });
    let outcome = Some(Outcome::Verified);
    Ok(context.served(ServedRequest { outcome, details, ..ServedRequest::at(runtime) }, response))
}

/// A response with the header fields of JSON about a user.
pub(super) fn json_response() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    protect_json(&mut response);
    response
}

/// Adds header fields to JSON about a user, so that pages of other origins cannot include it, and
/// browsers do not interpret it as another media type.
pub(super) fn protect_json(response: &mut HttpResponseBuilder) {
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    response.insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")));
}

/// Refuses a cookie that the browser sent because of a page of another origin. An `Origin` has to
/// be that of an allowed page or of the API itself. Fetch Metadata (`same-origin`) identifies the
/// API's own pages; without Fetch Metadata, origins on the service's hosts count as its own. A
/// request from another site needs an `Origin`.
fn check_cookie_origin(entrance: &Entrance, hosts: &HostNames, headers: &Headers<'_>) -> Result<(), Refusal> {
    if !matches!(entrance.authenticator.token_location(), Some(TokenLocation::Cookie(_))) {
        return Ok(());
    }
    let Sender { origin, site } = Sender::read(headers)?;
    let is_foreign = match (origin, site) {
        (Some(origin), _) if entrance.embed.allows_script(origin) => false,
        (_, Some(b"same-origin")) => false,
        (Some(origin), None) => !is_on(hosts, origin),
        (Some(_), Some(_)) | (None, Some(b"cross-site")) => true,
        (None, Some(_) | None) => false,
    };
    if !is_foreign {
        return Ok(());
    }
    Err(Reason::CrossSiteRequest.because("the browser sent the cookie because of a page of another origin"))
}

/// Whether an origin is on one of the service's configured hosts.
fn is_on(hosts: &HostNames, origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| hosts.is_configured(authority))
}

/// Refuses a user without an id, an e-mail address and a user name: an API could not distinguish
/// such users.
fn with_name(user: Box<User>) -> Result<Box<User>, Refusal> {
    match (&user.id, &user.email, &user.username) {
        (None, None, None) => {
            Err(Reason::Unauthenticated.because("the token has neither id, e-mail address nor user name"))
        }
        _ => Ok(user),
    }
}

/// Whether a value has no delimiter that would make it look like several values in a header field.
/// Other values are only in the JSON.
fn is_one_word(value: &str) -> bool {
    !value.contains([',', ';', '"', ' '])
}

/// The groups, separated by commas. A group with a comma is only in the JSON.
fn groups(groups: &[Label]) -> Option<String> {
    let plain: Vec<&str> = groups.iter().map(Label::as_str).filter(|group| !group.contains(',')).collect();
    (!plain.is_empty()).then(|| plain.join(","))
}
