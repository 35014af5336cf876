//! CAF: attestations of a person's identity, tokens signed with the secret that
//! CAF shares with its client.
//!
//! Documented: `attemptId`, `peopleId`, `policyId`, `isAuthorized`,
//! `isNewContext`, `iat`, `exp` (120 s in the sample). One page writes
//! `personId` for `peopleId`: either is accepted, both at once are rejected.
//! HS256 in every sample. There is no `iss`, `aud` or `sub`; the policy binds
//! the token to this service.
//!
//! <https://docs.caf.io/>

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::token::{self, TokenLocation, UserMapping};
use crate::authn::{AuthRequest, Authentication};
use crate::clock::Timestamp;
use crate::jwt::key_set::{KeySet, MissingKid};
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation, VerifyError, verify};
use crate::refusal::{Reason, Refusal};
use crate::user::{Identifier, User};

/// Authenticates people attested under one of CAF's policies.
#[derive(Debug)]
pub struct Caf {
    /// Where in a request the attestation is.
    pub location: TokenLocation,
    /// Tolerated clock difference, in seconds.
    pub leeway_s: u64,
    /// `policyId`, as a claim that must have exactly this value.
    pub policy: (String, Value),
    /// The secret that CAF signs with.
    pub secret: KeySet,
    /// How claims map to the user, except the id.
    pub mapping: UserMapping,
}

/// The claim that names the policy.
pub const POLICY: &str = "policyId";

/// The default mapping of claims. The id is not mapped: it is in either of two
/// claims.
pub const USER: [(&str, &str); 2] =
    [("attributes.attempt_id", "attemptId"), ("attributes.is_new_context", "isNewContext")];

impl Caf {
    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        let validation = Validation {
            algorithms: &[Algorithm::HS256],
            types: &DEFAULT_TYPES,
            missing_kid: MissingKid::OnlyKey,
            issuer: None,
            audience: Audience::MustBeAbsent,
            issued_at: IssuedAt::Required,
            leeway_s: self.leeway_s,
            required_claims: std::slice::from_ref(&self.policy),
            person_claim: None,
            subject: None,
        };
        token::authenticate(&self.location, request, |token| {
            self.user(verify(token, &validation, &self.secret, now)?.claims)
        })
    }

    fn user(&self, claims: Map<String, Value>) -> Result<User, Refusal> {
        let person = person(&claims)?;
        match claims.get("isAuthorized") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                return Err(
                    Reason::NotAllowed.because("the attestation says that the person is not authorized")
                );
            }
            _ => {
                return Err(
                    Reason::InvalidToken.because("its claim isAuthorized is missing or not a boolean")
                );
            }
        }
        Ok(User { id: Some(person), ..self.mapping.user(claims)? })
    }
}

/// The person's id, from exactly one of its two claims.
fn person(claims: &Map<String, Value>) -> Result<Identifier, VerifyError> {
    let wrong = || VerifyError::WrongClaim("peopleId".into());
    let named: Vec<&Value> = ["peopleId", "personId"].iter().filter_map(|name| claims.get(*name)).collect();
    match named.as_slice() {
        [Value::String(id)] => Identifier::parse(id).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}
