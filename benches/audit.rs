//! Stored audit events per second, with 64 concurrent requests, for each `audit.durability`:
//! `cargo bench --bench audit -- sqlite:/tmp/audit.db 200000`. The URL may be that of a
//! PostgreSQL database; without one, a temporary SQLite file is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic ends the benchmark"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use marketplace_sso::audit::{Audit, AuditEvent, AuditLog, LogFormat, Outcome, RecordDetails};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::config::Config;
use marketplace_sso::embed::FetchDestination;
use marketplace_sso::log_writer::LogWriter;
use marketplace_sso::metrics::AuditMetrics;
use marketplace_sso::pandium::Environment;
use marketplace_sso::request::Peer;
use marketplace_sso::store::{IfMissing, Store};
use uuid::Uuid;

const CONCURRENT: usize = 64;

/// The processor time of a request, without its audit event.
const WORK: Duration = Duration::from_micros(10);

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let url = arguments.next().unwrap_or_else(|| format!("sqlite:{}/audit.db", folder.path().display()));
    let count = arguments.next().map_or(100_000, |count| count.parse().unwrap());
    let only = arguments.next();
    let all = ["log", "queued", "commit"].into_iter();
    for durability in all.filter(|each| only.as_ref().is_none_or(|only| only == each)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rate = runtime.block_on(measure(&url, durability, count));
        println!("{durability:<7} {rate:>9.0} events/s");
    }
}

async fn measure(url: &str, durability: &str, count: usize) -> f64 {
    let config = Config::from_toml(&format!(
        "environment = \"sandbox\"\n[identity]\ntrusted_proxies = [\"127.0.0.1\"]\n[pandium]\naccount = \"acme\"\n\
         shared_secret = \"0123456789abcdef0123456789abcdef\"\n[store]\nurl = {url:?}\ntimeout_s = 60\n\
         [audit]\ndurability = {durability:?}"
    ))
    .unwrap();
    let store = Store::open(&config.store.unwrap(), IfMissing::Create).await.unwrap();
    let log = AuditLog::new(LogWriter::to(std::io::sink()).unwrap(), LogFormat::Json);
    let audit = Audit::start(log, &config.audit, &store, AuditMetrics::default(), "bench").await.unwrap();
    let started = Instant::now();
    let requests = (0..CONCURRENT).map(|task| {
        let audit = audit.clone();
        tokio::spawn(async move {
            for number in 0..count / CONCURRENT {
                record(&audit, (task * 7919 + number) % 20_000).await;
                // the other work of a request
                let began = Instant::now();
                while began.elapsed() < WORK {
                    std::hint::spin_loop();
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap();
    }
    audit.stop().await;
    let rate = count as f64 / started.elapsed().as_secs_f64();
    store.close().await;
    rate
}

async fn record(audit: &Audit, user: usize) {
    let event = AuditEvent {
        at: Timestamp::now(),
        request_id: Uuid::now_v7(),
        entrance: Some("pandium-sso"),
        environment: Some(Environment::Sandbox),
        outcome: Outcome::HandedOff { jti: Uuid::new_v4() },
        subject: None,
        peer: Peer::from_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        fetch_dest: FetchDestination::Frame,
        embed_violation: None,
        api_token: None,
        instance_id: None,
        took_us: 42,
    };
    let subject = format!("user-{user}@example.com");
    let details = RecordDetails {
        subject: Some(&subject),
        account: Some("acme"),
        identity_kind: Some("proxy_headers"),
        user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"),
        link: Some("integration_id=1121"),
        ..RecordDetails::default()
    };
    audit.record(&event, &details).await.unwrap();
}
