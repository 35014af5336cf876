//! The time to respond with the dashboard's pages, over 30 days of stored events:
//! `cargo bench --bench dashboard -- sqlite:/tmp/dashboard.db 1000000`. The URL may be that of an
//! empty PostgreSQL database; without one, a temporary SQLite file is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic ends the benchmark"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use marketplace_sso::clock::Timestamp;
use marketplace_sso::config::Config;
use marketplace_sso::log_writer::LogWriter;
use marketplace_sso::refusal::Reason;
use marketplace_sso::server::{BoundAddr, Server};
use marketplace_sso::store::events::{Event, Personal, StoredEvent, Text};
use marketplace_sso::store::{Batch, Head, IfMissing, Store, Writer};
use uuid::Uuid;

const PAGES: [&str; 6] = [
    "/dashboard",
    "/dashboard?range=7d",
    "/dashboard?range=30d",
    "/dashboard/events",
    "/dashboard/events?outcome=refused&entrance=partners",
    "/dashboard/events?q=user-77",
];

const ROUNDS: usize = 15;

/// The number of events in one transaction.
const BATCH: usize = 2000;

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const ENTRANCES: [&str; 3] = ["pandium-sso", "partners", "appdirect"];

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let url = arguments.next().unwrap_or_else(|| format!("sqlite:{}/sso.db", folder.path().display()));
    let count = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    let toml = format!(
        "environment = \"sandbox\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n\
         [identity]\ntrusted_proxies = [\"127.0.0.1\"]\n[pandium]\naccount = \"acme\"\n\
         shared_secret = \"0123456789abcdef0123456789abcdef\"\n[store]\nurl = {url:?}\ntimeout_s = 60\n[audit]\n\
         durability = \"commit\"\n"
    );
    let config = || Config::from_toml(&toml).unwrap();
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(&config().store.unwrap(), IfMissing::Create).await.unwrap();
        let stored = store.count_events().await.unwrap();
        if stored < count {
            fill(&store, usize::try_from(count - stored).unwrap()).await;
        }
        store.close().await;
        let sink = LogWriter::to(std::io::sink()).unwrap();
        let server = Server::bind_with_log_writer(config(), sink).await.unwrap();
        let Some(BoundAddr::Ip(address)) = server.admin_addr().cloned() else { panic!("no admin listener") };
        actix_web::rt::spawn(server.run());
        let measured = actix_web::rt::task::spawn_blocking(move || {
            for page in PAGES {
                let mut times: Vec<Duration> = (0..ROUNDS).map(|_| get(address, page)).collect();
                let first = times[0];
                times.sort();
                println!("{page:<52} median {:>6.1?}  first {first:>6.1?}", times[ROUNDS / 2]);
            }
        });
        measured.await.unwrap();
    });
}

/// The time until the whole page is received.
fn get(address: std::net::SocketAddr, page: &str) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let took = started.elapsed();
    assert!(
        response.starts_with("HTTP/1.1 200") && !response.contains("The store cannot be read"),
        "{response}"
    );
    took
}

/// Stores events of the last 30 days: 80 % hand-offs, 8 % verifications, and 12 % refusals with
/// many reasons.
async fn fill(store: &Store, count: usize) {
    let writer = Uuid::now_v7();
    let head = |seq: usize| Head { seq: i64::try_from(seq).unwrap(), hash: vec![0; 32], mac: vec![0; 32] };
    let now = Timestamp::now();
    let step = MONTH / u32::try_from(count + 1).unwrap();
    let event = |number: usize| {
        let at = now.earlier_by(step * u32::try_from(count - number).unwrap());
        // a fixed hash, so that each run has the same events
        let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let reason = Reason::ALL[random / 100 % Reason::ALL.len()];
        let (outcome, reason) = match random % 100 {
            0..80 => ("handed_off", None),
            80..88 => ("verified", None),
            _ => ("refused", Some(reason.code())),
        };
        let refused = reason.is_some();
        Event {
            at_us: at.unix_microseconds(),
            outcome: Text::new_static(outcome),
            request_id: Some(Uuid::now_v7()),
            entrance: (!refused || !random.is_multiple_of(5))
                .then(|| Text::new_static(ENTRANCES[random % 7 % 3])),
            environment: Some(Text::new_static("production")),
            account: Some(Text::new_static("acme")),
            reason: reason.map(Text::new_static),
            detail: refused
                .then_some(Text::new_static("the cause of a refusal is a sentence of about this length")),
            jti: (!refused).then(Uuid::new_v4),
            identity_kind: Some(Text::new_static("proxy_headers")),
            fetch_dest: Some(Text::new_static("iframe")),
            took_us: Some(12),
            personal: Personal {
                subject: Some(Text::from(format!("user-{}", random % 20_000))),
                peer: Some(Text::from(format!("192.0.2.{}", random % 8))),
                user_agent: Some(Text::new_static(
                    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140",
                )),
            },
            ..Event::default()
        }
    };
    let stored = |number: usize| StoredEvent {
        writer,
        seq: i64::try_from(number + 1).unwrap(),
        event: event(number),
        salt: Some(vec![7; 16]),
        hash: vec![7; 32],
        erasure: None,
    };
    let added = Writer {
        writer,
        host: "bench".to_owned(),
        version: 1,
        chain_key_id: String::new(),
        started_at_us: now.unix_microseconds(),
    };
    store.add_writer(added, move |_| Batch { events: Vec::new(), after: 0, head: head(0) }).await.unwrap();
    for start in (0..count).step_by(BATCH) {
        let end = (start + BATCH).min(count);
        let events = (start..end).map(stored).collect();
        let batch = Batch { events, after: i64::try_from(start).unwrap(), head: head(end) };
        store.append_events(writer, Arc::new(batch)).await.unwrap();
    }
}
