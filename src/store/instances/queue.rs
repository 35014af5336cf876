//! Stores changes that are received at the same time in one transaction, so that they wait for the
//! disk only once.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use super::types::{Applied, InstanceChange};
use crate::store::Store;

/// Stores changes. Clones share one queue.
#[derive(Clone)]
pub struct ChangeQueue {
    waiting: mpsc::Sender<Waiting>,
}

/// Why a change was not stored, or may not have been stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotStored(String);

struct Waiting {
    change: InstanceChange,
    result: oneshot::Sender<Result<Applied, NotStored>>,
}

/// The maximum number of changes that wait.
const CAPACITY: usize = 1024;

/// The maximum number of changes in one transaction.
const BATCH: usize = 64;

impl ChangeQueue {
    /// Starts the task that stores changes until the store is closed.
    pub fn start(store: &Store) -> Self {
        let (waiting, received) = mpsc::channel(CAPACITY);
        store.spawn(run(store.clone(), received));
        Self { waiting }
    }

    /// Stores a change, and waits until it is on disk.
    ///
    /// # Errors
    ///
    /// The store fails, or too many changes wait. If the connection was lost, the change may have
    /// been stored nevertheless.
    pub async fn apply(&self, change: InstanceChange) -> Result<Applied, NotStored> {
        let (result, stored) = oneshot::channel();
        self.waiting
            .try_send(Waiting { change, result })
            .map_err(|_| NotStored("too many changes wait for the store".to_owned()))?;
        stored.await.unwrap_or_else(|_| Err(NotStored("the store has stopped".to_owned())))
    }
}

async fn run(store: Store, mut received: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while received.recv_many(&mut batch, BATCH).await > 0 {
        let (changes, waiting): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|Waiting { change, result }| (change, result)).unzip();
        match store.apply_instance_changes(changes).await {
            Ok(applied) => {
                for (waiting, applied) in waiting.into_iter().zip(applied) {
                    // an error: the request has ended
                    let _ = waiting.send(Ok(applied));
                }
            }
            Err(error) => {
                for waiting in waiting {
                    let _ = waiting.send(Err(NotStored(error.to_string())));
                }
            }
        }
    }
}

impl fmt::Debug for ChangeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeQueue")
    }
}
