//! The state shared by requests about extensions of mittwald: settings, keys and access tokens.

use std::sync::Arc;

use super::tokens::TokenCache;
use crate::authn::mittwald::api::{Api, KeyPurpose};
use crate::authn::mittwald::{MittwaldSettings, PublicKeys};

/// The settings, and what was fetched from mittwald.
#[derive(Debug)]
pub struct Mittwald {
    pub(super) settings: MittwaldSettings,
    /// Shared with the state of earlier and later configurations.
    pub(super) fetched: Arc<KeysAndTokens>,
}

#[derive(Debug)]
pub(super) struct KeysAndTokens {
    pub keys: PublicKeys,
    pub tokens: TokenCache,
}

impl Mittwald {
    /// Creates the state for these settings. Keys and tokens of `earlier` are reused if they come
    /// from the same API.
    pub fn new(settings: MittwaldSettings, earlier: Option<&Self>) -> Self {
        let same = earlier.filter(|earlier| {
            let (own, other) = (&settings, &earlier.settings);
            own.api_url == other.api_url && own.timeout == other.timeout
        });
        let fetched = same.map(|earlier| Arc::clone(&earlier.fetched));
        let fetched = fetched.unwrap_or_else(|| {
            let api = Api::new(settings.api_url.clone(), settings.timeout);
            let keys = PublicKeys::new(Arc::clone(&api), KeyPurpose::Webhook);
            if let Some(earlier) = earlier {
                keys.reuse(&earlier.fetched.keys);
            }
            Arc::new(KeysAndTokens { keys, tokens: TokenCache::new(api) })
        });
        Self { settings, fetched }
    }
}
