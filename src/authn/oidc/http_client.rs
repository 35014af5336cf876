//! Requests to a provider that carry credentials: no redirects, one timeout for the whole
//! exchange, responses of bounded size, strict JSON.

use oauth2::http::header::{CONTENT_TYPE, HeaderMap};
use oauth2::http::{Request, Response, StatusCode};
use reqwest::Client;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::error::{Endpoint, OidcError};
use crate::jwt::compact::Strict;
use crate::jwt::jwks::fetch::{FetchError, Fetcher, Redirects, error_chain};

/// An HTTP client for the endpoints of one provider.
#[derive(Debug)]
pub struct HttpClient {
    fetcher: Fetcher,
    /// Created at the first request, because loading the system's certificate authorities is slow.
    client: OnceCell<Client>,
    is_loopback: bool,
}

/// The maximum size of a response, in bytes. ID tokens with many groups have about 10 kB.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

impl HttpClient {
    /// Creates a client. `is_loopback`: the provider is on this machine, so no HTTP proxy is used.
    pub const fn new(fetcher: Fetcher, is_loopback: bool) -> Self {
        Self { fetcher, client: OnceCell::const_new(), is_loopback }
    }

    /// How requests without credentials are sent.
    pub const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Sends a request. The status of the response is neither 3xx, nor 5xx, nor 429; its body is a JSON
    /// object, or empty.
    pub async fn send(
        &self,
        endpoint: Endpoint,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, OidcError> {
        let exchange = self.exchange(endpoint, request);
        let response = tokio::time::timeout(self.fetcher.timeout, exchange).await.unwrap_or_else(|_| {
            Err(unavailable(
                endpoint,
                format!("no complete response in {} seconds", self.fetcher.timeout.as_secs()),
            ))
        })?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(unavailable(endpoint, format!("the status is {status}")));
        }
        if status.is_redirection() {
            return Err(OidcError::malformed(endpoint, format!("it is a redirect ({status})")));
        }
        Ok(response)
    }

    async fn exchange(
        &self,
        endpoint: Endpoint,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, OidcError> {
        let client = self.client.get_or_try_init(|| self.fetcher.client(self.is_loopback, Redirects::None));
        let client = client.await.map_err(|error: FetchError| unavailable(endpoint, error.to_string()))?;
        // without the URL: a code could be in it
        let failed = |error: reqwest::Error| unavailable(endpoint, error_chain(&error.without_url()));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let mut response = client.execute(request).await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len().saturating_add(chunk.len()) > MAX_RESPONSE_BYTES {
                let what = format!("it is larger than {MAX_RESPONSE_BYTES} bytes");
                return Err(OidcError::malformed(endpoint, what));
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = Response::new(body);
        *whole.status_mut() = response.status();
        *whole.headers_mut() = response.headers().clone();
        Ok(whole)
    }
}

/// The members of a JSON object in a response. Its media type is `application/json`, and it has no
/// duplicate members.
pub(super) fn json_object(
    endpoint: Endpoint,
    response: &Response<Vec<u8>>,
) -> Result<Map<String, Value>, OidcError> {
    match media_type(response.headers()).as_deref() {
        Some("application/json") => {}
        Some("application/jwt") => {
            return Err(OidcError::malformed(endpoint, "it is signed, which is not supported: it is a JWT"));
        }
        Some(_) | None => {
            return Err(OidcError::malformed(endpoint, "its Content-Type is not application/json"));
        }
    }
    strict_object(response.body())
        .ok_or_else(|| OidcError::malformed(endpoint, "it is not a JSON object, or has duplicate members"))
}

/// Parses a JSON object without duplicate members.
pub(super) fn strict_object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text) {
        Ok(Strict(Value::Object(members))) => Some(members),
        Ok(_) | Err(_) => None,
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let field = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(super) const fn unavailable(endpoint: Endpoint, cause: String) -> OidcError {
    OidcError::Unavailable { endpoint, cause }
}
