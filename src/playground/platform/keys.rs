//! The keys that a platform publishes: which one signs, which ones are still
//! believed, and the server where they are. A new key is published before
//! anything is signed with it, and old ones stay for the tokens they signed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::kind::Kind;
use crate::playground::stand_ins::{Behaviour, KeyServer, Signer, key_set};

/// The keys of one platform.
pub struct Keys {
    algorithm: &'static str,
    server: KeyServer,
    ring: Mutex<Ring>,
}

/// A key and its name.
pub struct NamedKey {
    /// What a token's `kid` names it by.
    pub id: String,
    /// The key.
    pub signer: Signer,
}

struct Ring {
    /// The oldest first; never empty.
    published: Vec<Arc<NamedKey>>,
    signing: Arc<NamedKey>,
    count: usize,
    is_down: bool,
}

/// What there is to see of the keys.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The key that signs.
    pub signing: String,
    /// The keys that are published, the oldest first.
    pub published: Vec<String>,
    /// Whether the server does not answer.
    pub is_down: bool,
    /// How often it was asked for keys.
    pub asked: usize,
}

/// As many keys as are published at once. A token that names no key is tried
/// with four at most.
const MOST_PUBLISHED: usize = 4;

/// Where the keys are, once at the place that each platform has for them.
const PLACES: [&str; 2] = ["/keys", "/.well-known/jwks.json"];

impl Keys {
    /// The first keys of a platform, on a server of its own; none where it
    /// publishes none.
    pub fn start(kind: Kind) -> anyhow::Result<Option<Self>> {
        let Some(algorithm) = kind.published_algorithm() else { return Ok(None) };
        let server = KeyServer::start(Behaviour::Down).context("the key server cannot start")?;
        let published: Vec<_> = (1..=kind.first_keys())
            .map(|number| new_key(algorithm, number))
            .collect::<anyhow::Result<_>>()?;
        let signing = published.last().map(Arc::clone).context("there is no first key")?;
        let count = published.len();
        let ring = Ring { published, signing, count, is_down: false };
        let keys = Self { algorithm, server, ring: Mutex::new(ring) };
        keys.serve(&keys.ring())?;
        Ok(Some(keys))
    }

    /// Where they are published: also the name by which the platform signs.
    pub fn origin(&self) -> String {
        self.server.origin()
    }

    /// The key that signs.
    pub fn signing(&self) -> Arc<NamedKey> {
        Arc::clone(&self.ring().signing)
    }

    /// Makes a key and publishes it; [`Self::sign_with_newest`] puts it to use.
    /// Takes a moment where the key is RSA.
    pub fn publish_next(&self) -> anyhow::Result<()> {
        let number = {
            let mut ring = self.ring();
            ring.count += 1;
            ring.count
        };
        let key = new_key(self.algorithm, number)?;
        let mut ring = self.ring();
        ring.published.push(key);
        let too_many = ring.published.len().saturating_sub(MOST_PUBLISHED);
        ring.published.drain(..too_many);
        self.serve(&ring)
    }

    /// Signs with the newest key from now on.
    pub fn sign_with_newest(&self) {
        let mut ring = self.ring();
        if let Some(newest) = ring.published.last().map(Arc::clone) {
            ring.signing = newest;
        }
    }

    /// Takes the server down, or brings it back.
    pub fn take_down(&self, is_down: bool) -> anyhow::Result<()> {
        let mut ring = self.ring();
        ring.is_down = is_down;
        self.serve(&ring)
    }

    /// What there is to see.
    pub fn seen(&self) -> Seen {
        let ring = self.ring();
        Seen {
            signing: ring.signing.id.clone(),
            published: ring.published.iter().map(|key| key.id.clone()).collect(),
            is_down: ring.is_down,
            asked: self.server.asked().len(),
        }
    }

    /// Has the server do what the ring says.
    fn serve(&self, ring: &Ring) -> anyhow::Result<()> {
        if ring.is_down {
            self.server.behave(Behaviour::Down);
            return Ok(());
        }
        let keys: Vec<_> =
            ring.published.iter().map(|key| key.signer.jwk(Some(&key.id))).collect::<anyhow::Result<_>>()?;
        let set = key_set(&keys);
        let origin = self.origin();
        let discovery = json!({"issuer": origin, "jwks_uri": format!("{origin}/keys")}).to_string();
        let mut pages: Vec<_> = PLACES.iter().map(|place| ((*place).to_owned(), set.clone())).collect();
        pages.push(("/.well-known/openid-configuration".to_owned(), discovery));
        self.server.behave(Behaviour::Serve(pages));
        Ok(())
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_key(algorithm: &'static str, number: usize) -> anyhow::Result<Arc<NamedKey>> {
    Ok(Arc::new(NamedKey { id: format!("key-{number}"), signer: Signer::fresh(algorithm)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_published_before_it_signs_and_old_ones_stay_for_a_while() {
        let keys = Keys::start(Kind::Bearer).unwrap().unwrap();
        assert_eq!(keys.seen().published, ["key-1", "key-2", "key-3"]);
        keys.publish_next().unwrap();
        assert_eq!((keys.seen().published.len(), keys.seen().signing.as_str()), (4, "key-3"));
        keys.sign_with_newest();
        assert_eq!(keys.seen().signing, "key-4");
        keys.publish_next().unwrap();
        assert_eq!(keys.seen().published, ["key-2", "key-3", "key-4", "key-5"]);
    }

    #[test]
    fn a_shared_secret_is_not_published() {
        assert!(Keys::start(Kind::Caf).unwrap().is_none());
    }
}
