//! The dashboard on the admin listener: what happened, why a request was refused, and the
//! configuration of the service. Every path below `/dashboard` passes [`serve`], which decides who
//! may see it.

mod access;
mod api_token;
mod configuration;
mod events;
mod login;
mod notice;
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
use pages::PageRequest;
pub(super) use session::Sessions;

/// The pages below `/dashboard`.
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
    let page_request = PageRequest { context: &context, viewer: &viewer };
    match page {
        Page::Overview => overview::page(page_request, &request).await,
        Page::Events => events::page(page_request, &request).await,
        Page::Request(id) => request::page(page_request, id).await,
        Page::Configuration => configuration::page(page_request),
        Page::Token => token::page(page_request),
        Page::Logout | Page::Login => Ok(login::log_out(&context, &request)),
    }
}

/// Redirects `GET /` to the dashboard.
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
            .because(
                "the dashboard is open only to clients on this machine; others log in at /dashboard/login",
            )
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
            Self::Login => (is_read || is_sent, "GET, HEAD, POST", "this path is requested with GET or POST"),
            Self::Logout => (is_sent, "POST", "a session is ended with POST"),
            Self::Overview | Self::Events | Self::Request(_) | Self::Configuration | Self::Token => {
                (is_read, "GET, HEAD", "this path is requested with GET")
            }
        };
        if is_allowed { Ok(()) } else { Err(RefusedRequest::method_not_allowed(allow, cause)) }
    }
}
