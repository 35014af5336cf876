//! Binds, tells its address, runs, and stops without losing a request.

mod capacity;
mod connections;
mod key_refresh;
mod listen;
mod reload;
mod serving;
mod stop;

use std::io;

use actix_server::Server as ActixServer;
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::audit::AuditLog;
use crate::config::Config;
use crate::http::{Served, Shared};
use crate::log_writer::LogWriter;
use crate::pandium::SelfTestError;
use capacity::Capacities;
pub use capacity::TooFewDescriptors;
use listen::BoundListener;
pub use listen::{BindError, BoundAddr};
use serving::serve;
use stop::StopSignals;

/// A service that has its addresses and takes no requests yet.
pub struct Server {
    config: Config,
    shared: web::Data<Shared>,
    public: BoundListener,
    admin: Option<BoundListener>,
    capacities: Capacities,
    stop_signals: StopSignals,
    hang_up: Signal,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Connections need more open files than the process may have.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// Tokens cannot be signed.
    #[error("the self-test of entrance {entrance} failed: {error}")]
    SelfTest {
        /// The entrance.
        entrance: String,
        /// Why.
        error: SelfTestError,
    },
    /// Standard error, or a thread for it, cannot be had.
    #[error("log lines cannot be written: {0}")]
    LogWriter(io::Error),
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
}

/// Why a service stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The listeners failed.
    #[error("the service cannot go on: {0}")]
    Io(#[from] io::Error),
}

/// Connections that the system keeps until a worker takes them.
const BACKLOG: u32 = 2048;

impl Server {
    /// Takes the addresses, and proves that tokens can be signed. Log lines go
    /// to standard error.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let lines = LogWriter::to_stderr().map_err(StartError::LogWriter)?;
        Self::bind_with_lines(config, lines).await
    }

    /// Like [`Self::bind`], with log lines to a place of the caller's choice.
    pub async fn bind_with_lines(mut config: Config, lines: LogWriter) -> Result<Self, StartError> {
        // before anybody can connect, so that nobody who did is lost to a signal
        let stop_signals = StopSignals::listen().map_err(StartError::Signals)?;
        let hang_up = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
        let capacities = Capacities::of_process(&config.server)?;
        let mode = config.server.unix_socket_mode;
        let public = BoundListener::bind(&config.server.listen, mode, BACKLOG)?;
        let admin = match &config.server.admin_listen {
            Some(listen) => Some(BoundListener::bind(listen, mode, BACKLOG)?),
            None => None,
        };
        let shared = share_with_lines(&mut config, lines)?;
        Ok(Self { config, shared, public, admin, capacities, stop_signals, hang_up })
    }

    /// Where browsers and proxies connect.
    pub const fn addr(&self) -> &BoundAddr {
        &self.public.addr
    }

    /// Where operators connect, if anywhere.
    pub fn admin_addr(&self) -> Option<&BoundAddr> {
        self.admin.as_ref().map(|admin| &admin.addr)
    }

    /// Serves until SIGTERM or SIGINT, and until what was in flight is done.
    pub async fn run(self) -> Result<(), RunError> {
        let Self { config, shared, public, admin, capacities, stop_signals, hang_up } = self;
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
        // a server does nothing until it is polled, so each gets a task
        let running: Vec<_> = servers.into_iter().map(actix_web::rt::spawn).collect();
        let to_abort = running.iter().map(|server| server.abort_handle()).collect();
        let reloading = actix_web::rt::spawn(reload::run(hang_up, config, shared.clone()));
        let freshening = actix_web::rt::spawn(key_refresh::run(shared.clone()));
        let stopping = actix_web::rt::spawn(stop::on_signal(
            stop_signals,
            handles,
            to_abort,
            shared.clone(),
            settings.drain_delay,
        ));
        for server in running {
            match server.await {
                Ok(ended) => ended?,
                Err(ended) if ended.is_cancelled() => {}
                Err(ended) => return Err(io::Error::other(ended).into()),
            }
        }
        reloading.abort();
        freshening.abort();
        stopping.abort();
        tracing::info!("stopped");
        shared.lines.flush();
        Ok(())
    }
}

/// What [`http::scope`] needs to mount our addresses in another application.
/// Log lines go to standard error. Called within a runtime, it also has keys
/// fetched before they are needed; otherwise the first user who needs them
/// waits for them.
pub fn share(mut config: Config) -> Result<web::Data<Shared>, StartError> {
    let lines = LogWriter::to_stderr().map_err(StartError::LogWriter)?;
    let shared = share_with_lines(&mut config, lines)?;
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(key_refresh::run(shared.clone()));
    }
    Ok(shared)
}

fn share_with_lines(config: &mut Config, lines: LogWriter) -> Result<web::Data<Shared>, StartError> {
    self_test(config)?;
    let recorder = AuditLog::new(lines.clone(), config.log.format);
    Ok(web::Data::new(Shared::new(served(config), recorder, lines)))
}

/// Takes out what requests are answered by.
fn served(config: &mut Config) -> Served {
    let hosts = config.server.hosts.clone();
    let (entrances, pages) = config.take_served();
    Served { entrances, pages, hosts }
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
