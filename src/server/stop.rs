//! Graceful stop: readiness becomes 503, requests are served for the drain
//! delay, then the requests in progress are finished.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use crate::http::Shared;

/// Listens to SIGTERM and SIGINT, which from then on do not end the process.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Installs the signal handlers.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal and returns its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Stops the servers at SIGTERM or SIGINT. A second signal during the drain
/// delay skips the rest of it and closes connections; a signal after it aborts
/// the servers.
pub(super) async fn on_signal(
    mut signals: StopSignals,
    handles: Vec<ServerHandle>,
    abort_handles: Vec<AbortHandle>,
    shared: web::Data<Shared>,
    drain_delay: Duration,
) {
    let signal = signals.next().await;
    shared.start_draining();
    tracing::info!(signal, drain_delay_s = drain_delay.as_secs(), "stopping: readiness is 503 from now on");
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
