//! Signs a user's token as the platform would.

use serde_json::json;

use super::keys::Keys;
use super::kind::{Kind, TokenRequest};
use crate::playground::stand_ins::Signer;

/// The issuer of the platform's tokens.
pub struct Issuer {
    kind: &'static Kind,
    keys: SigningKeys,
}

/// The keys with which the issuer signs.
enum SigningKeys {
    /// Published keys.
    Published(Keys),
    /// A secret shared with the service.
    Secret(Signer),
}

impl Issuer {
    /// Starts the issuer of a platform; `secret` is used if it publishes no keys.
    pub fn start(kind: &'static Kind, secret: &str) -> anyhow::Result<Self> {
        let keys = match &kind.published_keys {
            Some(published) => SigningKeys::Published(Keys::start(published)?),
            None => SigningKeys::Secret(Signer::shared(secret.as_bytes())),
        };
        Ok(Self { kind, keys })
    }

    /// The published keys, if there are any.
    pub const fn keys(&self) -> Option<&Keys> {
        match &self.keys {
            SigningKeys::Published(keys) => Some(keys),
            SigningKeys::Secret(_) => None,
        }
    }

    /// The origin of its key server; empty if it publishes no keys.
    pub fn origin(&self) -> String {
        self.keys().map(Keys::origin).unwrap_or_default()
    }

    /// Signs a token.
    pub fn token(&self, request: &TokenRequest<'_>) -> anyhow::Result<String> {
        let claims = (self.kind.claims)(&self.origin(), request).to_string();
        match &self.keys {
            SigningKeys::Secret(signer) => {
                signer.sign(&json!({"alg": signer.algorithm(), "typ": "JWT"}).to_string(), &claims)
            }
            SigningKeys::Published(keys) => {
                let key = keys.signing();
                let mut header = json!({"alg": key.signer.algorithm(), "typ": "JWT"});
                if let Some(members) = header.as_object_mut().filter(|_| keys.has_kid()) {
                    members.insert("kid".to_owned(), json!(key.id));
                }
                key.signer.sign(&header.to_string(), &claims)
            }
        }
    }
}
