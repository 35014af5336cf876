//! The platform's signer: a person's token, as the platform would sign it.

use serde_json::json;

use super::keys::Keys;
use super::kind::Kind;
use super::tokens::{Wanted, claims};
use crate::playground::stand_ins::Signer;

/// Who signs.
pub struct Issuer {
    kind: Kind,
    with: With,
}

/// What it signs with.
enum With {
    /// Keys that it publishes.
    Keys(Keys),
    /// A secret that it shares with the service.
    Secret(Signer),
}

impl Issuer {
    /// The issuer of a platform; `secret` counts where it publishes no keys.
    pub fn start(kind: Kind, secret: &str) -> anyhow::Result<Self> {
        let with = match Keys::start(kind)? {
            Some(keys) => With::Keys(keys),
            None => With::Secret(Signer::shared(secret.as_bytes())),
        };
        Ok(Self { kind, with })
    }

    /// The keys that it publishes, if it does.
    pub const fn keys(&self) -> Option<&Keys> {
        match &self.with {
            With::Keys(keys) => Some(keys),
            With::Secret(_) => None,
        }
    }

    /// Where its keys are; empty where it publishes none.
    pub fn origin(&self) -> String {
        self.keys().map(Keys::origin).unwrap_or_default()
    }

    /// A token.
    pub fn token(&self, wanted: &Wanted<'_>) -> anyhow::Result<String> {
        let claims = claims(self.kind, &self.origin(), wanted).to_string();
        match &self.with {
            With::Secret(signer) => {
                signer.sign(&json!({"alg": signer.algorithm(), "typ": "JWT"}).to_string(), &claims)
            }
            With::Keys(keys) => {
                let key = keys.signing();
                let mut header = json!({"alg": key.signer.algorithm(), "typ": "JWT"});
                // AppDirect's tokens name no key
                if let Some(members) = header.as_object_mut().filter(|_| self.kind != Kind::AppDirect) {
                    members.insert("kid".to_owned(), json!(key.id));
                }
                key.signer.sign(&header.to_string(), &claims)
            }
        }
    }
}
