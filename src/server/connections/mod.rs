//! The open connections of one listener, their limit, and which connection is closed when the limit
//! is exceeded.
//!
//! At the limit, actix would leave new connections waiting until an open one
//! ends, so a peer with many idle connections would deny service to all others.
//! Instead, the connection that has made no progress for the longest time is closed.

mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

pub(super) use stream::LimitedStream;

use crate::clock::Stopwatch;

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct OpenConnections {
    limit: usize,
    started: Stopwatch,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    last_id: AtomicU64,
    /// When the limit was last logged, in milliseconds since the start.
    logged_at_ms: AtomicU64,
}

/// The state of one connection, shared by its stream, its requests and the
/// listener.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    started: Stopwatch,
    /// When bytes of a response were last written, or the connection was accepted, in milliseconds
    /// since the listener's start. Bytes that are read do not count as progress: a peer could send
    /// one at a time.
    progress_at_ms: AtomicU64,
    has_sent_response: AtomicBool,
    requests_in_progress: AtomicU32,
    is_closing: AtomicBool,
    /// Wakes the task that serves the connection.
    waker: Mutex<Option<Waker>>,
}

/// Counts a request as in progress until it is dropped.
#[derive(Debug)]
pub(super) struct RequestInProgress(Arc<Connection>);

/// How long a new connection is treated as if it had sent a response, so that it is not closed
/// before its first request.
const FIRST_REQUEST_TIME: Duration = Duration::from_secs(1);

/// The minimum time between two log lines about the limit.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

impl OpenConnections {
    /// Creates an empty set, for at most `limit` open connections.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            started: Stopwatch::start(),
            open: Mutex::default(),
            last_id: AtomicU64::new(0),
            logged_at_ms: AtomicU64::new(0),
        }
    }

    /// Adds a connection. Above the limit, closes the connection that has made no progress for the
    /// longest time, but first those that should have received a request by now and have sent no
    /// response. A connection with a request in progress is never closed.
    fn add(&self) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            id: self.last_id.fetch_add(1, Ordering::Relaxed),
            started: self.started,
            progress_at_ms: AtomicU64::new(milliseconds(self.started)),
            has_sent_response: AtomicBool::new(false),
            requests_in_progress: AtomicU32::new(0),
            is_closing: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        let mut open = lock(&self.open);
        if open.len() >= self.limit {
            let now_ms = milliseconds(self.started);
            let candidates = open.values().filter(|open| open.may_be_closed());
            if let Some(idle) = candidates.min_by_key(|open| open.close_order(now_ms)) {
                idle.close();
                self.log_limit();
            }
        }
        open.insert(connection.id, Arc::clone(&connection));
        connection
    }

    fn remove(&self, connection: &Connection) {
        lock(&self.open).remove(&connection.id);
    }

    fn log_limit(&self) {
        let now = milliseconds(self.started);
        let last = self.logged_at_ms.load(Ordering::Relaxed);
        let is_due = last == 0 || u128::from(now.saturating_sub(last)) >= LOG_INTERVAL.as_millis();
        if is_due && self.logged_at_ms.swap(now.max(1), Ordering::Relaxed) == last {
            tracing::warn!(
                max_connections = self.limit,
                "the limit of open connections is reached: idle ones are closed; see server.max_connections"
            );
        }
    }
}

impl Connection {
    /// Marks the connection as in use until the value is dropped.
    pub fn begin_request(self: &Arc<Self>) -> RequestInProgress {
        self.requests_in_progress.fetch_add(1, Ordering::Relaxed);
        RequestInProgress(Arc::clone(self))
    }

    fn may_be_closed(&self) -> bool {
        self.requests_in_progress.load(Ordering::Relaxed) == 0 && !self.is_closing()
    }

    /// The connection with the smallest value is closed first.
    fn close_order(&self, now_ms: u64) -> (bool, u64, u64) {
        let progress_at_ms = self.progress_at_ms.load(Ordering::Relaxed);
        let is_new = u128::from(now_ms.saturating_sub(progress_at_ms)) < FIRST_REQUEST_TIME.as_millis();
        let is_closed_later = is_new || self.has_sent_response.load(Ordering::Relaxed);
        (is_closed_later, progress_at_ms, self.id)
    }

    fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    fn note_progress(&self) {
        self.has_sent_response.store(true, Ordering::Relaxed);
        self.progress_at_ms.store(milliseconds(self.started), Ordering::Relaxed);
    }

    /// Stores the waker that is called when the connection has to be closed.
    fn wake_when_closing(&self, waker: &Waker) {
        let mut stored = lock(&self.waker);
        if !stored.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
            *stored = Some(waker.clone());
        }
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.0.requests_in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

fn milliseconds(stopwatch: Stopwatch) -> u64 {
    u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections with progress at these times, in milliseconds.
    fn open(limit: usize, progress_at_ms: &[u64]) -> (OpenConnections, Vec<Arc<Connection>>) {
        let connections = OpenConnections::new(limit);
        let open = progress_at_ms.iter().map(|at_ms| {
            let connection = connections.add();
            connection.progress_at_ms.store(*at_ms, Ordering::Relaxed);
            connection
        });
        let open = open.collect();
        (connections, open)
    }

    /// A connection that was accepted after all others.
    fn add_newer(connections: &OpenConnections) {
        connections.add().progress_at_ms.store(u64::MAX, Ordering::Relaxed);
    }

    fn closing(open: &[Arc<Connection>]) -> Vec<bool> {
        open.iter().map(|connection| connection.is_closing()).collect()
    }

    #[test]
    fn below_the_limit_no_connection_is_closed() {
        let (connections, open) = open(3, &[1, 2]);
        add_newer(&connections);
        assert_eq!(closing(&open), [false, false]);
    }

    #[test]
    fn the_longest_idle_connection_is_closed_first() {
        let (connections, open) = open(3, &[20, 10, 30]);
        add_newer(&connections);
        assert_eq!(closing(&open), [false, true, false]);
        add_newer(&connections);
        assert_eq!(closing(&open), [true, true, false], "one that is closing is not chosen again");
    }

    #[test]
    fn a_connection_without_a_response_is_closed_first() {
        let (_, open) = open(2, &[10_000, 20_000]);
        open[0].has_sent_response.store(true, Ordering::Relaxed);
        assert!(open[1].close_order(30_000) < open[0].close_order(30_000));
    }

    #[test]
    fn a_new_connection_is_not_closed_before_idle_ones() {
        let (_, open) = open(3, &[10_000, 20_000, 20_000]);
        open[0].has_sent_response.store(true, Ordering::Relaxed);
        let (used, new) = (open[0].close_order(20_999), open[1].close_order(20_999));
        assert!(used < new);
        assert!(open[0].close_order(21_000) > open[1].close_order(21_000));
    }

    #[test]
    fn a_connection_with_a_request_in_progress_stays_open() {
        let (connections, open) = open(2, &[10, 20]);
        let request = open[0].begin_request();
        add_newer(&connections);
        assert_eq!(closing(&open), [false, true]);
        drop(request);
        add_newer(&connections);
        assert_eq!(closing(&open), [true, true]);
    }
}
