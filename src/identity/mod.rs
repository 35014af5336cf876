//! Who is asking: one room for each way in, and the closed list of them. The
//! rooms do not know each other, nor HTTP, nor the configuration file.

pub mod appdirect;
pub mod aws_alb;
pub mod bearer;
pub mod caf;
pub mod commercetools;
pub mod proxy_headers;
pub mod token;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::arrival::{Arrival, Offer};
use crate::clock::Moment;
use crate::jwt::keys::KeySet;
use crate::jwt::published::{Counts, Keys, PublishedKeys};
use crate::secret::SharedSecret;

pub use appdirect::AppDirect;
pub use aws_alb::AwsAlb;
pub use bearer::Bearer;
pub use caf::Caf;
pub use commercetools::Commercetools;
pub use proxy_headers::ProxyHeaders;
use token::Place;

/// The one way in which an entrance learns who is asking.
#[derive(Debug)]
pub enum Identity {
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
    /// How fetching them ended so far.
    pub counts: Counts,
}

impl Identity {
    /// Answers an offer. Pure, given the keys that are known: the same offer
    /// gets the same answer. Where newer keys may change it, the answer is
    /// [`crate::refusal::Reason::KeysUnavailable`], until [`Self::renew_keys`].
    pub fn arrive(&self, offer: Offer<'_>, now: Moment) -> Arrival {
        match self {
            Self::ProxyHeaders(way) => way.arrive(offer),
            Self::Bearer(way) => way.arrive(offer, now),
            Self::AwsAlb(way) => way.arrive(offer, now),
            Self::AppDirect(way) => way.arrive(offer, now),
            Self::Commercetools(way) => way.arrive(offer, now),
            Self::Caf(way) => way.arrive(offer, now),
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

    /// Whether a user may have something of these names at all, such as `email`
    /// or `attributes.plan`. Of no names, too: what names nothing needs nothing.
    pub fn can_yield_any(&self, names: &[String]) -> bool {
        names.is_empty() || names.iter().any(|name| self.can_yield(name))
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
    pub const fn place(&self) -> Option<&Place> {
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
            Place::Header { name, scheme: Some(scheme) } => (name.clone(), format!("{scheme} {token}")),
            Place::Header { name, scheme: None } => (name.clone(), token.to_owned()),
            Place::Cookie(name) => ("cookie".to_owned(), format!("{name}={token}")),
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
            Place::Header { scheme, .. } => scheme.as_deref(),
            Place::Cookie(_) => None,
        }
    }

    /// The headers that a request's proof is made of, so that a script of an
    /// allowed page may bring it.
    pub fn script_headers(&self) -> Vec<&str> {
        match self.place() {
            Some(Place::Header { name, .. }) => vec![name],
            Some(Place::Cookie(_)) | None => Vec::new(),
        }
    }

    /// Fetches the keys that an offer needs, and waits for them. `false`: there
    /// was nothing to fetch, or it was in vain a moment ago.
    pub async fn renew_keys(&self, offer: Offer<'_>, now: Moment) -> bool {
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
            Some(keys) => keys.renew(now).await,
            None => false,
        }
    }

    /// Asks for keys that grow old, and does not wait.
    pub fn refresh_keys(&self, now: Moment) {
        for keys in self.published_keys() {
            keys.refresh(now);
        }
    }

    /// Whether every issuer has been asked that is to be asked at the start.
    pub fn is_started(&self) -> bool {
        self.published_keys().iter().all(|keys| keys.is_started())
    }

    /// Whether there are keys from every issuer that is to be asked at the start.
    pub fn has_keys(&self, now: Moment) -> bool {
        self.published_keys().iter().all(|keys| keys.has_keys(now))
    }

    /// What is known of the keys that are fetched.
    pub fn key_reports(&self, now: Moment) -> Vec<KeyReport> {
        let report = |keys: &&Arc<PublishedKeys>| KeyReport {
            address: keys.address(),
            age_s: keys.age_s(now),
            counts: keys.counts(),
        };
        match self {
            Self::AwsAlb(way) => way
                .load_balancers
                .iter()
                .map(|(_, keys)| KeyReport { address: keys.address(), age_s: None, counts: keys.counts() })
                .collect(),
            _ => self.published_keys().iter().map(report).collect(),
        }
    }

    /// Takes over the keys that another has of the same issuers.
    pub fn adopt_keys(&self, other: &Self) {
        for (own, other) in self.published_keys().iter().zip(other.published_keys()) {
            own.adopt(other);
        }
        if let (Self::AwsAlb(own), Self::AwsAlb(other)) = (self, other) {
            for ((_, own), (_, other)) in own.load_balancers.iter().zip(&other.load_balancers) {
                own.adopt(other);
            }
        }
    }

    /// Whether this secret is what proofs are made with.
    pub fn holds(&self, secret: &SharedSecret) -> bool {
        let given = |keys: &Keys| match keys {
            Keys::Given(keys) => keys.holds(secret),
            Keys::Published(_) => false,
        };
        match self {
            Self::Bearer(way) => given(&way.keys),
            Self::Caf(way) => KeySet::holds(&way.secret, secret),
            Self::ProxyHeaders(_) | Self::AwsAlb(_) | Self::AppDirect(_) | Self::Commercetools(_) => false,
        }
    }

    fn published_keys(&self) -> Vec<&Arc<PublishedKeys>> {
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
