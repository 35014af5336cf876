//! One fetch at a time: callers that need a result while a fetch is running wait for
//! that fetch.

use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// Ensures that at most one fetch runs.
#[derive(Debug, Default)]
pub struct SingleFlight {
    running: Mutex<Option<Flight>>,
}

/// A fetch that was started.
#[derive(Clone, Debug)]
pub struct Flight(watch::Receiver<()>);

impl SingleFlight {
    /// The running fetch; if there is none, starts the future that `start` returns,
    /// if any.
    pub fn join_or_start<F>(&self, start: impl FnOnce() -> Option<F>) -> Option<Flight>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = running.as_ref().filter(|flight| !flight.has_finished()) {
            return Some(flight.clone());
        }
        let fetch = start()?;
        let (sender, receiver) = watch::channel(());
        // in its own task, so that a client that disconnects does not cancel it
        tokio::spawn(async move {
            fetch.await;
            drop(sender);
        });
        let flight = Flight(receiver);
        *running = Some(flight.clone());
        Some(flight)
    }
}

impl Flight {
    /// Waits until the fetch has finished, successfully or not.
    pub async fn finished(mut self) {
        // nothing is ever sent; the channel closes when the task ends
        while self.0.changed().await.is_ok() {}
    }

    fn has_finished(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// Applies a change to shared state. Readers keep the version they loaded.
pub fn update<S: Clone>(state: &ArcSwap<S>, change: impl Fn(&mut S)) {
    state.rcu(|state| {
        let mut state = S::clone(state);
        change(&mut state);
        state
    });
}
