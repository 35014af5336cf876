//! Completes a sign-in: the provider has redirected the browser to this service with a code.

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};

use super::login::BegunLogin;
use super::{LoginRequest, Mode, check_navigation, internal, pages, redirect};
use crate::audit::Outcome;
use crate::authn::SignIn;
use crate::authn::oidc::{AccountChoice, AuthorizationResponse, OidcError, PendingLogin};
use crate::authn::sign_in::new_session;
use crate::clock::Timestamp;
use crate::embed::FetchDestination;
use crate::http::EntranceRuntime;
use crate::http::context::{RequestContext, headers};
use crate::http::refused::{FailedSignIn, RefusedRequest};
use crate::http::served::ServedRequest;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;
use crate::session::{EndedKey, Session};
use crate::sign_on::EventDetails;

/// A response of the provider, and the request that carries it.
struct Callback<'a> {
    context: &'a RequestContext,
    runtime: &'a Arc<EntranceRuntime>,
    sign_in: &'a SignIn,
    request: &'a HttpRequest,
    headers: Headers<'a>,
}

/// Handles `GET …/callback`.
pub(super) async fn callback(
    context: &RequestContext,
    runtime: &Arc<EntranceRuntime>,
    sign_in: &SignIn,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let callback = Callback { context, runtime, sign_in, request, headers: headers(request) };
    let own = LoginRequest::of(&runtime.entrance);
    let refused = |refusal| callback.refused(refusal, &own, None);
    let response = callback.read_response().map_err(refused)?;
    let state = response.state.as_deref().unwrap_or_default();
    match sign_in.logins.open(&callback.headers, state, context.received) {
        Ok(data) => callback.end_login(&response, state, &data, &own).await,
        // the user has reloaded the page, or gone back to it
        Err(_) if sign_in.session(&callback.headers, context.received).is_some() => {
            let response = pages::signed_in(context, runtime, request, &own.return_to, None, &[]);
            let response = response.map_err(refused)?;
            Ok(context.served(ServedRequest::at(Arc::clone(runtime)), response))
        }
        Err(why) => Err(refused(Reason::InvalidToken.because(why.cause()))),
    }
}

impl Callback<'_> {
    fn read_response(&self) -> Result<AuthorizationResponse, Refusal> {
        check_navigation(&self.headers)?;
        let query = self.request.uri().query().unwrap_or_default();
        AuthorizationResponse::parse(query).map_err(|why| OidcError::from(why).into())
    }

    /// Completes the sign-in that began with this `state`, with the data of its cookie.
    async fn end_login(
        &self,
        response: &AuthorizationResponse,
        state: &str,
        data: &[u8],
        own: &LoginRequest,
    ) -> Result<HttpResponse, RefusedRequest> {
        let (pending, login) = BegunLogin::read(data, &self.runtime.entrance).ok_or_else(|| {
            let refusal = Reason::InvalidToken.because("the login cookie is of another version");
            self.refused(refusal, own, Some(state))
        })?;
        let refused = |refusal| self.refused(refusal, &login, Some(state));
        let session = self.new_session(response, &pending).await.map_err(refused)?;
        let set = self.sign_in.sessions.set(&session).map_err(internal).map_err(refused)?;
        self.end_earlier_session().await;
        let cookies = [set, self.sign_in.logins.delete(state)];
        let response = self.lead_on(&login, &session, &cookies).await.map_err(refused)?;
        Ok(self.signed_in(session, response))
    }

    /// Asks the provider for the user.
    async fn new_session(
        &self,
        response: &AuthorizationResponse,
        pending: &PendingLogin,
    ) -> Result<Session, Refusal> {
        // boxed, because actix would move this large future several times
        let signed_in = Box::pin(self.sign_in.client.finish(response, pending, Timestamp::now)).await?;
        new_session(signed_in, Timestamp::now()).map_err(internal)
    }

    /// Ends the session that the browser had before.
    async fn end_earlier_session(&self) {
        let now = Timestamp::now();
        let Some(earlier) = self.sign_in.session(&self.headers, now) else { return };
        let key = EndedKey::of_sign_in(&earlier);
        if let Err(refusal) = self.sign_in.end(&[key], None, now).await {
            // the browser gets the new session nevertheless
            tracing::warn!(cause = %refusal.cause, "the earlier session of a user ends in this process only");
        }
    }

    /// Redirects the window, or responds with the page that posts a message to the pop-up's opener.
    async fn lead_on(
        &self,
        login: &LoginRequest,
        session: &Session,
        cookies: &[String],
    ) -> Result<HttpResponse, Refusal> {
        let Self { context, runtime, sign_in, request, .. } = self;
        let return_to = &login.return_to;
        match &login.mode {
            Mode::Top => redirect(return_to.as_str(), cookies),
            Mode::Popup { ticket, opener } => {
                let ticket = if *ticket {
                    pages::ticket(context, runtime, sign_in, session, return_to).await?
                } else {
                    None
                };
                let opener = pages::Opener { ticket, origin: opener.as_deref() };
                pages::signed_in(context, runtime, request, return_to, Some(opener), cookies)
            }
        }
    }

    fn signed_in(&self, session: Session, response: HttpResponse) -> HttpResponse {
        let details = EventDetails {
            fetch_dest: FetchDestination::of(&self.headers),
            subject: self.runtime.entrance.subject(&session.user),
            credentials: session.user.credentials,
            ..EventDetails::default()
        };
        let served = ServedRequest {
            outcome: Some(Outcome::SignedIn),
            details: Box::new(details),
            ..ServedRequest::at(Arc::clone(self.runtime))
        };
        self.context.served(served, response)
    }

    /// The refusal of a failed sign-in, whose page offers to sign in again. A `state` can be used
    /// only once, even if the sign-in fails, so the cookie of `used_state` is deleted.
    fn refused(&self, refusal: Refusal, login: &LoginRequest, used_state: Option<&str>) -> RefusedRequest {
        let details =
            EventDetails { fetch_dest: FetchDestination::of(&self.headers), ..EventDetails::default() };
        let is_denied = refusal.reason == Reason::NotAllowed && self.sign_in.client.asks_for_account();
        let account = if is_denied { AccountChoice::Other } else { login.account };
        let login_again = LoginRequest { account, ..login.clone() }.address(self.runtime);
        let deleted = used_state.map(|state| self.sign_in.logins.delete(state));
        let set_cookie = deleted.and_then(|cookie| HeaderValue::try_from(cookie).ok());
        RefusedRequest {
            details: Box::new(details),
            failed_sign_in: Some(Box::new(FailedSignIn { login_again, account, set_cookie })),
            ..RefusedRequest::at(self.runtime, refusal)
        }
    }
}
