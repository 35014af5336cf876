//! Tokens of any issuer, by configured validation and keys. Nothing in a token
//! decides where keys are fetched.

pub mod presets;

use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::token::{self, TokenLocation, UserMapping};
use crate::authn::{AuthRequest, Authentication};
use crate::clock::Timestamp;
use crate::jwt::jwks::KeySource;
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::TokenType;
use crate::jwt::verify::{Audience, IssuedAt, Validation};

/// Authenticates by the tokens of one issuer.
#[derive(Debug)]
pub struct Bearer {
    /// Where in a request the token is.
    pub location: TokenLocation,
    /// The algorithms that the issuer signs with.
    pub algorithms: Vec<Algorithm>,
    /// `iss`, exactly.
    pub issuer: String,
    /// One of these must be in `aud`, exactly.
    pub audiences: Vec<String>,
    /// What `typ` may be.
    pub types: Vec<TokenType>,
    /// Tolerated clock difference, in seconds.
    pub leeway_s: u64,
    /// Claims that must have exactly this value.
    pub required_claims: Vec<(String, Value)>,
    /// A claim that only users' tokens have, not those of services.
    pub person_claim: Option<String>,
    /// The keys that verify tokens.
    pub keys: KeySource,
    /// How claims map to the user.
    pub mapping: UserMapping,
}

impl Bearer {
    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        let validation = Validation {
            algorithms: &self.algorithms,
            types: &self.types,
            missing_kid: MissingKid::OnlyKey,
            issuer: Some(&self.issuer),
            audience: Audience::OneOf(&self.audiences),
            issued_at: IssuedAt::Optional,
            leeway_s: self.leeway_s,
            required_claims: &self.required_claims,
            person_claim: self.person_claim.as_deref(),
            subject: Some("sub"),
        };
        token::authenticate(&self.location, request, |token| {
            self.mapping.user(self.keys.verify(token, &validation, request.received, now)?.claims)
        })
    }
}
