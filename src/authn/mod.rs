//! Authentication: the kinds of authenticator, and a module for each vendor of
//! tokens. Vendors know neither each other nor HTTP; each has its settings beside
//! it.

pub mod appdirect;
mod authentication;
pub mod aws_alb;
pub mod bearer;
pub mod caf;
pub mod commercetools;
pub mod mittwald;
pub mod oidc;
pub mod proxy_headers;
mod refresher;
mod sample;
pub(crate) mod settings;
mod shared_sessions;
pub mod sign_in;
pub mod token;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::jwt::jwks::{FetchCounts, JwksCache, SkippedKey};
use crate::request::Peer;
use crate::secret::SharedSecret;
use crate::store::Store;
use crate::user::User;

pub use authentication::{AuthRequest, Authentication, Fetched, Needs};
pub use mittwald::MittwaldIdentity;
pub use proxy_headers::ProxyHeaders;
pub use refresher::Refresher;
pub use shared_sessions::{Once, SharedSessions};
pub use sign_in::SignIn;
pub use token::{IssuerKeys, TokenAuthenticator, TokenLocation, Vendor};

/// How an entrance authenticates requests.
#[derive(Debug)]
pub enum Authenticator {
    /// By request headers of a trusted login proxy.
    ProxyHeaders(ProxyHeaders),
    /// By a signed token.
    Token(Box<TokenAuthenticator>),
    /// By mittwald: a retrieval key that is exchanged, or a session token.
    Mittwald(MittwaldIdentity),
    /// By a session, after a sign-in at an OpenID provider.
    Oidc(Box<SignIn>),
}

/// The state of the keys at one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The URL.
    pub url: String,
    /// The age of the keys in use, in seconds; `None` where there are none, or
    /// where they do not expire.
    pub age_s: Option<u64>,
    /// How many keys of the set in use are skipped; `None` where there is no set.
    pub skipped: Option<usize>,
    /// Fetches by outcome.
    pub counts: FetchCounts,
}

impl Authenticator {
    /// Authenticates a request. Pure, given the cached keys.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        match self {
            Self::ProxyHeaders(headers) => headers.authenticate(request),
            Self::Token(token) => token.authenticate(request, now),
            Self::Mittwald(mittwald) => mittwald.authenticate(request, now),
            Self::Oidc(sign_in) => sign_in.authenticate(request, now),
        }
    }

    /// A hint for the log why a request has no credentials, if there is one.
    pub fn explain_absence(&self, request: AuthRequest<'_>, now: Timestamp) -> Option<String> {
        match self {
            Self::ProxyHeaders(headers) => headers.explain_absence(request),
            Self::Token(_) | Self::Mittwald(_) => None,
            Self::Oidc(sign_in) => sign_in.explain_absence(request.headers, now),
        }
    }

    /// The part of a query that is about the link, and not credentials.
    pub fn link_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        match self {
            Self::ProxyHeaders(_) | Self::Token(_) | Self::Oidc(_) => Cow::Borrowed(query),
            Self::Mittwald(_) => Cow::Owned(mittwald::link_query(query)),
        }
    }

    /// Uses the store, where the authenticator needs one.
    pub fn use_store(&self, store: &Store) {
        match self {
            Self::ProxyHeaders(_) | Self::Token(_) | Self::Oidc(_) => {}
            Self::Mittwald(mittwald) => mittwald.use_store(store),
        }
    }

    /// Takes over the keys of mittwald that an earlier authenticator has fetched.
    pub fn reuse_mittwald_keys(&self, earlier: &Self) {
        if let (Self::Mittwald(own), Self::Mittwald(earlier)) = (self, earlier) {
            own.reuse_keys(earlier);
        }
    }

    /// Whether a peer is a proxy whose header fields authenticate users.
    pub fn trusts(&self, peer: Peer) -> bool {
        match self {
            Self::ProxyHeaders(headers) => headers.trusts(peer),
            Self::Token(_) | Self::Mittwald(_) | Self::Oidc(_) => false,
        }
    }

    /// The name of the kind, as the configuration writes it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ProxyHeaders(_) => "proxy_headers",
            Self::Token(token) => token.kind,
            Self::Mittwald(_) => "mittwald",
            Self::Oidc(_) => "oidc",
        }
    }

    /// Whether users can have all of these fields, such as `email` or
    /// `attributes.plan`.
    pub fn can_yield_all(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.can_yield(name))
    }

    /// A user with a value in each of these fields that users can have.
    pub fn sample(&self, names: &[String]) -> User {
        sample::user(names.iter().map(String::as_str).filter(|name| self.can_yield(name)))
    }

    fn can_yield(&self, name: &str) -> bool {
        match self {
            Self::ProxyHeaders(headers) => headers.can_yield(name),
            Self::Token(token) => token.can_yield(name),
            Self::Mittwald(mittwald) => mittwald.can_yield(name),
            Self::Oidc(sign_in) => sign_in.client.mapping.can_yield(name),
        }
    }

    /// Whether every user has the same fields, which the configuration determines.
    pub const fn has_fixed_fields(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Oidc(_))
    }

    /// An expression for `sub` that is never empty, for an error message.
    pub const fn subject_example(&self) -> &'static str {
        match self {
            Self::ProxyHeaders(_) | Self::Mittwald(_) => "id",
            Self::Token(token) => token.vendor.subject_example(),
            Self::Oidc(_) => "id",
        }
    }

    /// Signs users in, if this service does.
    pub fn sign_in(&self) -> Option<&SignIn> {
        match self {
            Self::ProxyHeaders(_) | Self::Token(_) | Self::Mittwald(_) => None,
            Self::Oidc(sign_in) => Some(sign_in),
        }
    }

    /// Uses what replicas share of sessions, and these refreshes, which outlast a reload.
    pub fn share_sessions(&mut self, shared: &SharedSessions, refresher: &Arc<Refresher>) {
        match self {
            Self::ProxyHeaders(_) | Self::Token(_) | Self::Mittwald(_) => {}
            Self::Oidc(sign_in) => sign_in.share(shared, refresher),
        }
    }

    /// Where in a request the token is, if credentials are a token.
    pub fn token_location(&self) -> Option<&TokenLocation> {
        self.token().map(|token| &token.location)
    }

    /// The header fields of a request with this token, as far as they follow from
    /// it. The claims need not be verified.
    pub fn headers_for_token(&self, token: &str, claims: &Map<String, Value>) -> Vec<(String, String)> {
        self.token().map_or_else(Vec::new, |own| own.headers_for(token, claims))
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
            None if matches!(self, Self::Mittwald(_)) => vec![mittwald::SESSION_TOKEN],
            Some(TokenLocation::Header { name, .. }) => vec![name],
            Some(TokenLocation::Cookie(_)) | None => Vec::new(),
        }
    }

    /// Starts fetches for keys that are due, without waiting for them.
    pub fn refresh_keys(&self, now: Timestamp) {
        self.key_caches().for_each(|cache| cache.refresh_if_due(now));
    }

    /// Whether the first fetch from every issuer that is fetched from at the start
    /// has ended.
    pub fn is_started(&self) -> bool {
        self.key_caches().all(|cache| cache.initial_fetch_done())
    }

    /// Whether there are keys from every issuer that is fetched from at the start.
    pub fn has_keys(&self, now: Timestamp) -> bool {
        self.key_caches().all(|cache| cache.has_keys(now))
    }

    /// The state of the fetched keys.
    pub fn key_reports(&self, now: Timestamp) -> Vec<KeyReport> {
        let report = |cache: &Arc<JwksCache>| KeyReport {
            url: cache.url(),
            age_s: cache.age_s(now),
            skipped: cache.skipped(now),
            counts: cache.counts(),
        };
        self.key_caches().map(report).collect()
    }

    /// Replaces own caches by the given ones for the same keys, so that a reload
    /// does not fetch them again.
    pub fn reuse_cached_keys(&mut self, caches: &[Arc<JwksCache>]) {
        match self {
            Self::ProxyHeaders(_) | Self::Mittwald(_) => {}
            Self::Token(token) => token.keys.iter_mut().for_each(|keys| keys.source.reuse_cached(caches)),
            // before it serves, the client has no other owner
            Self::Oidc(sign_in) => {
                if let Some(client) = Arc::get_mut(&mut sign_in.client) {
                    client.reuse_cached_keys(caches);
                }
            }
        }
    }

    /// The keys of a configured JWKS that are not used, and why.
    pub fn skipped_keys(&self) -> Vec<SkippedKey> {
        self.keys().iter().flat_map(|keys| keys.source.skipped()).cloned().collect()
    }

    /// Whether this secret verifies this entrance's tokens.
    pub fn verifies_with(&self, secret: &SharedSecret) -> bool {
        self.keys().iter().any(|keys| keys.source.contains_secret(secret))
    }

    fn token(&self) -> Option<&TokenAuthenticator> {
        match self {
            Self::ProxyHeaders(_) | Self::Mittwald(_) | Self::Oidc(_) => None,
            Self::Token(token) => Some(token),
        }
    }

    fn keys(&self) -> &[IssuerKeys] {
        self.token().map_or(&[], |token| &token.keys)
    }

    fn key_caches(&self) -> impl Iterator<Item = &Arc<JwksCache>> {
        let of_provider = self.sign_in().and_then(|sign_in| sign_in.client.key_cache());
        self.keys().iter().filter_map(|keys| keys.source.published()).chain(of_provider)
    }
}

/// The key caches of some authenticators; those that are fetched at the start come
/// first, so that they are the ones that are shared.
pub fn key_caches<'a>(authenticators: impl Iterator<Item = &'a Authenticator>) -> Vec<Arc<JwksCache>> {
    let mut caches: Vec<_> = authenticators.flat_map(Authenticator::key_caches).cloned().collect();
    caches.sort_by_key(|cache| !cache.fetches_at_start());
    caches
}
