//! The duration of writing an audit event. `cargo bench --bench log`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may fail loudly")]

use std::hint::black_box;
use std::io;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use marketplace_sso::audit::{AuditEvent, AuditLog, LogFormat, Outcome};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::embed::FetchDestination;
use marketplace_sso::log_writer::LogWriter;
use marketplace_sso::pandium::Environment;
use marketplace_sso::request::Peer;
use uuid::Uuid;

fn audit(criterion: &mut Criterion) {
    let event = AuditEvent {
        at: Timestamp::from_unix_seconds(1_621_521_641).later_by(Duration::from_micros(123_456)),
        request_id: Uuid::now_v7(),
        entrance: Some("pandium-sso"),
        environment: Some(Environment::Sandbox),
        outcome: Outcome::HandedOff { jti: Uuid::new_v4() },
        subject: Some("0123456789abcdef0123456789abcdef"),
        peer: Peer::from_ip([127, 0, 0, 1].into()),
        fetch_dest: FetchDestination::Frame,
        api_token: None,
        instance_id: None,
        embed_violation: None,
        took_us: 17,
    };
    let mut group = criterion.benchmark_group("audit");
    for (name, format) in [("write as JSON", LogFormat::Json), ("write as text", LogFormat::Text)] {
        let log = AuditLog::new(LogWriter::to(io::sink()).unwrap(), format);
        group.bench_function(name, |bencher| bencher.iter(|| log.write(black_box(&event))));
    }
    group.finish();
}

criterion_group!(benches, audit);
criterion_main!(benches);
