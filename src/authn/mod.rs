//! Who is asking: one room for each way in, and the closed list of them. The
//! rooms do not know each other, nor HTTP, nor the configuration file.

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

/// What a way in may look at: the peer, the path, the headers and nothing more.
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest<'a> {
    /// Who is at the other end of the socket.
    pub peer: Peer,
    /// The path that was asked for, as it came; none where a proxy asks on
    /// behalf of an API whose path is not known here.
    pub path: Option<&'a str>,
    /// The headers as they came.
    pub headers: &'a Headers<'a>,
    /// When the request was received.
    pub received: Timestamp,
}

/// The answer to an offer. A bad proof is refused; it never counts as absent.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// There is no proof at all.
    NoCredentials,
    /// It is this user.
    User(Box<User>),
    /// There is a proof, and it is not good.
    Rejected(Refusal),
}

/// The one way in which an entrance learns who is asking.
#[derive(Debug)]
pub enum Authenticator {
    /// A login proxy in front of us says so in request headers.
    ProxyHeaders(ProxyHeaders),
    /// A token that an issuer has signed says so.
    Bearer(Box<Bearer>),
    /// A load balancer of AWS has logged the user in.
    AwsAlb(Box<AwsAlb>),
    /// A marketplace of AppDirect vouches for its user.
    AppDirect(Box<AppDirect>),
    /// The Merchant Center of commercetools vouches for its user.
    Commercetools(Box<Commercetools>),
    /// CAF has attested the person.
    Caf(Box<Caf>),
}

/// What is known of the keys at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The address.
    pub address: String,
    /// How old the keys in use are, in seconds; none where there are none, or
    /// where they do not age.
    pub age_s: Option<u64>,
    /// How many keys of the set in use are skipped; none where there is no set.
    pub skipped: Option<usize>,
    /// How fetching them ended so far.
    pub counts: FetchCounts,
}

/// The caches of fetched keys that some identities have.
#[derive(Debug, Default)]
pub struct KeyCaches {
    published: Vec<Arc<JwksCache>>,
    by_id: Vec<Arc<KeysById>>,
}

impl Authenticator {
    /// Answers an offer. Pure, given the keys that are known: the same offer
    /// gets the same answer. Where newer keys may change it, the answer is
    /// [`crate::refusal::Reason::KeysUnavailable`], until [`Self::renew_keys`].
    pub fn arrive(&self, offer: AuthRequest<'_>, now: Timestamp) -> Authentication {
        match self {
            Self::ProxyHeaders(way) => way.arrive(offer),
            Self::Bearer(way) => way.arrive(offer, now),
            Self::AwsAlb(way) => way.arrive(offer, now),
            Self::AppDirect(way) => way.arrive(offer, now),
            Self::Commercetools(way) => way.arrive(offer, now),
            Self::Caf(way) => way.arrive(offer, now),
        }
    }

    /// Why an offer may have no credentials, for the log; nothing where there
    /// is no hint.
    pub fn explain_absence(&self, offer: AuthRequest<'_>) -> Option<String> {
        match self {
            Self::ProxyHeaders(way) => way.explain_absence(offer),
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

    /// Whether a user may have something of each of these names, such as `email`
    /// or `attributes.plan`.
    pub fn can_yield_all(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.can_yield(name))
    }

    /// A user who has something of each of these names that a user may have.
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
            Self::ProxyHeaders(way) => way.can_yield(name),
            Self::Bearer(way) => way.mapping.can_yield(name),
            Self::AwsAlb(way) => way.mapping.can_yield(name),
            Self::AppDirect(way) => way.mapping.can_yield(name),
            Self::Commercetools(_) => Commercetools::can_yield(name),
            // the id is read apart from the rest
            Self::Caf(way) => name == "id" || way.mapping.can_yield(name),
        }
    }

    /// Where in a request the proof is, if it is a token.
    pub const fn place(&self) -> Option<&TokenLocation> {
        match self {
            Self::ProxyHeaders(_) => None,
            Self::Bearer(way) => Some(&way.place),
            Self::AwsAlb(way) => Some(&way.place),
            Self::AppDirect(way) => Some(&way.place),
            Self::Commercetools(way) => Some(&way.place),
            Self::Caf(way) => Some(&way.place),
        }
    }

    /// The header fields with which a token would come, as far as they can be
    /// told from the token itself. Its claims need not be verified.
    pub fn fields_with(&self, token: &str, claims: &Map<String, Value>) -> Vec<(String, String)> {
        let place = self.place().map(|place| match place {
            TokenLocation::Header { name, scheme: Some(scheme) } => {
                (name.clone(), format!("{scheme} {token}"))
            }
            TokenLocation::Header { name, scheme: None } => (name.clone(), token.to_owned()),
            TokenLocation::Cookie(name) => ("cookie".to_owned(), format!("{name}={token}")),
        });
        let beside = match self {
            Self::Commercetools(way) => way.fields_beside(claims.get("iss").and_then(Value::as_str)),
            Self::ProxyHeaders(_) | Self::Bearer(_) | Self::AwsAlb(_) | Self::AppDirect(_) | Self::Caf(_) => {
                Vec::new()
            }
        };
        place.into_iter().chain(beside).collect()
    }

    /// The scheme by which a client may prove itself (RFC 9110, 11.6.1).
    pub fn challenge(&self) -> Option<&str> {
        match self.place()? {
            TokenLocation::Header { scheme, .. } => scheme.as_deref(),
            TokenLocation::Cookie(_) => None,
        }
    }

    /// The headers that a request's proof is made of, so that a script of an
    /// allowed page may bring it.
    pub fn script_headers(&self) -> Vec<&str> {
        match self.place() {
            Some(TokenLocation::Header { name, .. }) => vec![name],
            Some(TokenLocation::Cookie(_)) | None => Vec::new(),
        }
    }

    /// Fetches the keys that an offer needs, and waits for them. `false`: there
    /// was nothing to fetch, or it was in vain a moment ago.
    pub async fn renew_keys(&self, offer: AuthRequest<'_>, now: Timestamp) -> bool {
        let published = match self {
            Self::ProxyHeaders(_) | Self::Caf(_) => None,
            Self::Bearer(way) => way.keys.published(),
            Self::AppDirect(way) => way.keys.published(),
            Self::Commercetools(way) => way.keys_for(offer),
            Self::AwsAlb(way) => {
                let Some((keys, id)) = way.keys_for(offer) else { return false };
                return keys.renew(id, now).await;
            }
        };
        match published {
            Some(keys) => keys.fetch_for_token(now).await,
            None => false,
        }
    }

    /// Asks for keys that grow old, and does not wait.
    pub fn refresh_keys(&self, now: Timestamp) {
        for keys in self.published_keys() {
            keys.refresh_if_due(now);
        }
    }

    /// Whether every issuer has been asked that is to be asked at the start.
    pub fn is_started(&self) -> bool {
        self.published_keys().iter().all(|keys| keys.initial_fetch_done())
    }

    /// Whether there are keys from every issuer that is to be asked at the start.
    pub fn has_keys(&self, now: Timestamp) -> bool {
        self.published_keys().iter().all(|keys| keys.has_keys(now))
    }

    /// What is known of the keys that are fetched.
    pub fn key_reports(&self, now: Timestamp) -> Vec<KeyReport> {
        let report = |keys: &&Arc<JwksCache>| KeyReport {
            address: keys.url(),
            age_s: keys.age_s(now),
            skipped: keys.skipped(now),
            counts: keys.counts(),
        };
        match self {
            Self::AwsAlb(way) => way
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

    /// Goes on with the caches that are there already for the same keys.
    pub fn use_caches(&mut self, caches: &KeyCaches) {
        let KeyCaches { published, by_id } = caches;
        match self {
            Self::ProxyHeaders(_) | Self::Caf(_) => {}
            Self::Bearer(way) => way.keys.reuse_cached(published),
            Self::AppDirect(way) => way.keys.reuse_cached(published),
            Self::Commercetools(way) => {
                way.gateways.iter_mut().for_each(|gateway| gateway.keys.reuse_cached(published));
            }
            Self::AwsAlb(way) => {
                way.load_balancers.iter_mut().for_each(|(_, keys)| *keys = keys.or_earlier(by_id));
            }
        }
    }

    /// The keys of a set in a file that are not used, and why.
    pub fn skipped_keys(&self) -> &[SkippedKey] {
        match self {
            Self::Bearer(way) => way.keys.skipped(),
            Self::AppDirect(way) => way.keys.skipped(),
            Self::ProxyHeaders(_) | Self::AwsAlb(_) | Self::Commercetools(_) | Self::Caf(_) => &[],
        }
    }

    /// Whether this secret is what proofs are made with.
    pub fn holds(&self, secret: &SharedSecret) -> bool {
        let given = |keys: &KeySource| match keys {
            KeySource::Static(keys) => keys.contains_secret(secret),
            KeySource::Published(_) => false,
        };
        match self {
            Self::Bearer(way) => given(&way.keys),
            Self::AppDirect(way) => given(&way.keys),
            Self::Caf(way) => KeySet::contains_secret(&way.secret, secret),
            Self::ProxyHeaders(_) | Self::AwsAlb(_) | Self::Commercetools(_) => false,
        }
    }

    fn published_keys(&self) -> Vec<&Arc<JwksCache>> {
        match self {
            Self::ProxyHeaders(_) | Self::Caf(_) | Self::AwsAlb(_) => Vec::new(),
            Self::Bearer(way) => way.keys.published().into_iter().collect(),
            Self::AppDirect(way) => way.keys.published().into_iter().collect(),
            Self::Commercetools(way) => {
                way.gateways.iter().filter_map(|gateway| gateway.keys.published()).collect()
            }
        }
    }
}

impl KeyCaches {
    /// Those of some identities. What is asked at the start comes first, so that
    /// it is shared with what need not be.
    pub fn of<'a>(identities: impl Iterator<Item = &'a Authenticator>) -> Self {
        let mut caches = Self::default();
        for identity in identities {
            caches.published.extend(identity.published_keys().into_iter().cloned());
            if let Authenticator::AwsAlb(way) = identity {
                caches.by_id.extend(way.load_balancers.iter().map(|(_, keys)| Arc::clone(keys)));
            }
        }
        caches.published.sort_by_key(|keys| !keys.fetches_at_start());
        caches
    }
}

/// Puts a text at a dotted path.
fn sample_value(table: &mut BTreeMap<String, Value>, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let nested = rest.into_iter().flat_map(|rest| rest.rsplit('.'));
    let value = nested.fold(Value::from("value"), |value, name| json!({ name: value }));
    table.insert(first.to_owned(), value);
}
