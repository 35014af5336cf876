//! API tokens at the running service: what is accepted, and what is refused.

use std::time::{Duration, Instant};

use marketplace_sso::api_token::ApiToken;
use marketplace_sso::clock::Stopwatch;
use marketplace_sso::store::api_tokens::ApiTokenCache;
use rstest::rstest;
use tempfile::TempDir;

use crate::harness::api::{config, create_token, settings, token};
use crate::harness::clock::TestClock;
use crate::harness::postgres::Postgres;
use crate::harness::store::{Engine, TestStore, block_on};
use crate::harness::{ALICE, App, Field, Response, Settings, wait_until};

const PATH: &str = "/v1/audit?limit=1";

/// A service, its store and a token with `audit:read`.
fn started(engine: Engine) -> (App, TestStore, String) {
    let test = TestStore::new(engine);
    let app = App::start(settings(&test));
    let token = create_token(&config(&test), "siem", &["audit:read"]);
    (app, test, token)
}

#[track_caller]
fn assert_challenged(response: &Response, status: u16, reason: &str, challenge: &str) {
    response.assert_refused(status, reason);
    assert_eq!(response.header("www-authenticate"), challenge);
}

// T35
#[test]
fn every_replica_accepts_a_new_token_and_refuses_a_revoked_one() {
    let test = TestStore::new(Engine::Postgres);
    let config = config(&test);
    let replicas = [App::start(settings(&test)), App::start(settings(&test))];
    for name in ["first", "second"] {
        let text = create_token(&config, name, &["audit:read"]);
        for replica in &replicas {
            assert_eq!(replica.api(PATH, &text).status, 200);
        }
        assert_eq!(token(&config, &["revoke", name]).status, 0);
        let revoked = Instant::now();
        for replica in &replicas {
            wait_until("the token is refused", || replica.api(PATH, &text).status == 401);
            assert!(revoked.elapsed() < Duration::from_secs(15), "{:?}", revoked.elapsed());
        }
    }
    let refused = replicas[0].api(PATH, &create_token(&config, "third", &["links:create"]));
    refused.assert_refused(403, "missing_scope");
}

// T35
#[test]
fn only_a_whole_token_in_authorization_counts() {
    let (app, _test, token) = started(Engine::Sqlite);
    let unknown = ApiToken::generate().unwrap().expose().to_owned();
    let same_id = format!("{}{}", &token[..12], &unknown[12..]);
    for wrong in
        [&unknown, &same_id, &token[..47], &format!("{token}x"), &token.to_lowercase(), "mkt_", "eyJ.e30."]
    {
        let response = app.api(PATH, wrong);
        assert_challenged(&response, 401, "invalid_token", "Bearer error=\"invalid_token\"");
    }
    let bearer = format!("Bearer {token}");
    let twice = [("Authorization", bearer.as_str()), ("Authorization", &bearer)];
    assert_challenged(&app.get(PATH, &twice), 401, "invalid_token", "Bearer error=\"invalid_token\"");

    let (basic, cookie) = (format!("Basic {token}"), format!("token={token}; access_token={token}"));
    let elsewhere: [(&str, &[Field<'_>]); 7] = [
        ("", &[]),
        ("", &[("Authorization", "Bearer")]),
        ("", &[("Authorization", &token)]),
        ("", &[("Authorization", &basic)]),
        ("", &[("Cookie", &cookie)]),
        ("", &[("X-Api-Key", &token), ("Proxy-Authorization", &bearer)]),
        (&format!("&access_token={token}"), &[]),
    ];
    for (query, headers) in elsewhere {
        let response = app.get(&format!("{PATH}{query}"), headers);
        assert_challenged(&response, 401, "unauthenticated", "Bearer");
    }
    app.api(&format!("{PATH}&access_token={token}"), &token).assert_refused(400, "bad_request");
    for scheme in ["Bearer", "bearer", "BEARER "] {
        assert_eq!(app.get(PATH, &[("Authorization", &format!("{scheme} {token}"))]).status, 200);
    }
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    assert!(!app.output().contains(&token[12..]) && !app.output().contains(&unknown[12..]));
}

// T35
#[test]
fn a_response_names_the_missing_scope() {
    let (app, test, _) = started(Engine::Sqlite);
    let token = create_token(&config(&test), "shop", &["links:create"]);
    // a request that accepts HTML gets no page either
    let bearer = format!("Bearer {token}");
    let response = app.get(PATH, &[("Authorization", &bearer), ("Accept", "text/html")]);
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"audit:read\"";
    assert_challenged(&response, 403, "missing_scope", challenge);
    assert_eq!(response.json()["scope"], "audit:read");
    let event = app.audit_event_of(&response);
    assert_eq!(event["detail"], "the API token shop lacks the scope audit:read");
}

// T35
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn an_expired_token_is_refused(#[case] engine: Engine) {
    let (test, clock) = (TestStore::new(engine), TestClock::new());
    let app = App::start_with_clock(&clock, TempDir::new().unwrap(), settings(&test));
    let arguments = ["create", "--name", "short", "--scope", "audit:read", "--expires-in", "1h"];
    let created = token(&config(&test), &arguments);
    let short = created.output.trim_end();
    assert_eq!(app.api(PATH, short).status, 200);
    clock.set(3_601);
    let response = app.api(PATH, short);
    response.assert_refused(401, "invalid_token");
    assert_eq!(app.audit_event_of(&response)["detail"], "the API token short has expired");
}

// T35
#[test]
fn guesses_are_limited_and_valid_tokens_are_not() {
    let test = TestStore::new(Engine::Sqlite);
    let app = App::start(settings(&test).set("limits.token_guesses_per_peer_per_minute", 2));
    let token = create_token(&config(&test), "siem", &["audit:read"]);
    for _ in 0..2 {
        app.api(PATH, "mkt_guess").assert_refused(401, "invalid_token");
    }
    for guess in ["mkt_guess", ApiToken::generate().unwrap().expose()] {
        let limited = app.api(PATH, guess);
        limited.assert_refused(429, "too_many_requests");
        let seconds: u64 = limited.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    assert_eq!(app.api(PATH, &token).status, 200);
    app.get(PATH, &[]).assert_refused(401, "unauthenticated");
}

#[test]
fn without_a_store_every_token_is_refused() {
    let app = App::standard();
    app.api(PATH, ApiToken::generate().unwrap().expose()).assert_refused(401, "invalid_token");
}

#[test]
fn the_last_use_is_shown() {
    let (app, test, text) = started(Engine::Postgres);
    assert_eq!(app.api(PATH, &text).status, 200);
    let list = || token(&config(&test), &["list", "--format", "json"]).output;
    wait_until("the use is noted", || !list().contains("\"last_used_at\": null"));
}

#[test]
fn an_unavailable_store_is_not_a_wrong_token() {
    let server = Postgres::start();
    let settings = Settings::standard().set("store.url", server.new_database()).set("store.timeout_s", 1);
    let text = create_token(&settings.file(), "siem", &["audit:read"]);
    let app = App::start(settings);
    wait_until("the token is accepted", || app.api(PATH, &text).status == 200);
    server.stop();
    let mut response = app.api(PATH, &text);
    wait_until("the store is away", || {
        response = app.api(PATH, &text);
        response.status != 200
    });
    response.assert_refused(503, "store_unavailable");
    assert!(response.has("retry-after"));
    server.start_again();
    wait_until("the store is back", || app.api(PATH, &text).status == 200);
}

// T35
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn unknown_ids_cost_a_bounded_number_of_queries(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    let known = ApiToken::parse(&create_token(&config(&test), "siem", &["audit:read"])).unwrap();
    block_on(async {
        let cache = ApiTokenCache::new(test.open().await);
        let started = Instant::now();
        for _ in 0..10 {
            let unknown = ApiToken::generate().unwrap().id();
            assert!(cache.find(&unknown, Stopwatch::start()).await.unwrap().is_none());
        }
        // one read every 50 ms
        assert!(started.elapsed() >= Duration::from_millis(450), "{:?}", started.elapsed());
        let started = Instant::now();
        let requests = (0..1_000).map(|_| async {
            let unknown = ApiToken::generate().unwrap().id();
            cache.find(&unknown, Stopwatch::start()).await.unwrap().is_none()
        });
        let answers = futures_util::future::join_all(requests).await;
        assert!(answers.into_iter().all(|is_unknown| is_unknown));
        // one read per request would take 50 s
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert!(cache.find(&known.id(), Stopwatch::start()).await.unwrap().is_some());
    });
}
