//! mittwald's public keys by serial. A serial always names the same key, so a key is fetched once
//! and kept. A serial is untrusted text: serials without a key are remembered for half a minute,
//! and the rate of fetches is limited, for each client and for all clients together.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;

use super::api::{Api, KeyPurpose};
use super::transport::ApiError;
use super::values::Serial;
use crate::clock::Stopwatch;
use crate::jwt::key_set::KeySet;
use crate::limits::{FairLimit, Rate};
use crate::request::Peer;

/// An Ed25519 public key.
#[derive(Clone)]
pub struct PublicKey {
    bytes: [u8; KEY_BYTES],
    set: KeySet,
}

/// The keys of one purpose. Clones share them.
#[derive(Clone)]
pub struct PublicKeys {
    api: Arc<Api>,
    purpose: KeyPurpose,
    since_start: Stopwatch,
    limit: Arc<FairLimit>,
    state: Arc<Mutex<State>>,
}

/// What is known, and what is being fetched. Times are durations since the cache was created.
#[derive(Default)]
struct State {
    known: HashMap<Serial, Arc<PublicKey>>,
    /// Serials that have no key, and when that was found.
    unknown: HashMap<Serial, Duration>,
    fetching: HashMap<Serial, watch::Receiver<Option<Fetched>>>,
}

type Fetched = Result<Arc<PublicKey>, KeyUnavailable>;

/// Why there is no key of a serial.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyUnavailable {
    /// mittwald has none.
    #[error("mittwald has no key of this serial")]
    Unknown,
    /// It is not fetched now, because the client, or all clients together, caused too many fetches.
    /// The value is the time until the next fetch may begin.
    #[error("too many unknown keys were requested; the next fetch may begin in {} s", .0.as_secs() + 1)]
    TooMany(Duration),
    /// It cannot be fetched.
    #[error("the key cannot be fetched: {0}")]
    Failed(ApiError),
}

/// How long the cache remembers that a serial has no key, and the maximum number of such serials.
const UNKNOWN_KEPT: Duration = Duration::from_secs(30);
const MAX_UNKNOWN: usize = 1_024;

/// Fetches that one client may cause.
const OF_CLIENT: Rate = Rate { at_once: 2, interval: Duration::from_secs(10) };

/// Fetches that all clients may cause. Nine clients that always use their whole limit leave some
/// fetches for others.
const OF_ALL: Rate = Rate { at_once: 10, interval: Duration::from_secs(1) };

/// Keys that are kept. mittwald has few in use.
const MAX_KEYS: usize = 64;

const KEY_BYTES: usize = 32;

/// The bytes before the key in a DER-encoded `SubjectPublicKeyInfo` (RFC 8410, 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Parses a raw key; `None` if it is not a curve point with which signatures can be verified
    /// safely.
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

    /// The key as a set of one key that is used for any `kid`: a token names its key by a claim,
    /// the serial.
    pub const fn as_set(&self) -> &KeySet {
        &self.set
    }
}

impl PublicKeys {
    /// Creates an empty cache.
    pub fn new(api: Arc<Api>, purpose: KeyPurpose) -> Self {
        let limit = Arc::new(FairLimit::new(OF_CLIENT, OF_ALL));
        Self { api, purpose, since_start: Stopwatch::start(), limit, state: Arc::default() }
    }

    /// Reuses the keys of an earlier configuration, if they come from the same API.
    pub fn reuse(&self, earlier: &Self) {
        if self.purpose != earlier.purpose || !self.api.is_at_same_place(&earlier.api) {
            return;
        }
        if Arc::ptr_eq(&self.state, &earlier.state) {
            return;
        }
        let known = earlier.state().known.clone();
        self.state().known.extend(known);
    }

    /// The key, if it is known already.
    pub fn known(&self, serial: Serial) -> Option<Arc<PublicKey>> {
        self.state().known.get(&serial).cloned()
    }

    /// The key, fetched if it is not known. A fetch that begins is counted for `client`, and
    /// continues when the caller stops waiting for it.
    ///
    /// # Errors
    ///
    /// mittwald has no such key, cannot be reached, or the limit of fetches is used up.
    pub async fn get(&self, serial: Serial, client: Peer) -> Result<Arc<PublicKey>, KeyUnavailable> {
        let mut fetching = {
            let mut state = self.state();
            if let Some(key) = state.known.get(&serial) {
                return Ok(Arc::clone(key));
            }
            match state.fetch_of(serial) {
                Some(fetching) => fetching,
                None => self.start_fetch(&mut state, serial, client)?,
            }
        };
        let fetched = fetching.wait_for(Option::is_some).await.ok().and_then(|fetched| fetched.clone());
        let ended = || KeyUnavailable::Failed(ApiError::Unreachable("the fetch was ended".to_owned()));
        fetched.unwrap_or_else(|| Err(ended()))
    }

    fn start_fetch(
        &self,
        state: &mut State,
        serial: Serial,
        client: Peer,
    ) -> Result<watch::Receiver<Option<Fetched>>, KeyUnavailable> {
        if state.is_unknown(serial, self.since_start.elapsed()) {
            return Err(KeyUnavailable::Unknown);
        }
        self.limit.check(client).map_err(KeyUnavailable::TooMany)?;
        let (sender, fetching) = watch::channel(None);
        state.fetching.insert(serial, fetching.clone());
        let keys = self.clone();
        // in a task: a client that disconnects does not end it
        tokio::spawn(async move {
            let fetched = keys.fetch(serial).await;
            let mut state = keys.state();
            state.fetching.remove(&serial);
            match &fetched {
                Ok(key) => state.keep(serial, key),
                Err(KeyUnavailable::Unknown) => state.keep_unknown(serial, keys.since_start.elapsed()),
                Err(KeyUnavailable::TooMany(_) | KeyUnavailable::Failed(_)) => {}
            }
            drop(state);
            sender.send_replace(Some(fetched));
        });
        Ok(fetching)
    }

    async fn fetch(&self, serial: Serial) -> Fetched {
        let raw = self.api.public_key(serial, self.purpose).await.map_err(KeyUnavailable::Failed)?;
        let raw = raw.ok_or(KeyUnavailable::Unknown)?;
        let invalid = KeyUnavailable::Failed(ApiError::Unreadable("the key is not an Ed25519 key"));
        PublicKey::parse(&raw).map(Arc::new).ok_or(invalid)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The fetch of a serial that is in progress.
    fn fetch_of(&self, serial: Serial) -> Option<watch::Receiver<Option<Fetched>>> {
        let fetching = self.fetching.get(&serial)?;
        // an error: its task was dropped with its thread
        fetching.has_changed().is_ok().then(|| fetching.clone())
    }

    /// Whether it was found a moment ago that a serial has no key.
    fn is_unknown(&self, serial: Serial, now: Duration) -> bool {
        self.unknown.get(&serial).is_some_and(|at| now.saturating_sub(*at) < UNKNOWN_KEPT)
    }

    fn keep_unknown(&mut self, serial: Serial, now: Duration) {
        self.unknown.retain(|_, at| now.saturating_sub(*at) < UNKNOWN_KEPT);
        if self.unknown.len() < MAX_UNKNOWN {
            self.unknown.insert(serial, now);
        }
    }

    fn keep(&mut self, serial: Serial, key: &Arc<PublicKey>) {
        if self.known.len() >= MAX_KEYS {
            // any key may be dropped: it is fetched again if it is still in use
            let dropped = self.known.keys().next().copied();
            dropped.and_then(|dropped| self.known.remove(&dropped));
        }
        self.known.insert(serial, Arc::clone(key));
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeys({:?}, {} known)", self.purpose, self.state().known.len())
    }
}
