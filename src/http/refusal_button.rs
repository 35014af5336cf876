//! The button of a refusal page: what the user can do, depending on the reason and the
//! configuration.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::auth;
use super::context::RequestContext;
use super::refused::RefusedRequest;
use crate::authn::oidc::AccountChoice;
use crate::page::{Button, LinkLabel};
use crate::refusal::Reason;

/// What may help the user.
#[derive(Clone, Copy)]
enum Remedy {
    SignIn,
    OtherAccount,
    /// To open the app, which sends the user to the entrance again.
    OpenApp,
    /// To open the app, or to sign in at this service: the request was one that needs no sign-in.
    OpenAppOrSignIn,
    TryAgain,
    Nothing,
}

impl RefusedRequest {
    /// Whether signing in may help.
    pub fn is_about_sign_in(&self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED || self.failed_sign_in.is_some()
    }

    /// The button of the page, if anything may help.
    pub fn button(&self, context: &RequestContext, request: &HttpRequest) -> Option<Button> {
        let (label, account) = match self.remedy() {
            Remedy::SignIn => (LinkLabel::SignIn, Some(AccountChoice::Any)),
            Remedy::OtherAccount => (LinkLabel::OtherAccount, Some(AccountChoice::Other)),
            Remedy::OpenApp => (LinkLabel::App, None),
            Remedy::OpenAppOrSignIn => (LinkLabel::App, Some(AccountChoice::Any)),
            Remedy::TryAgain => return Some(Button::TryAgain),
            Remedy::Nothing => return None,
        };
        let own_login = match (&self.failed_sign_in, &self.runtime) {
            (Some(failed), _) => Some(failed.login_again.clone()),
            (None, Some(runtime)) => account.and_then(|account| auth::login_url(runtime, request, account)),
            (None, None) => None,
        };
        let Some(url) = own_login else {
            return self.login_page(context).map(|url| Button::Link { label, url, popup_url: None });
        };
        let destination = request.headers().get("sec-fetch-dest").map(|value| value.as_bytes());
        let is_framed = matches!(destination, Some(b"iframe" | b"frame"));
        let popup_url = self
            .runtime
            .as_ref()
            .filter(|_| is_framed)
            .and_then(|runtime| auth::popup_url(context, runtime, request, &url));
        Some(Button::Link { label, url, popup_url })
    }

    fn remedy(&self) -> Remedy {
        if let Some(failed) = &self.failed_sign_in {
            return match failed.account {
                AccountChoice::Any => Remedy::SignIn,
                AccountChoice::Other => Remedy::OtherAccount,
            };
        }
        match self.refusal.reason {
            Reason::Unauthenticated | Reason::InvalidToken | Reason::ExpiredToken => Remedy::SignIn,
            Reason::NotAllowed => Remedy::OtherAccount,
            Reason::BadLink | Reason::BadRequest | Reason::NotFound | Reason::MethodNotAllowed => {
                Remedy::OpenApp
            }
            Reason::LinkExpired => Remedy::OpenAppOrSignIn,
            Reason::Internal
            | Reason::KeysUnavailable
            | Reason::UpstreamUnavailable
            | Reason::AuditUnavailable
            | Reason::StoreUnavailable
            | Reason::Draining => Remedy::TryAgain,
            Reason::AmbiguousIdentity
            | Reason::BadIdentity
            | Reason::BodyTooLarge
            | Reason::UntrustedPeer
            | Reason::EmbeddingNotAllowed
            | Reason::CrossSiteRequest
            | Reason::MissingScope
            | Reason::MisdirectedRequest
            | Reason::TooManyRequests
            | Reason::TokenTooLarge => Remedy::Nothing,
        }
    }

    /// `embed.login_url` of the entrance; outside of entrances, of the main one.
    fn login_page(&self, context: &RequestContext) -> Option<String> {
        let runtime = self.runtime.as_ref().or_else(|| context.snapshot.entrances.first());
        runtime.and_then(|runtime| runtime.entrance.embed.login_url.clone())
    }
}
