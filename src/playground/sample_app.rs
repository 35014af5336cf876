//! The sample app: a product with a login, whose page frames the marketplace.
//! It stands for the company's own application and its login proxy; it knows
//! no secret and sees no token.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::origin_guard::{comes_from, cross_site_response};
use super::pages::{Pages, Policy, nonce};
use super::people::{PASSWORD, PEOPLE, Person};
use super::reverse_proxy::ReverseProxy;
use super::sessions::Sessions;
use super::views::{AppPage, HeaderLine, LoginPage, PersonCard};

/// All that the sample app needs.
pub struct SampleApp {
    /// Its pages.
    pub pages: Pages,
    /// Who is logged in.
    pub sessions: Sessions,
    /// The way to the service.
    pub proxy: ReverseProxy,
    /// Where browsers find the app, such as `http://127.0.0.1:8088`.
    pub origin: String,
    /// Where browsers find the marketplace.
    pub marketplace_origin: String,
}

/// Adds the app's addresses; the state is a `web::Data<SampleApp>` beside them.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::FormConfig::default().limit(MOST_BODY_BYTES))
        .app_data(web::PayloadConfig::new(MOST_BODY_BYTES))
        .route("/", web::get().to(home))
        .route("/login", web::get().to(login_form))
        .route("/login", web::post().to(login))
        .route("/logout", web::post().to(logout))
        .service(
            web::resource(["/pandium-sso", "/pandium-sso/{rest:.*}"])
                .route(web::route().to(through_the_proxy)),
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
    let policy =
        Policy { nonce: &nonce, asks: None, frames: Some(&state.marketplace_origin), framed_by: "'none'" };
    let headers = person.identity_headers().into_iter().map(|(name, value)| HeaderLine { name, value });
    let page = AppPage {
        nonce: &nonce,
        product: PRODUCT,
        person: PersonCard::from(person),
        marketplace_origin: &state.marketplace_origin,
        headers: headers.collect(),
    };
    state.pages.answer(StatusCode::OK, &policy, &page)
}

async fn login_form(state: web::Data<SampleApp>) -> HttpResponse {
    login_page(&state, StatusCode::OK, None)
}

async fn login(
    state: web::Data<SampleApp>,
    request: HttpRequest,
    form: web::Form<LoginForm>,
) -> HttpResponse {
    if !comes_from(&state.origin, request.headers()) {
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
    if !comes_from(&state.origin, request.headers()) {
        return cross_site_response();
    }
    see_other("/login").cookie(state.sessions.end(&request)).finish()
}

async fn through_the_proxy(
    state: web::Data<SampleApp>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let person = state.sessions.person(&request);
    match state.proxy.forward(&request, body, person).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, "the playground's proxy could not pass a request on");
            HttpResponse::build(error.status()).body(format!("The login proxy gave up: {error}.\n"))
        }
    }
}

fn login_page(state: &SampleApp, status: StatusCode, error: Option<&'static str>) -> HttpResponse {
    let nonce = nonce();
    let policy = Policy { nonce: &nonce, asks: None, frames: None, framed_by: "'none'" };
    let page = LoginPage {
        nonce: &nonce,
        product: PRODUCT,
        people: PEOPLE.iter().map(PersonCard::from).collect(),
        password: PASSWORD,
        error,
    };
    state.pages.answer(status, &policy, &page)
}

fn see_other(path: &'static str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((header::LOCATION, path)).insert_header((header::CACHE_CONTROL, "no-store"));
    answer
}

/// A made-up product.
const PRODUCT: &str = "Larkspur";
const MOST_BODY_BYTES: usize = 16_384;
