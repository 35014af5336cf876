//! AppDirect: a platform extension inside a marketplace brings the secure token
//! that the marketplace has signed for its user.
//!
//! Documented: the header `MP-Authorization: Bearer …`; `sub` the user's UUID,
//! `name` the e-mail, `tenant` the partner's id, `iat`, and `exp` 300 s later.
//! Documented to be missing: `iss`, `aud`, `jti`, `kid`, so a token is bound to
//! us by the marketplace's keys and by its tenant. Not public: where the keys
//! are and what they sign with, so both are configured. The page re-uses a
//! token for up to 180 s: it arrives more than once.
//!
//! <https://developer.appdirect.com/user-guides/platform-extensions>

use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::token::{self, TokenLocation, UserMapping};
use crate::authn::{AuthRequest, Authentication};
use crate::clock::Timestamp;
use crate::jwt::jwks::KeySource;
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation};

/// The way in for the users of one marketplace.
#[derive(Debug)]
pub struct AppDirect {
    /// Where in a request the token is: see [`HEADER`].
    pub place: TokenLocation,
    /// The algorithms that the marketplace signs with.
    pub algorithms: Vec<Algorithm>,
    /// By how many seconds the marketplace's clock may differ from ours.
    pub leeway_s: u64,
    /// `tenant`, as a claim that must have exactly this value.
    pub tenant: (String, Value),
    /// The marketplace's keys.
    pub keys: KeySource,
    /// What the claims say of the user.
    pub mapping: UserMapping,
}

/// The header that carries the token, in lower case.
pub const HEADER: &str = "mp-authorization";

/// The claim that names the marketplace's tenant.
pub const TENANT: &str = "tenant";

/// What the claims say, where the configuration does not say otherwise.
pub const USER: [(&str, &str); 3] = [("id", "sub"), ("email", "name"), ("attributes.tenant", "tenant")];

impl AppDirect {
    /// Answers an offer.
    pub fn arrive(&self, offer: AuthRequest<'_>, now: Timestamp) -> Authentication {
        let validation = Validation {
            algorithms: &self.algorithms,
            types: &DEFAULT_TYPES,
            // tokens name no key, and keys change all the same
            missing_kid: MissingKid::EachMatchingKey,
            issuer: None,
            audience: Audience::MustBeAbsent,
            issued_at: IssuedAt::Required,
            leeway_s: self.leeway_s,
            required_claims: std::slice::from_ref(&self.tenant),
            person_claim: None,
            subject: Some("sub"),
        };
        token::arrive(&self.place, offer, |token| {
            self.mapping.user(self.keys.verify(token, &validation, offer.received, now)?.claims)
        })
    }
}
