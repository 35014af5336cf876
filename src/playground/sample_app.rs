//! The sample app: a login, and a page that frames the marketplace. It is an
//! application with its login proxy, and has no access to secrets or tokens.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::origin_guard::{cross_site_response, is_from_origin};
use super::pages::{ContentSecurityPolicy, Pages, nonce};
use super::people::{PASSWORD, PEOPLE, Person};
use super::reverse_proxy::ReverseProxy;
use super::sessions::Sessions;
use super::views::{AppPage, HeaderField, LoginPage, PersonCard};

/// The state of the sample app.
pub struct SampleApp {
    pub pages: Pages,
    pub sessions: Sessions,
    /// Forwards requests to the service.
    pub proxy: ReverseProxy,
    /// The app's origin, such as `http://127.0.0.1:8088`.
    pub origin: String,
    /// The marketplace's origin.
    pub marketplace_origin: String,
}

/// Registers the routes; they need a `web::Data<SampleApp>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::FormConfig::default().limit(MAX_BODY_BYTES))
        .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
        .route("/", web::get().to(home))
        .route("/login", web::get().to(login_form))
        .route("/login", web::post().to(login))
        .route("/logout", web::post().to(logout))
        .service(
            web::resource(["/pandium-sso", "/pandium-sso/{rest:.*}"])
                .route(web::route().to(forward_to_service)),
        );
}

#[derive(Deserialize)]
struct LoginForm {
    user: String,
    password: String,
}

async fn home(state: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    let Some(person) = state.sessions.person(&request) else {
        return see_other("/login").finish();
    };
    let nonce = nonce();
    let policy = ContentSecurityPolicy {
        nonce: &nonce,
        connect_src: None,
        frame_src: Some(&state.marketplace_origin),
        frame_ancestors: "'none'",
    };
    let headers = person.identity_headers().into_iter().map(|(name, value)| HeaderField { name, value });
    let page = AppPage {
        nonce: &nonce,
        product: PRODUCT,
        person: PersonCard::from(person),
        marketplace_origin: &state.marketplace_origin,
        headers: headers.collect(),
    };
    state.pages.respond(StatusCode::OK, &policy, "sample_app.html", &page)
}

async fn login_form(state: web::Data<SampleApp>) -> HttpResponse {
    login_page(&state, StatusCode::OK, None)
}

async fn login(
    state: web::Data<SampleApp>,
    request: HttpRequest,
    form: web::Form<LoginForm>,
) -> HttpResponse {
    if !is_from_origin(&state.origin, request.headers()) {
        return cross_site_response();
    }
    match Person::find(&form.user) {
        Some(person) if form.password == PASSWORD => {
            state.sessions.end(&request);
            see_other("/").cookie(state.sessions.begin(person)).finish()
        }
        Some(_) | None => login_page(
            &state,
            StatusCode::UNAUTHORIZED,
            Some("That is not the password. It is “playground”."),
        ),
    }
}

async fn logout(state: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    if !is_from_origin(&state.origin, request.headers()) {
        return cross_site_response();
    }
    see_other("/login").cookie(state.sessions.end(&request)).finish()
}

async fn forward_to_service(
    state: web::Data<SampleApp>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let person = state.sessions.person(&request);
    match state.proxy.forward(&request, body, person).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, "the playground's login proxy cannot forward a request");
            HttpResponse::build(error.status()).body(format!("The login proxy failed: {error}.\n"))
        }
    }
}

fn login_page(state: &SampleApp, status: StatusCode, error: Option<&'static str>) -> HttpResponse {
    let nonce = nonce();
    let policy = ContentSecurityPolicy {
        nonce: &nonce,
        connect_src: None,
        frame_src: None,
        frame_ancestors: "'none'",
    };
    let page = LoginPage {
        nonce: &nonce,
        product: PRODUCT,
        people: PEOPLE.iter().map(PersonCard::from).collect(),
        password: PASSWORD,
        error,
    };
    state.pages.respond(status, &policy, "sample_login.html", &page)
}

fn see_other(path: &'static str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, path)).insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// A fictional product.
const PRODUCT: &str = "Larkspur";
const MAX_BODY_BYTES: usize = 16_384;
