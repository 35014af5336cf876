//! Authentication: the kinds of authenticator, and a module for each vendor of
//! tokens. Vendors know neither each other nor HTTP; each has its settings in its own folder.

pub mod appdirect;
mod authentication;
pub mod aws_alb;
pub mod bearer;
pub mod caf;
pub mod commercetools;
mod deciding;
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
use crate::jwt::jwks::{FetchCounts, JwksCache};
use crate::jwt::skipped_key::SkippedKey;
use crate::request::Peer;
use crate::secret::SharedSecret;
use crate::store::Store;
use crate::user::User;

pub use authentication::{AuthRequest, Authentication, Fetched, Needs};
pub use deciding::{Decision, with_needs};
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

/// What differs between the kinds, and not between requests.
struct Constants {
    kind: &'static str,
    subject_example: &'static str,
    has_fixed_fields: bool,
}

/// The state of the keys at one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The URL.
    pub url: String,
    /// The age of the keys in use, in seconds; `None` if there are none, or if they do not expire.
    pub age_s: Option<u64>,
    /// How many keys of the set in use are skipped; `None` if there is no set.
    pub skipped: Option<usize>,
    /// Fetches by outcome.
    pub counts: FetchCounts,
}

impl Authenticator {
    /// Authenticates a request. Pure: the result depends only on the arguments and the cached keys.
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
        let by_proxy = self.proxy_headers().and_then(|headers| headers.explain_absence(request));
        by_proxy.or_else(|| self.sign_in()?.explain_absence(request.headers, now))
    }

    /// The part of a query that is about the link, and not credentials.
    pub fn link_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        match self.mittwald() {
            None => Cow::Borrowed(query),
            Some(_) => Cow::Owned(mittwald::link_query(query)),
        }
    }

    /// Gives the store to an authenticator that needs one.
    pub fn use_store(&self, store: &Store) {
        if let Some(mittwald) = self.mittwald() {
            mittwald.use_store(store);
        }
    }

    /// Reuses mittwald's keys that an earlier authenticator has fetched.
    pub fn reuse_mittwald_keys(&self, earlier: &Self) {
        if let (Some(own), Some(earlier)) = (self.mittwald(), earlier.mittwald()) {
            own.reuse_keys(earlier);
        }
    }

    /// Whether a peer is a proxy whose header fields authenticate users.
    pub fn trusts(&self, peer: Peer) -> bool {
        self.proxy_headers().is_some_and(|headers| headers.trusts(peer))
    }

    /// The name of the kind, as the configuration writes it.
    pub const fn kind(&self) -> &'static str {
        self.constants().kind
    }

    /// Whether users can have all of these fields, such as `email` or
    /// `attributes.plan`.
    pub fn can_yield_all(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.can_yield(name))
    }

    /// A sample user, with a value in each of these fields, except those that no user can have.
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
        self.constants().has_fixed_fields
    }

    /// An expression for `sub` that is never empty, for an error message.
    pub const fn subject_example(&self) -> &'static str {
        self.constants().subject_example
    }

    /// Signs users in, if this service does.
    pub fn sign_in(&self) -> Option<&SignIn> {
        if let Self::Oidc(sign_in) = self { Some(sign_in) } else { None }
    }

    /// Uses the session data that replicas share, and the refreshes in progress, which outlast a
    /// reload.
    pub fn share_sessions(&mut self, shared: &SharedSessions, refresher: &Arc<Refresher>) {
        if let Self::Oidc(sign_in) = self {
            sign_in.share(shared, refresher);
        }
    }

    /// Where in a request the token is, if credentials are a token.
    pub fn token_location(&self) -> Option<&TokenLocation> {
        self.token().map(|token| &token.location)
    }

    /// The header fields of a request with this token, as far as they can be derived from it. The
    /// claims need not be verified.
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
            None if self.mittwald().is_some() => vec![mittwald::SESSION_TOKEN],
            Some(TokenLocation::Header { name, .. }) => vec![name],
            Some(TokenLocation::Cookie(_)) | None => Vec::new(),
        }
    }

    /// Starts the fetches of keys that are due, without waiting for them.
    pub fn refresh_keys(&self, now: Timestamp) {
        self.key_caches().for_each(|cache| cache.refresh_if_due(now));
    }

    /// Whether the first fetch has ended for every issuer whose keys are fetched at the start.
    pub fn is_started(&self) -> bool {
        self.key_caches().all(|cache| cache.initial_fetch_done())
    }

    /// Whether there are keys of every issuer whose keys are fetched at the start.
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

    /// Replaces its caches by those of `caches` that hold the same keys, so that a reload does not
    /// fetch the keys again.
    pub fn reuse_cached_keys(&mut self, caches: &[Arc<JwksCache>]) {
        match self {
            // `reuse_mittwald_keys` is for mittwald, whose keys are no JWKS
            Self::ProxyHeaders(_) | Self::Mittwald(_) => {}
            Self::Token(token) => token.keys.iter_mut().for_each(|keys| keys.source.reuse_cached(caches)),
            Self::Oidc(sign_in) => {
                // before it serves, the client has no other owner
                if let Some(client) = Arc::get_mut(&mut sign_in.client) {
                    client.reuse_cached_keys(caches);
                }
            }
        }
    }

    /// The keys of a configured JWKS that are skipped, and why.
    pub fn skipped_keys(&self) -> Vec<SkippedKey> {
        self.keys().iter().flat_map(|keys| keys.source.skipped()).cloned().collect()
    }

    /// Whether this secret verifies this entrance's tokens.
    pub fn verifies_with(&self, secret: &SharedSecret) -> bool {
        self.keys().iter().any(|keys| keys.source.contains_secret(secret))
    }

    const fn constants(&self) -> Constants {
        match self {
            Self::ProxyHeaders(_) => {
                Constants { kind: "proxy_headers", subject_example: "id", has_fixed_fields: false }
            }
            Self::Token(token) => {
                Constants { kind: token.kind, subject_example: token.subject_example, has_fixed_fields: true }
            }
            Self::Mittwald(_) => {
                Constants { kind: "mittwald", subject_example: "id", has_fixed_fields: false }
            }
            Self::Oidc(_) => Constants { kind: "oidc", subject_example: "id", has_fixed_fields: true },
        }
    }

    fn proxy_headers(&self) -> Option<&ProxyHeaders> {
        if let Self::ProxyHeaders(headers) = self { Some(headers) } else { None }
    }

    fn token(&self) -> Option<&TokenAuthenticator> {
        if let Self::Token(token) = self { Some(token) } else { None }
    }

    fn mittwald(&self) -> Option<&MittwaldIdentity> {
        if let Self::Mittwald(mittwald) = self { Some(mittwald) } else { None }
    }

    fn keys(&self) -> &[IssuerKeys] {
        self.token().map_or(&[], |token| &token.keys)
    }

    fn key_caches(&self) -> impl Iterator<Item = &Arc<JwksCache>> {
        let of_provider = self.sign_in().and_then(|sign_in| sign_in.client.key_cache());
        self.keys().iter().filter_map(|keys| keys.source.published()).chain(of_provider)
    }
}

/// The key caches of some authenticators. Those that are fetched at the start come first, so that
/// of two caches for the same keys this one is shared.
pub fn key_caches<'a>(authenticators: impl Iterator<Item = &'a Authenticator>) -> Vec<Arc<JwksCache>> {
    let mut caches: Vec<_> = authenticators.flat_map(Authenticator::key_caches).cloned().collect();
    caches.sort_by_key(|cache| !cache.fetches_at_start());
    caches
}
