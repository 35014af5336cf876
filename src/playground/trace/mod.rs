//! Records what happens in the playground: requests to the service and to the marketplace, from the
//! login proxy, the service's log and the marketplace. [`Story`] is the form in which the page
//! shows a record.

mod record;
mod settings;
mod story;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use self::record::{Answered, Asked, Forwarded, LoadReport, Visit, request_fields};
use self::record::{Entry, Exchange, Kind};
pub use self::settings::Settings;
pub use self::story::Story;
use crate::clock::Timestamp;

/// The latest entries, oldest first. Each change wakes the requests that wait for one.
pub struct Trace {
    settings: Settings,
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Log lines that were received before the response to which they belong.
    lines: VecDeque<String>,
    last_id: u64,
}

/// The number of entries that are kept.
const MAX_ENTRIES: usize = 40;
/// The number of log lines that are kept without an exchange.
const MAX_LINES: usize = 64;
/// How long a poll waits: less than the timeouts of browsers and proxies.
const POLL_TIMEOUT: Duration = Duration::from_secs(20);

impl Trace {
    /// An empty trace of a service with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default(), version: watch::Sender::new(1) }
    }

    /// Adds a request to the service and its response.
    pub fn add_exchange(&self, asked: Asked, forwarded: Forwarded, answered: Answered) {
        let mut state = self.lock();
        let position = state.lines.iter().position(|line| answered.is_subject_of(line));
        let log_line = position.and_then(|position| state.lines.remove(position));
        let exchange = Exchange { asked, forwarded, answered, log_line, visit: None };
        self.push(&mut state, Kind::Exchange(Box::new(exchange)));
    }

    /// Adds a line of the service's log.
    pub fn add_log_line(&self, line: &str) {
        let mut state = self.lock();
        let exchange = state.entries.iter_mut().rev().find_map(|entry| match &mut entry.kind {
            Kind::Exchange(exchange) if exchange.answered.is_subject_of(line) => {
                Some((&mut entry.changed, exchange))
            }
            Kind::Exchange(_) | Kind::Again { .. } | Kind::Load(_) => None,
        });
        if let Some((changed, exchange)) = exchange {
            exchange.log_line = Some(line.to_owned());
            *changed = self.wake();
            return;
        }
        state.lines.push_back(line.to_owned());
        if state.lines.len() > MAX_LINES {
            state.lines.pop_front();
        }
    }

    /// Adds a request to the marketplace: the end of the exchange in which its token was
    /// signed, or another navigation with the same token.
    pub fn add_visit(&self, token: Option<&str>, visit: Visit) {
        let mut state = self.lock();
        let signed = state.entries.iter_mut().rev().find_map(|entry| match &mut entry.kind {
            Kind::Exchange(exchange) if token.is_some() && exchange.answered.token().as_deref() == token => {
                Some((entry.id, &mut entry.changed, exchange))
            }
            Kind::Exchange(_) | Kind::Again { .. } | Kind::Load(_) => None,
        });
        let of = match signed {
            Some((_, changed, exchange)) if exchange.visit.is_none() => {
                exchange.visit = Some(visit);
                *changed = self.wake();
                return;
            }
            Some((id, ..)) => Some(id),
            None => None,
        };
        self.push(&mut state, Kind::Again { of, visit });
    }

    /// Adds the result of requests during a change of the secret.
    pub fn add_load(&self, report: LoadReport) {
        self.push(&mut self.lock(), Kind::Load(report));
    }

    /// The latest token that a frame in the app's own page received.
    pub fn framed_token(&self) -> Option<String> {
        let state = self.lock();
        state.entries.iter().rev().find_map(|entry| match &entry.kind {
            Kind::Exchange(exchange) if exchange.asked.is_framed() => exchange.answered.token(),
            Kind::Exchange(_) | Kind::Again { .. } | Kind::Load(_) => None,
        })
    }

    /// Wakes all waiting requests, and returns the new version.
    pub fn wake(&self) -> u64 {
        self.version.send_modify(|version| *version += 1);
        *self.version.borrow()
    }

    /// Waits for a version above `after`, at most [`POLL_TIMEOUT`]. Returns the version and the
    /// stories that have changed.
    pub async fn poll(&self, after: u64) -> (u64, Vec<Story>) {
        let mut versions = self.version.subscribe();
        // after the timeout, the response says that nothing has changed
        let _ = tokio::time::timeout(POLL_TIMEOUT, versions.wait_for(|version| *version > after)).await;
        let state = self.lock();
        let version = *self.version.borrow();
        let changed = state.entries.iter().filter(|entry| entry.changed > after);
        let stories = changed.map(|entry| {
            let signed = match entry.kind {
                Kind::Again { of, .. } => state.entries.iter().find(|entry| Some(entry.id) == of),
                Kind::Exchange(_) | Kind::Load(_) => None,
            };
            Story::tell(entry, signed, &self.settings)
        });
        (version, stories.collect())
    }

    fn push(&self, state: &mut State, kind: Kind) {
        state.last_id += 1;
        let entry = Entry { id: state.last_id, at: Timestamp::now(), changed: self.wake(), kind };
        state.entries.push_back(entry);
        if state.entries.len() > MAX_ENTRIES {
            state.entries.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
