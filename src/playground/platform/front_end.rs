//! The platform's front end: its page, which embeds the marketplace, and the
//! endpoints that the page's script calls.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::gateway;
use super::keys::Keys;
use super::kind::{PlatformTexts, TokenRequest};
use super::state::{FrontEnd, internal_error};
use crate::clock::{Stopwatch, Timestamp};
use crate::playground::origin_guard::{cross_site_response, is_from_origin};
use crate::playground::pages::{ContentSecurityPolicy, nonce};
use crate::playground::people::{PEOPLE, Person};
use crate::playground::views::PersonCard;

/// Registers the routes; they need a `web::Data<FrontEnd>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES))
        .route("/", web::get().to(page))
        .route("/platform/token", web::post().to(token))
        .route("/platform/keys", web::get().to(keys))
        .route("/platform/keys", web::post().to(change_keys))
        .route(gateway::PATH, web::get().to(gateway::forward));
}

/// The context of the template of the page.
#[derive(Serialize)]
struct PlatformPage<'a> {
    nonce: &'a str,
    kind: &'static str,
    texts: &'static PlatformTexts,
    people: Vec<PersonCard>,
    /// The project of each user, in the order of `people`.
    project_keys: Vec<&'static str>,
    /// The header field in which the page sends the token; `None` if the gateway does.
    header: Option<&'static str>,
    /// Seconds for which the page reuses a token; 0 for never.
    reuse_s: u64,
    /// The path of the gateway.
    gateway: &'static str,
    /// Whether the platform's identity check can fail.
    may_be_unauthorized: bool,
    /// Whether the platform publishes keys.
    publishes_keys: bool,
    keys_origin: String,
    entrance: &'a str,
    service_origin: &'a str,
    marketplace_origin: &'a str,
    config: &'a str,
}

/// The body of a request for a token.
#[derive(Deserialize)]
struct TokenForm {
    person: String,
    is_authorized: bool,
}

/// A change of the published keys.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do")]
enum Change {
    Rotate,
    Down,
    Up,
}

async fn page(front_end: web::Data<FrontEnd>) -> HttpResponse {
    let nonce = nonce();
    let policy = ContentSecurityPolicy {
        connect_src: Some(&front_end.service_origin),
        frame_src: Some(&front_end.marketplace_origin),
        ..ContentSecurityPolicy::alone(&nonce)
    };
    let page = PlatformPage {
        nonce: &nonce,
        kind: front_end.kind.name,
        texts: &front_end.kind.texts,
        people: PEOPLE.iter().map(PersonCard::from).collect(),
        project_keys: PEOPLE.iter().map(|person| person.project_key).collect(),
        header: front_end.kind.page_header,
        reuse_s: front_end.kind.reuse_s,
        gateway: gateway::PATH,
        may_be_unauthorized: front_end.kind.may_be_unauthorized,
        publishes_keys: front_end.issuer.keys().is_some(),
        keys_origin: front_end.issuer.origin(),
        entrance: &front_end.entrance,
        service_origin: &front_end.service_origin,
        marketplace_origin: &front_end.marketplace_origin,
        config: &front_end.config,
    };
    front_end.pages.respond(StatusCode::OK, &policy, "platform.html", &page)
}

async fn token(
    front_end: web::Data<FrontEnd>,
    request: HttpRequest,
    form: web::Json<TokenForm>,
) -> HttpResponse {
    if !is_from_origin(&front_end.origin, request.headers()) {
        return cross_site_response();
    }
    if front_end.kind.page_header.is_none() {
        return HttpResponse::NotFound()
            .body("On this platform a gateway sends the token, and no page sees it.\n");
    }
    let Some(person) = Person::find(&form.person) else {
        return HttpResponse::NotFound().body("There is no such person.\n");
    };
    let token_request = TokenRequest {
        person,
        is_authorized: form.is_authorized,
        url: &front_end.entrance,
        now_s: Timestamp::now().unix_seconds(),
    };
    match front_end.issuer.token(&token_request) {
        Ok(token) => HttpResponse::Ok().insert_header(NO_STORE).json(json!({"token": token})),
        Err(error) => internal_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn keys(front_end: web::Data<FrontEnd>) -> HttpResponse {
    match front_end.issuer.keys() {
        Some(keys) => HttpResponse::Ok().insert_header(NO_STORE).json(keys.status()),
        None => HttpResponse::NotFound().body("This platform publishes no keys.\n"),
    }
}

async fn change_keys(
    front_end: web::Data<FrontEnd>,
    request: HttpRequest,
    change: web::Json<Change>,
) -> HttpResponse {
    if !is_from_origin(&front_end.origin, request.headers()) {
        return cross_site_response();
    }
    match apply(front_end.clone(), change.into_inner()).await {
        Ok(()) => keys(front_end).await,
        Err(error) => internal_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn apply(front_end: web::Data<FrontEnd>, change: Change) -> anyhow::Result<()> {
    let Some(keys) = front_end.issuer.keys() else { return Ok(()) };
    match change {
        Change::Down => keys.set_down(true),
        Change::Up => {
            keys.set_down(false)?;
            tokio::time::sleep(REFRESH_WAIT).await;
            sign_once_fetched(keys).await;
            Ok(())
        }
        Change::Rotate => {
            let publisher = front_end.clone();
            web::block(move || publisher.issuer.keys().map_or(Ok(()), Keys::publish_next)).await??;
            sign_once_fetched(keys).await;
            Ok(())
        }
    }
}

/// Signs with the newest key once the service has fetched it. A token of a key that was never
/// fetched would be refused while the key server is down.
async fn sign_once_fetched(keys: &Keys) {
    let waiting = Stopwatch::start();
    while !keys.is_newest_fetched() {
        if keys.is_down() || waiting.elapsed() > FETCH_TIMEOUT {
            return;
        }
        tokio::time::sleep(FETCH_CHECK).await;
    }
    // waits until the service has read the response that was sent
    tokio::time::sleep(FETCH_CHECK).await;
    keys.sign_with_newest();
}

/// Longer than the service's minimum refresh interval. After it, the service asks a server
/// that is up again.
const REFRESH_WAIT: Duration = Duration::from_millis(2_200);
/// Longer than the service's refresh interval.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);
const FETCH_CHECK: Duration = Duration::from_millis(100);
const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
const MAX_BODY_BYTES: usize = 4_096;
