//! What a person sees: typed contexts for `templates/`, compiled at start.

use minijinja::Environment;
use serde::Serialize;
use uuid::Uuid;

use crate::refusal::Reason;

/// All pages.
#[derive(Debug)]
pub struct Pages {
    templates: Environment<'static>,
}

/// A page that says why somebody is not sent on.
#[derive(Debug, Serialize)]
pub struct RefusalPage<'a> {
    /// The stable code.
    pub reason: &'static str,
    /// What happened, as a heading.
    pub title: &'static str,
    /// What the person can do.
    pub advice: &'static str,
    /// The request's id, to copy.
    pub request_id: Uuid,
    /// Whether signing in is what helps.
    pub is_about_sign_in: bool,
    /// Where people sign in, on a page that is about that.
    pub login_url: Option<&'a str>,
    /// The origins to tell of a lost login.
    pub message_targets: Vec<String>,
    /// What lets this page's style and script run, and no other.
    pub nonce: String,
}

/// A template is broken.
#[derive(Debug, thiserror::Error)]
#[error("a page cannot be made: {0}")]
pub struct PageError(#[from] minijinja::Error);

const REFUSAL: &str = "refusal.html";

impl Pages {
    /// Compiles the templates.
    pub fn new() -> Result<Self, PageError> {
        let mut templates = Environment::new();
        templates.add_template(REFUSAL, include_str!("../../templates/refusal.html"))?;
        Ok(Self { templates })
    }

    /// Writes a refusal's page.
    pub fn refusal(&self, page: &RefusalPage<'_>) -> Result<String, PageError> {
        Ok(self.templates.get_template(REFUSAL)?.render(page)?)
    }
}

/// What a person can do about a refusal.
pub const fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::NoIdentity | Reason::InvalidToken | Reason::ExpiredToken => {
            "Your sign-in is missing or has ended. Sign in again, then come back to this page."
        }
        Reason::AmbiguousIdentity | Reason::BadIdentity | Reason::UntrustedPeer => {
            "The sign-in in front of this page is not set up as it should be. Please tell your support team the reason and the request id."
        }
        Reason::BadLink | Reason::NotFound | Reason::MethodNotAllowed => {
            "Please go back and open the marketplace from the app's menu."
        }
        Reason::NotAllowed | Reason::MissingScope => {
            "If you think that you should have access, ask your administrator."
        }
        Reason::FrameNotAllowed => "Please open the marketplace from the app it belongs to.",
        Reason::TokenTooLarge | Reason::Internal => {
            "This is our fault, not yours. Please try again; if it stays, tell your support team the request id."
        }
        Reason::TooManyRequests
        | Reason::KeysUnavailable
        | Reason::UpstreamUnavailable
        | Reason::AuditUnavailable
        | Reason::Draining => "Please try again in a moment.",
    }
}
