//! Stopping: readiness turns 503 first, service goes on for a while, then what
//! is in flight is finished.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use crate::http::Shared;

/// The signals that stop us. From the moment there is one of these, they no
/// longer end the process.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to listen.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one's name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Waits for SIGTERM or SIGINT, and stops the servers. A second signal does
/// not wait any longer.
pub(super) async fn on_signal(
    mut signals: StopSignals,
    handles: Vec<ServerHandle>,
    running: Vec<AbortHandle>,
    shared: web::Data<Shared>,
    drain_delay: Duration,
) {
    let signal = signals.next().await;
    shared.start_draining();
    tracing::info!(signal, drain_delay_s = drain_delay.as_secs(), "stopping: readiness is 503 from now on");
    let is_patient = tokio::select! {
        () = tokio::time::sleep(drain_delay) => true,
        _ = signals.next() => false,
    };
    // the server itself ends `run`, and with it this task, when it has stopped
    for handle in handles {
        drop(actix_web::rt::spawn(handle.stop(is_patient)));
    }
    signals.next().await;
    tracing::warn!("told to stop again: what is in flight is dropped");
    running.iter().for_each(AbortHandle::abort);
}
