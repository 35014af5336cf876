//! The platform's front end: its page with a place that is ours, and what the
//! page's script asks of the platform.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::gateway;
use super::issuer::Issuer;
use super::keys::Keys;
use super::kind::Kind;
use super::tokens::Wanted;
use super::view::PlatformPage;
use crate::clock::Timestamp;
use crate::playground::origin_guard::{comes_from, cross_site_response};
use crate::playground::pages::{Pages, Policy, nonce};
use crate::playground::people::{PEOPLE, Person};
use crate::playground::views::PersonCard;

/// All that the front end needs.
pub struct IssuerPreset {
    /// Which platform's it is.
    pub kind: Kind,
    /// Its pages.
    pub pages: Pages,
    /// Who signs its tokens.
    pub issuer: Issuer,
    /// The way to the service, for its gateway.
    pub client: reqwest::Client,
    /// Where browsers find it.
    pub origin: String,
    /// Where browsers find the service.
    pub service_origin: String,
    /// The address of the service's entrance.
    pub entrance: String,
    /// Where browsers find the marketplace.
    pub marketplace_origin: String,
    /// The service's configuration, secrets hidden.
    pub config: String,
}

/// Adds the front end's addresses; the state is a `web::Data<IssuerPreset>` beside them.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::JsonConfig::default().limit(MOST_BODY_BYTES))
        .route("/", web::get().to(page))
        .route("/platform/token", web::post().to(token))
        .route("/platform/keys", web::get().to(keys))
        .route("/platform/keys", web::post().to(change_keys))
        .route(gateway::PATH, web::get().to(gateway::forward));
}

/// What the page wants a token for.
#[derive(Deserialize)]
struct TokenWanted {
    person: String,
    is_authorized: bool,
}

/// What shall happen with the keys.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do")]
enum Change {
    Rotate,
    Down,
    Up,
}

async fn page(front: web::Data<IssuerPreset>) -> HttpResponse {
    let nonce = nonce();
    let policy = Policy {
        nonce: &nonce,
        asks: Some(&front.service_origin),
        frames: Some(&front.marketplace_origin),
        framed_by: "'none'",
    };
    let page = PlatformPage {
        nonce: &nonce,
        kind: front.kind.word(),
        words: front.kind.words(),
        people: PEOPLE.iter().map(PersonCard::from).collect(),
        project_keys: PEOPLE.iter().map(|person| person.project_key).collect(),
        header: front.kind.page_header(),
        reuse_s: front.kind.reuse_s(),
        gateway: gateway::PATH,
        may_be_unauthorized: front.kind == Kind::Caf,
        publishes_keys: front.issuer.keys().is_some(),
        keys_origin: front.issuer.origin(),
        entrance: &front.entrance,
        service_origin: &front.service_origin,
        marketplace_origin: &front.marketplace_origin,
        config: &front.config,
    };
    front.pages.answer(StatusCode::OK, &policy, &page)
}

async fn token(
    front: web::Data<IssuerPreset>,
    request: HttpRequest,
    wanted: web::Json<TokenWanted>,
) -> HttpResponse {
    if !comes_from(&front.origin, request.headers()) {
        return cross_site_response();
    }
    if front.kind.page_header().is_none() {
        return HttpResponse::NotFound().body("Here a gateway brings the token, and no page sees it.\n");
    }
    let Some(person) = Person::find(&wanted.person) else {
        return HttpResponse::NotFound().body("There is no such person.\n");
    };
    let wanted = Wanted {
        person,
        is_authorized: wanted.is_authorized,
        address: &front.entrance,
        now_s: Timestamp::now().unix_seconds(),
    };
    match front.issuer.token(&wanted) {
        Ok(token) => HttpResponse::Ok().insert_header(NOT_KEPT).json(json!({"token": token})),
        Err(error) => internal_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn keys(front: web::Data<IssuerPreset>) -> HttpResponse {
    match front.issuer.keys() {
        Some(keys) => HttpResponse::Ok().insert_header(NOT_KEPT).json(keys.seen()),
        None => HttpResponse::NotFound().body("This platform publishes no keys.\n"),
    }
}

async fn change_keys(
    front: web::Data<IssuerPreset>,
    request: HttpRequest,
    change: web::Json<Change>,
) -> HttpResponse {
    if !comes_from(&front.origin, request.headers()) {
        return cross_site_response();
    }
    match apply(front.clone(), change.into_inner()).await {
        Ok(()) => keys(front).await,
        Err(error) => internal_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn apply(front: web::Data<IssuerPreset>, change: Change) -> anyhow::Result<()> {
    let Some(keys) = front.issuer.keys() else { return Ok(()) };
    match change {
        Change::Down => keys.take_down(true),
        Change::Up => {
            keys.take_down(false)?;
            tokio::time::sleep(LEFT_ALONE).await;
            Ok(())
        }
        Change::Rotate => {
            let making = front.clone();
            web::block(move || making.issuer.keys().map_or(Ok(()), Keys::publish_next)).await??;
            tokio::time::sleep(LEFT_ALONE).await;
            keys.sign_with_newest();
            Ok(())
        }
    }
}

/// The answer where the playground itself has failed.
pub fn internal_error(status: StatusCode, error: &anyhow::Error) -> HttpResponse {
    tracing::warn!(%error, "the stand-in platform could not answer");
    HttpResponse::build(status).body(format!("The stand-in platform gave up: {error}.\n"))
}

/// Longer than the service leaves the key server alone after each question. So
/// long a new key is published before it signs, and a server that came back is
/// there before this is said: whoever comes then is believed.
const LEFT_ALONE: Duration = Duration::from_millis(2_200);
const NOT_KEPT: (&str, &str) = ("Cache-Control", "no-store");
const MOST_BODY_BYTES: usize = 4_096;
