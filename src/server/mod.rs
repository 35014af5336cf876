//! Binds the listeners, runs the service, reloads its configuration, and stops
//! without losing a request.

mod capacity;
mod connections;
mod ended_sessions;
mod key_refresh;
mod listen;
mod reload;
mod serving;
mod stop;
mod upkeep;

use std::io;

use actix_server::Server as ActixServer;
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::audit::{Audit, AuditLog};
use crate::clock::Timestamp;
use crate::config::{Config, Problem};
use crate::http::{InEffect, Served, Shared};
use crate::log_writer::LogWriter;
use crate::metrics::Metrics;
use crate::pandium::SelfTestError;
use crate::store::{IfMissing, Store, StoreError};
use capacity::Capacities;
pub use capacity::TooFewDescriptors;
use listen::BoundListener;
pub use listen::{BindError, BoundAddr};
use serving::serve;
use stop::StopSignals;

/// A service whose listeners are bound and do not accept connections yet.
pub struct Server {
    config: Config,
    shared: web::Data<Shared>,
    public: BoundListener,
    admin: Option<BoundListener>,
    capacities: Capacities,
    stop_signals: StopSignals,
    sighup: Signal,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The limit of open files is too low.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// Tokens cannot be signed.
    #[error("the self-test of entrance {entrance} failed: {error}")]
    SelfTest {
        /// The entrance's name.
        entrance: String,
        /// The cause.
        error: SelfTestError,
    },
    /// Standard error or its writer thread is not available.
    #[error("log lines cannot be written: {0}")]
    LogWriter(io::Error),
    /// The store is not available.
    #[error("the store is not available: {0}")]
    Store(#[from] StoreError),
    /// Signal handlers cannot be installed.
    #[error("signal handlers cannot be installed: {0}")]
    Signals(io::Error),
}

/// Why a service stopped without a signal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener failed.
    #[error("a listener failed: {0}")]
    Io(#[from] io::Error),
}

/// Connections that the kernel queues until a worker accepts them.
const BACKLOG: u32 = 2048;

impl Server {
    /// Binds the listeners, and tests that tokens can be signed. Log lines go to
    /// standard error.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let log_writer = LogWriter::to_stderr().map_err(StartError::LogWriter)?;
        Self::bind_with_log_writer(config, log_writer).await
    }

    /// Like [`Self::bind`], with a log writer of the caller's choice.
    pub async fn bind_with_log_writer(mut config: Config, log_writer: LogWriter) -> Result<Self, StartError> {
        // installed before a client can connect, so that a signal does not end the process without
        // draining
        let stop_signals = StopSignals::listen().map_err(StartError::Signals)?;
        let sighup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
        let capacities = Capacities::from_process_limit(&config.server)?;
        let mode = config.server.unix_socket_mode;
        let public = BoundListener::bind("server.listen", &config.server.listen, mode, BACKLOG)?;
        let admin = match &config.server.admin_listen {
            Some(listen) => Some(BoundListener::bind("server.admin_listen", listen, mode, BACKLOG)?),
            None => None,
        };
        let shared = share_with_log_writer(&mut config, log_writer).await?;
        Ok(Self { config, shared, public, admin, capacities, stop_signals, sighup })
    }

    /// The address of the public listener.
    pub const fn addr(&self) -> &BoundAddr {
        &self.public.addr
    }

    /// The address of the admin listener, if there is one.
    pub fn admin_addr(&self) -> Option<&BoundAddr> {
        self.admin.as_ref().map(|admin| &admin.addr)
    }

    /// Serves until SIGTERM or SIGINT and until the requests in progress are done.
    pub async fn run(self) -> Result<(), RunError> {
        let Self { config, shared, public, admin, capacities, stop_signals, sighup } = self;
        let settings = config.server.clone();
        tracing::info!(
            listen = %public.addr,
            admin_listen = admin.as_ref().map(|admin| admin.addr.to_string()),
            environment = %config.environment,
            entrances = shared.snapshot().entrances.len(),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        let mut servers = vec![serve(public, capacities.public, &settings, &shared, false)?];
        if let Some(admin) = admin {
            servers.push(serve(admin, capacities.admin, &settings, &shared, true)?);
        }
        let handles: Vec<_> = servers.iter().map(ActixServer::handle).collect();
        // each server has its own task, because it does nothing until it is polled
        let running: Vec<_> = servers.into_iter().map(actix_web::rt::spawn).collect();
        let abort_handles = running.iter().map(|server| server.abort_handle()).collect();
        let reloading = actix_web::rt::spawn(reload::run(sighup, config, shared.clone()));
        let refreshing_keys = actix_web::rt::spawn(key_refresh::run(shared.clone()));
        let ended_sessions = actix_web::rt::spawn(ended_sessions::run(shared.clone()));
        let upkeep = actix_web::rt::spawn(upkeep::run(shared.clone()));
        let stopping = actix_web::rt::spawn(stop::on_signal(
            stop_signals,
            handles,
            abort_handles,
            shared.clone(),
            settings.drain_delay,
        ));
        for server in running {
            match server.await {
                Ok(result) => result?,
                Err(error) if error.is_cancelled() => {}
                Err(error) => return Err(io::Error::other(error).into()),
            }
        }
        reloading.abort();
        refreshing_keys.abort();
        ended_sessions.abort();
        upkeep.abort();
        stopping.abort();
        shared.audit.stop().await;
        if let Some(store) = &shared.store {
            store.close().await;
        }
        tracing::info!("stopped");
        shared.log_writer.flush();
        Ok(())
    }
}

/// The state that [`crate::http::scope`] needs to mount the service in another application. Log
/// lines go to standard error. Opens the store, and starts the background tasks: the refresh of
/// keys, and the deletion of expired data.
pub async fn share(mut config: Config) -> Result<web::Data<Shared>, StartError> {
    let log_writer = LogWriter::to_stderr().map_err(StartError::LogWriter)?;
    let shared = share_with_log_writer(&mut config, log_writer).await?;
    tokio::spawn(key_refresh::run(shared.clone()));
    tokio::spawn(ended_sessions::run(shared.clone()));
    tokio::spawn(upkeep::run(shared.clone()));
    Ok(shared)
}

async fn share_with_log_writer(
    config: &mut Config,
    log_writer: LogWriter,
) -> Result<web::Data<Shared>, StartError> {
    self_test(config)?;
    let metrics = Metrics::default();
    let log = AuditLog::new(log_writer.clone(), config.log.format);
    let (audit, store) = match &config.store {
        None => (Audit::log_only(log), None),
        Some(settings) => {
            let store = Store::open_later(settings, IfMissing::Create)?;
            let audit = Audit::start(log, &config.audit, &store, metrics.audit.clone(), "serve").await?;
            (audit, Some(store))
        }
    };
    let shared = Shared::new(served(config), metrics, audit, store, log_writer);
    ended_sessions::read_before_start(&shared).await;
    Ok(web::Data::new(shared))
}

/// Moves the parts that requests need out of the configuration.
fn served(config: &mut Config) -> Served {
    let in_effect = in_effect(config);
    let (hosts, public_url) = (config.server.hosts.clone(), config.server.public_url.clone());
    let limits = config.limits;
    let pseudonym_keys = config.audit.pseudonym_keys.clone();
    let mittwald = config.mittwald.clone();
    let (entrances, pages) = config.take_served();
    Served { entrances, pages, hosts, public_url, limits, pseudonym_keys, mittwald, in_effect }
}

/// The parts of the configuration that the dashboard shows; secrets are hidden.
fn in_effect(config: &Config) -> InEffect {
    let mut files: Vec<_> = config.files.iter().map(|file| (file.path.clone(), file.modified)).collect();
    // sorted to remove duplicates: a file that several entrances name is listed for each
    files.sort();
    files.dedup_by(|later, earlier| later.0 == earlier.0);
    InEffect {
        settings: config.effective_settings(),
        files,
        warnings: config.warnings().iter().map(Problem::one_line).collect(),
        read_at: Timestamp::now(),
        durability: config.audit.durability,
    }
}

/// Signs and verifies a token for each entrance.
fn self_test(config: &Config) -> Result<(), StartError> {
    for entrance in &config.entrances {
        entrance
            .marketplace
            .self_test(Uuid::new_v4())
            .map_err(|error| StartError::SelfTest { entrance: entrance.name.clone(), error })?;
    }
    Ok(())
}
