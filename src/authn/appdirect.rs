//! AppDirect: a platform extension inside a marketplace sends the secure token
//! that the marketplace has signed for its user.
//!
//! Documented: the header `MP-Authorization: Bearer …`; `sub` the user's UUID,
//! `name` the e-mail, `tenant` the partner's id, `iat`, and `exp` 300 s later.
//! Documented to be missing: `iss`, `aud`, `jti`, `kid`, so a token is bound to
//! this service by the marketplace's keys and tenant alone. Not public: the JWKS
//! URL and the algorithm, so both are configured. The page reuses a token for up
//! to 180 s, so the same token is received more than once.
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

/// Authenticates the users of one marketplace.
#[derive(Debug)]
pub struct AppDirect {
    /// Where in a request the token is: see [`HEADER`].
    pub location: TokenLocation,
    /// The algorithms that the marketplace signs with.
    pub algorithms: Vec<Algorithm>,
    /// Tolerated clock difference, in seconds.
    pub leeway_s: u64,
    /// `tenant`, as a claim that must have exactly this value.
    pub tenant: (String, Value),
    /// The marketplace's keys.
    pub keys: KeySource,
    /// How claims map to the user.
    pub mapping: UserMapping,
}

/// The header that carries the token, in lower case.
pub const HEADER: &str = "mp-authorization";

/// The claim that names the marketplace's tenant.
pub const TENANT: &str = "tenant";

/// The default mapping of claims.
pub const USER: [(&str, &str); 3] = [("id", "sub"), ("email", "name"), ("attributes.tenant", "tenant")];

impl AppDirect {
    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        let validation = Validation {
            algorithms: &self.algorithms,
            types: &DEFAULT_TYPES,
            // tokens have no kid, and yet keys rotate
            missing_kid: MissingKid::EachMatchingKey,
            issuer: None,
            audience: Audience::MustBeAbsent,
            issued_at: IssuedAt::Required,
            leeway_s: self.leeway_s,
            required_claims: std::slice::from_ref(&self.tenant),
            person_claim: None,
            subject: Some("sub"),
        };
        token::authenticate(&self.location, request, |token| {
            self.mapping.user(self.keys.verify(token, &validation, request.received, now)?.claims)
        })
    }
}
