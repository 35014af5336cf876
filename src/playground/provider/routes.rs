//! The stand-in provider's routes and login page.

use std::collections::BTreeMap;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};
use url::Url;

use super::authorize::Choice;
use super::{FixedResponse, Provider, RecordedRequest};
use crate::playground::pages::{ContentSecurityPolicy, nonce};
use crate::playground::people::provider_users;
use crate::playground::views::{PersonCard, ProviderLoginPage};

type Form = web::Form<BTreeMap<String, String>>;

/// Registers the routes; they need a `web::Data<Provider>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::scope("")
            .wrap(from_fn(lie))
            .route("/.well-known/openid-configuration", web::get().to(discovery))
            .route("/jwks", web::get().to(keys))
            .route("/authorize", web::get().to(login_page))
            .route("/authorize", web::post().to(sign_in))
            .route("/token", web::post().to(token))
            .route("/userinfo", web::get().to(user_info))
            .route("/end_session", web::get().to(end_session))
            .route("/v2/oauth2/authorize", web::get().to(login_page))
            .route("/v2/oauth2/authorize", web::post().to(sign_in))
            .route("/v2/oauth2/token", web::post().to(token))
            .route("/v2/users/self", web::get().to(mittwald_user)),
    );
}

/// Delays or replaces a response, if [`Lies`](super::Lies) says so.
async fn lie(
    provider: web::Data<Provider>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (response, delay) = {
        let lies = &provider.state().lies;
        (lies.response.clone(), lies.delay)
    };
    if let Some((_, delay)) = delay.filter(|(path, _)| *path == request.path()) {
        actix_web::rt::time::sleep(delay).await;
    }
    match response.filter(|response| response.path == request.path()) {
        Some(FixedResponse { status, content_type, body, .. }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = HttpResponse::build(status);
            response
                .insert_header((header::LOCATION, "/elsewhere"))
                .insert_header((header::CONTENT_TYPE, content_type));
            Ok(request.into_response(response.body(body)))
        }
        None => next.call(request).await,
    }
}

async fn discovery(provider: web::Data<Provider>) -> HttpResponse {
    let mut metadata = provider.metadata();
    provider.state().lies.discovery.apply(&mut metadata);
    HttpResponse::Ok().json(metadata)
}

async fn keys(provider: web::Data<Provider>, request: HttpRequest) -> HttpResponse {
    record(&provider, &request, &BTreeMap::new());
    let state = provider.state();
    match state.keys.published(state.lies.keys) {
        Ok(keys) => HttpResponse::Ok().content_type(ContentType::json()).body(keys),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn login_page(provider: web::Data<Provider>, request: HttpRequest) -> HttpResponse {
    if let Err(error) = provider.check_request(request.query_string()) {
        return HttpResponse::BadRequest().body(format!("The request is rejected: {error}.\n"));
    }
    let nonce = nonce();
    let policy = ContentSecurityPolicy { redirects_forms: true, ..ContentSecurityPolicy::alone(&nonce) };
    let page = ProviderLoginPage {
        nonce: &nonce,
        people: provider_users().map(PersonCard::from).collect(),
        request: request.query_string(),
    };
    provider.pages.respond(StatusCode::OK, &policy, "provider_login.html", &page)
}

async fn sign_in(provider: web::Data<Provider>, form: Form) -> HttpResponse {
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let choice = match text("user") {
        "" => Choice::Deny,
        person => Choice::SignIn(person),
    };
    match provider.authorize(text("request"), choice) {
        Ok(url) => HttpResponse::SeeOther().insert_header((header::LOCATION, url)).finish(),
        Err(error) => HttpResponse::BadRequest().body(format!("The request is rejected: {error}.\n")),
    }
}

async fn token(provider: web::Data<Provider>, request: HttpRequest, form: Form) -> HttpResponse {
    record(&provider, &request, &form);
    match provider.tokens(field(&request, "authorization"), &form) {
        Ok(response) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(response),
        Err(error @ "invalid_client") => HttpResponse::Unauthorized().json(json!({"error": error})),
        Err(error) => HttpResponse::BadRequest().json(json!({"error": error})),
    }
}

async fn user_info(provider: web::Data<Provider>, request: HttpRequest) -> HttpResponse {
    record(&provider, &request, &BTreeMap::new());
    let token = field(&request, "authorization").and_then(|field| field.strip_prefix("Bearer "));
    respond(token.and_then(|token| provider.user_info(token)))
}

async fn mittwald_user(provider: web::Data<Provider>, request: HttpRequest) -> HttpResponse {
    record(&provider, &request, &BTreeMap::new());
    respond(field(&request, "x-access-token").and_then(|token| provider.mittwald_user(token)))
}

/// Ends the session. Redirects only to URLs of the client.
async fn end_session(
    provider: web::Data<Provider>,
    query: web::Query<BTreeMap<String, String>>,
) -> HttpResponse {
    let own = Url::parse(&provider.client.redirect_uri).map(|url| url.origin()).ok();
    let return_to = query.get("post_logout_redirect_uri").and_then(|text| Url::parse(text).ok());
    match return_to.filter(|url| own == Some(url.origin())) {
        Some(url) => HttpResponse::SeeOther().insert_header((header::LOCATION, url.as_str())).finish(),
        None => HttpResponse::Ok()
            .content_type(ContentType::html())
            .body("<!doctype html><title>Signed out</title>You are signed out."),
    }
}

fn respond(claims: Option<Map<String, Value>>) -> HttpResponse {
    match claims {
        Some(claims) => HttpResponse::Ok().json(claims),
        None => HttpResponse::Unauthorized().json(json!({"error": "invalid_token"})),
    }
}

fn field<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn record(provider: &Provider, request: &HttpRequest, form: &BTreeMap<String, String>) {
    provider.state().requests.push(RecordedRequest {
        path: request.path().to_owned(),
        authorization: field(request, "authorization").map(str::to_owned),
        form: form.clone(),
    });
}
