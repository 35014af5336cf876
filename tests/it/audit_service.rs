//! Durable audit events of a running service: what is stored, what happens without
//! the store, and that a killed process loses no event of a response that was sent.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rstest::rstest;

use crate::harness::command::{self, File};
use crate::harness::issuer::{Key, KeyFile, jwks};
use crate::harness::postgres::Postgres;
use crate::harness::store::{Engine, TestStore};
use crate::harness::stored::{assert_verifiable, events, stored};
use crate::harness::{ALICE, App, Connection, Field, Settings, StopOnDrop, Token, wait_until};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn every_outcome_is_stored_with_its_context(#[case] engine: Engine) {
    const FRAME: &[Field<'_>] = &[
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-site"),
        ("Referer", "https://app.example.com/"),
        ("User-Agent", "Browser/1.0"),
    ];
    let test = TestStore::new(engine);
    let key = Key::new("ES256");
    let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1"))]));
    let partners = Settings::bearer().jwks_file(&file);
    let mut app = App::start(stored(&test.url, "commit").entrance("partners", &partners));
    let handed_off = app.get("/pandium-sso?display=settings&integration_id=7", &[ALICE, FRAME].concat());
    let jti = Token::of(&handed_off).claims["jti"].clone();
    let refused = app.get("/pandium-sso?integration_settings=any+text&integration_id=7", &[]);
    let authorization = format!("Bearer {}", key.token_with_kid("k-1"));
    let verified = app.get("/v1/verify/partners", &[("Authorization", &authorization)]);
    assert_eq!((handed_off.status, refused.status, verified.status), (307, 401, 200));
    app.reload();
    app.signal("TERM");
    assert!(app.wait().success());

    let events = events(&test.url);
    let outcomes: Vec<&str> = events.iter().map(|event| event["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["started", "handed_off", "refused", "verified", "reloaded", "stopped"]);
    let [_, first, second, third, ..] = events.as_slice() else { unreachable!() };
    for (field, expected) in [
        ("jti", jti.as_str().unwrap()),
        ("request_id", handed_off.header("x-request-id")),
        ("entrance", "pandium-sso"),
        ("environment", "sandbox"),
        ("account", "acme"),
        ("subject", "alice@example.com"),
        ("identity_kind", "proxy_headers"),
        ("peer", "127.0.0.1"),
        ("user_agent", "Browser/1.0"),
        ("fetch_dest", "iframe"),
        ("link", "?display=settings&integration_id=7"),
    ] {
        assert_eq!(first[field], expected, "{field}: {first}");
    }
    assert_eq!(
        (&second["reason"], &second["request_id"]),
        (&"unauthenticated".into(), &refused.header("x-request-id").into())
    );
    // of a refused request, only link parameters with a parsed type are stored
    assert_eq!(second["link"], "?integration_id=7");
    assert_eq!(
        (&third["issuer"], &third["key_id"], &third["identity_kind"]),
        (&"https://login.example.com/".into(), &"k-1".into(), &"bearer".into())
    );
    assert_verifiable(&test.url);
}

/// A service with a short time limit of its store.
fn impatient(url: &str, durability: &str) -> Settings {
    stored(url, durability).set("store.timeout_s", 2)
}

// T30
#[rstest]
#[case::refuse("refuse", 503)]
#[case::allow("allow", 307)]
fn without_its_store_a_service_follows_on_failure(#[case] on_failure: &str, #[case] status: u16) {
    let server = Postgres::start();
    let url = server.new_database();
    let mut app = App::start(impatient(&url, "commit").set("audit.on_failure", on_failure));
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    server.stop();
    let response = app.get("/pandium-sso", ALICE);
    assert_eq!(response.status, status, "{response:?}");
    if status == 503 {
        response.assert_refused(503, "audit_unavailable");
        assert!(response.has("retry-after") && !response.has("location"));
    }
    let ready = || app.get("/readyz", &[]);
    wait_until("it is reported", || match status {
        503 => ready().reason() == "audit_unavailable",
        _ => ready().json()["audit"] == "failing",
    });
    assert_eq!(ready().status, if status == 503 { 503 } else { 200 });
    app.wait_for_line(|line| {
        line["message"].as_str().is_some_and(|text| text.starts_with("audit events cannot"))
    });

    server.start_again();
    app.wait_until_ready();
    app.wait_for_line(|line| line["message"] == "audit events are stored again");
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    app.signal("TERM");
    assert!(app.wait().success());
    let stored = events(&url).iter().filter(|event| event["outcome"] == "handed_off").count();
    assert_eq!(stored, if status == 503 { 2 } else { 3 });
    assert_verifiable(&url);
}

// T29
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_killed_process_loses_no_event_of_a_sent_token(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    let mut app = App::start(stored(&test.url, "commit"));
    let (received, is_over) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        for _ in 0..16 {
            scope.spawn(|| {
                let Ok(mut connection) = Connection::open(app.address()) else { return };
                while !is_over.load(Ordering::Relaxed)
                    && let Ok(response) = connection.request("GET", "/pandium-sso", ALICE)
                {
                    let jti = Token::of(&response).claims["jti"].as_str().unwrap().to_owned();
                    received.lock().unwrap().insert(jti);
                }
            });
        }
        wait_until("hand-offs", || received.lock().unwrap().len() > 500);
        app.kill();
    });
    let status = app.wait();
    assert_eq!(status.signal(), Some(9));
    let stored: HashSet<String> =
        events(&test.url).iter().filter_map(|event| event["jti"].as_str().map(str::to_owned)).collect();
    let received = received.into_inner().unwrap();
    let lost: Vec<&String> = received.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} are not stored", lost.len(), received.len());
    assert_verifiable(&test.url);
}

/// Every process of the database is suspended: its connections stay open without responses.
// T30
#[rstest]
#[case::refuse("commit", "refuse")]
#[case::allow("commit", "allow")]
#[case::queued("queued", "refuse")]
fn memory_is_bounded_while_the_store_stalls(#[case] durability: &str, #[case] on_failure: &str) {
    // if they were kept, each would take more than 1 KB
    const REQUESTS: usize = 20_000;
    const MOST_KB: u64 = 12 * 1024;
    let server = Postgres::start();
    let settings = impatient(&server.new_database(), durability).set("audit.on_failure", on_failure);
    let app = App::start(settings.set("audit.queue_length", 1_000));
    let send = |requests: usize| {
        let agent = "a".repeat(256);
        let headers = [ALICE, &[("User-Agent", agent.as_str())]].concat();
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    let mut connection = Connection::open(app.address()).unwrap();
                    for _ in 0..requests / 32 {
                        let status = connection.request("GET", "/pandium-sso", &headers).unwrap().status;
                        assert!(matches!(status, 307 | 503), "{status}");
                    }
                });
            }
        });
    };
    send(2_000);
    let before = app.memory_kb();
    let suspended = server.suspend();
    send(REQUESTS);
    let after = app.memory_kb();
    assert!((app.metric("marketplace_sso_audit_store_up", &[])).abs() < 0.5, "the store did not stall");
    drop(suspended);
    app.wait_for_metric("marketplace_sso_audit_store_up", &[], 1.0);
    println!("{durability}, {on_failure}: {before} KB before, {after} KB after {REQUESTS} requests");
    assert!(after < before + MOST_KB, "{before} KB before, {after} KB after {REQUESTS} requests");
}

#[test]
fn a_store_that_is_not_available_stops_the_start() {
    let config = File::new(&stored("postgres://nobody@127.0.0.1:1/none", "commit").text());
    let result = command::run(&["serve", "--config", &config.text()]);
    assert_eq!(result.status, 1, "{result:?}");
    assert!(result.errors.contains("the store is not available"), "{result:?}");
}
