//! A service whose clock is set back or ahead: events stay in order and verifiable, limits and
//! expiry hold, and nothing panics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::api::create_token;
use crate::harness::clock::TestClock;
use crate::harness::links::{JSON, post};
use crate::harness::store::{Engine, TestStore};
use crate::harness::stored::{assert_verifiable, events, stored};
use crate::harness::{ALICE, App, Connection, EMAIL, Response, Settings, StopOnDrop, Token};

const DAY_S: i64 = 24 * 60 * 60;

fn start(clock: &TestClock, settings: Settings) -> App {
    App::start_with_clock(clock, TempDir::new().unwrap(), settings)
}

/// How far the `iat` of a token is ahead of the real time, in seconds.
fn ahead_s(response: &Response) -> i64 {
    let signed = Token::of(response).claims["iat"].as_i64().unwrap();
    signed - i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

// T31
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn hand_offs_stay_in_order_while_the_clock_jumps(#[case] engine: Engine) {
    let (test, clock) = (TestStore::new(engine), TestClock::new());
    let mut app = start(&clock, stored(&test.url, "commit").set("audit.retention_days", 1));
    let mut received = Vec::new();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        let load = || {
            let mut connection = Connection::open(app.address()).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(connection.request("GET", "/pandium-sso", ALICE).unwrap().status, 307);
            }
        };
        scope.spawn(load);
        for days in [0, -3, 2, -1_000, -20_000, 0] {
            clock.set(days * DAY_S);
            for _ in 0..10 {
                let response = app.get("/pandium-sso", ALICE);
                let off = ahead_s(&response) - days * DAY_S;
                assert!((-30..=1).contains(&off), "{off}: the clock of the service is another");
                received.push(Token::of(&response).claims["jti"].as_str().unwrap().to_owned());
            }
        }
    });
    app.signal("TERM");
    assert!(app.wait().success());
    assert!(!app.output().contains("panicked"), "{}", app.output());
    let mut stored = events(&test.url);
    stored.sort_by_key(|event| event["seq"].as_u64());
    let own = stored
        .iter()
        .filter_map(|event| event["jti"].as_str())
        .filter(|jti| received.iter().any(|own| own == jti));
    assert_eq!(own.collect::<Vec<_>>(), received);
    assert_verifiable(&test.url);
}

// T31
#[test]
fn a_start_with_an_earlier_clock_deletes_nothing() {
    let (test, clock) = (TestStore::new(Engine::Sqlite), TestClock::new());
    let settings = stored(&test.url, "commit").set("audit.retention_days", 1);
    for (start_number, days) in [(1, 0), (2, -3), (3, 0)] {
        clock.set(days * DAY_S);
        let mut app = start(&clock, settings.clone());
        assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
        // the third start deletes the events of the second, which are three days old
        if start_number == 3 {
            app.wait_for_line(|line| line["message"] == "audit events were purged");
        }
        app.signal("TERM");
        assert!(app.wait().success());
        let events = events(&test.url);
        let handed_off = events.iter().filter(|event| event["outcome"] == "handed_off").count();
        assert_eq!(handed_off, start_number.min(2), "{events:?}");
        assert_verifiable(&test.url);
    }
}

// T31
#[test]
fn limits_do_not_follow_the_wall_clock() {
    let clock = TestClock::new();
    let app = start(&clock, Settings::standard().set("limits.handoffs_per_subject_per_minute", 2));
    let get = || app.get("/pandium-sso", ALICE);
    assert_eq!([get().status, get().status], [307, 307]);
    for days in [0, 1, -1, -1_000] {
        clock.set(days * DAY_S);
        let limited = get();
        limited.assert_refused(429, "too_many_requests");
        assert!((1..=30).contains(&limited.header("retry-after").parse::<u32>().unwrap()), "{limited:?}");
        let other = format!("user{days}@example.com");
        assert_eq!(app.get("/pandium-sso", &[(EMAIL, &other)]).status, 307);
    }
}

// T31, T34
#[test]
fn a_clock_that_is_set_back_does_not_extend_a_ticket() {
    let (test, clock) = (TestStore::new(Engine::Sqlite), TestClock::new());
    let settings = stored(&test.url, "commit");
    let token = create_token(&settings.file(), "shop", &["links:create"]);
    let app = start(&clock, settings);
    let authorization = format!("Bearer {token}");
    let body = json!({"user": {"email": "alice@example.com"}}).to_string();
    let path = || {
        let created = post(&app, &body, &[("Authorization", &authorization), JSON]);
        assert_eq!(created.status, 201, "{created:?}");
        let url = created.json()["url"].as_str().unwrap().to_owned();
        url.strip_prefix("https://app.example.com").unwrap().to_owned()
    };
    let (earlier, slightly_later) = (path(), path());
    clock.set(-30);
    assert_eq!(app.get(&slightly_later, &[]).status, 307, "a correction of seconds changes nothing");
    clock.set(-DAY_S);
    app.get(&earlier, &[]).assert_refused(410, "link_expired");
    // a ticket whose time of issue is in the future by this clock is valid nevertheless
    assert_eq!(app.get(&path(), &[]).status, 307);
}
