//! A request to sign in: its URL, and the options in its query and header fields.

use actix_web::HttpRequest;
use url::form_urlencoded;

use super::{AUTH_PATH, ReturnAddress};
use crate::authn::oidc::AccountChoice;
use crate::http::EntranceRuntime;
use crate::http::context::headers;
use crate::sign_on::Entrance;

/// The options of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoginRequest {
    pub return_to: ReturnAddress,
    pub mode: Mode,
    pub account: AccountChoice,
}

/// Where a sign-in is shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(super) enum Mode {
    /// In the window itself, which is redirected to the return address.
    Top,
    /// In a pop-up, which posts a message to its opener.
    Popup {
        /// Whether the opener gets a single-use address, because the cookie is not sent with its
        /// requests.
        ticket: bool,
        /// The opener's origin, if it is known and among `embed.parents`. Without it, the message
        /// is posted to each listed origin.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opener: Option<String>,
    },
}

impl LoginRequest {
    /// A sign-in in the window, after which the browser is redirected to the entrance.
    pub fn of(entrance: &Entrance) -> Self {
        Self { return_to: ReturnAddress::of(entrance), mode: Mode::Top, account: AccountChoice::Any }
    }

    /// Reads a request. Invalid and repeated parameters are ignored.
    pub fn parse(request: &HttpRequest, entrance: &Entrance) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let only = |wanted: &str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
            values.next().map(|(_, value)| value).filter(|_| values.next().is_none())
        };
        let is = |name: &str, value: &str| only(name).as_deref() == Some(value);
        let return_to = only("return").and_then(|text| ReturnAddress::parse(&text, entrance));
        let mode = if is("mode", "popup") {
            let named = only("opener");
            let opener = match &named {
                Some(named) => Some(named.as_ref()),
                None => referer(request),
            };
            let opener = opener.and_then(|page| entrance.embed.parents.allowed_origin(page));
            Mode::Popup { ticket: is("ticket", "1"), opener }
        } else {
            Mode::Top
        };
        let account = if is("account", "other") { AccountChoice::Other } else { AccountChoice::Any };
        Self { return_to: return_to.unwrap_or_else(|| ReturnAddress::of(entrance)), mode, account }
    }

    /// The address of the sign-in: a path and a query.
    pub fn address(&self, runtime: &EntranceRuntime) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("return", self.return_to.as_str());
        match self.account {
            AccountChoice::Any => {}
            AccountChoice::Other => {
                query.append_pair("account", "other");
            }
        }
        match &self.mode {
            Mode::Top => {}
            Mode::Popup { ticket, opener } => {
                query.append_pair("mode", "popup");
                if *ticket {
                    query.append_pair("ticket", "1");
                }
                if let Some(opener) = opener {
                    query.append_pair("opener", opener);
                }
            }
        }
        format!("{AUTH_PATH}{}/login?{}", runtime.entrance.name, query.finish())
    }
}

/// The page that opened the pop-up.
fn referer(request: &HttpRequest) -> Option<&str> {
    let value = headers(request).only("referer").ok()??;
    std::str::from_utf8(value).ok()
}
