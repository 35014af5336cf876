//! Sends many requests while the shared secret is rotated, to show that none fails.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::marketplace::{Marketplace, SignedBy};
use super::reverse_proxy::ReverseProxy;
use super::trace::{Answered, LoadReport};
use crate::clock::Stopwatch;
use crate::sign_on::Entrance;

/// Sends requests with these identity header fields until some were signed with the new
/// secret. `rotate` is called once, after the first ones.
pub async fn run(
    proxy: &ReverseProxy,
    marketplace: &Marketplace,
    identity: &[(&'static str, String)],
    rotate: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<LoadReport> {
    let started = Stopwatch::start();
    let report = RefCell::new(LoadReport::default());
    let rotated_at = Cell::new(None);
    let client = async || {
        while started.elapsed() < MAX_TIME && report.borrow().new < AFTER_SWITCH {
            let signed_by = send(proxy, marketplace, identity).await;
            let since_rotation = rotated_at.get().map(|at| started.elapsed().saturating_sub(at));
            count(&mut report.borrow_mut(), signed_by, since_rotation);
            tokio::time::sleep(PAUSE).await;
        }
    };
    let rotating = async {
        tokio::time::sleep(BEFORE_ROTATION).await;
        let rotated = rotate();
        rotated_at.set(Some(started.elapsed()));
        rotated
    };
    let (_, rotated) = join(join_all((0..CLIENTS).map(|_| client())), rotating).await;
    rotated?;
    let mut report = report.into_inner();
    report.took_ms = started.elapsed().as_millis();
    Ok(report)
}

fn count(report: &mut LoadReport, signed_by: Option<SignedBy>, since_rotation: Option<Duration>) {
    report.requests += 1;
    match (signed_by, since_rotation) {
        (Some(SignedBy::Newest), Some(since)) => {
            report.new += 1;
            report.switched_ms.get_or_insert(since.as_millis());
        }
        // before the rotation, the secret that is called the newest is still the earlier one
        (Some(SignedBy::Newest), None) | (Some(SignedBy::Earlier), _) => report.earlier += 1,
        (None, _) => report.failed += 1,
    }
}

/// Sends a request; returns which secret verifies the token, if one does.
async fn send(
    proxy: &ReverseProxy,
    marketplace: &Marketplace,
    identity: &[(&'static str, String)],
) -> Option<SignedBy> {
    let accept = ("Accept", "application/json".to_owned());
    let fields: Vec<_> = identity.iter().cloned().chain([accept]).collect();
    let response = proxy.get(Entrance::MAIN_PATH, &fields, None).await.ok()?;
    let (answered, _) = Answered::read(response);
    marketplace.signer_of(&answered.token()?)
}

/// The number of concurrent requests.
pub const CLIENTS: usize = 8;
/// The pause of each client between two requests, so that the log stays readable.
const PAUSE: Duration = Duration::from_millis(20);
const BEFORE_ROTATION: Duration = Duration::from_millis(300);
/// The number of tokens of the new secret after which the requests end.
const AFTER_SWITCH: usize = 100;
/// The maximum duration of the requests. The service reads a changed file within some
/// two seconds.
const MAX_TIME: Duration = Duration::from_secs(8);
