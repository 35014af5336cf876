//! The calls of mittwald's API: bounded in time and size, without redirects, each failure
//! classified. Only calls that may be made twice are repeated.
//!
//! <https://developer.mittwald.de/docs/v2/reference>

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::values::{AccessToken, InstanceSecret, RetrievalKey, Serial};
use crate::clock::Timestamp;
use crate::jwt::jwks::fetch::{BadKeyUrl, KeyUrl, error_chain};

/// The base URL of the API: https, or http to a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl(Url);

/// Calls the API.
#[derive(Debug)]
pub struct Api {
    base: ApiUrl,
    timeout: Duration,
    client: OnceCell<Client>,
}

/// What a public key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// It signs webhooks.
    Webhook,
    /// It signs session tokens.
    SessionToken,
}

/// An access token, and until when it is valid.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: AccessToken,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// A user.
#[derive(Clone, Debug)]
pub struct MstudioUser {
    /// The id.
    pub id: Uuid,
    /// The e-mail address, not parsed.
    pub email: Option<String>,
    /// First and last name, not parsed.
    pub name: String,
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
    #[error("mittwald reports a failure of its own (status {0})")]
    Failing(u16),
    /// A status by which it refuses what was sent.
    #[error("mittwald refuses the request (status {0})")]
    Refused(u16),
    /// A response of another form.
    #[error("the response of mittwald cannot be used: {0}")]
    Unreadable(&'static str),
}

/// What a call sends.
enum Sent<'a> {
    Nothing,
    Body(SecretString),
    Token(&'a AccessToken),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeatable {
    Yes,
    No,
}

/// The largest response, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// Without a header field that says when to try again after a 429.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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

impl Api {
    /// For this base URL. `timeout`: for each attempt of a call.
    pub fn new(base: ApiUrl, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { base, timeout, client: OnceCell::new() })
    }

    /// Whether both have the same base URL.
    pub fn is_at_same_place(&self, other: &Self) -> bool {
        self.base == other.base
    }

    /// The public key of a serial, raw; `None` if there is none.
    ///
    /// # Errors
    ///
    /// No usable response.
    pub async fn public_key(&self, serial: Serial, purpose: KeyPurpose) -> Result<Option<Vec<u8>>, ApiError> {
        #[derive(Deserialize)]
        struct Key {
            serial: String,
            algorithm: String,
            key: String,
        }
        let mut url = self.base.join(&["v2", "public-keys", &serial.to_string()])?;
        url.query_pairs_mut().append_pair("purpose", purpose.name()).append_pair("format", "raw");
        let key: Key = match self.call(Method::GET, url, Sent::Nothing, StatusCode::OK, Repeatable::Yes).await
        {
            Err(ApiError::Refused(400 | 404 | 410)) => return Ok(None),
            other => other?,
        };
        if Serial::parse(&key.serial) != Some(serial) {
            return Err(ApiError::Unreadable("the key has another serial"));
        }
        if !key.algorithm.eq_ignore_ascii_case("ed25519") {
            return Err(ApiError::Unreadable("the key is not for Ed25519"));
        }
        let raw = BASE64.decode(key.key).map_err(|_| ApiError::Unreadable("the key is not base64"))?;
        Ok(Some(raw))
    }

    /// Exchanges an instance's secret for an access token. May be made twice: each gives a token.
    ///
    /// # Errors
    ///
    /// No usable response; the secret is refused.
    pub async fn instance_token(
        &self,
        instance: Uuid,
        secret: &InstanceSecret,
    ) -> Result<IssuedToken, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Token {
            public_token: String,
            expiry: String,
        }
        let url = self.base.join(&["v2", "extension-instances", &instance.to_string(), "tokens"])?;
        let body = serde_json::json!({"extensionInstanceSecret": secret.expose()}).to_string();
        let body = Sent::Body(body.into());
        let token: Token = self.call(Method::POST, url, body, StatusCode::CREATED, Repeatable::Yes).await?;
        issued(token.public_token, &token.expiry)
    }

    /// Exchanges a retrieval key for an access token of its user. A key is exchanged once, so the call
    /// is never repeated.
    ///
    /// # Errors
    ///
    /// No usable response; the key is refused.
    pub async fn user_token(&self, key: &RetrievalKey, user: Uuid) -> Result<AccessToken, ApiError> {
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        let url = self.base.join(&["v2", "authenticate-token-retrieval-key"])?;
        let body = serde_json::json!({"accessTokenRetrievalKey": key.expose(), "userId": user}).to_string();
        let body = Sent::Body(body.into());
        let token: Token = self.call(Method::POST, url, body, StatusCode::OK, Repeatable::No).await?;
        AccessToken::parse(token.token).map_err(|_| ApiError::Unreadable("its token is no token"))
    }

    /// Whose access token it is.
    ///
    /// # Errors
    ///
    /// No usable response.
    pub async fn user(&self, token: &AccessToken) -> Result<MstudioUser, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct User {
            user_id: Uuid,
            email: Option<String>,
            person: Option<Person>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Person {
            first_name: String,
            last_name: String,
        }
        let url = self.base.join(&["v2", "users", "self"])?;
        let sent = Sent::Token(token);
        let user: User = self.call(Method::GET, url, sent, StatusCode::OK, Repeatable::Yes).await?;
        let name = user
            .person
            .map_or_else(String::new, |Person { first_name, last_name }| format!("{first_name} {last_name}"));
        Ok(MstudioUser { id: user.user_id, email: user.email, name })
    }

    /// Whether the user of an access token may see an instance.
    ///
    /// # Errors
    ///
    /// No usable response.
    pub async fn sees_instance(&self, token: &AccessToken, instance: Uuid) -> Result<bool, ApiError> {
        #[derive(Deserialize)]
        struct Instance {
            id: Uuid,
        }
        let url = self.base.join(&["v2", "extension-instances", &instance.to_string()])?;
        let sent = Sent::Token(token);
        match self.call::<Instance>(Method::GET, url, sent, StatusCode::OK, Repeatable::Yes).await {
            Ok(seen) => Ok(seen.id == instance),
            Err(ApiError::Refused(403 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a call, and repeats it once where it may be repeated and the failure may pass.
    async fn call<T: DeserializeOwned>(
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

impl KeyPurpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::SessionToken => "session_token",
        }
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

fn issued(token: String, expiry: &str) -> Result<IssuedToken, ApiError> {
    let token = AccessToken::parse(token).map_err(|_| ApiError::Unreadable("its token is no token"))?;
    let at = OffsetDateTime::parse(expiry, &Rfc3339)
        .map_err(|_| ApiError::Unreadable("its expiry is no time as RFC 3339 has it"))?;
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or_default();
    Ok(IssuedToken { token, expires_at: Timestamp::from_unix_seconds(seconds) })
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
/// connection is kept: workers have a runtime each, and calls are minutes apart.
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
