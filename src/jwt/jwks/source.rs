//! Where the keys of an authenticator come from: the configuration, or a cache of
//! published keys.

use std::sync::Arc;

use super::cache::{JwksCache, NotVerified};
use crate::clock::Timestamp;
use crate::jwt::compact::Compact;
use crate::jwt::key_set::KeySet;
use crate::jwt::skipped_key::SkippedKey;
use crate::jwt::verify::{Validation, Verified, verify_compact};
use crate::secret::SharedSecret;

/// Where an authenticator's keys come from.
#[derive(Debug)]
pub enum KeySource {
    /// Part of the configuration.
    Static(KeySet),
    /// Fetched from the issuer.
    Published(Arc<JwksCache>),
}

impl KeySource {
    /// Verifies a token of a request received at `received`.
    pub fn verify(
        &self,
        token: Compact<'_>,
        validation: &Validation,
        received: Timestamp,
        now: Timestamp,
    ) -> Result<Verified, NotVerified> {
        match self {
            Self::Static(keys) => Ok(verify_compact(token, validation, keys, now)?),
            Self::Published(cache) => cache.verify(token, validation, received, now),
        }
    }

    /// The skipped keys of a configured set.
    pub fn skipped(&self) -> &[SkippedKey] {
        match self {
            Self::Static(keys) => keys.skipped(),
            Self::Published(_) => &[],
        }
    }

    /// Whether this secret is one of the configured keys.
    pub fn contains_secret(&self, secret: &SharedSecret) -> bool {
        match self {
            Self::Static(keys) => keys.contains_secret(secret),
            Self::Published(_) => false,
        }
    }

    /// Reuses the caches of the previous configuration.
    pub fn reuse_cached(&mut self, earlier: &[Arc<JwksCache>]) {
        if let Self::Published(cache) = self {
            *cache = cache.or_cached(earlier);
        }
    }

    /// The cache, if the keys are fetched.
    pub const fn published(&self) -> Option<&Arc<JwksCache>> {
        match self {
            Self::Static(_) => None,
            Self::Published(cache) => Some(cache),
        }
    }
}
