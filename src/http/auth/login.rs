//! Begins a sign-in: sets the login cookie, and sends the browser to the provider.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{Mode, ReturnAddress, check_navigation, internal, redirect};
use crate::authn::SignIn;
use crate::authn::oidc::PendingLogin;
use crate::clock::Timestamp;
use crate::http::EntranceRuntime;
use crate::http::context::{RequestContext, headers};
use crate::http::refused::RefusedRequest;
use crate::http::served::ServedRequest;
use crate::refusal::Refusal;
use crate::sign_on::Entrance;

/// What is remembered until the provider responds, in the login cookie.
#[derive(Deserialize, Serialize)]
pub(super) struct BegunLogin {
    pub pending: PendingLogin,
    return_to: String,
    pub mode: Mode,
}

/// The longest `Set-Cookie` in bytes: proxies limit all cookies of a request, often to 4 kB, and a browser
/// can have four. Of a longer one, the return address is left out.
const MAX_COOKIE: usize = 800;

/// Handles `GET …/login`.
pub(super) async fn login(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    sign_in: &SignIn,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let begun = begin(context, &runtime.entrance, sign_in, request).await;
    let response = begun.map_err(|refusal| RefusedRequest::at(runtime, refusal))?;
    Ok(context.served(ServedRequest::at(Arc::clone(runtime)), response))
}

async fn begin(
    context: &RequestContext,
    entrance: &Entrance,
    sign_in: &SignIn,
    request: &HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let headers = headers(request);
    check_navigation(&headers)?;
    let (return_to, mode) = parse(request.uri().query().unwrap_or_default(), entrance);
    let begun = sign_in.client.begin(Timestamp::now).await?;
    let mut login = BegunLogin { pending: begun.pending, return_to: return_to.as_str().to_owned(), mode };
    let set = |login: &BegunLogin| {
        let data = serde_json::to_vec(login).map_err(internal)?;
        sign_in.logins.set(&login.pending.state, context.received, &data).map_err(internal)
    };
    let mut cookie = set(&login)?;
    if cookie.len() > MAX_COOKIE {
        login.return_to = ReturnAddress::of(entrance).as_str().to_owned();
        cookie = set(&login)?;
    }
    let mut cookies = sign_in.logins.make_place(&headers);
    cookies.push(cookie);
    redirect(&begun.url, &cookies)
}

impl BegunLogin {
    /// Reads what the cookie holds; the return address is parsed again, since the settings may have
    /// changed.
    pub fn read(data: &[u8], entrance: &Entrance) -> Option<(Self, ReturnAddress)> {
        let login: Self = serde_json::from_slice(data).ok()?;
        let return_to = ReturnAddress::parse(&login.return_to, entrance);
        Some((login, return_to.unwrap_or_else(|| ReturnAddress::of(entrance))))
    }
}

/// The return address of a request to sign in.
pub(super) fn return_address(request: &HttpRequest, entrance: &Entrance) -> ReturnAddress {
    parse(request.uri().query().unwrap_or_default(), entrance).0
}

/// The return address and the mode. What cannot be used is ignored, also a parameter that is repeated.
fn parse(query: &str, entrance: &Entrance) -> (ReturnAddress, Mode) {
    let only = |wanted: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
        values.next().map(|(_, value)| value).filter(|_| values.next().is_none())
    };
    let return_to = only("return").and_then(|text| ReturnAddress::parse(&text, entrance));
    let mode = match only("mode").as_deref() {
        Some("popup") => Mode::Popup { ticket: only("ticket").as_deref() == Some("1") },
        _ => Mode::Top,
    };
    (return_to.unwrap_or_else(|| ReturnAddress::of(entrance)), mode)
}
