//! A platform's published keys, and the server that publishes them. A new key is
//! published, and signs once the service has fetched it; old keys stay published for the
//! tokens that they signed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::kind::PublishedKeyKind;
use crate::playground::stand_ins::{Behaviour, KeyServer, Signer, key_set};

/// The keys of one platform.
pub struct Keys {
    platform: &'static PublishedKeyKind,
    server: KeyServer,
    state: Mutex<KeyState>,
}

/// A key and its id.
pub struct NamedKey {
    /// The `kid`.
    pub id: String,
    pub signer: Signer,
}

struct KeyState {
    /// Oldest first; never empty.
    published: Vec<Arc<NamedKey>>,
    signing: Arc<NamedKey>,
    /// The number of requests for keys when the newest key was published.
    fetches_before: usize,
    created: usize,
    is_down: bool,
}

/// The state of the keys, for the page.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// The id of the key that signs.
    pub signing: String,
    /// The ids of the published keys, oldest first.
    pub published: Vec<String>,
    /// Whether the newest key does not sign yet, because it was not fetched.
    pub is_newest_waiting: bool,
    /// Whether the key server is down.
    pub is_down: bool,
    /// The number of requests to the key server.
    pub requests: usize,
}

/// The maximum number of published keys. The service tries at most four for a token
/// without `kid`.
const MAX_PUBLISHED: usize = 4;

/// The paths of the JWKS, which differ between platforms.
const JWKS_PATHS: [&str; 2] = ["/keys", "/.well-known/jwks.json"];

impl Keys {
    /// Creates a platform's first key and its server.
    pub fn start(platform: &'static PublishedKeyKind) -> anyhow::Result<Self> {
        let server = KeyServer::start(Behaviour::Down).context("the key server cannot start")?;
        let first = new_key(platform.algorithm, 1)?;
        let state = KeyState {
            published: vec![Arc::clone(&first)],
            signing: first,
            fetches_before: 0,
            created: 1,
            is_down: false,
        };
        let keys = Self { platform, server, state: Mutex::new(state) };
        keys.serve(&keys.state())?;
        Ok(keys)
    }

    /// The origin of the key server, which is also the issuer.
    pub fn origin(&self) -> String {
        self.server.origin()
    }

    /// Whether tokens name their key.
    pub const fn has_kid(&self) -> bool {
        self.platform.has_kid
    }

    /// The key that signs.
    pub fn signing(&self) -> Arc<NamedKey> {
        Arc::clone(&self.state().signing)
    }

    /// Publishes a new key, unless the newest one does not sign yet;
    /// [`Self::sign_with_newest`] starts signing with it. Blocks, noticeably for RSA.
    pub fn publish_next(&self) -> anyhow::Result<()> {
        let number = {
            let mut state = self.state();
            if state.is_newest_waiting() {
                return Ok(());
            }
            state.created += 1;
            state.created
        };
        let key = new_key(self.platform.algorithm, number)?;
        let mut state = self.state();
        state.published.push(key);
        let too_many = state.published.len().saturating_sub(MAX_PUBLISHED);
        state.published.drain(..too_many);
        self.serve(&state)?;
        state.fetches_before = self.fetches();
        Ok(())
    }

    /// Whether the newest key was fetched since it was published.
    pub fn is_newest_fetched(&self) -> bool {
        self.fetches() > self.state().fetches_before
    }

    /// Whether the key server is down.
    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// Signs with the newest key from now on.
    pub fn sign_with_newest(&self) {
        let mut state = self.state();
        if let Some(newest) = state.published.last().map(Arc::clone) {
            state.signing = newest;
        }
    }

    /// Stops the key server from responding, or lets it respond again.
    pub fn set_down(&self, is_down: bool) -> anyhow::Result<()> {
        let mut state = self.state();
        state.is_down = is_down;
        self.serve(&state)?;
        // requests while the server was down did not get the keys
        state.fetches_before = self.fetches();
        Ok(())
    }

    /// The current state.
    pub fn status(&self) -> KeyStatus {
        let state = self.state();
        KeyStatus {
            signing: state.signing.id.clone(),
            published: state.published.iter().map(|key| key.id.clone()).collect(),
            is_newest_waiting: state.is_newest_waiting(),
            is_down: state.is_down,
            requests: self.server.requested_paths().len(),
        }
    }

    /// The number of requests for the keys.
    fn fetches(&self) -> usize {
        let paths = self.server.requested_paths();
        paths.iter().filter(|path| JWKS_PATHS.contains(&path.as_str())).count()
    }

    /// Applies the state to the key server.
    fn serve(&self, state: &KeyState) -> anyhow::Result<()> {
        if state.is_down {
            self.server.set_behaviour(Behaviour::Down);
            return Ok(());
        }
        let keys: Vec<_> =
            state.published.iter().map(|key| key.signer.jwk(Some(&key.id))).collect::<anyhow::Result<_>>()?;
        let set = key_set(&keys);
        let origin = self.origin();
        let discovery = json!({"issuer": origin, "jwks_uri": format!("{origin}/keys")}).to_string();
        let mut pages: Vec<_> = JWKS_PATHS.iter().map(|path| ((*path).to_owned(), set.clone())).collect();
        pages.push(("/.well-known/openid-configuration".to_owned(), discovery));
        self.server.set_behaviour(Behaviour::Serve(pages));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, KeyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyState {
    fn is_newest_waiting(&self) -> bool {
        self.published.last().is_some_and(|newest| newest.id != self.signing.id)
    }
}

fn new_key(algorithm: &'static str, number: usize) -> anyhow::Result<Arc<NamedKey>> {
    Ok(Arc::new(NamedKey { id: format!("key-{number}"), signer: Signer::fresh(algorithm)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_published_before_and_after_they_sign() {
        static PLATFORM: PublishedKeyKind = PublishedKeyKind { algorithm: "ES256", has_kid: true };
        let keys = Keys::start(&PLATFORM).unwrap();
        assert_eq!(keys.status().published, ["key-1"]);
        keys.publish_next().unwrap();
        assert_eq!((keys.status().published.len(), keys.status().signing.as_str()), (2, "key-1"));
        keys.sign_with_newest();
        assert_eq!(keys.status().signing, "key-2");
        for _ in 0..3 {
            keys.publish_next().unwrap();
            keys.sign_with_newest();
        }
        assert_eq!(keys.status().published, ["key-2", "key-3", "key-4", "key-5"]);
    }
}
