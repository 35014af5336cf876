//! Many, idle, half-sent and never-read connections: memory stays bounded, and users
//! and probes are served.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rstest::rstest;

use crate::harness::{ALICE, App, Connection, Field, Settings, wire};

/// The limit for the process with five connections, in kB.
const MAX_MEMORY_KB: u64 = 30_000;

/// The number of bytes that are written to each connection: far more than may be buffered.
const OFFERED_BYTES: usize = 16 * 1024 * 1024;

/// Each in its own process, since its memory is measured.
// T32
#[rstest]
#[case::not_modified("GET", "/embed.js", &[("If-None-Match", "*")])]
#[case::refused("GET", "/pandium-sso", &[])]
#[case::redirected("GET", "/pandium-sso", ALICE)]
#[case::script("GET", "/embed.js", &[])]
#[case::preflight("OPTIONS", "/pandium-sso", &[
    ("Origin", "https://app.example.com"),
    ("Access-Control-Request-Method", "GET"),
])]
#[case::health("HEAD", "/livez", &[])]
fn unread_responses_do_not_grow_memory(
    #[case] method: &str,
    #[case] target: &str,
    #[case] headers: &[Field<'_>],
) {
    let app = App::standard();
    assert_unread_responses_are_bounded(&app, app.address(), &wire::request_bytes(method, target, headers));
}

// T32
#[test]
fn unread_metrics_do_not_grow_memory() {
    let app = App::standard();
    assert_unread_responses_are_bounded(
        &app,
        app.admin_address(),
        &wire::request_bytes("GET", "/metrics", &[]),
    );
}

// T32
#[test]
fn a_reader_that_pauses_gets_every_response() {
    let app = App::standard();
    const REQUESTS: usize = 20_000;
    let writer = TcpStream::connect(app.address()).unwrap();
    let mut reader = Connection::over(writer.try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let request = wire::request_bytes("GET", "/embed.js", &[("If-None-Match", "*")]);
            (&writer).write_all(&request.repeat(REQUESTS)).unwrap();
        });
        for _ in 0..REQUESTS {
            assert_eq!(reader.read("GET").unwrap().status, 304);
        }
    });
}

// T33
#[test]
fn excess_connections_do_not_lock_users_out() {
    let app = App::start_with_open_files(256, Settings::standard().set("server.request_timeout_s", 60));
    let cases: [&[u8]; 3] = [
        b"",
        b"GET /pandium-sso HTTP/1.1\r\nHost: app.example.com\r\nX-Slow: ",
        b"GET /livez HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
    ];
    for sent in cases {
        let held: Vec<TcpStream> = (0..600)
            .map(|_| {
                let mut stream = TcpStream::connect(app.address()).unwrap();
                // the service may have closed an earlier connection
                let _ = stream.write_all(sent);
                stream
            })
            .collect();
        assert_eq!(app.get("/pandium-sso", ALICE).status, 307, "{}", String::from_utf8_lossy(sent));
        assert_eq!(app.admin("/readyz").status, 200);
        drop(held);
    }
}

// T33
#[test]
fn idle_admin_connections_do_not_block_health() {
    let app = App::start_with_open_files(256, Settings::standard().set("server.request_timeout_s", 60));
    let held: Vec<_> = (0..400).map(|_| TcpStream::connect(app.admin_address()).unwrap()).collect();
    assert_eq!(app.admin("/readyz").status, 200);
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    drop(held);
}

// T33
#[test]
fn unfinished_heads_fit_the_memory_limit() {
    let app = App::standard();
    let mut held = Vec::new();
    for _ in 0..700 {
        let mut stream = TcpStream::connect(app.address()).unwrap();
        let head = [b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: ".as_slice(), &[b'a'; 120_000]].concat();
        offer(&mut stream, &head, head.len());
        held.push(stream);
    }
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    // the container has 128 MiB
    assert!(app.memory_kb() < 120_000, "{} kB", app.memory_kb());
}

/// Sends requests on five connections without reading a response.
fn assert_unread_responses_are_bounded(app: &App, address: SocketAddr, request: &[u8]) {
    let many = request.repeat(1_000_000 / request.len());
    let mut held: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    std::thread::scope(|scope| {
        for stream in &mut held {
            scope.spawn(|| offer(stream, &many, OFFERED_BYTES));
        }
    });
    assert!(app.memory_kb() < MAX_MEMORY_KB, "{} kB", app.memory_kb());
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    assert_eq!(app.admin("/readyz").status, 200);
    drop(held);
}

/// Writes bytes repeatedly, up to a total, until a write times out.
fn offer(stream: &mut TcpStream, bytes: &[u8], most: usize) {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut offered = 0;
    while offered < most {
        match stream.write(&bytes[offered % bytes.len()..]) {
            Ok(taken) => offered += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}
