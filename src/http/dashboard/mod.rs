//! The dashboard on the admin listener: what happened, why a request was refused, and what
//! the service is set to. Every path below `/dashboard` passes [`serve`], which decides who may see it.

mod access;
mod api_token;
mod configuration;
mod events;
mod login;
mod mark;
mod overview;
mod pages;
mod plot;
mod range;
mod request;
mod session;
mod token;
mod totals;
mod view;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::accept::{self, Wanted};
use super::context::Context;
use super::refused::RefusedRequest;
use crate::refusal::Reason;
use pages::Visit;
pub(super) use session::Sessions;

/// What is below `/dashboard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page<'a> {
    Overview,
    Events,
    /// The events of the request with this id, as written in the path.
    Request(&'a str),
    Configuration,
    Token,
    Login,
    Logout,
}

const LOGIN: &str = "/dashboard/login";

/// Serves a path below `/dashboard`.
pub(super) async fn serve(
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    let page = Page::at(request.uri().path()).ok_or_else(RefusedRequest::not_found)?;
    page.check_method(request.method())?;
    access::check_site(&request)?;
    if page == Page::Login {
        return match *request.method() {
            Method::POST => login::log_in(&context, &request, payload).await,
            _ => login::form(&context, None),
        };
    }
    let Some(viewer) = access::viewer(&context, &request).await? else { return ask_to_log_in(&request) };
    let visit = Visit { context: &context, viewer: &viewer };
    match page {
        Page::Overview => overview::page(visit, &request).await,
        Page::Events => events::page(visit, &request).await,
        Page::Request(id) => request::page(visit, id).await,
        Page::Configuration => configuration::page(visit),
        Page::Token => token::page(visit),
        Page::Logout | Page::Login => Ok(login::log_out(&context, &request)),
    }
}

/// `GET /`: the dashboard.
pub(super) async fn redirect() -> Result<HttpResponse, RefusedRequest> {
    Ok(see("/dashboard"))
}

fn see(path: &'static str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}

fn ask_to_log_in(request: &HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    match accept::wanted(request) {
        Wanted::Html => Ok(see(LOGIN)),
        Wanted::Json | Wanted::Any => Err(Reason::Unauthenticated
            .because("the dashboard is for this machine, or by /dashboard/login")
            .into()),
    }
}

impl<'a> Page<'a> {
    /// The page at a path, compared byte for byte.
    fn at(path: &'a str) -> Option<Self> {
        Some(match path {
            "/dashboard" => Self::Overview,
            "/dashboard/events" => Self::Events,
            "/dashboard/configuration" => Self::Configuration,
            "/dashboard/token" => Self::Token,
            LOGIN => Self::Login,
            "/dashboard/logout" => Self::Logout,
            _ => {
                let id = path.strip_prefix("/dashboard/requests/")?;
                (!id.is_empty() && !id.contains('/')).then_some(Self::Request(id))?
            }
        })
    }

    fn check_method(self, method: &Method) -> Result<(), RefusedRequest> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let is_sent = *method == Method::POST;
        let (is_allowed, allow, cause) = match self {
            Self::Login => (is_read || is_sent, "GET, HEAD, POST", "this path is for GET and POST"),
            Self::Logout => (is_sent, "POST", "a session is ended by POST"),
            Self::Overview | Self::Events | Self::Request(_) | Self::Configuration | Self::Token => {
                (is_read, "GET, HEAD", "this path is requested with GET")
            }
        };
        if is_allowed { Ok(()) } else { Err(RefusedRequest::method_not_allowed(allow, cause)) }
    }
}
