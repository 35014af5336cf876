//! The metrics of stored audit events.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The metrics of stored audit events. Clones share their values.
#[derive(Clone, Debug)]
pub struct AuditMetrics {
    /// Events that were stored.
    pub stored: Counter,
    /// Events of served requests that will never be stored.
    pub lost: Counter,
    /// Attempts to store events that failed.
    pub failures: Counter,
    /// Events that wait for the store.
    pub queue_length: Gauge<i64, AtomicI64>,
    /// 1 if events can be stored, else 0.
    pub store_up: Gauge<i64, AtomicI64>,
    /// Time to store a batch of events.
    pub commit_duration: Histogram,
}

/// In seconds; a commit takes about a millisecond, or the time that the disk needs to flush.
const COMMIT_BUCKETS: [f64; 9] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

impl Default for AuditMetrics {
    fn default() -> Self {
        Self {
            stored: Counter::default(),
            lost: Counter::default(),
            failures: Counter::default(),
            queue_length: Gauge::default(),
            store_up: Gauge::default(),
            commit_duration: Histogram::new(COMMIT_BUCKETS),
        }
    }
}

impl AuditMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("audit_events_stored", "Audit events that were stored", self.stored.clone());
        registry.register(
            "audit_events_lost",
            "Audit events of served requests that will not be stored",
            self.lost.clone(),
        );
        registry.register(
            "audit_failures",
            "Attempts to store audit events that failed",
            self.failures.clone(),
        );
        registry.register(
            "audit_queue_length",
            "Audit events that wait for the store",
            self.queue_length.clone(),
        );
        registry.register("audit_store_up", "1 if audit events can be stored", self.store_up.clone());
        registry.register_with_unit(
            "audit_commit_duration",
            "Time to store a batch of audit events",
            Unit::Seconds,
            self.commit_duration.clone(),
        );
    }
}
