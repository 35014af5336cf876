//! The chain of a writer's events: each event's hash covers its content and the hash
//! before it, keyed with a secret that the store does not hold.

use std::fmt;

use aws_lc_rs::hmac;

use crate::secret::SharedSecret;

/// The key of chains, and its id.
#[derive(Clone)]
pub struct ChainKey {
    key: hmac::Key,
    id: String,
}

/// Bytes of a key's id.
const ID_BYTES: usize = 8;

impl ChainKey {
    /// A key of its own (`audit.chain_key`).
    pub fn new(secret: &SharedSecret) -> Self {
        Self::labelled(secret, b"marketplace-sso audit.chain_key 1")
    }

    /// The key that is derived from a shared secret, where there is no other.
    pub fn derive(secret: &SharedSecret) -> Self {
        Self::labelled(secret, b"marketplace-sso audit.chain 1")
    }

    fn labelled(secret: &SharedSecret, label: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, label).as_ref());
        let id = hmac::sign(&key, b"marketplace-sso audit.chain id 1");
        let id = id.as_ref().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { key, id }
    }

    /// The id: it says which key it is, and nothing about the key.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainKey({})", self.id)
    }
}
