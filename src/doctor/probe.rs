//! Asking the set-up: no redirect is followed, nothing is kept, and neither a
//! large nor a slow answer holds anybody up.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Url};

use super::tls;
use crate::jwt::jwks::fetch::error_chain;

/// Asks.
pub(super) struct Probe {
    client: Client,
}

/// An answer, as far as it matters.
pub(super) struct Answer {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// TLS failed, in words for the operator.
    Tls(String),
    /// Anything else.
    Other(String),
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that is read of an answer, in bytes.
const MAX_BYTES: usize = 256 * 1024;

impl Probe {
    /// `is_direct`: proxies of the environment are left out.
    pub fn new(authority: Option<&[u8]>, is_direct: bool) -> Result<Self, reqwest::Error> {
        let mut client = Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .referer(false)
            .user_agent(concat!("marketplace-sso-doctor/", env!("CARGO_PKG_VERSION")));
        if is_direct {
            client = client.no_proxy();
        }
        if let Some(pem) = authority {
            client = client.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
        }
        Ok(Self { client: client.build()? })
    }

    /// Asks with GET.
    pub async fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, NoAnswer> {
        self.ask(Method::GET, url, headers).await
    }

    /// Asks with another method.
    pub async fn ask(&self, method: Method, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, NoAnswer> {
        let mut request = self.client.request(method, url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send().await.map_err(why)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        while body.len() < MAX_BYTES {
            match answer.chunk().await.map_err(why)? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        body.truncate(MAX_BYTES);
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Answer {
    /// The values of a header, with commas between them; empty, where there is none.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    }

    /// The size of all headers, in bytes, as a proxy has to buffer them.
    pub fn header_bytes(&self) -> usize {
        let field = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            name.as_str().len() + ": \r\n".len() + value.len()
        };
        self.headers.iter().map(field).sum()
    }

    /// Whether it sends the browser on with a token, or tells a script where to.
    pub fn is_hand_off(&self) -> bool {
        self.token().is_some()
    }

    /// Whether it signs on the user of that `sub`. The token is read only; it
    /// goes nowhere.
    pub fn is_hand_off_of(&self, subject: &str) -> bool {
        let claims = self.token().and_then(|token| URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<serde_json::Value>(&claims).ok());
        claims.is_some_and(|claims| claims.get("sub").is_some_and(|sub| sub == subject))
    }

    /// The token of a hand-off.
    fn token(&self) -> Option<String> {
        let address = match self.status {
            307 => self.header("location"),
            200 => {
                let told: serde_json::Value = serde_json::from_str(&self.body).ok()?;
                told.get("url")?.as_str()?.to_owned()
            }
            _ => return None,
        };
        let (_, token) = address.split_once("?tenant=").or_else(|| address.split_once("&tenant="))?;
        Some(token.split('&').next().unwrap_or(token).to_owned())
    }

    /// Whether a proxy says that what is behind it does not answer.
    pub fn is_gateway_error(&self) -> bool {
        matches!(self.status, 502..=504) && self.reason().is_none()
    }

    /// The reason of a refusal of the service's; none, where it is not one.
    pub fn reason(&self) -> Option<String> {
        let told: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let is_ours = told.get("type")?.as_str()?.starts_with("urn:marketplace-sso:");
        let reason = told.get("reason")?.as_str()?;
        let is_code = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_ours && is_code).then(|| reason.to_owned())
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(what) | Self::Other(what) => f.write_str(what),
        }
    }
}

/// What went wrong, and what that came from. The address is said beside it.
fn why(error: reqwest::Error) -> NoAnswer {
    let causes = error_chain(&error.without_url());
    match tls::problem(&causes) {
        Some(what) => NoAnswer::Tls(what),
        None => NoAnswer::Other(causes),
    }
}
