//! Authentication: one module for each kind of authenticator, and the closed
//! enum of them. The modules know neither each other, nor HTTP, nor the
//! configuration file.

pub mod appdirect;
pub mod aws_alb;
pub mod bearer;
pub mod caf;
pub mod commercetools;
pub mod proxy_headers;
pub mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::jwt::jwks::SkippedKey;
use crate::jwt::jwks::{FetchCounts, JwksCache, KeySource};
use crate::jwt::key_set::KeySet;
use crate::refusal::Refusal;
use crate::request::{Headers, Peer};
use crate::secret::SharedSecret;
use crate::user::{Email, Identifier, Label, User};

pub use appdirect::AppDirect;
pub use aws_alb::AwsAlb;
use aws_alb::KeysById;
pub use bearer::Bearer;
pub use caf::Caf;
pub use commercetools::Commercetools;
pub use proxy_headers::ProxyHeaders;
use token::TokenLocation;

/// All that an authenticator sees of a request.
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest<'a> {
    /// The peer of the connection.
    pub peer: Peer,
    /// The raw request path; `None` where a proxy asks on behalf of an API whose
    /// path is not known here.
    pub path: Option<&'a str>,
    /// The header fields.
    pub headers: &'a Headers<'a>,
    /// When the request was received.
    pub received: Timestamp,
}

/// The result of authentication. Bad credentials are rejected; they never count
/// as absent.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// The request carries no credentials.
    NoCredentials,
    /// Valid credentials of this user.
    User(Box<User>),
    /// Credentials that are not valid.
    Rejected(Refusal),
}

/// How an entrance authenticates requests.
#[derive(Debug)]
pub enum Authenticator {
    /// By request headers of a trusted login proxy.
    ProxyHeaders(ProxyHeaders),
    /// By a token of any configured issuer.
    Bearer(Box<Bearer>),
    /// By the token of an AWS Application Load Balancer.
    AwsAlb(Box<AwsAlb>),
    /// By the token of an AppDirect marketplace.
    AppDirect(Box<AppDirect>),
    /// By the exchange token of the commercetools Merchant Center.
    Commercetools(Box<Commercetools>),
    /// By an attestation of CAF.
    Caf(Box<Caf>),
}

/// The state of the keys at one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The URL.
    pub address: String,
    /// The age of the keys in use, in seconds; `None` where there are none, or
    /// where they do not expire.
    pub age_s: Option<u64>,
    /// How many keys of the set in use are skipped; `None` where there is no set.
    pub skipped: Option<usize>,
    /// Fetches by outcome.
    pub counts: FetchCounts,
}

/// The key caches of some authenticators.
#[derive(Debug, Default)]
pub struct KeyCaches {
    published: Vec<Arc<JwksCache>>,
    by_id: Vec<Arc<KeysById>>,
}

impl Authenticator {
    /// Authenticates a request. Pure, given the cached keys. Where newer keys may
    /// change the result, it is a rejection for
    /// [`crate::refusal::Reason::KeysUnavailable`]: call [`Self::renew_keys`] and
    /// authenticate again.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        match self {
            Self::ProxyHeaders(inner) => inner.authenticate(request),
            Self::Bearer(inner) => inner.authenticate(request, now),
            Self::AwsAlb(inner) => inner.authenticate(request, now),
            Self::AppDirect(inner) => inner.authenticate(request, now),
            Self::Commercetools(inner) => inner.authenticate(request, now),
            Self::Caf(inner) => inner.authenticate(request, now),
        }
    }

    /// A hint for the log why a request has no credentials, if there is one.
    pub fn explain_absence(&self, request: AuthRequest<'_>) -> Option<String> {
        match self {
            Self::ProxyHeaders(inner) => inner.explain_absence(request),
            Self::Bearer(_)
            | Self::AwsAlb(_)
            | Self::AppDirect(_)
            | Self::Commercetools(_)
            | Self::Caf(_) => None,
        }
    }

    /// The name of the kind, as the configuration writes it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ProxyHeaders(_) => "proxy_headers",
            Self::Bearer(_) => "bearer",
            Self::AwsAlb(_) => "aws_alb",
            Self::AppDirect(_) => "appdirect",
            Self::Commercetools(_) => "commercetools",
            Self::Caf(_) => "caf",
        }
    }

    /// Whether users can have all of these fields, such as `email` or
    /// `attributes.plan`.
    pub fn can_yield_all(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.can_yield(name))
    }

    /// A user with a value in each of these fields that users can have.
    pub fn sample(&self, names: &[String]) -> User {
        let mut user = User::default();
        for name in names.iter().filter(|name| self.can_yield(name)) {
            match name.split_once('.') {
                None if name == "id" => user.id = Identifier::parse("id").ok(),
                None if name == "email" => user.email = Email::parse("user@example.com").ok(),
                None if name == "name" => user.name = Label::parse("Name").ok(),
                None if name == "username" => user.username = Identifier::parse("username").ok(),
                Some(("organization", "id")) => user.organization.id = Identifier::parse("org").ok(),
                Some(("organization", "name")) => user.organization.name = Label::parse("Org").ok(),
                Some(("attributes", path)) => sample_value(&mut user.attributes, path),
                Some(("token", path)) => sample_value(&mut user.token, path),
                _ => {}
            }
        }
        user
    }

    fn can_yield(&self, name: &str) -> bool {
        match self {
            Self::ProxyHeaders(inner) => inner.can_yield(name),
            Self::Bearer(inner) => inner.mapping.can_yield(name),
            Self::AwsAlb(inner) => inner.mapping.can_yield(name),
            Self::AppDirect(inner) => inner.mapping.can_yield(name),
            Self::Commercetools(_) => Commercetools::can_yield(name),
            // the id is not part of the mapping
            Self::Caf(inner) => name == "id" || inner.mapping.can_yield(name),
        }
    }

    /// Where in a request the token is, if credentials are a token.
    pub const fn token_location(&self) -> Option<&TokenLocation> {
        match self {
            Self::ProxyHeaders(_) => None,
            Self::Bearer(inner) => Some(&inner.location),
            Self::AwsAlb(inner) => Some(&inner.location),
            Self::AppDirect(inner) => Some(&inner.location),
            Self::Commercetools(inner) => Some(&inner.location),
            Self::Caf(inner) => Some(&inner.location),
        }
    }

    /// The header fields of a request with this token, as far as they follow from
    /// it. The claims need not be verified.
    pub fn headers_for_token(&self, token: &str, claims: &Map<String, Value>) -> Vec<(String, String)> {
        let token_field = self.token_location().map(|location| match location {
            TokenLocation::Header { name, scheme: Some(scheme) } => {
                (name.clone(), format!("{scheme} {token}"))
            }
            TokenLocation::Header { name, scheme: None } => (name.clone(), token.to_owned()),
            TokenLocation::Cookie(name) => ("cookie".to_owned(), format!("{name}={token}")),
        });
        let other_fields = match self {
            Self::Commercetools(inner) => inner.forwarding_headers(claims.get("iss").and_then(Value::as_str)),
            Self::ProxyHeaders(_) | Self::Bearer(_) | Self::AwsAlb(_) | Self::AppDirect(_) | Self::Caf(_) => {
                Vec::new()
            }
        };
        token_field.into_iter().chain(other_fields).collect()
    }

    /// The authentication scheme of the challenge (RFC 9110, 11.6.1).
    pub fn challenge(&self) -> Option<&str> {
        match self.token_location()? {
            TokenLocation::Header { scheme, .. } => scheme.as_deref(),
            TokenLocation::Cookie(_) => None,
        }
    }

    /// The header fields that carry credentials, which CORS has to allow.
    pub fn script_headers(&self) -> Vec<&str> {
        match self.token_location() {
            Some(TokenLocation::Header { name, .. }) => vec![name],
            Some(TokenLocation::Cookie(_)) | None => Vec::new(),
        }
    }

    /// Fetches the keys that a request needs. `false` where nothing was fetched:
    /// no keys are fetched at all, the last fetch failed within the cooldown, or
    /// the budget of fetches that tokens cause is spent.
    pub async fn renew_keys(&self, request: AuthRequest<'_>, now: Timestamp) -> bool {
        let published = match self {
            Self::ProxyHeaders(_) | Self::Caf(_) => None,
            Self::Bearer(inner) => inner.keys.published(),
            Self::AppDirect(inner) => inner.keys.published(),
            Self::Commercetools(inner) => inner.keys_for(request),
            Self::AwsAlb(inner) => {
                let Some((keys, id)) = inner.keys_for(request) else { return false };
                return keys.renew(id, now).await;
            }
        };
        match published {
            Some(keys) => keys.fetch_for_token(now).await,
            None => false,
        }
    }

    /// Starts fetches for keys that are due, without waiting for them.
    pub fn refresh_keys(&self, now: Timestamp) {
        for keys in self.published_keys() {
            keys.refresh_if_due(now);
        }
    }

    /// Whether the first fetch from every issuer that is fetched from at the start
    /// has ended.
    pub fn is_started(&self) -> bool {
        self.published_keys().iter().all(|keys| keys.initial_fetch_done())
    }

    /// Whether there are keys from every issuer that is fetched from at the start.
    pub fn has_keys(&self, now: Timestamp) -> bool {
        self.published_keys().iter().all(|keys| keys.has_keys(now))
    }

    /// The state of the fetched keys.
    pub fn key_reports(&self, now: Timestamp) -> Vec<KeyReport> {
        let report = |keys: &&Arc<JwksCache>| KeyReport {
            address: keys.url(),
            age_s: keys.age_s(now),
            skipped: keys.skipped(now),
            counts: keys.counts(),
        };
        match self {
            Self::AwsAlb(inner) => inner
                .load_balancers
                .iter()
                .map(|(_, keys)| KeyReport {
                    address: keys.address(),
                    age_s: None,
                    skipped: None,
                    counts: keys.counts(),
                })
                .collect(),
            _ => self.published_keys().iter().map(report).collect(),
        }
    }

    /// Replaces own caches by the given ones for the same keys, so that a reload
    /// does not fetch them again.
    pub fn reuse_cached_keys(&mut self, caches: &KeyCaches) {
        let KeyCaches { published, by_id } = caches;
        match self {
            Self::ProxyHeaders(_) | Self::Caf(_) => {}
            Self::Bearer(inner) => inner.keys.reuse_cached(published),
            Self::AppDirect(inner) => inner.keys.reuse_cached(published),
            Self::Commercetools(inner) => {
                inner.gateways.iter_mut().for_each(|gateway| gateway.keys.reuse_cached(published));
            }
            Self::AwsAlb(inner) => {
                inner.load_balancers.iter_mut().for_each(|(_, keys)| *keys = keys.or_earlier(by_id));
            }
        }
    }

    /// The keys of a configured JWKS that are not used, and why.
    pub fn skipped_keys(&self) -> &[SkippedKey] {
        match self {
            Self::Bearer(inner) => inner.keys.skipped(),
            Self::AppDirect(inner) => inner.keys.skipped(),
            Self::ProxyHeaders(_) | Self::AwsAlb(_) | Self::Commercetools(_) | Self::Caf(_) => &[],
        }
    }

    /// Whether this secret verifies this entrance's tokens.
    pub fn verifies_with(&self, secret: &SharedSecret) -> bool {
        let given = |keys: &KeySource| match keys {
            KeySource::Static(keys) => keys.contains_secret(secret),
            KeySource::Published(_) => false,
        };
        match self {
            Self::Bearer(inner) => given(&inner.keys),
            Self::AppDirect(inner) => given(&inner.keys),
            Self::Caf(inner) => KeySet::contains_secret(&inner.secret, secret),
            Self::ProxyHeaders(_) | Self::AwsAlb(_) | Self::Commercetools(_) => false,
        }
    }

    fn published_keys(&self) -> Vec<&Arc<JwksCache>> {
        match self {
            Self::ProxyHeaders(_) | Self::Caf(_) | Self::AwsAlb(_) => Vec::new(),
            Self::Bearer(inner) => inner.keys.published().into_iter().collect(),
            Self::AppDirect(inner) => inner.keys.published().into_iter().collect(),
            Self::Commercetools(inner) => {
                inner.gateways.iter().filter_map(|gateway| gateway.keys.published()).collect()
            }
        }
    }
}

impl KeyCaches {
    /// The caches of some authenticators; those that are fetched at the start come
    /// first, so that they are the ones that are shared.
    pub fn of<'a>(authenticators: impl Iterator<Item = &'a Authenticator>) -> Self {
        let mut caches = Self::default();
        for authenticator in authenticators {
            caches.published.extend(authenticator.published_keys().into_iter().cloned());
            if let Authenticator::AwsAlb(inner) = authenticator {
                caches.by_id.extend(inner.load_balancers.iter().map(|(_, keys)| Arc::clone(keys)));
            }
        }
        caches.published.sort_by_key(|keys| !keys.fetches_at_start());
        caches
    }
}

/// Inserts a string at a dotted path.
fn sample_value(table: &mut BTreeMap<String, Value>, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let nested = rest.into_iter().flat_map(|rest| rest.rsplit('.'));
    let value = nested.fold(Value::from("value"), |value, name| json!({ name: value }));
    table.insert(first.to_owned(), value);
}
