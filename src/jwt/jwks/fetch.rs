//! Asking another company's server for keys: the only place that does. It goes
//! where the configuration says, follows nobody elsewhere, takes no more than
//! it can use, and does not wait for long.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};
use url::Host;

use crate::jwt::key_set::{BadKeys, KeySet};

/// An address at which keys are published: https, or http on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAddress(Url);

/// Why a text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is none at all.
    #[error("it is not an address, such as https://login.example.com/keys")]
    NotAUrl,
    /// Whoever sits on the way could exchange the keys.
    #[error("it is not https")]
    NotHttps,
    /// It carries a password, or a fragment.
    #[error("it holds a user name, a password or a fragment")]
    TooMuch,
}

/// How foreign servers are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetcher {
    /// How long an answer may take, from the first name look-up to its end.
    pub timeout: Duration,
    /// A certificate authority to believe beside the system's.
    pub authority: Option<Authority>,
}

/// Certificates of an authority, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(Vec<u8>);

/// Why there is no answer that could be used. It quotes nothing of the answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The means to ask are missing.
    #[error("no request can be made: {0}")]
    Client(String),
    /// No connection, or not in time.
    #[error("it does not answer: {0}")]
    NoAnswer(String),
    /// A redirect elsewhere, or a failure.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// More than can be of use.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// No discovery document of that issuer.
    #[error("its discovery document {0}")]
    Discovery(&'static str),
    /// Not keys that can be used.
    #[error("its keys cannot be used: {0}")]
    Keys(#[from] BadKeys),
}

/// Redirects that are followed, within the same origin.
const MAX_REDIRECTS: usize = 3;

/// The largest discovery document, in bytes.
const MAX_DISCOVERY_BYTES: usize = 64 * 1024;

impl KeyAddress {
    /// Reads an address. Without https anybody on the way could exchange keys;
    /// on this machine nobody is on the way.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let address = Self::dangerous_parse_unencrypted(text)?;
        if address.0.scheme() == "https" || address.is_on_this_machine() {
            Ok(address)
        } else {
            Err(BadAddress::NotHttps)
        }
    }

    /// Reads an address, http included.
    pub fn dangerous_parse_unencrypted(text: &str) -> Result<Self, BadAddress> {
        let url = Url::parse(text).map_err(|_| BadAddress::NotAUrl)?;
        if url.host().is_none() {
            return Err(BadAddress::NotAUrl);
        }
        if !matches!(url.scheme(), "https" | "http") {
            return Err(BadAddress::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(BadAddress::TooMuch);
        }
        Ok(Self(url))
    }

    /// The address without its query, which may hold a secret.
    pub fn shown(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    /// The address of something below it.
    pub fn join(&self, name: &str) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(name);
        }
        Self(url)
    }

    /// Whether a document at this address may name the other: nothing less safe
    /// than itself.
    fn may_lead_to(&self, other: &Self) -> bool {
        let is_https = |address: &Self| address.0.scheme() == "https";
        match (is_https(self), self.is_on_this_machine()) {
            (true, false) => is_https(other) && !other.is_on_this_machine(),
            (_, true) => is_https(other) || other.is_on_this_machine(),
            (false, false) => true,
        }
    }

    fn is_on_this_machine(&self) -> bool {
        let is_ours = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.is_unspecified();
        match self.0.host() {
            Some(Host::Domain(name)) => matches!(name, "localhost" | "localhost."),
            Some(Host::Ipv4(ip)) => is_ours(ip.into()),
            Some(Host::Ipv6(ip)) => is_ours(ip.into()),
            None => false,
        }
    }
}

impl Authority {
    /// Reads certificates, and makes sure that they can be used.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| causes(&error))?;
        if certificates.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        let client = Client::builder().tls_certs_only(certificates).build();
        client.map(|_| Self(pem.to_owned())).map_err(|error| causes(&error))
    }
}

impl FetchError {
    /// Whether there is nothing at the address, as opposed to nobody to say so.
    /// Amazon's store says 403 of what is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE))
    }
}

impl Fetcher {
    /// The key set at an address.
    pub async fn key_set(&self, address: &KeyAddress) -> Result<KeySet, FetchError> {
        Ok(KeySet::from_jwks(&self.get(address, KeySet::MAX_BYTES).await?)?)
    }

    /// The key set of an issuer, where its own discovery document says it is
    /// (OpenID Connect Discovery 1.0, 4).
    pub async fn discovered_key_set(
        &self,
        issuer: &str,
        document: &KeyAddress,
    ) -> Result<KeySet, FetchError> {
        // both questions together have the time that one has
        self.in_time(self.discover(issuer, document)).await
    }

    async fn discover(&self, issuer: &str, document: &KeyAddress) -> Result<KeySet, FetchError> {
        let document_text = self.get(document, MAX_DISCOVERY_BYTES).await?;
        let told: serde_json::Value =
            serde_json::from_slice(&document_text).map_err(|_| FetchError::Discovery("is not JSON"))?;
        if told.get("issuer").and_then(serde_json::Value::as_str) != Some(issuer) {
            return Err(FetchError::Discovery("is that of another issuer"));
        }
        let keys = told.get("jwks_uri").and_then(serde_json::Value::as_str);
        let keys = keys.ok_or(FetchError::Discovery("names no jwks_uri"))?;
        let keys = KeyAddress::dangerous_parse_unencrypted(keys)
            .ok()
            .filter(|keys| document.may_lead_to(keys))
            .ok_or(FetchError::Discovery("names a jwks_uri that is not https"))?;
        self.key_set(&keys).await
    }

    /// What is at an address, up to a size.
    pub async fn get(&self, address: &KeyAddress, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        self.in_time(self.get_unhurried(address, max_bytes)).await
    }

    async fn in_time<T>(&self, fetch: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        let in_time = tokio::time::timeout(self.timeout, fetch).await;
        in_time.unwrap_or_else(|_| Err(FetchError::NoAnswer("the time is over".into())))
    }

    async fn get_unhurried(&self, address: &KeyAddress, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        let client = self.client(address.is_on_this_machine()).await?;
        let mut answer = client.get(address.0.clone()).send().await.map_err(no_answer)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if body.len().saturating_add(chunk.len()) > max_bytes {
                return Err(FetchError::TooLarge(max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A client for one question. Questions are minutes apart, and reading the
    /// system's authorities takes so long that nobody else shall wait for it.
    async fn client(&self, is_on_this_machine: bool) -> Result<Client, FetchError> {
        let authority = self.authority.clone();
        let build = move || {
            let mut client = Client::builder()
                .redirect(Policy::custom(|attempt| {
                    let (next, from) = (attempt.url(), attempt.previous());
                    let stays = from.iter().all(|url| url.origin() == next.origin());
                    if stays && from.len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
                }))
                .user_agent(concat!("marketplace-sso/", env!("CARGO_PKG_VERSION")))
                .referer(false)
                .pool_max_idle_per_host(0);
            if is_on_this_machine {
                client = client.no_proxy();
            }
            if let Some(Authority(pem)) = authority {
                client = client.tls_certs_merge(Certificate::from_pem_bundle(&pem)?);
            }
            client.build()
        };
        match tokio::task::spawn_blocking(build).await {
            Ok(built) => built.map_err(|error| FetchError::Client(causes(&error))),
            Err(error) => Err(FetchError::Client(error.to_string())),
        }
    }
}

fn no_answer(error: reqwest::Error) -> FetchError {
    // the address is said where this is logged
    FetchError::NoAnswer(causes(&error.without_url()))
}

/// An error and what it came from, which says more than the error itself.
pub fn causes(error: &dyn std::error::Error) -> String {
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
    #[case("http://login.localhost/", Some(BadAddress::NotHttps))]
    #[case("http://login.example.com/keys", Some(BadAddress::NotHttps))]
    #[case("http://localhost.example.com/", Some(BadAddress::NotHttps))]
    #[case("file:///etc/passwd", Some(BadAddress::NotAUrl))]
    #[case("ftp://login.example.com/", Some(BadAddress::NotHttps))]
    #[case("https://u:p@login.example.com/", Some(BadAddress::TooMuch))]
    #[case("https://login.example.com/#x", Some(BadAddress::TooMuch))]
    #[case("login.example.com/keys", Some(BadAddress::NotAUrl))]
    fn keys_come_by_https_or_from_this_machine(#[case] text: &str, #[case] why: Option<BadAddress>) {
        assert_eq!(KeyAddress::parse(text).err(), why);
    }
}
