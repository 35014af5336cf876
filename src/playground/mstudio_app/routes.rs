//! The page of the stand-in mStudio, and the paths that its script calls.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::MstudioApp;
use super::backend::Change;
use crate::playground::origin_guard::{cross_site_response, is_from_origin};
use crate::playground::pages::{ContentSecurityPolicy, nonce};
use crate::playground::people::{PEOPLE, Person};
use crate::playground::views::PersonCard;

/// Registers the routes; they need a `web::Data<MstudioApp>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES))
        .route("/", web::get().to(page))
        .route("/mstudio", web::get().to(instances))
        .route("/mstudio/change", web::post().to(change))
        .route("/mstudio/open", web::post().to(open))
        .route("/mstudio/access-token", web::post().to(access_token));
}

/// The context of the template of the page.
#[derive(Serialize)]
struct MstudioPage<'a> {
    nonce: &'a str,
    people: Vec<PersonCard>,
    service_origin: &'a str,
    marketplace_origin: &'a str,
    config: &'a str,
}

/// Which user opens which instance.
#[derive(Deserialize)]
struct Opening {
    instance: Uuid,
    person: String,
}

/// The instance for which an access token is requested.
#[derive(Deserialize)]
struct TokenOf {
    instance: Uuid,
}

async fn page(app: web::Data<MstudioApp>) -> HttpResponse {
    let nonce = nonce();
    let frames = format!("{} {}", app.service_origin, app.marketplace_origin);
    let policy = ContentSecurityPolicy { frame_src: Some(&frames), ..ContentSecurityPolicy::alone(&nonce) };
    let page = MstudioPage {
        nonce: &nonce,
        people: PEOPLE.iter().map(PersonCard::from).collect(),
        service_origin: &app.service_origin,
        marketplace_origin: &app.marketplace_origin,
        config: &app.config,
    };
    app.pages.respond(StatusCode::OK, &policy, "mstudio_app.html", &page)
}

async fn instances(app: web::Data<MstudioApp>) -> HttpResponse {
    let known = app.backend.known().await;
    respond(known.map(|known| json!({"instances": app.backend.instances(), "known": known})))
}

async fn change(app: web::Data<MstudioApp>, request: HttpRequest, change: web::Json<Change>) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    respond(app.backend.change(change.into_inner()).await)
}

async fn open(app: web::Data<MstudioApp>, request: HttpRequest, opening: web::Json<Opening>) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    let Some(person) = Person::find(&opening.person) else {
        return HttpResponse::NotFound().body("There is no such person.\n");
    };
    respond(app.backend.open(opening.instance, person).map(|url| json!({"url": url})))
}

async fn access_token(
    app: web::Data<MstudioApp>,
    request: HttpRequest,
    of: web::Json<TokenOf>,
) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    respond(app.backend.access_token(of.instance).await)
}

fn respond(result: anyhow::Result<Value>) -> HttpResponse {
    match result {
        Ok(body) => HttpResponse::Ok().insert_header(NO_STORE).json(body),
        Err(error) => {
            tracing::warn!(%error, "the stand-in mStudio failed");
            HttpResponse::InternalServerError().body(format!("The stand-in mStudio failed: {error}.\n"))
        }
    }
}

const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
const MAX_BODY_BYTES: usize = 4_096;
