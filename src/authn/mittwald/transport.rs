//! Requests to mittwald's API, with limits of time and size and without redirects. Each failure is
//! classified. Only calls that may be made twice are repeated.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::values::AccessToken;
use crate::jwt::jwks::fetch::{BadKeyUrl, KeyUrl, error_chain};

/// The base URL of the API: https, or http to a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl(Url);

/// Sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    base: ApiUrl,
    timeout: Duration,
    client: OnceCell<Client>,
}

/// Why a call failed. Never quotes what was sent or received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No connection, or it was lost.
    #[error("mittwald cannot be reached: {0}")]
    Unreachable(String),
    /// No whole response in time.
    #[error("mittwald does not respond within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// 429.
    #[error("mittwald limits the rate of requests (429)")]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// Another status in the range of server errors.
    #[error("mittwald responds with a server error (status {0})")]
    Failing(u16),
    /// A status that says that it refuses the request.
    #[error("mittwald refuses the request (status {0})")]
    Refused(u16),
    /// A response that is not of the documented form.
    #[error("the response of mittwald cannot be used: {0}")]
    Unreadable(&'static str),
}

/// What a call sends.
pub(super) enum Sent<'a> {
    Nothing,
    Body(SecretString),
    Token(&'a AccessToken),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeatable {
    Yes,
    No,
}

/// The maximum size of a response, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// How long to wait after a 429 without a header field that says when to try again.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

impl ApiUrl {
    /// Parses a base URL.
    ///
    /// # Errors
    ///
    /// It is not a URL, not protected, or has more than a path.
    pub fn parse(text: &str) -> Result<Self, BadKeyUrl> {
        KeyUrl::parse(text)?;
        let url = Url::parse(text).map_err(|_| BadKeyUrl::NotAUrl)?;
        if url.query().is_some() { Err(BadKeyUrl::ExtraParts) } else { Ok(Self(url)) }
    }

    fn join(&self, path: &[&str]) -> Result<Url, ApiError> {
        let mut url = self.0.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => return Err(ApiError::Unreachable("the URL has no path".to_owned())),
        }
        Ok(url)
    }
}

impl Transport {
    /// Creates a client for this base URL. `timeout` limits each attempt of a call.
    pub const fn new(base: ApiUrl, timeout: Duration) -> Self {
        Self { base, timeout, client: OnceCell::const_new() }
    }

    /// Whether both have the same base URL.
    pub fn is_to_same_place(&self, other: &Self) -> bool {
        self.base == other.base
    }

    /// The URL of a path below the base URL.
    pub fn url(&self, path: &[&str]) -> Result<Url, ApiError> {
        self.base.join(path)
    }

    /// Makes a call, and repeats it once if it may be repeated and the failure may be temporary.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        sent: Sent<'_>,
        expected: StatusCode,
        repeatable: Repeatable,
    ) -> Result<T, ApiError> {
        let once = || async {
            let attempt = self.attempt(&method, &url, &sent, expected);
            let result = tokio::time::timeout(self.timeout, attempt).await;
            result.unwrap_or(Err(ApiError::TimedOut(self.timeout)))
        };
        let received = match once().await {
            // after a time-out there is no time left for another attempt
            Err(ApiError::Unreachable(_) | ApiError::Failing(502..=504)) if repeatable == Repeatable::Yes => {
                once().await?
            }
            other => other?,
        };
        let text = received.expose_secret().as_bytes();
        serde_json::from_slice(text)
            .map_err(|_| ApiError::Unreadable("it is not JSON of the documented form"))
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &Url,
        sent: &Sent<'_>,
        expected: StatusCode,
    ) -> Result<SecretString, ApiError> {
        let client = self.client.get_or_try_init(|| build_client(url)).await?;
        let mut request = client.request(method.clone(), url.clone());
        request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        match sent {
            Sent::Nothing => {}
            Sent::Body(body) => {
                request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                request = request.body(body.expose_secret().to_owned());
            }
            Sent::Token(token) => {
                let invalid = |_| ApiError::Unreadable("its token is no header field value");
                let mut value = HeaderValue::from_str(token.expose()).map_err(invalid)?;
                value.set_sensitive(true);
                request = request.header("x-access-token", value);
            }
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status != expected {
            return Err(of_status(status, response.headers()));
        }
        let mut received = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if received.len().saturating_add(chunk.len()) > MAX_RESPONSE {
                return Err(ApiError::Unreadable("it is larger than 64 KiB"));
            }
            received.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(received).map_err(|_| ApiError::Unreadable("it is not UTF-8"))?;
        Ok(text.into())
    }
}

impl ApiError {
    /// When to try again.
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::RateLimited { retry_after } => *retry_after,
            Self::Unreachable(_)
            | Self::TimedOut(_)
            | Self::Failing(_)
            | Self::Refused(_)
            | Self::Unreadable(_) => DEFAULT_RETRY_AFTER,
        }
    }
}

fn of_status(status: StatusCode, headers: &HeaderMap) -> ApiError {
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
        let given = seconds(RETRY_AFTER.as_str()).or_else(|| seconds("x-ratelimit-reset"));
        let retry_after = given.unwrap_or(DEFAULT_RETRY_AFTER).clamp(Duration::from_secs(1), MAX_RETRY_AFTER);
        return ApiError::RateLimited { retry_after };
    }
    match status.as_u16() {
        code @ 500.. => ApiError::Failing(code),
        code @ 400..=499 => ApiError::Refused(code),
        _ => ApiError::Unreadable("its status is another one than documented"),
    }
}

fn unreachable(error: reqwest::Error) -> ApiError {
    ApiError::Unreachable(error_chain(&error.without_url()))
}

/// Loading the system's certificate authorities is slow, so it runs on a blocking thread. No
/// connection is kept open: each worker has its own runtime, and calls are minutes apart.
async fn build_client(url: &Url) -> Result<Client, ApiError> {
    let is_local = url.scheme() == "http";
    let build = move || {
        let mut client = Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("marketplace-sso/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .pool_max_idle_per_host(0);
        if is_local {
            client = client.no_proxy();
        }
        client.build()
    };
    let failed = |why: String| ApiError::Unreachable(format!("the HTTP client cannot be created: {why}"));
    match tokio::task::spawn_blocking(build).await {
        Ok(built) => built.map_err(|error| failed(error_chain(&error))),
        Err(error) => Err(failed(error.to_string())),
    }
}
