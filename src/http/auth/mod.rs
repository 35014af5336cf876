//! `/auth/<entrance>/…`: signing users in and out at the provider of an entrance of kind `oidc`.

mod backchannel;
mod callback;
mod login;
mod login_request;
mod logout;
mod pages;
mod return_address;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::context::{Context, RequestContext};
use super::refused::RefusedRequest;
use super::{EntranceRuntime, Snapshot};
use crate::authn::oidc::{AccountChoice, UserIdentification};
use crate::embed::FetchMetadata;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;

use login_request::{LoginRequest, Mode};
use return_address::ReturnAddress;

/// The prefix of the paths.
pub(super) const AUTH_PATH: &str = "/auth/";

/// The action at a path of an entrance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Login,
    Callback,
    Logout,
    BackchannelLogout,
}

/// Handles the paths.
pub(super) async fn serve(
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    let found = find(&context.snapshot, request.path());
    let (runtime, action) = found.ok_or_else(RefusedRequest::not_found)?;
    let sign_in = runtime.entrance.authenticator.sign_in().ok_or_else(RefusedRequest::not_found)?;
    let allowed = match action {
        Action::Login | Action::Callback => Method::GET,
        Action::Logout | Action::BackchannelLogout => Method::POST,
    };
    if *request.method() != allowed {
        let allow = if allowed == Method::GET { "GET" } else { "POST" };
        let refused = RefusedRequest::method_not_allowed(allow, "this path of a sign-in has one method");
        return Err(RefusedRequest { runtime: Some(Arc::clone(&runtime)), ..refused });
    }
    match action {
        Action::Login => login::login(&context, &runtime, sign_in, &request).await,
        Action::Callback => callback::callback(&context, &runtime, sign_in, &request).await,
        Action::Logout => logout::logout(&context, &runtime, sign_in, &request).await,
        Action::BackchannelLogout => {
            backchannel::logout(&context, &runtime, sign_in, &request, payload).await
        }
    }
}

/// Whether the path is served.
pub(super) fn is_served(snapshot: &Snapshot, path: &str) -> bool {
    find(snapshot, path).is_some()
}

/// The URL at which the user of a refused request signs in, and which leads back to the request.
/// `None` if this service does not sign users in, or if its provider cannot let the user choose
/// another account.
pub(super) fn login_url(
    runtime: &EntranceRuntime,
    request: &HttpRequest,
    account: AccountChoice,
) -> Option<String> {
    let sign_in = runtime.entrance.authenticator.sign_in()?;
    if account == AccountChoice::Other && !sign_in.client.asks_for_account() {
        return None;
    }
    let entrance = &runtime.entrance;
    let return_to = if request.path() == format!("{AUTH_PATH}{}/login", entrance.name) {
        LoginRequest::parse(request, entrance).return_to
    } else {
        let target = request.uri().path_and_query();
        let requested = target.map_or_else(|| request.path(), |target| target.as_str());
        ReturnAddress::parse(requested, entrance).unwrap_or_else(|| ReturnAddress::of(entrance))
    };
    Some(LoginRequest { return_to, mode: Mode::Top, account }.address(runtime))
}

/// The URL of a sign-in in a pop-up, for a request in a frame; `None` if a session from a pop-up
/// would not reach that frame. `login_url` is the result of [`login_url`].
///
/// The frame gets a ticket whenever tickets are available. No header field says whether the frame
/// is inside a page of another site: `Sec-Fetch-Site` describes only the page that made the
/// request. A page of this service, framed by another site, makes same-origin requests without a
/// cookie. If the frame has the cookie, the ticket changes nothing.
pub(super) fn popup_url(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    request: &HttpRequest,
    login_url: &str,
) -> Option<String> {
    runtime.entrance.authenticator.sign_in()?;
    Some(format!("{login_url}&{}", popup_mode(context, request)?))
}

/// Whether no sign-in gives this frame a session. Its pages must not offer one then, since the user
/// would be asked again each time.
pub(super) fn is_out_of_reach(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    request: &HttpRequest,
) -> bool {
    let destination = request.headers().get("sec-fetch-dest").map(HeaderValue::as_bytes);
    matches!(destination, Some(b"iframe" | b"frame"))
        && runtime.entrance.authenticator.sign_in().is_some()
        && popup_mode(context, request).is_none()
}

/// The parameters of a sign-in in a pop-up that gives a frame a session; `None` if none does.
fn popup_mode(context: &RequestContext, request: &HttpRequest) -> Option<&'static str> {
    if pages::gives_tickets(context) {
        return Some("mode=popup&ticket=1");
    }
    // a cookie that is set in the pop-up does not reach a frame in a page of another site
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    (site != Some(b"cross-site")).then_some("mode=popup")
}

/// The URL of the sign-in for programs that show a button to log in.
pub(super) fn public_login_url(snapshot: &Snapshot, runtime: &EntranceRuntime) -> Option<String> {
    runtime.entrance.authenticator.sign_in()?;
    let origin = snapshot.public_url.as_deref().unwrap_or_default();
    Some(format!("{origin}{AUTH_PATH}{}/login", runtime.entrance.name))
}

/// The URL of the sign-in for the component: with `mode=popup` if a pop-up gives its frame a
/// session, else with `mode=top`.
pub(super) fn component_login_url(
    context: &RequestContext,
    runtime: &EntranceRuntime,
    request: &HttpRequest,
) -> Option<String> {
    runtime.entrance.authenticator.sign_in()?;
    let origin = context.snapshot.public_url.as_deref().unwrap_or_default();
    let login_url = format!("{origin}{}", LoginRequest::of(&runtime.entrance).address(runtime));
    let popup_url = popup_url(context, runtime, request, &login_url);
    Some(popup_url.unwrap_or_else(|| format!("{login_url}&mode=top")))
}

fn find(snapshot: &Snapshot, path: &str) -> Option<(Arc<EntranceRuntime>, Action)> {
    let (name, action) = path.strip_prefix(AUTH_PATH)?.split_once('/')?;
    let action = match action {
        "login" => Action::Login,
        "callback" => Action::Callback,
        "logout" => Action::Logout,
        "backchannel-logout" => Action::BackchannelLogout,
        _ => return None,
    };
    let mut entrances = snapshot.entrances.iter();
    let runtime = entrances.find(|runtime| runtime.entrance.name == name)?;
    let sign_in = runtime.entrance.authenticator.sign_in()?;
    // a provider of plain OAuth 2.0 sends no logout tokens
    let is_served = action != Action::BackchannelLogout
        || matches!(sign_in.client.identification, UserIdentification::IdToken { .. });
    is_served.then(|| (Arc::clone(runtime), action))
}

/// Refuses any request but a top-level navigation: a sign-in cannot be framed, and no other page
/// may start one without the user seeing it.
fn check_navigation(headers: &Headers<'_>) -> Result<(), Refusal> {
    let metadata =
        FetchMetadata::read(headers).map_err(|why| Reason::CrossSiteRequest.because(why.cause()))?;
    match metadata.destination {
        None | Some(b"document") => Ok(()),
        Some(b"iframe" | b"frame") => {
            Err(Reason::Unauthenticated.because("a sign-in is not shown in a frame, only in a window"))
        }
        Some(_) => {
            Err(Reason::CrossSiteRequest.because("a sign-in is requested only by a top-level navigation"))
        }
    }
}

/// Header fields of every response.
fn protect(response: &mut HttpResponseBuilder) {
    // the query of a callback holds a code
    response.insert_header((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'")));
}

/// Redirects the browser, with these cookies.
fn redirect(to: &str, cookies: &[String]) -> Result<HttpResponse, Refusal> {
    let location = HeaderValue::try_from(to)
        .map_err(|_| Reason::Internal.because("a URL is not a valid header field value"))?;
    let mut response = HttpResponse::SeeOther();
    protect(&mut response);
    response.insert_header((header::LOCATION, location));
    add_cookies(&mut response, cookies)?;
    Ok(response.finish())
}

fn add_cookies(response: &mut HttpResponseBuilder, cookies: &[String]) -> Result<(), Refusal> {
    for cookie in cookies {
        let cookie = HeaderValue::try_from(cookie)
            .map_err(|_| Reason::Internal.because("a cookie is not a valid header field value"))?;
        response.append_header((header::SET_COOKIE, cookie));
    }
    Ok(())
}

/// The refusal for an internal error.
fn internal(error: impl std::fmt::Display) -> Refusal {
    Reason::Internal.because(error.to_string())
}
