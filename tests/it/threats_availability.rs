//! Availability: slow, many or malformed clients do not block others, and stopping
//! drops no request.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::key_server::GatedServer;
use crate::harness::sign_in::{LOGIN, SignInService, WINDOW};
use crate::harness::{ALICE, App, Connection, Field, Settings, StopOnDrop, wait_until, wire};

/// The limit in kB: far more than the program needs, far less than the clients send.
const MAX_MEMORY_KB: u64 = 200_000;

const IDLE_CONNECTIONS: usize = 300;

// T27
#[test]
fn an_unfinished_request_head_times_out() {
    let app = App::start(Settings::standard().set("server.request_timeout_s", 5));
    let mut slow = Connection::open(app.address()).unwrap();
    slow.write(b"GET /pandium-sso HTTP/1.1\r\nHost: a\r\nX-Slow: ").unwrap();
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    match slow.read("GET") {
        Ok(response) => assert_eq!(response.status, 408),
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the connection stays open"),
    }
}

// T27
#[test]
fn a_missing_body_does_not_block() {
    let app = App::standard();
    let mut slow = Connection::open(app.address()).unwrap();
    slow.write(b"POST /pandium-sso HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx").unwrap();
    assert_eq!(slow.read("POST").unwrap().status, 405);
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
}

// T27
#[test]
fn idle_connections_do_not_block_users() {
    let app = App::standard();
    let mut idle: Vec<TcpStream> =
        (0..IDLE_CONNECTIONS).map(|_| TcpStream::connect(app.address()).unwrap()).collect();
    for (number, stream) in idle.iter_mut().enumerate() {
        if number % 2 == 0 {
            stream.write_all(b"GET /pandium-sso HTTP/1.1\r\nHost").unwrap();
        }
    }
    for _ in 0..20 {
        assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    }
    assert!(app.memory_kb() < MAX_MEMORY_KB, "{} kB", app.memory_kb());
}

// T27
#[test]
fn malformed_requests_are_refused_or_closed() {
    let app = App::standard();
    for request in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(1000),
        b"GARBAGE\r\n\r\n".repeat(1000),
        [wire::request_bytes("GET", "/pandium-sso", &[]), b"\0\0\0\r\n\r\n".repeat(1000)].concat(),
        wire::request_bytes("GET", &format!("/pandium-sso?x={}", "a".repeat(200_000)), ALICE),
        wire::request_bytes("GET", "/pandium-sso", &[("X-Long", &"a".repeat(200_000))]),
        a_thousand_headers(),
        b"POST /pandium-sso HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc".to_vec(),
        b"POST /pandium-sso HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\nGET /pandium-sso HTTP/1.1\r\nHost: a\r\nX-Auth-Request-Email: a@b.example\r\n\r\n".to_vec(),
    ] {
        for _ in 0..20 {
            let mut connection = Connection::open(app.address()).unwrap();
            // the service may close the connection in the meantime
            let _ = connection.write(&request);
            while let Ok(response) = connection.read("GET") {
                let start = String::from_utf8_lossy(&request[..request.len().min(80)]);
                assert!((400..500).contains(&response.status), "{start:?}: {response:?}");
                response.assert_no_token();
                if response.all("connection").contains(&"close") {
                    break;
                }
            }
        }
        assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
        assert!(app.memory_kb() < MAX_MEMORY_KB, "{} kB", app.memory_kb());
    }
}

// T27
#[test]
fn requests_that_the_parser_refuses_are_counted_and_logged() {
    let app = App::standard();
    let long = "canary".repeat(40_000);
    for (request, status) in [
        (b"canary\r\n\r\n".to_vec(), 400),
        (b"GET /canary HTTP/9.9\r\nHost: a\r\n\r\n".to_vec(), 400),
        (b"GET /canary HTTP/1.1\r\nHost: a\r\nX-Canary: \0\r\n\r\n".to_vec(), 400),
        (wire::request_bytes("GET", "/canary", &[("X-Long", &long)]), 431),
    ] {
        let labels = [("entrance", "none"), ("code", &status.to_string())];
        let before = app.metric("marketplace_sso_requests_total", &labels);
        let mut connection = Connection::open(app.address()).unwrap();
        // the service may respond before it has read everything
        let _ = connection.write(&request);
        let response = connection.read("GET").unwrap();
        assert_eq!((response.status, response.body.len()), (status, 0), "{response:?}");
        app.wait_for_metric("marketplace_sso_requests_total", &labels, before + 1.0);
    }
    let refused = app.wait_for_line(|line| {
        line["message"] == "refused a request that cannot be parsed" && line["status"] == 431
    });
    assert_eq!((&refused["peer"], &refused["level"]), (&"127.0.0.1".into(), &"WARN".into()));
    assert!(!app.output().contains("canary"), "{}", app.output());
}

// T27
#[test]
fn upgrade_requests_are_served_over_http_1_1() {
    let app = App::standard();
    let cases: [&[Field<'_>]; 3] = [
        &[("Connection", "upgrade")],
        &[("Connection", "Upgrade"), ("Upgrade", "websocket")],
        &[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")],
    ];
    for headers in cases {
        let mut connection = Connection::open(app.address()).unwrap();
        let response = connection.request("GET", "/pandium-sso", &[ALICE, headers].concat()).unwrap();
        assert_eq!(response.status, 307, "{response:?}");
        if response.all("connection").contains(&"close") {
            continue;
        }
        // without `Connection: close` a proxy may reuse the connection for another user
        let next =
            connection.request("GET", "/pandium-sso", ALICE).expect("closed without Connection: close");
        assert_eq!(next.status, 307, "{next:?}");
    }
}

// T28
#[test]
fn stopping_under_load_drops_no_request() {
    let settings = Settings::standard().on_free_port().set("server.drain_delay_s", 600);
    let mut app = App::start(settings.set("server.request_timeout_s", 60));
    let address = app.address();
    let (served, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut half = Connection::open(address).unwrap();
    half.write(b"GET /pandium-sso HTTP/1.1\r\nHost: a\r\n").unwrap();

    std::thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        let clients: Vec<_> =
            (0..4).map(|_| scope.spawn(|| request_until_closed(address, &served, &is_over))).collect();
        while served.load(Ordering::Relaxed) < 200 {
            assert!(!clients.iter().any(std::thread::ScopedJoinHandle::is_finished), "a client failed early");
            std::thread::yield_now();
        }
        assert_eq!(app.admin("/readyz").status, 200);
        app.signal("TERM");
        app.wait_for_line(|line| line["signal"] == "SIGTERM");
        for ready in [app.admin("/readyz"), app.get("/readyz", &[]), app.get("/healthz", &[])] {
            ready.assert_refused(503, "draining");
            assert!(ready.has("retry-after"));
        }
        assert_eq!(app.admin("/livez").status, 200);
        half.write(b"X-Auth-Request-Email: alice@example.com\r\n\r\n").unwrap();
        let response = half.read("GET").unwrap();
        assert_eq!((response.status, response.header("connection")), (307, "close"));
        for client in clients {
            client.join().unwrap();
        }
    });
    // the second one skips the rest of the drain delay
    app.signal("TERM");
    assert_eq!(app.wait().code(), Some(0));
    app.wait_for_line(|line| line["message"] == "stopped");
    assert!(TcpStream::connect(address).is_err());
}

/// Sends requests on open connections until a response closes them, then on new ones:
/// requests are served while readiness is 503.
fn request_until_closed(address: std::net::SocketAddr, served: &AtomicUsize, is_over: &AtomicBool) {
    let mut after = 0;
    while after < 20 {
        let mut connection = Connection::open(address).unwrap();
        loop {
            assert!(!is_over.load(Ordering::Relaxed), "the test has failed");
            let response = connection.request("GET", "/pandium-sso", ALICE).unwrap();
            assert_eq!(response.status, 307);
            served.fetch_add(1, Ordering::Relaxed);
            if response.all("connection").contains(&"close") {
                assert!(connection.is_closed(), "data after the last response");
                after += 1;
                break;
            }
        }
    }
}

// T28
#[test]
fn idle_connections_do_not_delay_shutdown() {
    let mut app = App::start(Settings::standard().set("server.shutdown_timeout_s", 600));
    let mut kept: Vec<Connection> = (0..8).map(|_| Connection::open(app.address()).unwrap()).collect();
    for connection in &mut kept {
        assert_eq!(connection.request("GET", "/pandium-sso", ALICE).unwrap().status, 307);
    }
    app.signal("TERM");
    assert_eq!(app.wait().code(), Some(0));
}

// T28
#[test]
fn the_drain_delay_ends() {
    let mut app = App::start(Settings::standard().set("server.drain_delay_s", 1));
    let started = Instant::now();
    app.signal("TERM");
    assert_eq!(app.wait().code(), Some(0));
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

// T28
#[test]
fn a_second_signal_skips_the_drain_delay() {
    let mut app = App::start(Settings::standard().set("server.drain_delay_s", 600));
    app.signal("TERM");
    app.wait_for_line(|line| line["signal"] == "SIGTERM");
    app.signal("INT");
    assert_eq!(app.wait().code(), Some(0));
}

// T28
#[test]
fn ctrl_c_skips_the_drain_delay_and_drops_no_request() {
    let gate = GatedServer::start(&[], false);
    let metadata = json!({
        "issuer": gate.origin(),
        "authorization_endpoint": format!("{}/authorize", gate.origin()),
        "token_endpoint": format!("{}/token", gate.origin()),
        "jwks_uri": format!("{}/jwks", gate.origin()),
        "code_challenge_methods_supported": ["S256"],
    });
    gate.serve(&[("/.well-known/openid-configuration", &metadata.to_string())]);
    let mut service = SignInService::start_with(|settings| {
        let settings = settings.issuer(gate.origin()).identity("jwks_timeout_s", 60);
        settings.set("server.drain_delay_s", 600).set("server.shutdown_timeout_s", 60)
    });
    std::thread::scope(|scope| {
        let app = &service.app;
        let login = scope.spawn(|| app.get(LOGIN, WINDOW).status);
        wait_until("the sign-in waits", || app.metric("marketplace_sso_requests_in_flight", &[]) > 1.5);
        app.signal("INT");
        app.wait_for_line(|line| line["signal"] == "SIGINT" && line["drain_delay_s"] == 0);
        gate.open();
        assert_eq!(login.join().unwrap(), 303);
    });
    assert_eq!(service.app.wait().code(), Some(0));
}

// T27
#[test]
fn users_are_served_during_malformed_requests() {
    let app = App::start(Settings::standard().set("server.request_timeout_s", 60));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = wire::send(app.address(), &[0; 10_000]);
                }
            });
        }
        let served = (0..100).map(|_| {
            wire::request(app.address(), "GET", "/pandium-sso", ALICE).map(|response| response.status)
        });
        let served: Vec<_> = served.collect();
        assert!(served.iter().all(|status| status.as_ref().is_ok_and(|status| *status == 307)), "{served:?}");
    });
}

fn a_thousand_headers() -> Vec<u8> {
    let names: Vec<String> = (0..1000).map(|number| format!("X-{number}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    wire::request_bytes("GET", "/pandium-sso", &[&headers, ALICE].concat())
}
