//! The HTTP client of the checks: follows no redirect, stores no cookies, and
//! limits the size of a response and the time to wait for it.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Url};

use super::address::GivenAddress;
use super::tls::{self, TlsError};
use super::{Setup, is_on_this_machine};
use crate::jwt::jwks::fetch::error_chain;

/// The clients.
pub(super) struct Probe {
    client: Client,
    /// The clients for the hosts and ports whose addresses are given.
    to_addresses: Vec<(GivenAddress, Client)>,
}

/// A response, with its body truncated at [`MAX_BODY_BYTES`].
pub(super) struct Response {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub body: String,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum ProbeError {
    /// TLS failed.
    Tls(TlsError),
    /// The host name has no address; the text has the cause.
    Dns(String),
    /// Anything else.
    Other(String),
}

/// The Fetch Metadata that a browser sends when a frame of the app navigates.
pub(super) const FRAME_NAVIGATION: [(&str, &str); 3] =
    [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "same-origin")];

/// A browser's request for a page.
pub(super) const PAGE: (&str, &str) = ("Accept", "text/html");
/// A program's request.
pub(super) const JSON: (&str, &str) = ("Accept", "application/json");

/// The time limit for a whole response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of bytes that are read of a body.
const MAX_BODY_BYTES: usize = 256 * 1024;

impl Probe {
    /// The client for this deployment. If the deployment is on this machine, or its address is
    /// given, variables such as `HTTPS_PROXY` are ignored.
    pub fn new(setup: &Setup) -> Result<Self, reqwest::Error> {
        let authorities = match &setup.authority {
            Some(pem) => Certificate::from_pem_bundle(pem)?,
            None => Vec::new(),
        };
        let builder = || {
            Client::builder()
                .redirect(Policy::none())
                .timeout(TIMEOUT)
                .referer(false)
                .user_agent(concat!("marketplace-sso-doctor/", env!("CARGO_PKG_VERSION")))
                .tls_certs_merge(authorities.clone())
        };
        let is_direct = is_on_this_machine(&setup.entrance);
        let client = if is_direct { builder().no_proxy() } else { builder() }.build()?;
        let to_address = |given: &GivenAddress| {
            let (host, address) = given.resolution();
            Ok((given.clone(), builder().no_proxy().resolve(host, address).build()?))
        };
        let to_addresses = setup.addresses.iter().map(to_address).collect::<Result<_, reqwest::Error>>()?;
        Ok(Self { client, to_addresses })
    }

    fn client_for(&self, url: &Url) -> &Client {
        let given = self.to_addresses.iter().rev().find(|(given, _)| given.applies_to(url));
        given.map_or(&self.client, |(_, client)| client)
    }

    /// Sends a GET request.
    pub async fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Response, ProbeError> {
        self.send(Method::GET, url, headers).await
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
    ) -> Result<Response, ProbeError> {
        let mut request = self.client_for(url).request(method, url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.map_err(to_probe_error)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while body.len() < MAX_BODY_BYTES {
            match response.chunk().await.map_err(to_probe_error)? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        body.truncate(MAX_BODY_BYTES);
        Ok(Response { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Response {
    /// The values of a header, joined by commas; empty if there are none.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    }

    /// The size of all header fields in bytes, as a proxy has to buffer them.
    pub fn header_bytes(&self) -> usize {
        let field = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            name.as_str().len() + ": \r\n".len() + value.len()
        };
        self.headers.iter().map(field).sum()
    }

    /// Whether it redirects to the marketplace with a token, or contains such a URL as JSON.
    pub fn is_hand_off(&self) -> bool {
        self.token().is_some()
    }

    /// Whether it is a hand-off for the user with this `sub`. The token's
    /// signature is not verified.
    pub fn is_hand_off_of(&self, subject: &str) -> bool {
        let claims = self.token().and_then(|token| URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<serde_json::Value>(&claims).ok());
        claims.is_some_and(|claims| claims.get("sub").is_some_and(|sub| sub == subject))
    }

    /// The token of a hand-off.
    fn token(&self) -> Option<String> {
        let url = match self.status {
            307 => self.header("location"),
            200 => {
                let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
                body.get("url")?.as_str()?.to_owned()
            }
            _ => return None,
        };
        let (_, token) = url.split_once("?tenant=").or_else(|| url.split_once("&tenant="))?;
        Some(token.split('&').next().unwrap_or(token).to_owned())
    }

    /// Whether a proxy reports that its upstream does not respond.
    pub fn is_gateway_error(&self) -> bool {
        matches!(self.status, 502..=504) && self.reason().is_none()
    }

    /// The reason code of the service's refusal; `None` for any other response.
    pub fn reason(&self) -> Option<String> {
        let refusal = self.refusal()?;
        let reason = refusal.get("reason")?.as_str()?;
        let is_code = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_code.then(|| reason.to_owned())
    }

    /// The URL at which the user signs in, as the service's refusal says; `None` if it signs no
    /// users in, and for any other response.
    pub fn login_url(&self) -> Option<String> {
        self.refusal()?.get("login_url")?.as_str().map(str::to_owned)
    }

    /// The service's refusal.
    fn refusal(&self) -> Option<serde_json::Value> {
        let problem: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let is_ours = problem.get("type")?.as_str()?.starts_with("urn:marketplace-sso:");
        is_ours.then_some(problem)
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(TlsError { message, .. }) | Self::Other(message) => f.write_str(message),
            Self::Dns(cause) => write!(f, "its host name cannot be resolved ({cause})"),
        }
    }
}

/// The error with its causes, without the URL, which callers name.
fn to_probe_error(error: reqwest::Error) -> ProbeError {
    let causes = error_chain(&error.without_url());
    match tls::explain(&causes) {
        Some(error) => ProbeError::Tls(error),
        None if causes.contains("dns error") => {
            ProbeError::Dns(causes.rsplit(": ").next().unwrap_or(&causes).to_owned())
        }
        None => ProbeError::Other(causes),
    }
}
