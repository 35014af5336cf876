//! Begins a sign-in: sets the login cookie, and redirects the browser to the provider.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::{LoginRequest, Mode, ReturnAddress, check_navigation, internal, redirect};
use crate::authn::SignIn;
use crate::authn::oidc::{AccountChoice, PendingLogin};
use crate::clock::Timestamp;
use crate::http::EntranceRuntime;
use crate::http::context::{RequestContext, headers};
use crate::http::refused::RefusedRequest;
use crate::http::served::ServedRequest;
use crate::refusal::Refusal;
use crate::sign_on::Entrance;

/// The content of the login cookie, which is kept until the provider responds.
#[derive(Deserialize, Serialize)]
pub(super) struct BegunLogin {
    pending: PendingLogin,
    return_to: String,
    mode: Mode,
    #[serde(default)]
    account: AccountChoice,
}

/// The maximum length of `Set-Cookie`, in bytes: proxies limit the length of all cookies of a
/// request, often to 4 kB, and a browser can have four login cookies. If it is longer, these parts
/// are left out in turn: an opener that `embed.parents` lists as an origin, the return address, any
/// other opener.
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
    let LoginRequest { return_to, mode, account } = LoginRequest::parse(request, entrance);
    let begun = sign_in.client.begin(account, Timestamp::now).await?;
    let return_to = return_to.as_str().to_owned();
    let mut login = BegunLogin { pending: begun.pending, return_to, mode, account };
    let set = |login: &BegunLogin| {
        let data = serde_json::to_vec(login).map_err(internal)?;
        sign_in.logins.set(&login.pending.state, context.received, &data).map_err(internal)
    };
    let mut cookie = set(&login)?;
    for shorten in [leave_out_listed_opener, leave_out_return_address, leave_out_opener] {
        if cookie.len() > MAX_COOKIE {
            shorten(&mut login, entrance);
            cookie = set(&login)?;
        }
    }
    let mut cookies = sign_in.logins.make_place(&headers);
    cookies.push(cookie);
    redirect(&begun.url, &cookies)
}

/// Leaves out an opener that is a listed origin: without an opener, the message is posted to each
/// listed origin.
fn leave_out_listed_opener(login: &mut BegunLogin, entrance: &Entrance) {
    if let Mode::Popup { opener, .. } = &mut login.mode {
        let listed = entrance.embed.parents.listed_origins();
        opener.take_if(|opener| listed.contains(opener));
    }
}

fn leave_out_return_address(login: &mut BegunLogin, entrance: &Entrance) {
    login.return_to = ReturnAddress::of(entrance).as_str().to_owned();
}

fn leave_out_opener(login: &mut BegunLogin, _entrance: &Entrance) {
    if let Mode::Popup { opener, .. } = &mut login.mode {
        *opener = None;
    }
}

impl BegunLogin {
    /// Reads the content of the cookie. The return address is parsed again, since the settings may
    /// have changed.
    pub fn read(data: &[u8], entrance: &Entrance) -> Option<(PendingLogin, LoginRequest)> {
        let Self { pending, return_to, mode, account } = serde_json::from_slice(data).ok()?;
        let return_to = ReturnAddress::parse(&return_to, entrance);
        let return_to = return_to.unwrap_or_else(|| ReturnAddress::of(entrance));
        Some((pending, LoginRequest { return_to, mode, account }))
    }
}
