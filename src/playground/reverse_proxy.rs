//! A login proxy in small: passes a request on to the service, with the
//! identity it vouches for and with none that a browser sent. It decides
//! nothing about who is logged in, and changes nothing in the answer.

use std::collections::HashSet;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use reqwest::Url;

use super::people::{IDENTITY_PREFIX, Person};

/// The proxy in front of one service.
pub struct ReverseProxy {
    client: reqwest::Client,
    upstream: String,
}

/// Why a request could not be passed on, or its answer not back.
#[derive(Debug, thiserror::Error)]
pub enum NotPassed {
    /// The path would be another one after it was tidied up (`..`), or is none.
    #[error("the path is not one to pass on")]
    Path,
    /// The method is none that HTTP knows.
    #[error("the method is not one to pass on")]
    Method,
    /// The service did not answer in time.
    #[error("the service took too long")]
    Slow(#[source] reqwest::Error),
    /// The service did not answer as HTTP.
    #[error("the service did not answer")]
    Broken(#[source] reqwest::Error),
    /// The answer is larger than any the service gives.
    #[error("the service's answer is too large")]
    TooLarge,
}

impl ReverseProxy {
    /// A proxy to the service at `upstream`, such as `http://127.0.0.1:4000`.
    pub fn new(upstream: String) -> reqwest::Result<Self> {
        Ok(Self { client: client()?, upstream })
    }

    /// Passes the request on as that person's, or as nobody's, and the answer back.
    pub async fn forward(
        &self,
        request: &HttpRequest,
        body: Bytes,
        person: Option<&Person>,
    ) -> Result<HttpResponse, NotPassed> {
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|_| NotPassed::Method)?;
        let mut outgoing = self.client.request(method, self.address(request)?);
        for (name, value) in passed_on(request.headers()) {
            outgoing = outgoing.header(name, value);
        }
        for (name, value) in person.map(Person::identity_headers).unwrap_or_default() {
            outgoing = outgoing.header(name, value);
        }
        let answer = outgoing.body(body).send().await.map_err(NotPassed::from_client)?;
        passed_back(answer).await
    }

    fn address(&self, request: &HttpRequest) -> Result<Url, NotPassed> {
        let path = request.uri().path();
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let url = Url::parse(&format!("{}{path}{query}", self.upstream)).map_err(|_| NotPassed::Path)?;
        // `/pandium-sso/../metrics` was routed by its beginning, and would arrive as `/metrics`.
        if url.path() == path { Ok(url) } else { Err(NotPassed::Path) }
    }
}

impl NotPassed {
    /// The status for the browser.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Method => StatusCode::BAD_REQUEST,
            Self::Slow(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Broken(_) | Self::TooLarge => StatusCode::BAD_GATEWAY,
        }
    }

    /// What is to be said of an error of the client.
    pub fn from_client(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Slow(error) } else { Self::Broken(error) }
    }
}

/// The headers of a request that travel on to the service.
fn passed_on(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let dropped = hop_by_hop(headers);
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !dropped.contains(*name) && !REPLACED.contains(name))
        .filter(|(name, _)| !is_identity(name))
        .collect()
}

/// A client for servers on this machine: goes nowhere else, and waits for nobody long.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(WHOLE_TIMEOUT)
        .build()
}

/// The service's answer, for the browser.
pub async fn passed_back(mut answer: reqwest::Response) -> Result<HttpResponse, NotPassed> {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers() {
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
    while let Some(chunk) = answer.chunk().await.map_err(NotPassed::from_client)? {
        if body.len() + chunk.len() > MOST_ANSWER_BYTES {
            return Err(NotPassed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(response.body(body))
}

/// The headers that concern one connection only (RFC 9110, 7.6.1), those that
/// `Connection` names among them.
fn hop_by_hop(headers: &HeaderMap) -> HashSet<String> {
    headers
        .get_all(header::CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .chain(HOP_BY_HOP.iter().map(|name| (*name).to_owned()))
        .collect()
}

/// Whether a header could be read as one of the proxy's own: some servers take
/// `_` and `.` for `-`.
fn is_identity(name: &str) -> bool {
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

/// Written anew by the client (`host`, the length), answered here (`expect`),
/// the app's own business (`cookie`), or claims about the way here that only a
/// proxy may make.
const REPLACED: [&str; 9] = [
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
const WHOLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The service's pages and redirects have a few kilobytes.
const MOST_ANSWER_BYTES: usize = 1_048_576;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_identity_from_the_browser_is_removed_however_it_is_spelled() {
        let check = |name: &'static str, passes: bool| {
            let request = TestRequest::default().insert_header((name, "mallory")).to_http_request();
            assert_eq!(!passed_on(request.headers()).is_empty(), passes, "{name}");
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
    fn what_concerns_one_connection_stays_on_it() {
        let request = TestRequest::default()
            .insert_header(("Connection", "keep-alive, X-Hop"))
            .insert_header(("X-Hop", "1"))
            .insert_header(("TE", "trailers"))
            .insert_header(("Accept", "text/html"))
            .to_http_request();
        assert_eq!(passed_on(request.headers()), [("accept", "text/html".as_bytes())]);
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_not_passed_on() {
        let proxy = ReverseProxy::new("http://127.0.0.1:1".into()).unwrap();
        let check = |path: &str, passes: bool| {
            let request = TestRequest::with_uri(path).to_http_request();
            assert_eq!(proxy.address(&request).is_ok(), passes, "{path}");
        };
        check("/pandium-sso?integration_id=1121&display=list", true);
        check("/pandium-sso/install/1130", true);
        check("/pandium-sso/../metrics", false);
        check("/pandium-sso/%2e%2e/metrics", false);
    }
}
