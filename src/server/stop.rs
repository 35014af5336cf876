//! Graceful stop: `/readyz` responds 503, requests are served during the drain delay, then the
//! requests in progress are finished.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use crate::http::Shared;

/// Receives SIGTERM and SIGINT, which no longer end the process immediately.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// A signal that stops the service.
#[derive(Clone, Copy)]
enum StopSignal {
    /// SIGTERM, which a service manager sends.
    Terminate,
    /// SIGINT, which Ctrl-C in a terminal sends.
    Interrupt,
}

impl StopSignals {
    /// Installs the signal handlers.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal.
    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

impl StopSignal {
    const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// The delay, `configured` for a load balancer to read the readiness. There is none if a person
    /// stops the service in a terminal.
    const fn drain_delay(self, configured: Duration) -> Duration {
        match self {
            Self::Terminate => configured,
            Self::Interrupt => Duration::ZERO,
        }
    }
}

/// Stops the servers at SIGTERM or SIGINT; the latter skips the drain delay. A
/// second signal during the delay skips the rest of it and closes connections; a
/// signal after it aborts the servers.
pub(super) async fn on_signal(
    mut signals: StopSignals,
    handles: Vec<ServerHandle>,
    abort_handles: Vec<AbortHandle>,
    shared: web::Data<Shared>,
    drain_delay: Duration,
) {
    let signal = signals.next().await;
    let drain_delay = signal.drain_delay(drain_delay);
    shared.start_draining();
    tracing::info!(
        signal = signal.name(),
        drain_delay_s = drain_delay.as_secs(),
        "stopping: readiness is 503 from now on; a second signal drops the requests in progress"
    );
    let is_graceful = tokio::select! {
        () = tokio::time::sleep(drain_delay) => true,
        _ = signals.next() => false,
    };
    // `Server::run` aborts this task when the servers have stopped
    for handle in handles {
        drop(actix_web::rt::spawn(handle.stop(is_graceful)));
    }
    signals.next().await;
    tracing::warn!("second signal: the requests in progress are dropped");
    abort_handles.iter().for_each(AbortHandle::abort);
}
