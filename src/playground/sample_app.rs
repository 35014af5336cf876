//! The sample app: a login, and a page that frames the marketplace. It plays both roles: an
//! application, and its login proxy. [`super::trace`] records requests for its page, and
//! [`super::experiments`] has the actions of its buttons.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::marketplace::Marketplace;
use super::origin_guard::{cross_site_response, is_from_origin};
use super::pages::{ContentSecurityPolicy, Pages, nonce};
use super::people::{PASSWORD, PEOPLE, Person};
use super::reverse_proxy::{ReverseProxy, is_identity_field};
use super::service_config::ServiceFile;
use super::sessions::Sessions;
use super::tier::Tier;
use super::trace::{Answered, Asked, Forwarded, Trace, request_fields};
use super::views::{AppPage, LoginPage, PersonCard, Plan, SignedInPage};
use crate::sign_on::Entrance;

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
    /// The origin of a site that may not embed the marketplace.
    pub other_origin: String,
    pub marketplace: web::Data<Marketplace>,
    pub trace: Arc<Trace>,
    /// The service's configuration.
    pub service_file: ServiceFile,
    /// Held during a rotation of the secret.
    pub rotation: tokio::sync::Mutex<()>,
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
            web::resource(["/pandium-sso", "/pandium-sso/{rest:.*}", "/embed{rest:.*}"])
                .route(web::route().to(forward_to_service)),
        );
}

#[derive(Deserialize)]
struct LoginForm {
    user: String,
    password: String,
    #[serde(default)]
    then: String,
}

#[derive(Deserialize)]
struct LoginQuery {
    /// Where the login continues; `close` in the pop-up that the component opens.
    #[serde(default)]
    then: String,
}

async fn home(state: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    let Some(user) = state.sessions.user(&request) else {
        return see_other("/login");
    };
    let nonce = nonce();
    let frames = format!("{} {}", state.marketplace_origin, state.other_origin);
    let policy = ContentSecurityPolicy { frame_src: Some(&frames), ..ContentSecurityPolicy::alone(&nonce) };
    let page = AppPage {
        nonce: &nonce,
        product: PRODUCT,
        person: PersonCard::from(user),
        plans: Tier::ALL.map(|tier| Plan { tier, label: tier.label() }),
        marketplace_origin: &state.marketplace_origin,
        other_origin: &state.other_origin,
    };
    state.pages.respond(StatusCode::OK, &policy, "sample_app.html", &page)
}

async fn login_form(state: web::Data<SampleApp>, query: web::Query<LoginQuery>) -> HttpResponse {
    login_page(&state, StatusCode::OK, &query.then, None)
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
            let cookie = state.sessions.begin(person);
            state.trace.wake();
            let mut response = if form.then == CLOSE { signed_in_page(&state) } else { see_other("/") };
            // cannot fail: letters and digits are a valid header field value
            let _ = response.add_cookie(&cookie);
            response
        }
        Some(_) | None => login_page(
            &state,
            StatusCode::UNAUTHORIZED,
            &form.then,
            Some("That is not the password. It is “playground”."),
        ),
    }
}

async fn logout(state: web::Data<SampleApp>, request: HttpRequest) -> HttpResponse {
    if !is_from_origin(&state.origin, request.headers()) {
        return cross_site_response();
    }
    let mut response = see_other("/login");
    let _ = response.add_cookie(&state.sessions.end(&request));
    state.trace.wake();
    response
}

async fn forward_to_service(
    state: web::Data<SampleApp>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let user = state.sessions.user(&request);
    let added = user.map(|user| user.identity_headers()).unwrap_or_default();
    match state.proxy.forward(&request, body, &added).await {
        Ok(response) if request.path().starts_with(Entrance::MAIN_PATH) => {
            let (answered, response) = Answered::read(response);
            let fields = request_fields(request.headers());
            let forwarded = Forwarded {
                user: user.map(|user| user.person.name),
                removed: fields.iter().filter(|(name, _)| is_identity_field(name)).cloned().collect(),
                added,
                is_direct: false,
            };
            let asked = Asked {
                method: request.method().to_string(),
                target: request.uri().to_string(),
                is_own_page: is_from_own_page(&state.origin, &fields),
                fields,
            };
            state.trace.add_exchange(asked, forwarded, answered);
            response
        }
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, "the playground's login proxy cannot forward a request");
            HttpResponse::build(error.status()).body(format!("The login proxy failed: {error}.\n"))
        }
    }
}

/// Whether the page that sent the request is one of the app, or does not name its origin.
fn is_from_own_page(origin: &str, fields: &[(String, String)]) -> bool {
    fields
        .iter()
        .filter(|(name, _)| name == "referer")
        .all(|(_, from)| from.starts_with(&format!("{origin}/")))
}

/// The page that a pop-up shows after the login, which closes it.
fn signed_in_page(state: &SampleApp) -> HttpResponse {
    let nonce = nonce();
    let policy = ContentSecurityPolicy::alone(&nonce);
    let page = SignedInPage { nonce: &nonce, product: PRODUCT };
    state.pages.respond(StatusCode::OK, &policy, "signed_in.html", &page)
}

fn login_page(
    state: &SampleApp,
    status: StatusCode,
    then: &str,
    error: Option<&'static str>,
) -> HttpResponse {
    let nonce = nonce();
    let policy = ContentSecurityPolicy::alone(&nonce);
    let page = LoginPage {
        nonce: &nonce,
        product: PRODUCT,
        people: PEOPLE.iter().map(PersonCard::from).collect(),
        password: PASSWORD,
        then: (then == CLOSE).then_some(CLOSE),
        error,
    };
    state.pages.respond(status, &policy, "sample_login.html", &page)
}

fn see_other(path: &'static str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// A fictional product.
const PRODUCT: &str = "Larkspur";
/// The value of `then` after which the login shows a page that closes its window.
const CLOSE: &str = "close";
const MAX_BODY_BYTES: usize = 16_384;
