//! The session token: an Ed25519 JWT that the front end of an extension gets from mStudio and sends
//! in `x-session-token`. It is valid for 60 s. The claim `publicKeySerial` names the key that
//! signed it.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::keys::PublicKey;
use super::values::Serial;
use crate::clock::Timestamp;
use crate::jwt::compact::Compact;
use crate::jwt::key_set::{MissingKid, parse_algorithm};
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation, VerifyError, verify_compact};
use crate::refusal::{Reason, Refusal};

/// A token that is parsed but not verified.
pub(super) struct SessionToken<'a> {
    compact: Compact<'a>,
    /// The serial of the key that signed it, as the token itself says.
    pub serial: Serial,
}

/// What a verified token says.
#[derive(Debug)]
pub(super) struct SessionClaims {
    pub user: Uuid,
    pub extension: Uuid,
    pub instance: Uuid,
    pub context: Uuid,
    pub scopes: Vec<String>,
    pub all: Map<String, Value>,
}

impl<'a> SessionToken<'a> {
    /// Parses a header field's value.
    pub fn parse(value: &'a [u8]) -> Result<Self, Refusal> {
        let text = str::from_utf8(value).map_err(|_| invalid("it is not ASCII"))?;
        let compact = Compact::parse(text).map_err(VerifyError::from)?;
        let serial = compact.claims.get("publicKeySerial").and_then(Value::as_str).and_then(Serial::parse);
        let serial = serial.ok_or_else(|| invalid("its claim publicKeySerial is not a UUID"))?;
        Ok(Self { compact, serial })
    }

    /// Verifies it with the key of its serial.
    pub fn verify(self, key: &PublicKey, now: Timestamp) -> Result<SessionClaims, Refusal> {
        let validation = Validation {
            algorithms: parse_algorithm("EdDSA").into_iter().collect(),
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            // the key and the extension's id bind the token to this service: neither iss nor aud is
            // documented
            issuer: None,
            audience: Audience::Unchecked,
            issued_at: IssuedAt::Optional,
            leeway_s: 0,
            required_claims: Vec::new(),
            person_claim: None,
            subject: Some("sub"),
        };
        let claims = verify_compact(self.compact, &validation, key.as_set(), now)?.claims;
        let id = |name: &str| {
            let id = claims.get(name).and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
            id.ok_or_else(|| invalid(&format!("its claim {name} is not a UUID")))
        };
        let scope = |scope: &Value| scope.as_str().map(str::to_owned);
        let scopes: Option<Vec<String>> = match claims.get("scopes") {
            None => Some(Vec::new()),
            Some(Value::Array(scopes)) => scopes.iter().map(scope).collect(),
            Some(_) => None,
        };
        Ok(SessionClaims {
            user: id("sub")?,
            extension: id("extensionId")?,
            instance: id("extensionInstanceId")?,
            context: id("contextId")?,
            scopes: scopes.ok_or_else(|| invalid("its claim scopes is not a list of strings"))?,
            all: claims,
        })
    }
}

/// The refusal of a token.
pub(super) fn invalid(why: &str) -> Refusal {
    Reason::InvalidToken.because(format!("the session token is rejected: {why}"))
}
