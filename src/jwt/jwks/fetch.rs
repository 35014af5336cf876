//! Fetches keys over HTTP: configured URLs only, redirects within the origin, bounded
//! size and time.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};
use url::Host;

use crate::jwt::key_set::{BadKeys, KeySet};

/// A URL at which keys or other metadata of an issuer are published, or one of its endpoints: https, or
/// http to a loopback url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl(Url);

/// Why a key URL is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyUrl {
    /// Not an absolute URL.
    #[error("it is not a URL such as https://login.example.com/keys")]
    NotAUrl,
    /// Unencrypted, so that the keys could be replaced in transit.
    #[error("it is not https")]
    NotHttps,
    /// It has credentials or a fragment.
    #[error("it has a user name, a password or a fragment")]
    ExtraParts,
}

/// Settings of the HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetcher {
    /// The timeout of a whole fetch, from name resolution to the end of the body.
    pub timeout: Duration,
    /// Certificate authorities to trust in addition to the system's.
    pub ca_bundle: Option<CaBundle>,
}

/// Which redirects an HTTP client follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// Redirects within the origin; for public documents.
    WithinOrigin,
    /// No redirects; for requests with credentials.
    None,
}

/// Certificates of certificate authorities, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBundle(Vec<u8>);

/// Why a fetch failed. Never quotes the response.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The HTTP client cannot be created.
    #[error("the HTTP client cannot be created: {0}")]
    Client(String),
    /// No connection, an aborted response, or a timeout.
    #[error("no response: {0}")]
    NoResponse(String),
    /// A status other than 200, after redirects within the origin.
    #[error("the status is {0}")]
    Status(StatusCode),
    /// The response is too large.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// Keys are published by `kid`, and none is named.
    #[error("no kid is named, and keys are published by kid")]
    NoKeyId,
    /// The discovery document is invalid.
    #[error("the discovery document {0}")]
    Discovery(&'static str),
    /// The key set is invalid.
    #[error("the key set is invalid: {0}")]
    Keys(#[from] BadKeys),
}

/// The maximum number of redirects that are followed, within the origin.
const MAX_REDIRECTS: usize = 3;

/// The maximum size of a discovery document, in bytes.
const MAX_DISCOVERY_BYTES: usize = 64 * 1024;

impl KeyUrl {
    /// Parses a URL. http is accepted only for a loopback address, since keys could otherwise be
    /// replaced in transit.
    pub fn parse(text: &str) -> Result<Self, BadKeyUrl> {
        let url = Self::dangerous_parse_unencrypted(text)?;
        if url.0.scheme() == "https" || url.is_loopback() { Ok(url) } else { Err(BadKeyUrl::NotHttps) }
    }

    /// Parses a URL, http included.
    pub fn dangerous_parse_unencrypted(text: &str) -> Result<Self, BadKeyUrl> {
        let url = Url::parse(text).map_err(|_| BadKeyUrl::NotAUrl)?;
        if url.host().is_none() {
            return Err(BadKeyUrl::NotAUrl);
        }
        if !matches!(url.scheme(), "https" | "http") {
            return Err(BadKeyUrl::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(BadKeyUrl::ExtraParts);
        }
        Ok(Self(url))
    }

    /// The URL without its query, which may contain a secret.
    pub fn without_query(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    /// The URL with one more path segment.
    pub fn join(&self, name: &str) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(name);
        }
        Self(url)
    }

    /// Whether a discovery document at this URL may refer to `other`. An https document must not
    /// refer to an http URL.
    pub fn may_refer_to(&self, other: &Self) -> bool {
        let is_https = |url: &Self| url.0.scheme() == "https";
        match (is_https(self), self.is_loopback()) {
            (true, false) => is_https(other) && !other.is_loopback(),
            (_, true) => is_https(other) || other.is_loopback(),
            (false, false) => true,
        }
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether its host is this machine.
    pub fn is_loopback(&self) -> bool {
        let is_local = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.is_unspecified();
        match self.0.host() {
            Some(Host::Domain(name)) => matches!(name, "localhost" | "localhost."),
            Some(Host::Ipv4(ip)) => is_local(ip.into()),
            Some(Host::Ipv6(ip)) => is_local(ip.into()),
            None => false,
        }
    }
}

impl CaBundle {
    /// Parses certificates and checks that they are usable.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| error_chain(&error))?;
        if certificates.is_empty() {
            return Err("it contains no certificate".to_owned());
        }
        let client = Client::builder().tls_certs_only(certificates).build();
        client.map(|_| Self(pem.to_owned())).map_err(|error| error_chain(&error))
    }
}

impl FetchError {
    /// Whether the server reports that nothing is at the URL. Amazon S3 sends 403 for a
    /// missing object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE))
    }
}

impl Fetcher {
    /// Fetches the key set at a URL.
    pub async fn key_set(&self, url: &KeyUrl) -> Result<KeySet, FetchError> {
        Ok(KeySet::from_jwks(&self.get(url, KeySet::MAX_BYTES).await?)?)
    }

    /// Fetches an issuer's discovery document (OpenID Connect Discovery 1.0, 4) and the
    /// key set at its `jwks_uri`.
    pub async fn discovered_key_set(&self, issuer: &str, document: &KeyUrl) -> Result<KeySet, FetchError> {
        // one timeout for both requests
        self.with_timeout(self.discover(issuer, document)).await
    }

    async fn discover(&self, issuer: &str, document: &KeyUrl) -> Result<KeySet, FetchError> {
        let document_text = self.get(document, MAX_DISCOVERY_BYTES).await?;
        let metadata: serde_json::Value =
            serde_json::from_slice(&document_text).map_err(|_| FetchError::Discovery("is not JSON"))?;
        if metadata.get("issuer").and_then(serde_json::Value::as_str) != Some(issuer) {
            return Err(FetchError::Discovery("has another issuer"));
        }
        let keys = metadata.get("jwks_uri").and_then(serde_json::Value::as_str);
        let keys = keys.ok_or(FetchError::Discovery("has no jwks_uri"))?;
        let keys = KeyUrl::dangerous_parse_unencrypted(keys)
            .ok()
            .filter(|keys| document.may_refer_to(keys))
            .ok_or(FetchError::Discovery("has a jwks_uri that is not https"))?;
        self.key_set(&keys).await
    }

    /// Fetches the body at a URL, up to `max_bytes`.
    pub async fn get(&self, url: &KeyUrl, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        self.with_timeout(self.get_without_timeout(url, max_bytes)).await
    }

    async fn with_timeout<T>(
        &self,
        fetch: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let result = tokio::time::timeout(self.timeout, fetch).await;
        result.unwrap_or_else(|_| Err(FetchError::NoResponse("timeout".into())))
    }

    async fn get_without_timeout(&self, url: &KeyUrl, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        let client = self.client(url.is_loopback(), Redirects::WithinOrigin).await?;
        let mut response = client.get(url.0.clone()).send().await.map_err(no_response)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_response)? {
            if body.len().saturating_add(chunk.len()) > max_bytes {
                return Err(FetchError::TooLarge(max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A client for one fetch. Fetches are minutes apart; loading the system's
    /// certificate authorities is slow, so it runs on a blocking thread.
    pub async fn client(&self, is_loopback: bool, redirects: Redirects) -> Result<Client, FetchError> {
        let ca_bundle = self.ca_bundle.clone();
        let build = move || {
            let mut client = Client::builder()
                .redirect(match redirects {
                    Redirects::WithinOrigin => Policy::custom(|attempt| {
                        let (next, from) = (attempt.url(), attempt.previous());
                        let is_same_origin = from.iter().all(|url| url.origin() == next.origin());
                        if is_same_origin && from.len() <= MAX_REDIRECTS {
                            attempt.follow()
                        } else {
                            attempt.stop()
                        }
                    }),
                    Redirects::None => Policy::none(),
                })
                .user_agent(concat!("marketplace-sso/", env!("CARGO_PKG_VERSION")))
                .referer(false)
                .pool_max_idle_per_host(0);
            if is_loopback {
                client = client.no_proxy();
            }
            if let Some(CaBundle(pem)) = ca_bundle {
                client = client.tls_certs_merge(Certificate::from_pem_bundle(&pem)?);
            }
            client.build()
        };
        match tokio::task::spawn_blocking(build).await {
            Ok(built) => built.map_err(|error| FetchError::Client(error_chain(&error))),
            Err(error) => Err(FetchError::Client(error.to_string())),
        }
    }
}

fn no_response(error: reqwest::Error) -> FetchError {
    // the caller logs the URL without its query
    FetchError::NoResponse(error_chain(&error.without_url()))
}

/// An error and its sources, joined by `: `.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://login.example.com/keys", None)]
    #[case("http://127.0.0.1:8081/keys", None)]
    #[case("http://[::1]/keys", None)]
    #[case("http://localhost:1/", None)]
    #[case("http://[::ffff:127.0.0.1]/", None)]
    #[case("http://login.localhost/", Some(BadKeyUrl::NotHttps))]
    #[case("http://login.example.com/keys", Some(BadKeyUrl::NotHttps))]
    #[case("http://localhost.example.com/", Some(BadKeyUrl::NotHttps))]
    #[case("file:///etc/passwd", Some(BadKeyUrl::NotAUrl))]
    #[case("ftp://login.example.com/", Some(BadKeyUrl::NotHttps))]
    #[case("https://u:p@login.example.com/", Some(BadKeyUrl::ExtraParts))]
    #[case("https://login.example.com/#x", Some(BadKeyUrl::ExtraParts))]
    #[case("login.example.com/keys", Some(BadKeyUrl::NotAUrl))]
    fn keys_are_fetched_by_https_or_from_loopback(#[case] text: &str, #[case] why: Option<BadKeyUrl>) {
        assert_eq!(KeyUrl::parse(text).err(), why);
    }
}
