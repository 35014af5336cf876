//! State that all requests share, and the part of it that a reload replaces.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use arc_swap::{ArcSwap, Guard};

use super::Mittwald;
use super::dashboard::Sessions;
use crate::audit::{Audit, Durability, PseudonymKey};
use crate::authn::mittwald::MittwaldSettings;
use crate::authn::{Refresher, SharedSessions, key_caches};
use crate::clock::{Stopwatch, Timestamp};
use crate::host::HostNames;
use crate::limits::{LimitSettings, Limits};
use crate::log_writer::LogWriter;
use crate::metrics::{EntranceMetrics, Metrics};
use crate::page::Pages;
use crate::request::Peer;
use crate::session::EndedSessions;
use crate::settings::EffectiveSetting;
use crate::sign_on::Entrance;
use crate::store::Store;
use crate::store::api_tokens::ApiTokenCache;
use crate::store::instances::ChangeQueue;
use crate::ticket::TicketKey;

/// State that all requests share.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    is_draining: AtomicBool,
    has_started: AtomicBool,
    /// The counters.
    pub metrics: Metrics,
    /// Logs and stores audit events.
    pub audit: Audit,
    /// The store, if it is configured.
    pub store: Option<Store>,
    /// The API tokens in the store.
    pub api_tokens: Option<ApiTokenCache>,
    /// Stores what webhooks change.
    pub instance_changes: Option<ChangeQueue>,
    /// The writer of all log lines.
    pub log_writer: LogWriter,
    /// When this process began to serve.
    pub started: Timestamp,
    /// Measures how long it has been serving.
    pub uptime: Stopwatch,
    /// Sessions of users that were ended before they expired.
    pub ended_sessions: Arc<EndedSessions>,
    /// The refreshes of sessions, which outlast a reload.
    pub refresher: Arc<Refresher>,
    /// The sessions of the dashboard.
    pub(super) sessions: Sessions,
}

/// The part of a configuration that requests need.
#[derive(Debug)]
pub struct Served {
    /// The entrances; the first is `/pandium-sso`.
    pub entrances: Vec<Entrance>,
    /// Pages for users.
    pub pages: Pages,
    /// The accepted host names of requests.
    pub hosts: HostNames,
    /// The origin by which browsers reach the service.
    pub public_url: Option<String>,
    /// How often something may happen.
    pub limits: LimitSettings,
    /// The keys that hash subjects, to find a subject's events.
    pub pseudonym_keys: Vec<PseudonymKey>,
    /// The extensions of mittwald, if there are any.
    pub mittwald: Option<MittwaldSettings>,
    /// What the dashboard shows of the configuration.
    pub in_effect: InEffect,
}

/// What the dashboard shows of a configuration, secrets hidden.
#[derive(Clone, Debug)]
pub struct InEffect {
    /// Every setting that applies.
    pub settings: Vec<EffectiveSetting>,
    /// The files that it was read from, each with the time of its last change.
    pub files: Vec<(PathBuf, Option<Timestamp>)>,
    /// Settings that are probably a mistake.
    pub warnings: Vec<String>,
    /// When it was read.
    pub read_at: Timestamp,
    /// When a response may be sent.
    pub durability: Durability,
}

/// The part that a reload replaces atomically.
#[derive(Debug)]
pub struct Snapshot {
    /// The entrances, each shared with the requests to it.
    pub entrances: Vec<Arc<EntranceRuntime>>,
    /// HTML pages.
    pub pages: Pages,
    /// The accepted host names of requests.
    pub hosts: HostNames,
    /// The origin by which browsers reach the service.
    pub public_url: Option<String>,
    /// How often something may happen. The counts outlast a reload that does not change them.
    pub limits: Arc<Limits>,
    /// The key of single-use addresses.
    pub ticket_key: Option<TicketKey>,
    /// The keys that hash subjects, to find a subject's events.
    pub pseudonym_keys: Vec<PseudonymKey>,
    /// The extensions of mittwald, with their keys and tokens, if there are any.
    pub mittwald: Option<Mittwald>,
    /// What the dashboard shows of the configuration.
    pub in_effect: InEffect,
}

/// An entrance, with what is prepared once for its responses.
#[derive(Debug)]
pub struct EntranceRuntime {
    /// The entrance.
    pub entrance: Entrance,
    /// Its counters.
    pub metrics: EntranceMetrics,
    /// `frame-ancestors …`
    pub frame_ancestors: HeaderValue,
    /// The `Referrer-Policy` of its redirects.
    pub referrer_policy: HeaderValue,
}

impl Shared {
    /// The state of a new process.
    pub fn new(
        served: Served,
        metrics: Metrics,
        audit: Audit,
        store: Option<Store>,
        log_writer: LogWriter,
    ) -> Self {
        let limits = Arc::new(Limits::new(served.limits));
        use_store(&served.entrances, store.as_ref());
        let ended_sessions = match store {
            Some(_) => Arc::new(EndedSessions::unread()),
            None => Arc::default(),
        };
        let refresher = Arc::default();
        let sessions = SharedSessions::new(&ended_sessions, store.as_ref());
        let snapshot = Snapshot::new(served, limits, None, &metrics, (&sessions, &refresher));
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            is_draining: AtomicBool::new(false),
            has_started: AtomicBool::new(false),
            metrics,
            audit,
            api_tokens: store.clone().map(ApiTokenCache::new),
            instance_changes: store.as_ref().map(ChangeQueue::start),
            store,
            log_writer,
            started: Timestamp::now(),
            uptime: Stopwatch::start(),
            ended_sessions,
            refresher,
            sessions: Sessions::default(),
        }
    }

    /// The current snapshot. A request takes it once.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Replaces the snapshot. Requests in progress keep theirs; fetched keys are
    /// reused.
    pub fn swap(&self, mut served: Served) {
        let snapshot = self.snapshot.load();
        let caches = key_caches(snapshot.entrances.iter().map(|runtime| &runtime.entrance.authenticator));
        for entrance in &mut served.entrances {
            entrance.authenticator.reuse_cached_keys(&caches);
            for runtime in &snapshot.entrances {
                entrance.authenticator.reuse_mittwald_keys(&runtime.entrance.authenticator);
            }
        }
        use_store(&served.entrances, self.store.as_ref());
        let limits = if served.limits == snapshot.limits.settings() {
            Arc::clone(&snapshot.limits)
        } else {
            Arc::new(Limits::new(served.limits))
        };
        self.snapshot.store(Arc::new(Snapshot::new(
            served,
            limits,
            snapshot.mittwald.as_ref(),
            &self.metrics,
            (&SharedSessions::new(&self.ended_sessions, self.store.as_ref()), &self.refresher),
        )));
    }

    /// Whether the first fetch from every issuer has ended, successfully or not.
    pub fn has_started(&self) -> bool {
        let has_started = self.has_started.load(Ordering::Relaxed)
            || self.snapshot().entrances.iter().all(|runtime| runtime.entrance.authenticator.is_started());
        if has_started {
            self.has_started.store(true, Ordering::Relaxed);
        }
        has_started
    }

    /// Whether the service is draining.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Begins to drain: `/readyz` responds 503, and connections are closed after their response.
    pub fn start_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }
}

/// Gives the store to the authenticators that need one.
fn use_store(entrances: &[Entrance], store: Option<&Store>) {
    let authenticators = entrances.iter().map(|entrance| &entrance.authenticator);
    store.into_iter().for_each(|store| authenticators.clone().for_each(|each| each.use_store(store)));
}

impl Snapshot {
    fn new(
        served: Served,
        limits: Arc<Limits>,
        earlier: Option<&Mittwald>,
        metrics: &Metrics,
        (sessions, refresher): (&SharedSessions, &Arc<Refresher>),
    ) -> Self {
        let Served { entrances, pages, hosts, public_url, limits: _, pseudonym_keys, mittwald, in_effect } =
            served;
        let mittwald = mittwald.map(|settings| Mittwald::new(settings, earlier));
        let ticket_key = entrances.first().map(|main| main.marketplace.ticket_key());
        let entrances = entrances.into_iter().map(|mut entrance| {
            entrance.authenticator.share_sessions(sessions, refresher);
            Arc::new(EntranceRuntime::new(entrance, metrics))
        });
        let entrances = entrances.collect();
        Self { entrances, pages, hosts, public_url, limits, ticket_key, pseudonym_keys, mittwald, in_effect }
    }

    /// How long a session can last at most, if any entrance has sessions.
    pub fn longest_session(&self) -> Option<Duration> {
        let sign_ins = self.entrances.iter().filter_map(|runtime| runtime.entrance.authenticator.sign_in());
        sign_ins.map(|sign_in| sign_in.sessions.settings().absolute).max()
    }

    /// Whether a peer is a reverse proxy of an entrance, so that its requests are those of many
    /// clients.
    pub fn is_proxy(&self, peer: Peer) -> bool {
        self.entrances.iter().any(|runtime| runtime.entrance.authenticator.trusts(peer))
    }
}

impl EntranceRuntime {
    fn new(entrance: Entrance, metrics: &Metrics) -> Self {
        let frame_ancestors = entrance.embed.parents.frame_ancestors();
        Self {
            metrics: metrics.entrance(&entrance.name, entrance.environment),
            // always a valid field value, because parents are parsed
            frame_ancestors: HeaderValue::try_from(frame_ancestors)
                .unwrap_or_else(|_| HeaderValue::from_static("frame-ancestors 'none'")),
            referrer_policy: HeaderValue::from_static(entrance.referrer_policy.name()),
            entrance,
        }
    }
}
