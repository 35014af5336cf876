//! The durable journal: events of concurrent requests are queued, and one task stores them
//! together, a transaction for each batch.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::chain::ChainKey;
use super::settings::{AuditSettings, Durability, OnFailure};
use super::status::{Status, watch};
use super::writer::ChainWriter;
use crate::metrics::AuditMetrics;
use crate::store::events::Event;
use crate::store::{Batch, Store, StoreError};

/// Accepts events of requests.
pub(super) struct Journal {
    queue: mpsc::Sender<Pending>,
    status: Arc<Status>,
    durability: Durability,
    on_failure: OnFailure,
    /// How long a request waits for the commit of its event.
    commit_timeout: Duration,
    task: AbortHandle,
}

/// The event of a request could not be stored, so the request has to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit event cannot be stored")]
pub struct AuditUnavailable;

/// An event in the queue, and the request that waits for its commit.
struct Pending {
    event: Event,
    waiter: Option<oneshot::Sender<()>>,
}

/// The task that stores events.
struct Task {
    store: Store,
    key: ChainKey,
    command: String,
    /// `None` until it can be started.
    chain: Option<ChainWriter>,
    queue: mpsc::Receiver<Pending>,
    status: Arc<Status>,
    /// Whether events that cannot be stored now are kept.
    keeps: bool,
    /// Whether the task waits for larger batches, because no response waits for a commit.
    lingers: bool,
}

/// Events that are not stored yet.
enum Unstored {
    Events(Vec<Event>),
    Sealed(Arc<Batch>),
}

/// The maximum number of events in one transaction.
const MAX_BATCH: usize = 1024;

/// How long to wait for a larger batch, which costs less per event.
const LINGER: Duration = Duration::from_millis(20);

/// The pause after the first failure. It doubles after each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Journal {
    /// Starts the task. Fails if requests are refused without a store, and the store is not
    /// available.
    pub async fn start(
        store: &Store,
        settings: &AuditSettings,
        metrics: AuditMetrics,
        command: &str,
    ) -> Result<Self, StoreError> {
        let AuditSettings { durability, on_failure, queue_length, .. } = *settings;
        let status = Arc::new(Status::new(store.timeout(), on_failure, metrics));
        let started = ChainWriter::start(store.clone(), settings.chain_key.clone(), command).await;
        let chain = match (started, on_failure) {
            (Ok(chain), _) => {
                status.succeeded();
                Some(chain)
            }
            (Err(error), OnFailure::Allow) => {
                status.failed(&error);
                None
            }
            (Err(error), OnFailure::Refuse) => return Err(error),
        };
        let (queue, receiver) = mpsc::channel(queue_length);
        let task = Task {
            store: store.clone(),
            key: settings.chain_key.clone(),
            command: command.to_owned(),
            chain,
            queue: receiver,
            status: Arc::clone(&status),
            keeps: durability == Durability::Queued || on_failure == OnFailure::Allow,
            lingers: durability == Durability::Queued,
        };
        let task = store.spawn_appending(task.run());
        store.spawn(watch(Arc::downgrade(&status)));
        Ok(Self { queue, status, durability, on_failure, commit_timeout: store.timeout(), task })
    }

    /// Stores an event as `audit.durability` says.
    pub async fn record(&self, event: Event) -> Result<(), AuditUnavailable> {
        match (self.durability, self.on_failure) {
            (Durability::Log, _) => Ok(()),
            (Durability::Queued, _) => self.enqueue(event, None).await,
            // refused immediately: waiting would not help
            (Durability::Commit, OnFailure::Refuse) if self.status.is_failing() => Err(AuditUnavailable),
            (Durability::Commit, OnFailure::Allow) if self.status.is_failing() => {
                self.enqueue(event, None).await
            }
            (Durability::Commit, OnFailure::Refuse | OnFailure::Allow) => self.commit(event).await,
        }
    }

    /// Queues an event, and waits for its commit.
    pub async fn commit(&self, event: Event) -> Result<(), AuditUnavailable> {
        let (waiter, stored) = oneshot::channel();
        self.enqueue(event, Some(waiter)).await?;
        match (tokio::time::timeout(self.commit_timeout, stored).await, self.on_failure) {
            (Ok(Ok(())), _) | (_, OnFailure::Allow) => Ok(()),
            (Ok(Err(_)) | Err(_), OnFailure::Refuse) => Err(AuditUnavailable),
        }
    }

    /// Queues an event. If the queue is full although events are stored, waits for space: there are
    /// more requests than the store can record.
    async fn enqueue(
        &self,
        event: Event,
        waiter: Option<oneshot::Sender<()>>,
    ) -> Result<(), AuditUnavailable> {
        // incremented before the task can decrement it
        self.status.metrics.queue_length.inc();
        let is_queued = match self.queue.try_send(Pending { event, waiter }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(pending)) if !self.status.is_failing() => {
                let send = self.queue.send(pending);
                matches!(tokio::time::timeout(self.commit_timeout, send).await, Ok(Ok(())))
            }
            Err(_) => false,
        };
        if is_queued {
            return Ok(());
        }
        self.status.metrics.queue_length.dec();
        match self.on_failure {
            OnFailure::Refuse => Err(AuditUnavailable),
            OnFailure::Allow => {
                self.status.metrics.lost.inc();
                Ok(())
            }
        }
    }

    /// Why events cannot be stored now; `None` if they can.
    pub fn failure(&self) -> Option<String> {
        self.status.error()
    }

    /// Whether requests are refused while events cannot be stored.
    pub fn refuses(&self) -> bool {
        self.on_failure == OnFailure::Refuse
    }

    /// A sender that does not keep the task alive.
    pub fn purged(&self) -> impl Fn(Event) + Send + use<> {
        let (queue, status) = (self.queue.downgrade(), Arc::clone(&self.status));
        move |event| {
            if let Some(queue) = queue.upgrade() {
                status.metrics.queue_length.inc();
                if queue.try_send(Pending { event, waiter: None }).is_err() {
                    status.metrics.queue_length.dec();
                }
            }
        }
    }

    /// Stores a last event after all others, and ends the task. Stops waiting if the store makes no
    /// progress within its time limit. Returns how many events are not stored.
    pub async fn stop(&self, last: Event) -> u64 {
        let (waiter, mut stored) = oneshot::channel();
        let length = &self.status.metrics.queue_length;
        length.inc();
        let mut before = length.get();
        let mut send = Box::pin(self.queue.send(Pending { event: last, waiter: Some(waiter) }));
        let mut is_sent = false;
        loop {
            let progress = async {
                if !is_sent {
                    // an error: the task has ended
                    let _ = (&mut send).await;
                    is_sent = true;
                }
                (&mut stored).await
            };
            let result = tokio::time::timeout(self.commit_timeout, progress).await;
            let now = length.get();
            if result.is_ok() || now >= before {
                self.task.abort();
                return u64::try_from(now).unwrap_or_default();
            }
            before = now;
        }
    }
}

impl Task {
    async fn run(mut self) {
        let mut received = Vec::with_capacity(MAX_BATCH);
        while self.receive(&mut received).await {
            let count = received.len();
            let mut waiters = Vec::with_capacity(count);
            let events = received.drain(..).map(|Pending { event, waiter }| {
                waiters.extend(waiter);
                event
            });
            let mut unstored = Unstored::Events(events.collect());
            let mut pause = FIRST_PAUSE;
            while let Err(error) = self.try_store(&mut unstored, count).await {
                self.status.failed(&error);
                // the requests that still wait are refused
                waiters.clear();
                if !self.keeps {
                    self.wait_until_writable().await;
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            self.count_down(count);
            for waiter in waiters {
                // an error: the client has disconnected
                let _ = waiter.send(());
            }
        }
    }

    /// Receives a batch. `false`: the queue is closed.
    async fn receive(&mut self, received: &mut Vec<Pending>) -> bool {
        if self.queue.recv_many(received, MAX_BATCH).await == 0 {
            return false;
        }
        if self.lingers && received.len() < MAX_BATCH {
            tokio::time::sleep(LINGER).await;
            while received.len() < MAX_BATCH
                && let Ok(pending) = self.queue.try_recv()
            {
                received.push(pending);
            }
        }
        true
    }

    async fn try_store(&mut self, unstored: &mut Unstored, count: usize) -> Result<(), StoreError> {
        let stopwatch = self.status.append_began();
        let chain = self.chain().await?;
        let batch = match unstored {
            Unstored::Sealed(batch) => Arc::clone(batch),
            Unstored::Events(events) => {
                let batch = chain.seal(mem::take(events));
                *unstored = Unstored::Sealed(Arc::clone(&batch));
                batch
            }
        };
        match chain.append(&batch).await {
            Ok(()) => {
                self.status.succeeded();
                self.status.metrics.stored.inc_by(count as u64);
                let took = stopwatch.elapsed();
                self.status.metrics.commit_duration.observe(took.as_secs_f64());
                if !self.keeps && took > self.store.timeout() {
                    // new requests were refused in the meantime, and so are those that wait
                    self.drop_queued();
                }
                Ok(())
            }
            Err(error) => {
                if matches!(error, StoreError::Conflict(_)) {
                    // the database is another one, or an older copy, so a new chain begins
                    self.chain = None;
                    let events = batch.events.iter().map(|stored| stored.event.clone());
                    *unstored = Unstored::Events(events.collect());
                }
                Err(error)
            }
        }
    }

    async fn chain(&mut self) -> Result<&mut ChainWriter, StoreError> {
        let chain = match self.chain.take() {
            Some(chain) => chain,
            None => ChainWriter::start(self.store.clone(), self.key.clone(), &self.command).await?,
        };
        Ok(self.chain.insert(chain))
    }

    /// Waits until the store accepts writes. In the meantime [`Journal::record`] refuses requests;
    /// events in the queue are dropped, so that the requests that wait for them are refused.
    async fn wait_until_writable(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.drop_queued();
            if self.queue.is_closed() {
                return;
            }
            match self.try_write().await {
                Ok(()) => return self.status.succeeded(),
                Err(error) => self.status.failed(&error),
            }
        }
    }

    /// Drops the events in the queue, so that the requests that wait for them are refused.
    fn drop_queued(&mut self) {
        while self.queue.try_recv().is_ok() {
            self.count_down(1);
        }
    }

    /// Tests whether the store accepts writes, without changing anything.
    async fn try_write(&mut self) -> Result<(), StoreError> {
        let result = self.chain().await?.try_write().await;
        if matches!(result, Err(StoreError::Conflict(_))) {
            self.chain = None;
        }
        result
    }

    fn count_down(&self, count: usize) {
        self.status.metrics.queue_length.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
