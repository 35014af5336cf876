//! Whether audit events are stored: for requests, readiness, log and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::settings::OnFailure;
use crate::clock::Stopwatch;
use crate::metrics::AuditMetrics;
use crate::store::StoreError;

/// Whether events are stored.
pub(super) struct Status {
    state: Mutex<State>,
    /// The time limit of an append.
    limit: Duration,
    on_failure: OnFailure,
    pub metrics: AuditMetrics,
}

#[derive(Default)]
struct State {
    /// Why events cannot be stored now.
    error: Option<String>,
    /// The append in progress. The task that appends cannot report that it takes too long, because
    /// SQLite blocks its thread.
    append: Option<Stopwatch>,
}

/// How many times within the time limit [`watch`] looks at the append in progress.
const LOOKS: u32 = 4;

impl Status {
    /// Events can be stored. `limit`: the time limit of an append.
    pub fn new(limit: Duration, on_failure: OnFailure, metrics: AuditMetrics) -> Self {
        Self { state: Mutex::default(), limit, on_failure, metrics }
    }

    /// Whether events cannot be stored now: the last append failed, or the current one takes too long.
    pub fn is_failing(&self) -> bool {
        self.current().error.is_some()
    }

    /// Why events cannot be stored now; `None` if they can.
    pub fn error(&self) -> Option<String> {
        self.current().error.clone()
    }

    /// An append begins; returns how long it takes so far. It ends with [`Self::succeeded`] or [`Self::failed`].
    pub fn append_began(&self) -> Stopwatch {
        *self.lock().append.insert(Stopwatch::start())
    }

    pub fn failed(&self, error: &StoreError) {
        let mut state = self.lock();
        state.append = None;
        self.metrics.failures.inc();
        self.report(&mut state, error);
    }

    pub fn succeeded(&self) {
        let mut state = self.lock();
        state.append = None;
        self.metrics.store_up.set(1);
        if state.error.take().is_some() {
            tracing::info!("audit events are stored again");
        }
    }

    /// The state, after an append that takes too long was reported.
    fn current(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if state.error.is_none() && state.append.is_some_and(|append| append.elapsed() > self.limit) {
            self.report(&mut state, &StoreError::TimedOut(self.limit));
        }
        state
    }

    fn report(&self, state: &mut State, error: &StoreError) {
        self.metrics.store_up.set(0);
        match (state.error.replace(error.to_string()), self.on_failure) {
            (Some(_), _) => {}
            (None, OnFailure::Refuse) => {
                tracing::error!(%error, "audit events cannot be stored; requests are refused");
            }
            (None, OnFailure::Allow) => {
                tracing::error!(%error, "audit events cannot be stored; requests are served, and events wait");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports an append that takes too long, even if nothing asks for the status.
pub(super) async fn watch(status: Weak<Status>) {
    while let Some(pause) = status.upgrade().map(|status| status.limit / LOOKS) {
        tokio::time::sleep(pause).await;
        status.upgrade().inspect(|status| drop(status.current()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // T30
    #[test]
    fn an_append_that_takes_too_long_is_a_failure_until_it_ends() {
        let metrics = AuditMetrics::default();
        let status = Status::new(Duration::ZERO, OnFailure::Refuse, metrics.clone());
        assert!(!status.is_failing());
        status.append_began();
        std::thread::sleep(Duration::from_micros(2));
        assert!(status.is_failing());
        assert_eq!(status.error().as_deref(), Some("the database did not respond within 0 s"));
        assert_eq!((metrics.failures.get(), metrics.store_up.get()), (0, 0));
        status.failed(&StoreError::Busy);
        assert_eq!(status.error().as_deref(), Some("another connection holds the lock of the database"));
        assert_eq!((metrics.failures.get(), metrics.store_up.get()), (1, 0));
        status.succeeded();
        assert!(!status.is_failing());
        assert_eq!((status.error(), metrics.failures.get(), metrics.store_up.get()), (None, 1, 1));
    }
}
