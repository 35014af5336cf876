//! Duration of writing an audit event, and of adding a log line from two threads at
//! once. `cargo bench --bench log`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may fail loudly")]

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use marketplace_sso::audit::{AuditEvent, AuditLog, LogFormat, Outcome};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::embed::FetchDestination;
use marketplace_sso::log_writer::LogWriter;
use marketplace_sso::pandium::Environment;
use marketplace_sso::request::Peer;
use uuid::Uuid;

/// About as long as the audit line of a hand-off.
const LINE: &[u8] = &[b'x'; 400];

/// Far less than what the writer buffers, so that no line is dropped.
const LINES_A_THREAD: usize = 5_000;

fn audit(criterion: &mut Criterion) {
    let event = AuditEvent {
        at: Timestamp::from_unix_seconds(1_621_521_641).later_by(Duration::from_micros(123_456)),
        request_id: Uuid::now_v7(),
        entrance: Some("pandium-sso"),
        environment: Some(Environment::Sandbox),
        outcome: Outcome::HandedOff { jti: Uuid::new_v4() },
        subject: Some("0123456789abcdef0123456789abcdef".into()),
        peer: Peer::from_ip([127, 0, 0, 1].into()),
        fetch_dest: FetchDestination::Frame,
        embed_violation: None,
        took_us: 17,
    };
    let mut group = criterion.benchmark_group("audit");
    for (name, format) in [("write as JSON", LogFormat::Json), ("write as text", LogFormat::Text)] {
        let log = AuditLog::new(LogWriter::to(io::sink()), format);
        group.bench_function(name, |bencher| bencher.iter(|| log.write(black_box(&event))));
    }
    group.finish();
}

fn log_writer(criterion: &mut Criterion) {
    criterion.bench_function("add a line from each of two threads", |bencher| {
        bencher.iter_custom(|count| {
            let mut took = Duration::ZERO;
            let mut left = usize::try_from(count).unwrap();
            while left > 0 {
                let lines = LogWriter::to(io::sink());
                let lines_a_thread = left.min(LINES_A_THREAD);
                left -= lines_a_thread;
                let started = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| (0..lines_a_thread).for_each(|_| lines.add(black_box(LINE))));
                    }
                });
                took += started.elapsed();
                lines.close();
                assert_eq!(lines.dropped(), 0);
            }
            took
        });
    });
}

criterion_group!(benches, audit, log_writer);
criterion_main!(benches);
