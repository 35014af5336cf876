//! Asking the set-up: no redirect is followed, nothing is kept, and neither a
//! large nor a slow answer holds anybody up.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Url};

use crate::jwt::fetch::causes;

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
    pub async fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, String> {
        self.ask(Method::GET, url, headers).await
    }

    /// Asks with another method.
    pub async fn ask(&self, method: Method, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, String> {
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
        let is_signed = |address: &str| address.contains("?tenant=") || address.contains("&tenant=");
        let told: Option<serde_json::Value> = serde_json::from_str(&self.body).ok();
        let url = told.as_ref().and_then(|told| told.get("url")?.as_str());
        (self.status == 307 && is_signed(&self.header("location")))
            || (self.status == 200 && url.is_some_and(is_signed))
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

/// What went wrong, and what that came from. The address is said beside it.
fn why(error: reqwest::Error) -> String {
    causes(&error.without_url())
}
