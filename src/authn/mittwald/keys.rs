//! mittwald's public keys by serial. A serial always names the same key, so a key is fetched once
//! and kept. A serial is untrusted text: those that have no key cause one fetch in a cooldown.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Mutex as AsyncMutex;

use super::api::{Api, ApiError, KeyPurpose};
use super::values::Serial;
use crate::clock::Timestamp;
use crate::jwt::key_set::KeySet;

/// An Ed25519 public key.
#[derive(Clone)]
pub struct PublicKey {
    bytes: [u8; KEY_BYTES],
    set: KeySet,
}

/// The keys of one purpose.
pub struct PublicKeys {
    api: Arc<Api>,
    purpose: KeyPurpose,
    known: Mutex<HashMap<Serial, Arc<PublicKey>>>,
    /// When the last fetch began, unless it found a key. Held during a fetch, so that there is one
    /// at a time.
    last_miss: AsyncMutex<Option<Timestamp>>,
}

/// Why there is no key of a serial.
#[derive(Debug, thiserror::Error)]
pub enum KeyUnavailable {
    /// mittwald has none.
    #[error("mittwald has no key of this serial")]
    Unknown,
    /// It is not fetched now, since another serial had no key a moment ago.
    #[error("keys are not fetched within {COOLDOWN_S} s after a fetch that found none")]
    Cooldown,
    /// It cannot be fetched.
    #[error("the key cannot be fetched: {0}")]
    Failed(ApiError),
}

/// The time from a fetch that finds no key to the next fetch, in seconds.
const COOLDOWN_S: u64 = 30;

/// Keys that are kept. mittwald has few in use.
const MAX_KEYS: usize = 64;

const KEY_BYTES: usize = 32;

/// What precedes the key in a `SubjectPublicKeyInfo` in DER (RFC 8410, 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Parses a raw key; `None` where it is not a point with which signatures can be verified safely.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let bytes = raw.try_into().ok()?;
        let der = STANDARD.encode([&SPKI, raw].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        KeySet::from_pem(pem.as_bytes()).ok().map(|set| Self { bytes, set })
    }

    /// The raw key.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// The same as a set of one key, whatever `kid` a token names: its serial is a claim.
    pub const fn as_set(&self) -> &KeySet {
        &self.set
    }
}

impl PublicKeys {
    /// No keys yet.
    pub fn new(api: Arc<Api>, purpose: KeyPurpose) -> Self {
        Self { api, purpose, known: Mutex::default(), last_miss: AsyncMutex::default() }
    }

    /// The key, if it is known already.
    pub fn known(&self, serial: Serial) -> Option<Arc<PublicKey>> {
        self.keys().get(&serial).cloned()
    }

    /// The key, fetched if it is not known.
    ///
    /// # Errors
    ///
    /// mittwald has no such key, cannot be reached, or is not asked now.
    pub async fn get(&self, serial: Serial, now: Timestamp) -> Result<Arc<PublicKey>, KeyUnavailable> {
        if let Some(key) = self.known(serial) {
            return Ok(key);
        }
        let mut last_miss = self.last_miss.lock().await;
        if let Some(key) = self.known(serial) {
            return Ok(key);
        }
        if last_miss.is_some_and(|at| at.is_within(COOLDOWN_S, now)) {
            return Err(KeyUnavailable::Cooldown);
        }
        // before the fetch: a client that disconnects ends it
        *last_miss = Some(now);
        match self.api.public_key(serial, self.purpose).await {
            Ok(Some(raw)) => {
                let invalid = KeyUnavailable::Failed(ApiError::Unreadable("the key is not an Ed25519 key"));
                let key = Arc::new(PublicKey::parse(&raw).ok_or(invalid)?);
                *last_miss = None;
                self.keep(serial, &key);
                Ok(key)
            }
            Ok(None) => Err(KeyUnavailable::Unknown),
            Err(error) => Err(KeyUnavailable::Failed(error)),
        }
    }

    fn keep(&self, serial: Serial, key: &Arc<PublicKey>) {
        let mut keys = self.keys();
        if keys.len() >= MAX_KEYS {
            // any: it is fetched again if it is still in use
            let dropped = keys.keys().next().copied();
            dropped.and_then(|dropped| keys.remove(&dropped));
        }
        keys.insert(serial, Arc::clone(key));
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<Serial, Arc<PublicKey>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeys({:?}, {} known)", self.purpose, self.keys().len())
    }
}
