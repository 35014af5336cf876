//! Sessions that have ended: on every replica, without the store, after a restart, by logout tokens, and by
//! refused refreshes.

use rstest::rstest;
use serde_json::json;

use crate::harness::provider::{ADA, Lies, change};
use crate::harness::sign_in::{Browser, LOGIN, SignInService, WINDOW, settings};
use crate::harness::store::{Engine, TestStore, block_on};
use crate::harness::{App, Settings, wait_until};
use crate::sessions::{LOGOUT, outcome, wait_until_stale};

const BACKCHANNEL: &str = "/auth/pandium-sso/backchannel-logout";

/// Two services that share a store, and their provider.
fn two_replicas(engine: Engine) -> (TestStore, SignInService, App) {
    two_replicas_with(engine, |settings| settings)
}

/// Like [`two_replicas`], with changed settings.
fn two_replicas_with(
    engine: Engine,
    change: impl Fn(Settings) -> Settings,
) -> (TestStore, SignInService, App) {
    let store = TestStore::new(engine);
    let change = |settings: Settings| change(settings.set("store.url", &store.url));
    let service = SignInService::start_with(change);
    let other = App::start(change(settings(&service.provider)));
    for app in [&service.app, &other] {
        app.wait_until_ready();
    }
    (store, service, other)
}

// T40
#[rstest]
fn the_provider_ends_sessions_on_every_replica(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(true, false)] by_sid: bool,
) {
    let (_store, service, other) = two_replicas(engine);
    let browser = service.signed_in();
    assert_eq!(outcome(&other, &browser), "handed_off", "each replica opens the cookie");
    let sids = service.provider.end_sessions(ADA);
    let (user, sid) = if by_sid { (None, Some(sids[0].as_str())) } else { (Some(ADA), None) };
    let token = service.provider.logout_token(user, sid).unwrap();
    let body = format!("logout_token={token}");
    let response = Browser::default().post(&service.app, BACKCHANNEL, &[], &body);
    assert_eq!((response.status, response.header("cache-control")), (200, "no-store"), "{response:?}");
    assert_eq!(outcome(&service.app, &browser), "expired_token");
    wait_until("the other replica learns it", || outcome(&other, &browser) == "expired_token");
    // a token is accepted once, at any replica
    for app in [&service.app, &other] {
        assert_eq!(Browser::default().post(app, BACKCHANNEL, &[], &body).status, 400);
    }
    // the user may sign in again
    assert_eq!(outcome(&other, &service.signed_in()), "handed_off");
    let events = service.app.audit_events();
    assert!(events.iter().any(|event| event["outcome"] == "sessions_ended"), "{events:?}");
}

#[test]
fn a_sign_out_ends_the_session_on_every_replica() {
    let (_store, service, other) = two_replicas(Engine::Postgres);
    let browser = service.signed_in();
    let copy = browser.clone();
    browser.post(&service.app, LOGOUT, &[("Origin", "https://app.example.com")], "");
    wait_until("the other replica learns it", || outcome(&other, &copy) == "expired_token");
    // a replica that starts later knows it as well
    drop(other);
}

// T40
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_refused_refresh_ends_the_sign_in_on_every_replica(#[case] engine: Engine) {
    let (_store, service, other) = two_replicas_with(engine, |own| {
        own.set("session.refresh_after_s", 1).identity("scopes", ["openid", "offline_access"])
    });
    let window = service.signed_in();
    // the frame's session has no refresh token
    let frame = service.frame_of(&window);
    wait_until_stale();
    assert_eq!(outcome(&other, &frame), "handed_off");
    service.provider.revoke_refresh_tokens();
    assert_eq!(outcome(&service.app, &window), "expired_token");
    assert_eq!(outcome(&service.app, &frame), "expired_token");
    wait_until("the other replica learns it", || outcome(&other, &frame) == "expired_token");
}

// T40
#[test]
fn a_sign_out_without_the_store_ends_the_session() {
    let (store, service, other) = two_replicas(Engine::Sqlite);
    let (browser, by_provider) = (service.signed_in(), service.signed_in());
    let copy = browser.clone();
    block_on(store.execute("ALTER TABLE ended_sessions RENAME TO elsewhere"));
    let response = browser.post(&service.app, LOGOUT, &[("Origin", "https://app.example.com")], "");
    assert_eq!((response.status, browser.names()), (303, vec![]), "{response:?}");
    assert_eq!(outcome(&service.app, &copy), "expired_token");
    // the provider sends the same logout token again
    let body = format!("logout_token={}", service.provider.logout_token(Some(ADA), None).unwrap());
    let post = || Browser::default().post(&service.app, BACKCHANNEL, &[], &body).status;
    assert_eq!(post(), 503);
    assert_eq!(outcome(&service.app, &by_provider), "expired_token");
    assert_eq!(outcome(&other, &by_provider), "handed_off");
    block_on(store.execute("ALTER TABLE elsewhere RENAME TO ended_sessions"));
    assert_eq!((post(), post()), (200, 400));
    wait_until("the other replica learns it", || outcome(&other, &by_provider) == "expired_token");
}

#[test]
fn a_sign_in_begun_on_one_replica_ends_on_another() {
    let (_store, service, other) = two_replicas(Engine::Sqlite);
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    assert_eq!(browser.get(&other, &callback, WINDOW).status, 303);
    assert_eq!(outcome(&service.app, &browser), "handed_off");
}

// T40
#[test]
fn bad_logout_tokens_are_limited() {
    let service = SignInService::start_with(|own| own.set("limits.token_guesses_per_peer_per_minute", 2));
    let browser = service.signed_in();
    let post = |token: &str| {
        Browser::default().post(&service.app, BACKCHANNEL, &[], &format!("logout_token={token}"))
    };
    let refused = post("x");
    assert_eq!((refused.status, refused.json()["detail"].clone()), (400, json!(null)), "no cause");
    assert_eq!((post("y").status, post("z").status), (400, 429));
    assert_eq!(post(&service.provider.logout_token(Some(ADA), None).unwrap()).status, 200);
    assert_eq!(outcome(&service.app, &browser), "expired_token");
}

// T40
#[test]
fn a_restart_revives_no_session() {
    let (store, service, other) = two_replicas(Engine::Sqlite);
    let browser = service.signed_in();
    let copy = browser.clone();
    browser.post(&service.app, LOGOUT, &[("Origin", "https://app.example.com")], "");
    drop(other);
    block_on(store.execute("ALTER TABLE ended_sessions RENAME TO elsewhere"));
    let settings = settings(&service.provider).set("store.url", &store.url);
    let restarted = App::start(settings);
    assert_eq!(outcome(&restarted, &copy), "store_unavailable");
    assert_eq!(restarted.get("/readyz", &[]).status, 503);
    block_on(store.execute("ALTER TABLE elsewhere RENAME TO ended_sessions"));
    wait_until("they are read", || restarted.get("/readyz", &[]).status == 200);
    assert_eq!(outcome(&restarted, &copy), "expired_token");
}

// T40
#[test]
fn a_bad_logout_token_ends_no_session() {
    let service = SignInService::start_with(|own| own.set("limits.token_guesses_per_peer_per_minute", 100));
    let browser = service.signed_in();
    let post = |body: &str| Browser::default().post(&service.app, BACKCHANNEL, &[], body).status;
    let good = || service.provider.logout_token(Some(ADA), None).unwrap();
    for (name, value) in [
        ("nonce", json!("x")),
        ("aud", json!("other")),
        ("iss", json!("https://evil.example")),
        ("events", json!({})),
        ("jti", json!(null)),
        ("exp", json!(1)),
        ("sub", json!(null)),
    ] {
        service.provider.lie(Lies { logout_token: change(name, value), ..Lies::default() });
        assert_eq!(post(&format!("logout_token={}", good())), 400, "{name}");
    }
    service.provider.lie(Lies::default());
    let token = good();
    let (signed, _) = token.rsplit_once('.').unwrap();
    for body in [
        format!("logout_token={signed}."),
        format!("logout_token={signed}.AAAA"),
        format!("logout_token={token}&logout_token={token}"),
        String::new(),
        "x=y".to_owned(),
        format!("logout_token={}", "A".repeat(20_000)),
    ] {
        assert_eq!(post(&body), 400, "{body}");
    }
    assert_eq!(service.app.get(BACKCHANNEL, &[]).status, 405);
    assert_eq!(outcome(&service.app, &browser), "handed_off");
}
