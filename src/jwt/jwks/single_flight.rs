//! One question at a time: whoever needs an answer while it is being asked for
//! waits for that one. And what is known, which answers change.

use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// The question that is under way, if one is.
#[derive(Debug, Default)]
pub struct SingleFlight {
    under_way: Mutex<Option<Flight>>,
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub struct Flight(watch::Receiver<()>);

impl SingleFlight {
    /// The question that is under way; where none is, that of `begin`, which
    /// may decline to ask one.
    pub fn ask<F>(&self, begin: impl FnOnce() -> Option<F>) -> Option<Flight>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = under_way.as_ref().filter(|earlier| !earlier.has_ended()) {
            return Some(earlier.clone());
        }
        let question = begin()?;
        let (ended, receiver) = watch::channel(());
        // on its own, so that a client that goes away does not take it along
        tokio::spawn(async move {
            question.await;
            drop(ended);
        });
        let asked = Flight(receiver);
        *under_way = Some(asked.clone());
        Some(asked)
    }
}

impl Flight {
    /// Waits until it has ended, however it does.
    pub async fn ended(mut self) {
        // nothing is ever sent: the end is that the sender is gone
        while self.0.changed().await.is_ok() {}
    }

    fn has_ended(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// Changes what is known; whoever has looked at it goes on with what he saw.
pub fn learn<K: Clone>(known: &ArcSwap<K>, change: impl Fn(&mut K)) {
    known.rcu(|known| {
        let mut known = K::clone(known);
        change(&mut known);
        known
    });
}
