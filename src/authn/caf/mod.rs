//! CAF: attestations of a person's identity, tokens signed with the secret that
//! CAF shares with its client.
//!
//! Documented: `attemptId`, `peopleId`, `policyId`, `isAuthorized`, `isNewContext`, `iat`, `exp`
//! (120 s in the sample). One page writes `personId` for `peopleId`: either is accepted, a token
//! with both is rejected. HS256 in every sample. There is no `iss`, `aud` or `sub`; only the policy
//! binds the token to this service.
//!
//! <https://docs.caf.io/>

pub mod settings;

use serde_json::{Map, Value};

use crate::authn::token::mapping::UserMapping;
use crate::jwt::verify::VerifyError;
use crate::refusal::{Reason, Refusal};
use crate::user::{Identifier, User};

/// The claim that names the policy.
pub const POLICY: &str = "policyId";

/// The default mapping of claims. The id is not mapped: it is in either of two
/// claims.
pub const USER: [(&str, &str); 2] =
    [("attributes.attempt_id", "attemptId"), ("attributes.is_new_context", "isNewContext")];

/// The user of verified claims.
pub fn user(mapping: &UserMapping, claims: Map<String, Value>) -> Result<User, Refusal> {
    let person = person(&claims)?;
    match claims.get("isAuthorized") {
        Some(Value::Bool(true)) => Ok(User { id: Some(person), ..mapping.user(claims)? }),
        Some(Value::Bool(false)) => {
            Err(Reason::NotAllowed.because("the attestation says that the person is not authorized"))
        }
        _ => Err(Reason::InvalidToken.because("its claim isAuthorized is missing or not a boolean")),
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
