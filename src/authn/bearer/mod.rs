//! Users who bring a token that an issuer has signed: any issuer, by validation and
//! keys that the configuration names. Nothing in a token says where keys are.

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

/// The way in for the tokens of one issuer.
#[derive(Debug)]
pub struct Bearer {
    /// Where in a request the token is.
    pub place: TokenLocation,
    /// The algorithms that the issuer signs with.
    pub algorithms: Vec<Algorithm>,
    /// `iss`, exactly.
    pub issuer: String,
    /// One of these must be in `aud`, exactly.
    pub audiences: Vec<String>,
    /// What `typ` may be.
    pub types: Vec<TokenType>,
    /// By how many seconds the issuer's clock may differ from ours.
    pub leeway_s: u64,
    /// Claims that must have exactly this value.
    pub required_claims: Vec<(String, Value)>,
    /// A claim that only a person's tokens have.
    pub person_claim: Option<String>,
    /// What tokens are verified with.
    pub keys: KeySource,
    /// What their claims say of the user.
    pub mapping: UserMapping,
}

impl Bearer {
    /// Answers an offer.
    pub fn arrive(&self, offer: AuthRequest<'_>, now: Timestamp) -> Authentication {
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
        token::arrive(&self.place, offer, |token| {
            self.mapping.user(self.keys.verify(token, &validation, offer.received, now)?.claims)
        })
    }
}
