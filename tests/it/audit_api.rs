//! `GET /v1/audit`: the same events as those of `audit export`, page by page.

use std::collections::BTreeSet;

use marketplace_sso::clock::Timestamp;
use marketplace_sso::refusal::Reason;
use rstest::rstest;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::api::{config, create_token, settings};
use crate::harness::command::run;
use crate::harness::journal::{Request, TestAudit};
use crate::harness::store::{Engine, TestStore, block_on};
use crate::harness::{ALICE, App};

/// A service with a token, and stored events: five hand-offs of Alice at the same time, one of Bob,
/// and a refusal.
struct Filled {
    app: App,
    test: TestStore,
    token: String,
    bob: (Uuid, Uuid),
}

impl Filled {
    fn new(engine: Engine) -> Self {
        let test = TestStore::new(engine);
        let bob = block_on(async {
            let store = test.open().await;
            let audit = TestAudit::start(&store, "durability = \"commit\"").await;
            let at = Some(Timestamp::from_unix_seconds(1_600_000_000));
            for _ in 0..5 {
                let alice = Some("alice@example.com");
                audit.record(Request { at, subject: alice, ..Request::default() }).await.unwrap();
            }
            let bob = Request { subject: Some("bob@example.com"), ..Request::default() };
            let bob = audit.record(bob).await.unwrap();
            let refused = Some(Reason::NotAllowed);
            audit.record(Request { refused, ..Request::default() }).await.unwrap();
            audit.audit.stop().await;
            bob
        });
        let app = App::start(settings(&test));
        let token = create_token(&config(&test), "siem", &["audit:read"]);
        Self { app, test, token, bob }
    }

    fn page(&self, query: &str) -> Value {
        let response = self.app.api(&format!("/v1/audit?{query}"), &self.token);
        assert_eq!(response.status, 200, "{query}: {response:?}");
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("cache-control"), "no-store");
        response.json()
    }

    fn events(&self, query: &str) -> Vec<Value> {
        self.page(query)["events"].as_array().unwrap().clone()
    }

    /// All pages of a query.
    fn pages(&self, query: &str) -> Vec<Value> {
        let (mut events, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.page(&format!("{query}{cursor}"));
            events.extend(page["events"].as_array().unwrap().clone());
            if page["has_more"] == false {
                return events;
            }
            cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
        }
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn each_parameter_selects(#[case] engine: Engine) {
    let filled = Filled::new(engine);
    let (jti, request_id) = filled.bob;
    for (query, count) in [
        ("subject=alice@example.com", 5),
        ("subject=carol@example.com", 0),
        ("outcome=handed_off", 6),
        ("outcome=refused&reason=not_allowed&entrance=pandium-sso", 1),
        ("entrance=other", 0),
        (&format!("jti={jti}"), 1),
        (&format!("request_id={request_id}"), 1),
        ("until=2021-01-01", 5),
        ("since=2020-09-13T12:26:40Z&until=2020-09-13T14:26:41%2B02:00", 5),
        ("since=1h&outcome=handed_off", 1),
        ("outcome=handed_off&limit=2", 2),
        ("outcome=token_created", 1),
    ] {
        assert_eq!(filled.events(query).len(), count, "{query}");
    }
    assert_eq!(filled.events("outcome=handed_off&limit=1")[0]["jti"], jti.to_string());
    assert_eq!(filled.events("outcome=handed_off&limit=6&order=oldest")[5]["jti"], jti.to_string());
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn pages_hold_every_event_once(#[case] engine: Engine) {
    let filled = Filled::new(engine);
    // the filter excludes events of this service's own operations
    let until = "until=1h&outcome=handed_off";
    let config = config(&filled.test);
    let exported =
        run(&["audit", "export", "--config", &config.text(), "--until", "1h", "--outcome", "handed_off"]);
    let exported: Vec<Value> =
        exported.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), 5);
    for limit in [1, 2, 4, 5, 1000] {
        let oldest = filled.pages(&format!("{until}&order=oldest&limit={limit}"));
        assert_eq!(oldest, exported, "{limit}");
        let mut newest = filled.pages(&format!("{until}&limit={limit}"));
        newest.reverse();
        assert_eq!(newest, exported, "{limit}");
    }
}

#[test]
fn the_last_cursor_waits_for_new_events() {
    let filled = Filled::new(Engine::Sqlite);
    let query = "outcome=handed_off&order=oldest";
    let last = filled.page(query);
    assert_eq!((last["events"].as_array().unwrap().len(), &last["has_more"]), (6, &Value::Bool(false)));
    let next = format!("{query}&cursor={}", last["next_cursor"].as_str().unwrap());
    let none = filled.page(&next);
    assert_eq!((none["events"].as_array().unwrap().len(), &none["next_cursor"]), (0, &last["next_cursor"]));
    let mut sent = BTreeSet::new();
    for _ in 0..3 {
        sent.insert(filled.app.claims(ALICE)["jti"].as_str().unwrap().to_owned());
    }
    let found: BTreeSet<String> =
        filled.events(&next).iter().map(|event| event["jti"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, sent);
    assert!(filled.page("outcome=purged").get("next_cursor").is_none());
}

#[test]
fn hashed_subjects_are_found_by_their_plain_form() {
    let filled = Filled::new(Engine::Sqlite);
    filled.app.claims(&[("X-Auth-Request-Email", "dora@example.com")]);
    let found = filled.events("subject=dora@example.com");
    assert_eq!(found.len(), 1);
    assert_ne!(found[0]["subject"], "dora@example.com");
}

#[test]
fn a_wrong_parameter_is_named() {
    let filled = Filled::new(Engine::Sqlite);
    for (query, name) in [("since=yesterday", "since"), ("limit=1001", "limit"), ("cursor=x", "cursor")] {
        let response = filled.app.api(&format!("/v1/audit?{query}"), &filled.token);
        response.assert_refused(400, "bad_request");
        assert_eq!(response.json()["parameter"], name);
        assert!(!response.json()["detail"].as_str().unwrap().is_empty());
    }
    filled.app.request("POST", "/v1/audit", &[]).assert_refused(405, "method_not_allowed");
}
