//! Prometheus metrics. Labels never contain users.

mod audit;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::authn::KeyReport;
use crate::pandium::Environment;
use crate::refusal::Reason;

pub use audit::AuditMetrics;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    hand_offs: Family<HandOffLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    embed_violations: Family<EntranceLabel, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    dropped_lines: Counter,
    key_ages: Family<KeyLabels, Gauge<i64, AtomicI64>>,
    skipped_keys: Family<KeyLabels, Gauge<i64, AtomicI64>>,
    key_fetches: Family<KeyFetchLabels, Counter>,
    /// Time from receiving a request to its response.
    pub request_duration: Histogram,
    /// Requests being processed.
    pub in_flight: Gauge<i64, AtomicI64>,
    /// Length of signed URLs, in bytes.
    pub location_bytes: Histogram,
    /// Stored audit events.
    pub audit: AuditMetrics,
}

/// The counters of an entrance that each hand-off increments, looked up once.
#[derive(Debug)]
pub struct EntranceMetrics {
    /// Hand-offs.
    pub hand_offs: Counter<u64, AtomicU64>,
    /// Redirects to the marketplace.
    pub redirects: Counter<u64, AtomicU64>,
    /// Requests that the policy `enforce` would refuse.
    pub embed_violations: Counter<u64, AtomicU64>,
}

/// The result of a configuration reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new configuration is in use.
    Applied,
    /// The new configuration is invalid; the old one stays in use.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    entrance: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandOffLabels {
    entrance: String,
    environment: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    entrance: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EntranceLabel {
    entrance: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyFetchLabels {
    url: String,
    result: &'static str,
}

/// In seconds; a hand-off takes about ten microseconds.
const DURATION_BUCKETS: [f64; 9] = [0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

/// In bytes; the default limit is 4,096, warnings start at 2,000.
const LOCATION_BUCKETS: [f64; 7] = [250.0, 500.0, 1000.0, 2000.0, 3000.0, 4096.0, 8192.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("marketplace_sso"),
            requests: Family::default(),
            hand_offs: Family::default(),
            refusals: Family::default(),
            embed_violations: Family::default(),
            reloads: Family::default(),
            dropped_lines: Counter::default(),
            key_ages: Family::default(),
            skipped_keys: Family::default(),
            key_fetches: Family::default(),
            request_duration: Histogram::new(DURATION_BUCKETS),
            in_flight: Gauge::default(),
            location_bytes: Histogram::new(LOCATION_BUCKETS),
            audit: AuditMetrics::default(),
        };
        metrics.register();
        for result in [Reload::Applied, Reload::Refused] {
            metrics.reloads.get_or_create_owned(&ReloadLabels { result: result.name() });
        }
        metrics
    }
}

impl Reload {
    const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("requests", "Requests", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time to respond to a request",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        registry.register("requests_in_flight", "Requests being processed", self.in_flight.clone());
        registry.register("handoffs", "Hand-offs to the marketplace", self.hand_offs.clone());
        registry.register("refusals", "Requests refused", self.refusals.clone());
        registry.register(
            "embed_violations",
            "Requests served that violate the embed policy",
            self.embed_violations.clone(),
        );
        registry.register("location_bytes", "Length of signed URLs", self.location_bytes.clone());
        registry.register("config_reloads", "Configuration reloads", self.reloads.clone());
        registry.register(
            "log_lines_dropped",
            "Log lines dropped because the output was too slow or failed",
            self.dropped_lines.clone(),
        );
        registry.register_with_unit(
            "jwks_age",
            "Age of the issuer's keys in use",
            Unit::Seconds,
            self.key_ages.clone(),
        );
        registry.register("jwks_skipped_keys", "Unusable keys of the set in use", self.skipped_keys.clone());
        registry.register("jwks_fetches", "Fetches of an issuer's keys", self.key_fetches.clone());
        self.audit.register(registry);
        registry.register("build", "Build information", build);
    }

    /// The counters of an entrance; exported as 0 from now on.
    pub fn entrance(&self, name: &str, environment: Environment) -> EntranceMetrics {
        for reason in
            [Reason::Unauthenticated, Reason::UntrustedPeer, Reason::BadIdentity, Reason::EmbeddingNotAllowed]
        {
            self.refusal_counter(name, reason);
        }
        let environment = environment.name();
        EntranceMetrics {
            hand_offs: self
                .hand_offs
                .get_or_create_owned(&HandOffLabels { entrance: name.to_owned(), environment }),
            redirects: self
                .requests
                .get_or_create_owned(&RequestLabels { entrance: name.to_owned(), code: 307 }),
            embed_violations: self
                .embed_violations
                .get_or_create_owned(&EntranceLabel { entrance: name.to_owned() }),
        }
    }

    /// Counts a request whose response is not a redirect.
    pub fn count_request(&self, entrance: &str, code: u16) {
        self.requests.get_or_create(&RequestLabels { entrance: entrance.to_owned(), code }).inc();
    }

    /// Counts a refusal.
    pub fn count_refusal(&self, entrance: &str, reason: Reason) {
        self.refusal_counter(entrance, reason).inc();
    }

    /// The number of refusals so far. Reading it does not create a counter that would be exported.
    pub fn refusals(&self, entrance: &str, reason: Reason) -> u64 {
        let labels = RefusalLabels { entrance: entrance.to_owned(), reason: reason.code() };
        self.refusals.get(&labels).map_or(0, |counter| counter.get())
    }

    /// Counts a configuration reload.
    pub fn count_reload(&self, result: Reload) {
        self.reloads.get_or_create(&ReloadLabels { result: result.name() }).inc();
    }

    /// Sets the total of dropped log lines.
    pub fn set_dropped_lines(&self, dropped: u64) {
        self.dropped_lines.inc_by(dropped.saturating_sub(self.dropped_lines.get()));
    }

    /// Updates the metrics of fetched keys.
    pub fn set_keys(&self, reports: impl Iterator<Item = KeyReport>) {
        self.key_ages.clear();
        self.skipped_keys.clear();
        for KeyReport { url, age_s, skipped, counts } in reports {
            for (result, total) in [("success", counts.succeeded), ("error", counts.failed)] {
                let labels = KeyFetchLabels { url: url.clone(), result };
                let counter = self.key_fetches.get_or_create_owned(&labels);
                counter.inc_by(total.saturating_sub(counter.get()));
            }
            if let Some(count) = skipped {
                let labels = KeyLabels { url: url.clone() };
                let skipped = self.skipped_keys.get_or_create_owned(&labels);
                skipped.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            if let Some(age_s) = age_s {
                let age = self.key_ages.get_or_create_owned(&KeyLabels { url });
                age.set(i64::try_from(age_s).unwrap_or(i64::MAX));
            }
        }
    }

    /// Observes the duration of a request.
    pub fn observe_duration(&self, took: Duration) {
        self.request_duration.observe(took.as_secs_f64());
    }

    /// All metrics in the OpenMetrics 1.0 text format.
    pub fn to_text(&self) -> String {
        let mut output = String::new();
        // writing to a String cannot fail
        let _ = text::encode(&mut output, &self.registry);
        output
    }

    fn refusal_counter(&self, entrance: &str, reason: Reason) -> Counter {
        let labels = RefusalLabels { entrance: entrance.to_owned(), reason: reason.code() };
        self.refusals.get_or_create_owned(&labels)
    }
}
