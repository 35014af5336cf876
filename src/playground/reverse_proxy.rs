//! A minimal login proxy: forwards a request to the service, and replaces the identity header
//! fields of the client by those of the logged-in user. The caller manages sessions.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use reqwest::Url;

use super::people::IDENTITY_PREFIX;

/// A proxy in front of one service.
pub struct ReverseProxy {
    client: reqwest::Client,
    upstream: String,
}

/// Why a request or its response was not forwarded.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The path is invalid, or changes when it is normalized (`..`).
    #[error("the path cannot be forwarded")]
    Path,
    /// The method is not valid in HTTP.
    #[error("the method cannot be forwarded")]
    Method,
    /// The service did not respond in time.
    #[error("the service took too long")]
    Timeout(#[source] reqwest::Error),
    /// The connection failed, or the response is not valid HTTP.
    #[error("the service did not respond")]
    NoResponse(#[source] reqwest::Error),
    /// The response body exceeds `MAX_RESPONSE_BYTES`.
    #[error("the service's response is too large")]
    TooLarge,
}

impl ReverseProxy {
    /// A proxy to the service at `upstream`, such as `http://127.0.0.1:4000`.
    pub fn new(upstream: String) -> reqwest::Result<Self> {
        Ok(Self { client: client()?, upstream })
    }

    /// Forwards a request, with these identity header fields.
    pub async fn forward(
        &self,
        request: &HttpRequest,
        body: Bytes,
        identity: &[(&'static str, String)],
    ) -> Result<HttpResponse, ProxyError> {
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|_| ProxyError::Method)?;
        let mut outgoing = self.client.request(method, self.target_url(request)?);
        for (name, value) in forwarded_fields(request.headers()) {
            outgoing = outgoing.header(name, value);
        }
        for (name, value) in identity {
            outgoing = outgoing.header(*name, value);
        }
        let response = outgoing.body(body).send().await.map_err(ProxyError::from_reqwest)?;
        to_client_response(response).await
    }

    /// Requests a path from the service directly, with these header fields, from the local address
    /// `source`, if it is given.
    pub async fn get(
        &self,
        path: &str,
        fields: &[(&'static str, String)],
        source: Option<IpAddr>,
    ) -> Result<HttpResponse, ProxyError> {
        let client = match source {
            Some(source) => {
                client_builder().local_address(source).build().map_err(ProxyError::from_reqwest)?
            }
            None => self.client.clone(),
        };
        let mut outgoing = client.get(format!("{}{path}", self.upstream));
        for (name, value) in fields {
            outgoing = outgoing.header(*name, value);
        }
        to_client_response(outgoing.send().await.map_err(ProxyError::from_reqwest)?).await
    }

    fn target_url(&self, request: &HttpRequest) -> Result<Url, ProxyError> {
        let path = request.uri().path();
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let url = Url::parse(&format!("{}{path}{query}", self.upstream)).map_err(|_| ProxyError::Path)?;
        // `/pandium-sso/../metrics` matches the route, but would be sent as `/metrics`
        if url.path() == path { Ok(url) } else { Err(ProxyError::Path) }
    }
}

impl ProxyError {
    /// The status for the browser.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Method => StatusCode::BAD_REQUEST,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::NoResponse(_) | Self::TooLarge => StatusCode::BAD_GATEWAY,
        }
    }

    /// Classifies an error of the HTTP client.
    pub fn from_reqwest(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout(error) } else { Self::NoResponse(error) }
    }
}

/// The header fields of a request that are forwarded to the service.
fn forwarded_fields(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let dropped = hop_by_hop(headers);
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !dropped.contains(*name) && !DROPPED_FIELDS.contains(name))
        .filter(|(name, _)| !is_identity_field(name))
        .collect()
}

/// An HTTP client for servers on this machine: no redirects, no proxy, short timeouts.
pub fn client() -> reqwest::Result<reqwest::Client> {
    client_builder().build()
}

fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
}

/// Converts the service's response into one for the browser.
pub async fn to_client_response(mut upstream: reqwest::Response) -> Result<HttpResponse, ProxyError> {
    let status = StatusCode::from_u16(upstream.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut headers = HeaderMap::new();
    for (name, value) in upstream.headers() {
        let name = header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = header::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let dropped = hop_by_hop(&headers);
    let mut response = HttpResponse::build(status);
    for (name, value) in &headers {
        if !dropped.contains(name.as_str()) && name != header::CONTENT_LENGTH {
            response.append_header((name, value));
        }
    }
    let mut body = Vec::new();
    while let Some(chunk) = upstream.chunk().await.map_err(ProxyError::from_reqwest)? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(ProxyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(response.body(body))
}

/// The names of hop-by-hop header fields (RFC 9110, 7.6.1), including those that
/// `Connection` lists.
fn hop_by_hop(headers: &HeaderMap) -> HashSet<String> {
    headers
        .get_all(header::CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .chain(HOP_BY_HOP.iter().map(|name| (*name).to_owned()))
        .collect()
}

/// Whether a server could read a header field as an identity field: some treat
/// `_` and `.` as `-`.
pub fn is_identity_field(name: &str) -> bool {
    name.to_ascii_lowercase().replace(['_', '.'], "-").starts_with(IDENTITY_PREFIX)
}

const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Request fields that are not forwarded: set by the HTTP client (`host`,
/// `content-length`), handled here (`expect`), the app's own (`cookie`), or
/// reserved to proxies.
const DROPPED_FIELDS: [&str; 9] = [
    "host",
    "content-length",
    "expect",
    "cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a response, far above that of the service's pages and redirects.
const MAX_RESPONSE_BYTES: usize = 1_048_576;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn identity_fields_of_the_client_are_removed_in_any_spelling() {
        let check = |name: &'static str, passes: bool| {
            let request = TestRequest::default().insert_header((name, "mallory")).to_http_request();
            assert_eq!(!forwarded_fields(request.headers()).is_empty(), passes, "{name}");
        };
        check("X-Auth-Request-Email", false);
        check("x_auth_request_email", false);
        check("X.Auth.Request.User", false);
        check("X-Auth_Request.Anything", false);
        check("X-Forwarded-For", false);
        check("Cookie", false);
        check("Accept", true);
        check("X-Request-Id", true);
    }

    #[test]
    fn hop_by_hop_fields_are_not_forwarded() {
        let request = TestRequest::default()
            .insert_header(("Connection", "keep-alive, X-Hop"))
            .insert_header(("X-Hop", "1"))
            .insert_header(("TE", "trailers"))
            .insert_header(("Accept", "text/html"))
            .to_http_request();
        assert_eq!(forwarded_fields(request.headers()), [("accept", "text/html".as_bytes())]);
    }

    #[test]
    fn a_path_that_normalization_changes_is_rejected() {
        let proxy = ReverseProxy::new("http://127.0.0.1:1".into()).unwrap();
        let check = |path: &str, passes: bool| {
            let request = TestRequest::with_uri(path).to_http_request();
            assert_eq!(proxy.target_url(&request).is_ok(), passes, "{path}");
        };
        check("/pandium-sso?integration_id=1121&display=list", true);
        check("/pandium-sso/install/1130", true);
        check("/pandium-sso/../metrics", false);
        check("/pandium-sso/%2e%2e/metrics", false);
    }
}
