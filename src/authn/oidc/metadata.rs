//! A provider's endpoints: from the settings, or from its discovery document (OpenID
//! Connect Discovery 1.0, 4; RFC 8414), which is cached.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::error::{Endpoint, OidcError};
use super::http_client::{strict_object, unavailable};
use crate::clock::Timestamp;
use crate::jwt::jwks::fetch::{Fetcher, KeyUrl};

/// The endpoints of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The authorization endpoint.
    pub authorization: KeyUrl,
    /// The token endpoint.
    pub token: KeyUrl,
    /// The user info endpoint, with further claims.
    pub user_info: Option<KeyUrl>,
    /// The logout endpoint (RP-Initiated Logout 1.0).
    pub end_session: Option<KeyUrl>,
    /// Whether each authorization response has `iss` (RFC 9207).
    pub sends_issuer: bool,
}

/// Endpoints from the settings; each replaces that of the discovery document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredEndpoints {
    /// `authorization_url`.
    pub authorization: Option<KeyUrl>,
    /// `token_url`.
    pub token: Option<KeyUrl>,
    /// `user_info_url`.
    pub user_info: Option<KeyUrl>,
    /// `end_session_url`.
    pub end_session: Option<KeyUrl>,
}

/// Where the endpoints come from.
#[derive(Debug)]
pub enum MetadataSource {
    /// The settings.
    Configured(Arc<Metadata>),
    /// The discovery document.
    Discovered(Box<Discovery>),
}

/// The cached discovery document.
#[derive(Debug)]
pub struct Discovery {
    issuer: String,
    document: KeyUrl,
    configured: ConfiguredEndpoints,
    /// The authentication method of this client at the token endpoint; `None` for a public client, since
    /// providers often do not list `none`.
    client_authentication: Option<&'static str>,
    cached: ArcSwapOption<Cached>,
    /// When the last fetch failed. Locked while the document is fetched.
    failed_at: Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
struct Cached {
    metadata: Arc<Metadata>,
    fetched_at: Timestamp,
}

/// How long a document is used before it is fetched again, in seconds.
const FRESH_S: u64 = 3_600;

/// How long a document is used while it cannot be fetched, in seconds.
const MAX_STALE_S: u64 = 24 * 3_600;

/// The pause after a failed fetch, in seconds.
const PAUSE_S: u64 = 5;

/// The largest document, in bytes.
const MAX_BYTES: usize = 64 * 1024;

impl MetadataSource {
    /// The endpoints. Fetches the discovery document if that is due.
    pub async fn get(&self, fetcher: &Fetcher, clock: fn() -> Timestamp) -> Result<Arc<Metadata>, OidcError> {
        match self {
            Self::Configured(metadata) => Ok(Arc::clone(metadata)),
            Self::Discovered(discovery) => discovery.get(fetcher, clock).await,
        }
    }
}

impl Discovery {
    /// Creates an empty cache. `client_authentication` is `client_secret_basic`, `client_secret_post` or
    /// `private_key_jwt`; `None` for a public client.
    pub fn new(
        issuer: &str,
        document: KeyUrl,
        configured: ConfiguredEndpoints,
        client_authentication: Option<&'static str>,
    ) -> Self {
        Self {
            issuer: issuer.to_owned(),
            document,
            configured,
            client_authentication,
            cached: ArcSwapOption::empty(),
            failed_at: Mutex::new(None),
        }
    }

    async fn get(&self, fetcher: &Fetcher, clock: fn() -> Timestamp) -> Result<Arc<Metadata>, OidcError> {
        if let Some(metadata) = self.cached(FRESH_S, clock()) {
            return Ok(metadata);
        }
        // one fetch at a time; the others wait for it
        let mut failed_at = self.failed_at.lock().await;
        if let Some(metadata) = self.cached(FRESH_S, clock()) {
            return Ok(metadata);
        }
        let error = if failed_at.is_some_and(|at| at.is_within(PAUSE_S, clock())) {
            unavailable(Endpoint::Discovery, "fetching it failed just now".to_owned())
        } else {
            match self.fetch(fetcher).await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    let cached = Cached { metadata: Arc::clone(&metadata), fetched_at: clock() };
                    self.cached.store(Some(Arc::new(cached)));
                    *failed_at = None;
                    return Ok(metadata);
                }
                Err(error) => {
                    *failed_at = Some(clock());
                    tracing::warn!(url = %self.document.without_query(), %error, "discovery failed");
                    error
                }
            }
        };
        self.cached(MAX_STALE_S, clock()).ok_or(error)
    }

    fn cached(&self, max_age_s: u64, now: Timestamp) -> Option<Arc<Metadata>> {
        let cached = self.cached.load();
        let cached = cached.as_ref().filter(|cached| cached.fetched_at.is_within(max_age_s, now))?;
        Some(Arc::clone(&cached.metadata))
    }

    async fn fetch(&self, fetcher: &Fetcher) -> Result<Metadata, OidcError> {
        let text = fetcher.get(&self.document, MAX_BYTES).await;
        let text = text.map_err(|error| unavailable(Endpoint::Discovery, error.to_string()))?;
        let members =
            strict_object(&text).ok_or_else(|| wrong("it is not a JSON object, or has duplicate members"))?;
        self.parse(&members)
    }

    fn parse(&self, members: &Map<String, Value>) -> Result<Metadata, OidcError> {
        if members.get("issuer").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(wrong("its issuer is not identity.issuer, compared exactly"));
        }
        self.require(members, "code_challenge_methods_supported", "S256")?;
        self.require(members, "response_types_supported", "code")?;
        if let Some(method) = self.client_authentication {
            self.require(members, "token_endpoint_auth_methods_supported", method)?;
        }
        let sends_issuer = match present(members, "authorization_response_iss_parameter_supported") {
            None => false,
            Some(Value::Bool(sends_issuer)) => *sends_issuer,
            Some(_) => {
                return Err(wrong("its authorization_response_iss_parameter_supported is not true or false"));
            }
        };
        let required = |configured: &Option<KeyUrl>, name: &str| {
            let url = self.endpoint(members, configured.as_ref(), name)?;
            url.ok_or_else(|| wrong(format!("it has no {name}")))
        };
        let configured = &self.configured;
        Ok(Metadata {
            authorization: required(&configured.authorization, "authorization_endpoint")?,
            token: required(&configured.token, "token_endpoint")?,
            user_info: self.endpoint(members, configured.user_info.as_ref(), "userinfo_endpoint")?,
            end_session: self.endpoint(members, configured.end_session.as_ref(), "end_session_endpoint")?,
            sends_issuer,
        })
    }

    /// Checks that a list contains a value, if the document has this list.
    fn require(&self, members: &Map<String, Value>, name: &str, value: &str) -> Result<(), OidcError> {
        match present(members, name) {
            None => Ok(()),
            Some(Value::Array(items)) if items.iter().any(|item| item == value) => Ok(()),
            Some(Value::Array(_)) => Err(wrong(format!("its {name} does not contain {value}"))),
            Some(_) => Err(wrong(format!("its {name} is not a list"))),
        }
    }

    fn endpoint(
        &self,
        members: &Map<String, Value>,
        configured: Option<&KeyUrl>,
        name: &str,
    ) -> Result<Option<KeyUrl>, OidcError> {
        if let Some(configured) = configured {
            return Ok(Some(configured.clone()));
        }
        let text = match present(members, name) {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(_) => return Err(wrong(format!("its {name} is not a string"))),
        };
        let url =
            KeyUrl::dangerous_parse_unencrypted(text).ok().filter(|url| self.document.may_refer_to(url));
        url.map(Some).ok_or_else(|| wrong(format!("its {name} is not an https URL")))
    }
}

/// A member; null counts as missing, since some libraries serialize unset members as null.
fn present<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn wrong(what: impl Into<std::borrow::Cow<'static, str>>) -> OidcError {
    OidcError::malformed(Endpoint::Discovery, what)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example";

    fn parse(changed: Value) -> Result<Metadata, String> {
        let document = KeyUrl::parse("https://id.example/.well-known/openid-configuration").unwrap();
        let discovery =
            Discovery::new(ISSUER, document, ConfiguredEndpoints::default(), Some("client_secret_basic"));
        let mut members = json!({"issuer": ISSUER, "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token", "code_challenge_methods_supported": ["plain", "S256"]});
        for (name, value) in changed.as_object().unwrap() {
            members[name] = value.clone();
        }
        discovery.parse(members.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn endpoints_are_read() {
        let metadata = parse(json!({"end_session_endpoint": "https://id.example/logout",
            "authorization_response_iss_parameter_supported": true}))
        .unwrap();
        assert_eq!(metadata.token.as_str(), "https://id.example/token");
        assert_eq!(metadata.end_session.unwrap().as_str(), "https://id.example/logout");
        assert!(metadata.sends_issuer && metadata.user_info.is_none());
    }

    #[rstest]
    #[case::another_issuer(json!({"issuer": "https://evil.example"}), "identity.issuer")]
    #[case::slash(json!({"issuer": "https://id.example/"}), "identity.issuer")]
    #[case::no_issuer(json!({"issuer": null}), "identity.issuer")]
    #[case::http(json!({"token_endpoint": "http://id.example/token"}), "not an https URL")]
    #[case::loopback(json!({"token_endpoint": "https://127.0.0.1/token"}), "not an https URL")]
    #[case::script(json!({"authorization_endpoint": "javascript:alert(1)"}), "not an https URL")]
    #[case::number(json!({"token_endpoint": 1}), "not a string")]
    #[case::null(json!({"token_endpoint": null}), "it has no token_endpoint")]
    #[case::no_pkce(json!({"code_challenge_methods_supported": ["plain"]}), "does not contain S256")]
    #[case::no_code(json!({"response_types_supported": ["id_token"]}), "does not contain code")]
    #[case::authentication(
        json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
        "does not contain client_secret_basic"
    )]
    #[case::flag(json!({"authorization_response_iss_parameter_supported": "true"}), "not true or false")]
    fn an_unusable_document_is_rejected(#[case] changed: Value, #[case] why: &str) {
        let error = parse(changed).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
