//! Two replicas behind nginx, as documented, on one PostgreSQL: each accepts the tokens and tickets
//! of the other, and killing one under load loses no event and refuses no user.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::{create_token, token};
use crate::harness::command::{self, File};
use crate::harness::links::{JSON, post_over, race};
use crate::harness::nginx::Nginx;
use crate::harness::recipe::{OAUTH2_PROXY, start_before_replicas};
use crate::harness::store::{Engine, TestStore};
use crate::harness::{App, Field, Settings, StopOnDrop, Token, wait_until};

/// The cookie by which the recipe's login recognizes Alice.
const ALICES_COOKIE: Field<'static> = ("Cookie", "session=alice");

/// The number of concurrent users.
const USERS: usize = 8;

const TICKETS: usize = 100;

struct Replicas {
    nginx: Nginx,
    apps: [App; 2],
    config: File,
    _store: TestStore,
}

impl Replicas {
    fn start() -> Self {
        let store = TestStore::new(Engine::Postgres);
        let settings = Settings::standard()
            .set("store.url", &store.url)
            .set("audit.durability", "commit")
            .set("limits.token_guesses_per_peer_per_minute", 0);
        // nginx connects to a killed one's address, too
        let apps = [(); 2].map(|()| App::start(settings.clone().on_free_port()));
        let nginx = start_before_replicas(OAUTH2_PROXY, [apps[0].address(), apps[1].address()]);
        Self { nginx, apps, config: settings.file(), _store: store }
    }

    /// Runs a command of `audit`, and asserts that it succeeds.
    fn audit(&self, arguments: &[&str]) -> String {
        let [command, rest @ ..] = arguments else { panic!("no command") };
        let result = command::run(&[&["audit", command, "--config", &self.config.text()], rest].concat());
        assert_eq!(result.status, 0, "{result:?}");
        result.output
    }

    /// The stored hand-offs: token and writer.
    fn hand_offs(&self) -> HashMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let exported = self.audit(&["export", "--outcome", "handed_off"]);
        let events = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| (text(&event["jti"]), text(&event["writer"]))).collect()
    }
}

// T35
#[test]
fn an_api_token_is_valid_at_both_until_it_is_revoked() {
    let replicas = Replicas::start();
    let text = create_token(&replicas.config, "shop", &["links:create"]);
    let authorization = format!("Bearer {text}");
    let body = json!({"user": {"email": "alice@example.com"}}).to_string();
    let ask = || {
        let headers = [("Authorization", authorization.as_str()), JSON];
        post_over(&mut replicas.nginx.connect(), &body, &headers).status
    };
    for _ in 0..10 {
        assert_eq!(ask(), 201);
    }
    for app in &replicas.apps {
        let created = app.log_lines().iter().filter(|line| line["outcome"] == "link_created").count();
        assert!(created > 0, "one replica got every request");
    }
    assert_eq!(token(&replicas.config, &["revoke", "shop"]).status, 0);
    let revoked = Instant::now();
    for app in &replicas.apps {
        wait_until("the token is refused", || app.api("/v1/audit", &text).status == 401);
    }
    assert!(revoked.elapsed() < Duration::from_secs(15), "{:?}", revoked.elapsed());
    for _ in 0..10 {
        assert_eq!(ask(), 401);
    }
}

// T34
#[test]
fn a_ticket_is_used_once_behind_nginx() {
    let replicas = Replicas::start();
    let authorization = format!("Bearer {}", create_token(&replicas.config, "shop", &["links:create"]));
    let body = json!({"user": {"email": "alice@example.com"}}).to_string();
    let create = || {
        let headers = [("Authorization", authorization.as_str()), JSON];
        let created = post_over(&mut replicas.nginx.connect(), &body, &headers);
        let url = created.json()["url"].as_str().unwrap().to_owned();
        url.strip_prefix("https://app.example.com").unwrap().to_owned()
    };
    let mut connections: Vec<_> = (0..USERS).map(|_| replicas.nginx.connect()).collect();
    // one after the other: a ticket is valid for 60 s
    for ticket in 0..TICKETS {
        let statuses = race(&mut connections, &[create()], &[]);
        let mut statuses = statuses.concat();
        statuses.sort_unstable();
        assert_eq!(statuses, [307, 410, 410, 410, 410, 410, 410, 410], "ticket {ticket}");
    }
    let writers: HashSet<String> = replicas.hand_offs().into_values().collect();
    assert_eq!(writers.len(), 2, "one replica won every race");
}

// T29
#[test]
fn a_killed_replica_loses_no_event_and_no_user() {
    let mut replicas = Replicas::start();
    let received = Mutex::new(HashSet::new());
    let (is_over, errors) = (AtomicBool::new(false), AtomicUsize::new(0));
    let count = || received.lock().unwrap().len();
    let nginx = &replicas.nginx;
    thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        for _ in 0..USERS {
            scope.spawn(|| {
                let mut connection = nginx.connect();
                while !is_over.load(Ordering::Relaxed) {
                    let response = connection.request("GET", "/pandium-sso", &[ALICES_COOKIE]).unwrap();
                    // nginx closes a connection after `keepalive_requests` (1,000)
                    if response.header("connection") == "close" {
                        connection = nginx.connect();
                    }
                    if response.status == 307 {
                        let jti = Token::of(&response).claims["jti"].as_str().unwrap().to_owned();
                        received.lock().unwrap().insert(jti);
                    } else {
                        errors.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        wait_until("hand-offs by both", || count() > 500);
        replicas.apps[0].kill();
        let before = count();
        wait_until("hand-offs by the other", || count() > before + 500);
    });
    assert_eq!(replicas.apps[0].wait().signal(), Some(9));
    assert_eq!(errors.into_inner(), 0, "users got an error");
    let stored = replicas.hand_offs();
    let received = received.into_inner().unwrap();
    let lost: Vec<&String> = received.iter().filter(|jti| !stored.contains_key(*jti)).collect();
    assert!(lost.is_empty(), "{} of {} are not stored", lost.len(), received.len());
    let writers: HashSet<&String> = received.iter().map(|jti| &stored[jti]).collect();
    assert_eq!(writers.len(), 2, "one replica got every request");
    replicas.audit(&["verify"]);
}
