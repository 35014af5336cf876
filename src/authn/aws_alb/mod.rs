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
pub mod settings;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::jwt::compact::Compact;
use crate::jwt::verify::VerifyError;

pub use arn::LoadBalancer;

/// What binds a balancer's token to this service.
#[derive(Debug)]
pub struct AwsAlb {
    /// The balancers that may sign, each with the URL of its region's keys.
    pub load_balancers: Vec<(LoadBalancer, String)>,
    /// `client`, compared exactly: the balancer's client id at the identity provider.
    pub client: String,
    /// `iss`, compared exactly: the identity provider.
    pub issuer: String,
}

/// The header that carries the token, in lower case.
pub const HEADER: &str = "x-amzn-oidc-data";

/// The claims that are in the JOSE header; the signature covers the header, too.
const CLAIMS_IN_HEADER: [&str; 2] = ["iss", "exp"];

impl AwsAlb {
    /// Parses a token, and copies the claims in its JOSE header to its other claims.
    pub fn parse(token: &str) -> Result<Compact<'_>, VerifyError> {
        let mut token = Compact::parse_padded(token)?;
        for name in CLAIMS_IN_HEADER {
            let value = token.header.get(name).cloned().unwrap_or_default();
            token.claims.insert(name.to_owned(), value);
        }
        Ok(token)
    }

    /// The URL of the keys of the balancer that an unverified token names, if `alg`, `signer`,
    /// `client` and `iss` are as configured and `kid` has a form that may become part of that URL.
    pub fn signer(&self, token: &Compact<'_>) -> Result<&str, VerifyError> {
        let text = |name: &str| text(&token.header, name);
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
        let is_canonical_uuid =
            |kid: &str| Uuid::try_parse(kid).is_ok_and(|id| id.hyphenated().to_string() == kid);
        if !text("kid").is_some_and(is_canonical_uuid) {
            return Err(VerifyError::BadKeyId);
        }
        Ok(keys)
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}
