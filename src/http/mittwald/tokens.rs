//! Access tokens of extension instances: the secret is exchanged at mittwald once, and the token is
//! kept until shortly before it expires. Each request reads the instance's row, so that after a
//! change that any replica has received the token is not used any more.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use crate::authn::mittwald::api::{Api, IssuedToken};
use crate::authn::mittwald::{ApiError, InstanceSecret, MittwaldSettings};
use crate::clock::Timestamp;
use crate::seal::KeyRing;
use crate::store::instances::{SealedSecret, StoredInstance};
use crate::store::{Store, StoreError};

/// The tokens of this process.
pub(super) struct TokenCache {
    api: Arc<Api>,
    slots: Mutex<HashMap<Uuid, Arc<AsyncMutex<Slot>>>>,
}

/// Which token is requested, and what is needed to issue it.
#[derive(Clone, Copy)]
pub(super) struct TokenRequest<'a> {
    pub store: &'a Store,
    pub settings: &'a MittwaldSettings,
    /// The instance.
    pub id: Uuid,
    pub clock: fn() -> Timestamp,
}

/// The token of one instance. Locked during an exchange, so that there is one at a time.
#[derive(Default)]
struct Slot {
    /// The token, and the revision of the instance for which it was issued.
    token: Option<(i64, IssuedToken)>,
    failure: Option<(i64, Timestamp, ApiError)>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoToken {
    #[error("there is no such instance, or it was removed")]
    Unknown,
    #[error("the instance is disabled")]
    Disabled,
    #[error("the secret of the instance has not been received by a webhook yet")]
    NoSecret,
    #[error("the secret of the instance cannot be decrypted: store.encryption_key lacks its key")]
    Sealed,
    #[error("the instance cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Upstream(ApiError),
    #[error("the instance was changed during each attempt")]
    Changing,
}

/// A token is not issued if it expires within this time.
const MARGIN: Duration = Duration::from_secs(30);

/// How many seconds a failed exchange is not tried again; and the maximum, if mittwald says when to
/// try again.
const FAILURE_KEPT_S: u64 = 2;
const MAX_KEPT_S: u64 = 60;

/// The time limit for all steps together.
const LIMIT: Duration = Duration::from_secs(10);

/// The time limit of one exchange.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(8);

/// The maximum number of instances whose tokens are kept.
const MAX_SLOTS: usize = 10_000;

/// The maximum number of exchanges for one request, if the instance changes in the meantime.
const MAX_EXCHANGES: usize = 3;

impl TokenCache {
    /// Creates an empty cache.
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, slots: Mutex::default() }
    }

    /// A token of an instance that is installed and enabled.
    pub async fn get(&self, request: TokenRequest<'_>) -> Result<IssuedToken, NoToken> {
        let limited = tokio::time::timeout(LIMIT, self.get_without_limit(request)).await;
        limited.unwrap_or(Err(NoToken::Upstream(ApiError::TimedOut(LIMIT))))
    }

    /// Drops the token of an instance that was changed.
    pub fn forget(&self, id: Uuid) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    async fn get_without_limit(&self, request: TokenRequest<'_>) -> Result<IssuedToken, NoToken> {
        let TokenRequest { settings, id, clock, .. } = request;
        for _ in 0..MAX_EXCHANGES {
            let slot = self.slot(id);
            let mut slot = slot.lock().await;
            // read after locking: a row that was read before could be outdated
            let instance = self.usable(request).await?;
            let revision = instance.revision;
            if let Some(token) = slot.valid(revision, clock()) {
                return Ok(token);
            }
            if let Some(failure) = slot.recent_failure(revision, clock()) {
                return Err(NoToken::Upstream(failure));
            }
            let secret = open(&settings.secrets, &instance)?;
            let exchange = self.api.instance_token(id, &secret);
            let exchanged = match tokio::time::timeout(EXCHANGE_LIMIT, exchange).await {
                Ok(Ok(issued)) if issued.expires_at > clock() => Ok(issued),
                Ok(Ok(_)) => Err(ApiError::Unreadable("its token has expired already")),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(ApiError::TimedOut(EXCHANGE_LIMIT)),
            };
            if let Err(error) = &exchanged {
                slot.failure = Some((revision, clock(), error.clone()));
            }
            // the result is discarded if the secret was replaced in the meantime
            if self.usable(request).await?.revision == revision {
                let issued = exchanged.map_err(NoToken::Upstream)?;
                *slot = Slot { token: Some((revision, issued.clone())), failure: None };
                return Ok(issued);
            }
        }
        Err(NoToken::Changing)
    }

    async fn usable(&self, request: TokenRequest<'_>) -> Result<StoredInstance, NoToken> {
        let TokenRequest { store, settings, id, .. } = request;
        let instance = store.instance(id).await?;
        let instance = instance.filter(|found| settings.extension_ids.contains(&found.extension_id));
        let usable = match instance {
            None => Err(NoToken::Unknown),
            Some(instance) if !instance.state.enabled => Err(NoToken::Disabled),
            Some(instance) if instance.secret.is_none() => Err(NoToken::NoSecret),
            Some(instance) => return Ok(instance),
        };
        self.forget(id);
        usable
    }

    fn slot(&self, id: Uuid) -> Arc<AsyncMutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SLOTS {
            // a slot in use has a second owner
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(id).or_default())
    }
}

impl Slot {
    fn valid(&self, revision: i64, now: Timestamp) -> Option<IssuedToken> {
        let (of, token) = self.token.as_ref()?;
        (*of == revision && token.expires_at > now.later_by(MARGIN)).then(|| token.clone())
    }

    fn recent_failure(&self, revision: i64, now: Timestamp) -> Option<ApiError> {
        let (of, at, error) = self.failure.as_ref()?;
        let kept_s = match error {
            ApiError::RateLimited { retry_after } => retry_after.as_secs().clamp(FAILURE_KEPT_S, MAX_KEPT_S),
            ApiError::Unreachable(_)
            | ApiError::TimedOut(_)
            | ApiError::Failing(_)
            | ApiError::Refused(_)
            | ApiError::Unreadable(_) => FAILURE_KEPT_S,
        };
        (*of == revision && at.is_within(kept_s, now)).then(|| error.clone())
    }
}

fn open(secrets: &KeyRing, instance: &StoredInstance) -> Result<InstanceSecret, NoToken> {
    let SealedSecret { ciphertext, .. } = instance.secret.as_ref().ok_or(NoToken::NoSecret)?;
    let context = InstanceSecret::context(instance.id, instance.extension_id);
    let opened = secrets.open(&context, ciphertext).and_then(|bytes| String::from_utf8(bytes).ok());
    opened.and_then(|text| InstanceSecret::parse(text).ok()).ok_or(NoToken::Sealed)
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}
