//! Stopping: readiness turns 503 first, service goes on for a while, then what
//! is in flight is finished.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::signal::unix::{SignalKind, signal};

use crate::http::Shared;

/// Waits for SIGTERM or SIGINT, and stops the servers. A second signal does
/// not wait any longer.
pub(super) async fn on_signal(handles: Vec<ServerHandle>, shared: web::Data<Shared>, drain_delay: Duration) {
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "signals cannot be waited for; only a kill will stop this process");
                return;
            }
        };
    let mut told_to_stop = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let signal = told_to_stop().await;
    shared.start_draining();
    tracing::info!(signal, drain_delay_s = drain_delay.as_secs(), "stopping: readiness is 503 from now on");
    let is_patient = tokio::select! {
        () = tokio::time::sleep(drain_delay) => true,
        _ = told_to_stop() => false,
    };
    for handle in handles {
        // the server itself ends `run` when it has stopped
        drop(actix_web::rt::spawn(handle.stop(is_patient)));
    }
}
