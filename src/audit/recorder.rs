//! The public interface of the audit: every event is logged, and stored as `[audit]` says.

use std::sync::Arc;

use serde_json::Value;
use tokio::task::AbortHandle;

use super::journal::{AuditUnavailable, Journal};
use super::record::{self, Operation, RecordDetails};
use super::settings::{AuditSettings, Durability};
use super::{AuditEvent, AuditLog, purge};
use crate::clock::Timestamp;
use crate::metrics::AuditMetrics;
use crate::store::{Store, StoreError};

/// Logs and stores audit events. Clones share one queue.
#[derive(Clone)]
pub struct Audit {
    log: AuditLog,
    durable: Option<Arc<Durable>>,
}

struct Durable {
    journal: Journal,
    purging: Option<AbortHandle>,
}

/// Whether events are stored, for readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditHealth {
    /// They are only logged.
    LogOnly,
    /// They are stored.
    Stored,
    /// They cannot be stored now.
    Failing {
        /// Why.
        error: String,
        /// Whether requests are refused in the meantime.
        refuses: bool,
    },
}

impl Audit {
    /// An audit that only logs.
    pub const fn log_only(log: AuditLog) -> Self {
        Self { log, durable: None }
    }

    /// An audit that stores events as the settings say, and deletes old ones. `command` is what
    /// this process runs. Fails if requests are refused without a store, and the store is not
    /// available.
    pub async fn start(
        log: AuditLog,
        settings: &AuditSettings,
        store: &Store,
        metrics: AuditMetrics,
        command: &str,
    ) -> Result<Self, StoreError> {
        if settings.durability == Durability::Log {
            return Ok(Self::log_only(log));
        }
        let journal = Journal::start(store, settings, metrics, command).await?;
        let purging = settings.retention.map(|retention| {
            let key = settings.chain_key.clone();
            store.spawn(purge::run(store.clone(), key, retention, journal.purged()))
        });
        Ok(Self { log, durable: Some(Arc::new(Durable { journal, purging })) })
    }

    /// Logs and stores the event of a request, before its response is sent. After an error nothing
    /// is logged: refuse the request with 503 `audit_unavailable`, and pass the event of that
    /// refusal to [`Self::log`].
    pub async fn record(
        &self,
        event: &AuditEvent<'_>,
        details: &RecordDetails<'_>,
    ) -> Result<(), AuditUnavailable> {
        if let Some(durable) = &self.durable {
            durable.journal.record(record::of_request(event, details)).await?;
        }
        self.log.write(event);
        Ok(())
    }

    /// Whether events are stored.
    pub const fn stores(&self) -> bool {
        self.durable.is_some()
    }

    /// Logs an event without storing it.
    pub fn log(&self, event: &AuditEvent<'_>) {
        self.log.write(event);
    }

    /// Stores the event of an operation, if events are stored, and waits for its commit. `data`: an
    /// object with the fields that only this operation has, or null; without secrets and personal
    /// data.
    pub async fn record_operation(&self, operation: Operation, data: Value) -> Result<(), AuditUnavailable> {
        match &self.durable {
            Some(durable) => durable.journal.commit(operation.event(Timestamp::now(), &data)).await,
            None => Ok(()),
        }
    }

    /// Whether events are stored.
    pub fn health(&self) -> AuditHealth {
        let Some(durable) = &self.durable else { return AuditHealth::LogOnly };
        match durable.journal.failure() {
            None => AuditHealth::Stored,
            Some(error) => AuditHealth::Failing { error, refuses: durable.journal.refuses() },
        }
    }

    /// Records the stop after all events before it, and ends the background tasks. Stops waiting if
    /// the store makes no progress for `store.timeout_s`.
    pub async fn stop(&self) {
        let Some(durable) = &self.durable else { return };
        let event = Operation::Stopped.event(Timestamp::now(), &Value::Null);
        match durable.journal.stop(event).await {
            0 => {}
            events => tracing::error!(
                events,
                "the store is not available; audit events that wait for it may be lost"
            ),
        }
        if let Some(purging) = &durable.purging {
            purging.abort();
        }
    }
}
