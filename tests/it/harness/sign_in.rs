//! Services that sign users in at a stand-in provider, and browsers that keep their cookies.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marketplace_sso::authn::sign_in::of_frame;
use marketplace_sso::clock::Timestamp;
use marketplace_sso::seal::{KeyRing, Purpose};
use marketplace_sso::secret::SharedSecret;
use marketplace_sso::session::{self, EndedSessions, SameSite, Session, SessionCookies, SessionSettings};
use url::form_urlencoded;

use super::provider::{ADA, CLIENT_ID, CLIENT_SECRET, Provider, RegisteredAuthentication, provider};
use super::{App, Connection, Field, Response, Settings};

/// The key that encrypts sessions.
pub const SESSION_KEY: &str = "session-key-session-key-session-key";

/// The path at which users sign in.
pub const LOGIN: &str = "/auth/pandium-sso/login";

/// The header fields of a top-level navigation.
pub const WINDOW: &[Field<'static>] =
    &[("Accept", "text/html"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")];

/// A service, and the provider of its users.
pub struct SignInService {
    pub app: App,
    pub provider: Arc<Provider>,
}

/// A browser: the cookies of one user.
#[derive(Clone, Default)]
pub struct Browser {
    cookies: RefCell<BTreeMap<String, String>>,
}

impl SignInService {
    pub fn start() -> Self {
        Self::start_with(|settings| settings)
    }

    /// The same, with other settings.
    pub fn start_with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let provider = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
        Self { app: App::start(change(settings(&provider))), provider }
    }

    /// A browser in which Ada has signed in.
    pub fn signed_in(&self) -> Browser {
        let browser = Browser::default();
        let response = browser.sign_in(&self.app, &self.provider, LOGIN);
        assert_eq!(response.status, 303, "{response:?}");
        browser
    }

    /// The session in the cookie of a browser.
    pub fn session_of(&self, browser: &Browser) -> Session {
        let cookie = browser.header();
        let headers = std::iter::once(("cookie", cookie.as_bytes())).collect();
        *self.cookies().open(&headers, Timestamp::now(), &EndedSessions::default()).unwrap()
    }

    /// A frame with its own session, which belongs to the sign-in of a browser.
    pub fn frame_of(&self, browser: &Browser) -> Browser {
        self.browser_with(&of_frame(&self.session_of(browser)).unwrap())
    }

    /// A browser with the cookie of this session.
    pub fn browser_with(&self, session: &Session) -> Browser {
        let set = self.cookies().set(session).unwrap();
        let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
        let browser = Browser::default();
        browser.set(name, value);
        browser
    }

    /// The session cookies of the service.
    pub fn cookies(&self) -> SessionCookies {
        let provider = session::Provider { issuer: self.provider.issuer(), client_id: CLIENT_ID };
        SessionCookies::new(session_settings(SESSION_KEY), "pandium-sso", "https://app.example.com", provider)
    }
}

/// The settings of a service whose users sign in at this provider.
pub fn settings(provider: &Provider) -> Settings {
    Settings::of_kind("oidc")
        .without("embed.login_url")
        .issuer(provider.issuer())
        .identity("client_id", CLIENT_ID)
        .identity("client_secret", CLIENT_SECRET)
        .set("session.key", SESSION_KEY)
        .set("claims.sub", "id")
}

/// The section `[session]` with this key, for cookies with other times.
pub fn session_settings(key: &str) -> Arc<SessionSettings> {
    let secrets = [SharedSecret::parse(key).unwrap()];
    Arc::new(SessionSettings {
        session_keys: KeyRing::derive(&secrets, Purpose::SessionCookie).unwrap(),
        login_keys: KeyRing::derive(&secrets, Purpose::LoginCookie).unwrap(),
        idle: Duration::from_secs(3600),
        absolute: Duration::from_secs(43_200),
        refresh_after: None,
        same_site: SameSite::Lax,
    })
}

impl Browser {
    /// Requests a page, and keeps the cookies of the response.
    pub fn get(&self, app: &App, target: &str, headers: &[Field<'_>]) -> Response {
        let cookie = self.header();
        let cookies: &[Field<'_>] = if cookie.is_empty() { &[] } else { &[("Cookie", &cookie)] };
        let response = app.get(target, &[cookies, headers].concat());
        self.keep(&response);
        response
    }

    /// Posts a form.
    pub fn post(&self, app: &App, target: &str, headers: &[Field<'_>], body: &str) -> Response {
        let cookie = self.header();
        let length = body.len().to_string();
        let own = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", length.as_str()),
            ("Cookie", cookie.as_str()),
        ];
        let mut bytes = super::wire::request_bytes("POST", target, &[&own, headers].concat());
        bytes.extend(body.as_bytes());
        let mut connection = Connection::open(app.address()).unwrap();
        connection.write(&bytes).unwrap();
        let response = connection.read("POST").unwrap();
        self.keep(&response);
        response
    }

    /// Begins a sign-in, and returns the URL at the provider.
    pub fn begin(&self, app: &App, login: &str) -> String {
        let response = self.get(app, login, WINDOW);
        assert_eq!(response.status, 303, "{response:?}");
        response.header("location").to_owned()
    }

    /// Signs Ada in, and returns the response to the callback.
    pub fn sign_in(&self, app: &App, provider: &Provider, login: &str) -> Response {
        let callback = self.callback(app, provider, login);
        self.get(app, &callback, WINDOW)
    }

    /// Signs Ada in at the provider, and returns the target of the callback.
    pub fn callback(&self, app: &App, provider: &Provider, login: &str) -> String {
        target(&provider.sign_in(&self.begin(app, login), ADA).unwrap())
    }

    /// The name and value of a cookie whose name begins with `prefix`.
    pub fn cookie(&self, prefix: &str) -> Option<(String, String)> {
        let cookies = self.cookies.borrow();
        cookies
            .iter()
            .find(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
    }

    /// Sets a cookie.
    pub fn set(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// The names of its cookies.
    pub fn names(&self) -> Vec<String> {
        self.cookies.borrow().keys().cloned().collect()
    }

    /// The session cookie's value.
    pub fn session(&self) -> String {
        self.cookie("__Host-sso-pandium-sso").expect("a session cookie").1
    }

    fn header(&self) -> String {
        let cookies = self.cookies.borrow();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&self, response: &Response) {
        for field in response.all("set-cookie") {
            let (name, rest) = field.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.set(name, value);
            }
        }
    }
}

/// The path and query of a URL of the service.
pub fn target(url: &str) -> String {
    url.strip_prefix("https://app.example.com").expect("a URL of the service").to_owned()
}

/// The URL of a sign-in that returns to a page.
pub fn login_to(page: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("return", page).finish();
    format!("{LOGIN}?{query}")
}
