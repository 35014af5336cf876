//! AWS Application Load Balancer: it logs users in and forwards each request
//! with their claims in a JWT-like token.
//!
//! Documented: the header `x-amzn-oidc-data`; ES256; `signer` (the balancer's
//! ARN), `client`, `iss`, `exp` and `kid` in the JOSE header; no `aud`. The
//! base64url is padded, and the signature is over the padded text. Each key is
//! in PEM at a URL that ends with its `kid`.
//!
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html>

mod arn;
mod keys;

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::token::{self, TokenLocation, UserMapping};
use crate::authn::{AuthRequest, Authentication};
use crate::clock::Timestamp;
use crate::jwt::compact::Compact;
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation, Verified, VerifyError, verify_compact};

pub use arn::LoadBalancer;
pub use keys::KeysById;

/// Authenticates requests that load balancers forward.
#[derive(Debug)]
pub struct AwsAlb {
    /// Where in a request the token is: see [`HEADER`].
    pub location: TokenLocation,
    /// The balancers that may sign, each with the keys of its region.
    pub load_balancers: Vec<(LoadBalancer, Arc<KeysById>)>,
    /// `client`, exactly: the balancer's client id at the identity provider.
    pub client: String,
    /// `iss`, exactly: the identity provider.
    pub issuer: String,
    /// Tolerated clock difference, in seconds.
    pub leeway_s: u64,
    /// How claims map to the user.
    pub mapping: UserMapping,
}

/// The header that carries the token, in lower case.
pub const HEADER: &str = "x-amzn-oidc-data";

impl AwsAlb {
    /// Authenticates a request.
    pub fn authenticate(&self, request: AuthRequest<'_>, now: Timestamp) -> Authentication {
        token::authenticate(&self.location, request, |token| {
            self.mapping.user(self.verify(token, now)?.claims)
        })
    }

    /// The keys and the `kid` that a request needs.
    pub fn keys_for(&self, request: AuthRequest<'_>) -> Option<(&Arc<KeysById>, Uuid)> {
        let token = self.location.find(request.headers).ok()??;
        self.signer(&Compact::parse_padded(token).ok()?.header).ok()
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, VerifyError> {
        let mut parts = Compact::parse_padded(token)?;
        let (keys, id) = self.signer(&parts.header)?;
        // these are in the JOSE header, which is signed as well
        for name in ["iss", "exp"] {
            let value = parts.header.get(name).cloned().unwrap_or_default();
            parts.claims.insert(name.to_owned(), value);
        }
        let validation = Validation {
            algorithms: &[Algorithm::ES256],
            types: &DEFAULT_TYPES,
            missing_kid: MissingKid::OnlyKey,
            issuer: Some(&self.issuer),
            // there is no aud; signer and client bind the token
            audience: Audience::Unchecked,
            issued_at: IssuedAt::Optional,
            leeway_s: self.leeway_s,
            required_claims: &[],
            person_claim: None,
            subject: Some("sub"),
        };
        verify_compact(parts, &validation, &*keys.key(id, now)?, now)
    }

    /// The keys of the balancer that an unverified JOSE header names, and its
    /// `kid`, if `alg`, `signer`, `client` and `iss` are as configured.
    fn signer(&self, header: &Map<String, Value>) -> Result<(&Arc<KeysById>, Uuid), VerifyError> {
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let wrong = |name: &str| VerifyError::WrongClaim(name.to_owned());
        if text("alg") != Some("ES256") {
            return Err(VerifyError::WrongAlgorithm);
        }
        let signer = text("signer");
        let known = self.load_balancers.iter().find(|(own, _)| Some(own.arn()) == signer);
        let (_, keys) = known.ok_or_else(|| wrong("signer"))?;
        if text("client") != Some(&self.client) {
            return Err(wrong("client"));
        }
        if text("iss") != Some(&self.issuer) {
            return Err(wrong("iss"));
        }
        // it becomes part of a URL: only a UUID in canonical form
        let id = text("kid").and_then(|kid| {
            let id = Uuid::try_parse(kid).ok()?;
            (id.hyphenated().to_string() == kid).then_some(id)
        });
        Ok((keys, id.ok_or(VerifyError::BadKeyId)?))
    }
}
