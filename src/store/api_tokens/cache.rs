//! A cache of all API tokens. They are read again when they are older than two seconds, and when an
//! unknown id is requested. So a new token is accepted immediately, a revoked one is refused within
//! two seconds, and unknown ids cause at most one query at a time, whatever their number.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::{LAST_USE_STEP_US, StoredApiToken};
use crate::api_token::ApiTokenId;
use crate::clock::{Stopwatch, Timestamp};
use crate::store::{Store, StoreError};

/// The tokens of a store.
pub struct ApiTokenCache {
    store: Store,
    latest: ArcSwapOption<Reading>,
    /// Held while the tokens are read.
    turn: Mutex<()>,
}

/// A token that was in the store when the tokens were read.
#[derive(Debug)]
pub struct KnownApiToken {
    /// The token.
    pub token: StoredApiToken,
    last_used_at_us: AtomicI64,
}

/// The tokens cannot be read; the log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API tokens cannot be read")]
pub struct ApiTokensUnavailable;

/// The result of reading the tokens.
struct Reading {
    begun: Stopwatch,
    ended: Stopwatch,
    tokens: Result<HashMap<ApiTokenId, Arc<KnownApiToken>>, ApiTokensUnavailable>,
}

/// How long tokens are used after they were read: a revocation takes effect within this time.
const MAX_AGE: Duration = Duration::from_secs(2);
const _: () = assert!(MAX_AGE.as_secs() <= 2, "docs/api.md promises two seconds");

/// The minimum time between the starts of two reads.
const PACE: Duration = Duration::from_millis(50);

/// How long further requests get the same failure without another read.
const FAILURE_TIME: Duration = Duration::from_secs(1);

/// How long the operator's log says that a token was revoked, and not that it is unknown.
const REVOKED_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl ApiTokenCache {
    /// Creates an empty cache.
    pub fn new(store: Store) -> Self {
        Self { store, latest: ArcSwapOption::empty(), turn: Mutex::new(()) }
    }

    /// The token with this id, as the store has it now or had it less than two seconds ago. `None`:
    /// there was none when this request was received. `received` measures the time since then.
    pub async fn find(
        &self,
        id: &ApiTokenId,
        received: Stopwatch,
    ) -> Result<Option<Arc<KnownApiToken>>, ApiTokensUnavailable> {
        let answer = || self.latest.load().as_ref().and_then(|reading| reading.answer(id, received));
        if let Some(answer) = answer() {
            return answer;
        }
        let _turn = self.turn.lock().await;
        // another request may have read them in the meantime
        if let Some(answer) = answer() {
            return answer;
        }
        let since_last = self.latest.load().as_ref().map_or(PACE, |reading| reading.begun.elapsed());
        tokio::time::sleep(PACE.saturating_sub(since_last)).await;
        let reading = Arc::new(self.read().await);
        self.latest.store(Some(Arc::clone(&reading)));
        reading.tokens.as_ref().map(|tokens| tokens.get(id).cloned()).map_err(|why| *why)
    }

    /// Records that a token was used, at most once a minute. Does not wait for the store.
    pub fn note_use(&self, known: &KnownApiToken, now: Timestamp) {
        let now_us = now.unix_microseconds();
        let last = known.last_used_at_us.load(Ordering::Relaxed);
        let noted = &known.last_used_at_us;
        if now_us.saturating_sub(last) < LAST_USE_STEP_US
            || noted.compare_exchange(last, now_us, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let (store, id) = (self.store.clone(), known.token.id.clone());
        self.store.spawn(async move {
            if let Err(error) = store.note_use_of_api_token(id, now_us).await {
                tracing::warn!(%error, "the last use of an API token cannot be stored");
            }
        });
    }

    async fn read(&self) -> Reading {
        let begun = Stopwatch::start();
        let revoked_after = Timestamp::now().earlier_by(REVOKED_KEPT).unix_microseconds();
        let tokens = match self.store.recent_api_tokens(revoked_after).await {
            Ok(tokens) => Ok(tokens.into_iter().map(|token| (token.id.clone(), known(token))).collect()),
            Err(error) => Err(log(&error)),
        };
        Reading { begun, ended: Stopwatch::start(), tokens }
    }
}

impl Reading {
    /// The result for an id; `None` if the tokens have to be read again for it.
    fn answer(
        &self,
        id: &ApiTokenId,
        received: Stopwatch,
    ) -> Option<Result<Option<Arc<KnownApiToken>>, ApiTokensUnavailable>> {
        let age = self.begun.elapsed();
        match &self.tokens {
            Ok(tokens) => {
                let found = tokens.get(id).cloned();
                // a read that began after the request was received proves that an id does not exist
                let is_right = age <= received.elapsed() || found.is_some() && age < MAX_AGE;
                is_right.then_some(Ok(found))
            }
            Err(why) => (self.ended.elapsed() < FAILURE_TIME).then_some(Err(*why)),
        }
    }
}

fn known(token: StoredApiToken) -> Arc<KnownApiToken> {
    let last_used_at_us = AtomicI64::new(token.last_used_at_us.unwrap_or_default());
    Arc::new(KnownApiToken { token, last_used_at_us })
}

fn log(error: &StoreError) -> ApiTokensUnavailable {
    tracing::error!(%error, "the API tokens cannot be read from the store");
    ApiTokensUnavailable
}
