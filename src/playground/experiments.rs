//! The actions of the buttons on the sample app's page: forging an identity, expiring a token,
//! rotating the shared secret under load, and changing the user's plan. The trace records all of
//! them.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::load;
use super::origin_guard::{cross_site_response, is_from_origin};
use super::people::{PEOPLE, Person};
use super::reverse_proxy::ProxyError;
use super::sample_app::SampleApp;
use super::setup::random_secret;
use super::tier::Tier;
use super::trace::{Answered, Asked, Forwarded, Story};
use super::views::PersonCard;
use crate::secret::SharedSecret;
use crate::sign_on::Entrance;

/// Registers the routes; they need a `web::Data<SampleApp>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.route("/playground/trace", web::get().to(trace))
        .route("/playground/plan", web::post().to(change_plan))
        .route("/playground/forge", web::post().to(forge))
        .route("/playground/expire", web::post().to(expire))
        .route("/playground/rotate", web::post().to(rotate));
}

#[derive(Deserialize)]
struct After {
    after: u64,
}

/// The changes since the last response.
#[derive(Serialize)]
struct Changes {
    /// The value of `after` in the next request.
    version: u64,
    user: Option<PersonCard>,
    stories: Vec<Story>,
}

#[derive(Deserialize)]
struct PlanForm {
    plan: Tier,
}

/// Responds as soon as something has changed, or after 20 s.
async fn trace(app: web::Data<SampleApp>, request: HttpRequest, query: web::Query<After>) -> HttpResponse {
    let (version, stories) = app.trace.poll(query.after).await;
    let user = app.sessions.user(&request).map(PersonCard::from);
    HttpResponse::Ok().insert_header(NO_STORE).json(Changes { version, user, stories })
}

async fn change_plan(
    app: web::Data<SampleApp>,
    request: HttpRequest,
    form: web::Json<PlanForm>,
) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    if !app.sessions.change_plan(&request, form.plan) {
        return said(
            StatusCode::UNAUTHORIZED,
            "Sign in again first: the plan is that of the user's company.",
        );
    }
    app.trace.wake();
    said(StatusCode::OK, "The next request has the new plan in X-Auth-Request-Plan.")
}

/// Sends forged headers with the identity of the user with the most rights to the service directly,
/// from an address that is not the proxy's.
async fn forge(app: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    let forged = PEOPLE.iter().max_by_key(|person| person.plan).map(identity_of).unwrap_or_default();
    let sent: Vec<_> = forged.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let response = match app.proxy.get(Entrance::MAIN_PATH, &forged, Some(NOT_A_PROXY)).await {
        Ok(response) => response,
        // some systems do not have this address
        Err(ProxyError::NoResponse(_)) => {
            return said(
                StatusCode::OK,
                "The proxy removed the forged header. This machine has no second loopback address to pass the \
                 proxy by.",
            );
        }
        Err(error) => return said(error.status(), &error.to_string()),
    };
    let (answered, _) = Answered::read(response);
    let status = answered.status;
    let asked = Asked {
        method: "GET".to_owned(),
        target: Entrance::MAIN_PATH.to_owned(),
        fields: sent.clone(),
        is_own_page: false,
    };
    let forwarded = Forwarded { user: None, removed: sent, added: Vec::new(), is_direct: true };
    app.trace.add_exchange(asked, forwarded, answered);
    said(
        StatusCode::OK,
        &format!(
            "The proxy removed a forged header. Past the proxy, from {NOT_A_PROXY}, it gets {status}: not in \
             trusted_proxies."
        ),
    )
}

async fn expire(app: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    if app.sessions.user(&request).is_none() {
        return said(StatusCode::UNAUTHORIZED, "Sign in again first: without a session, no token is in use.");
    }
    let Some(token) = app.trace.framed_token() else {
        return said(StatusCode::CONFLICT, "No token is in use: open the marketplace first.");
    };
    app.marketplace.expire(token);
    said(StatusCode::OK, "The frame's token counts as ten minutes older. A new request gets a new token.")
}

async fn rotate(app: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    let Some(user) = app.sessions.user(&request) else {
        return said(StatusCode::UNAUTHORIZED, "Sign in again first: the requests are those of a user.");
    };
    let Ok(_running) = app.rotation.try_lock() else {
        return said(StatusCode::CONFLICT, "The secret is being rotated already.");
    };
    let change = || {
        let secret = random_secret();
        app.marketplace.add_secret(SharedSecret::parse(&secret)?);
        app.service_file.write(&secret)
    };
    match load::run(&app.proxy, &app.marketplace, &user.identity_headers(), change).await {
        Ok(report) => {
            let text = format!(
                "{} requests, {} failed. The stand-in accepts both secrets; with Pandium, agree on a time.",
                report.requests, report.failed
            );
            app.trace.add_load(report);
            said(StatusCode::OK, &text)
        }
        Err(error) => {
            said(StatusCode::INTERNAL_SERVER_ERROR, &format!("The secret was not rotated: {error}."))
        }
    }
}

fn identity_of(person: &Person) -> Vec<(&'static str, String)> {
    person.identity_headers(person.plan)
}

/// The response to a button, which the page shows.
fn said(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).insert_header(NO_STORE).json(json!({ "said": text }))
}

/// A loopback address that is not among the service's trusted proxies.
const NOT_A_PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NO_STORE: (header::HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
