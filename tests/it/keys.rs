//! JWKS by URL or discovery: when and how often keys are fetched, and what logs and metrics show
//! about it.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::issuer::{Key, claims_with, jwks};
use crate::harness::key_server::{
    Behaviour, GatedServer, KeyServer, fetching, keys_response, serve_keys, serving, wait_until,
};
use crate::harness::wire::request_bytes;
use crate::harness::{App, Settings, StopOnDrop, Token};

const MAIN: &str = "pandium-sso";

/// The keys at an origin, with a cooldown that tests can wait for.
fn fetching_often(origin: &str) -> Settings {
    fetching(origin).identity("jwks_min_refresh_interval_s", 1)
}

/// The keys at an origin that sends them late.
fn fetching_patiently(origin: &str) -> Settings {
    fetching(origin).identity("jwks_timeout_s", 60)
}

#[test]
fn keys_are_fetched_once_at_start() {
    let key = Key::new("ES256");
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let app = App::start_ready(fetching(&server.origin()));
    assert_eq!(server.requested_paths(), ["/keys"]);
    let age = format!("marketplace_sso_jwks_age_seconds{{url=\"{}/keys\"}} ", server.origin());
    assert!(app.admin("/metrics").text().contains(&age), "{age}");
    for _ in 0..20 {
        assert_eq!(Token::of(&app.send_token(&key.token_with_kid("k-1"))).claims["external_id"], "u-1");
    }
    app.send_token(&Key::new("ES256").token_with_kid("k-1")).assert_refused(401, "invalid_token");
    assert_eq!(server.requested_paths().len(), 1);
}

#[test]
fn a_rotation_right_after_a_fetch_is_noticed() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let server = serve_keys(&[old.jwk(Some("k-1"))]);
    // with the default cooldown of 30 seconds
    let app = App::start_ready(fetching(&server.origin()));
    assert_eq!(app.send_token(&old.token_with_kid("k-1")).status, 307);
    server.set_behaviour(keys_response(&[new.jwk(Some("k-2"))]));
    assert_eq!(app.send_token(&new.token_with_kid("k-2")).status, 307);
    assert_eq!(server.requested_paths().len(), 2);
    // the old key could be published again, so its kid causes a fetch, too
    app.send_token(&old.token_with_kid("k-1")).assert_refused(401, "invalid_token");
    assert_eq!(server.requested_paths().len(), 3);
}

#[test]
fn an_unknown_key_is_fetched_once_for_all_requests() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let named = serve_keys(&[old.jwk(Some("k-1"))]);
    let nameless = serve_keys(&[old.jwk(None)]);
    let settings = fetching_often(&named.origin());
    let app = App::start_ready(settings.entrance("nameless", &fetching_often(&nameless.origin())));
    let to_nameless = |key: &Key| app.send_token_to("/nameless", &key.token());
    assert_eq!((app.send_token(&old.token_with_kid("k-1")).status, to_nameless(&old).status), (307, 307));
    // a kid is rejected as unknown only after a fetch that began after the request was received
    for requests in [2, 3] {
        app.send_token(&new.token_with_kid("k-2")).assert_refused(401, "invalid_token");
        to_nameless(&new).assert_refused(401, "invalid_token");
        assert_eq!((named.requested_paths().len(), nameless.requested_paths().len()), (requests, requests));
    }

    named.set_behaviour(keys_response(&[old.jwk(Some("k-1")), new.jwk(Some("k-2"))]));
    nameless.set_behaviour(keys_response(&[new.jwk(None)]));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(app.send_token(&new.token_with_kid("k-2")).status, 307));
        }
    });
    assert_eq!(app.send_token(&old.token_with_kid("k-1")).status, 307);
    assert_eq!(named.requested_paths().len(), 4);

    // a token without a kid can be signed with a new key
    assert_eq!(to_nameless(&new).status, 307);
    assert_eq!(nameless.requested_paths().len(), 4);
    to_nameless(&old).assert_refused(401, "invalid_token");
}

#[test]
fn a_rotation_rejects_no_valid_token() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let (first, second) = (old.jwk(Some("k-1")), new.jwk(Some("k-2")));
    let server = serve_keys(std::slice::from_ref(&first));
    let settings = fetching_often(&server.origin()).identity("jwks_refresh_interval_s", 1);
    let app = App::start_ready(settings.identity("jwks_max_stale_s", 60));
    let url = format!("{}/keys", server.origin());
    let publish = |keys: &[Value]| {
        server.set_behaviour(keys_response(keys));
        let before = server.requested_paths().len();
        wait_until("requested again", || server.requested_paths().len() > before);
        let requests = server.requested_paths().len() as u64;
        wait_until("fetched", || app.fetches(&url, "success") >= requests);
    };
    let (current, is_over) = (Mutex::new(old.token_with_kid("k-1")), AtomicBool::new(false));
    let served = AtomicUsize::new(0);
    let wait_for_users = |count: usize| {
        let before = served.load(Ordering::Relaxed);
        wait_until("users are served", || served.load(Ordering::Relaxed) >= before + count);
    };
    std::thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let token = current.lock().unwrap().clone();
                let response = app.send_token(&token);
                assert_eq!(response.status, 307, "{response:?}");
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        publish(&[first, second.clone()]);
        assert_eq!(app.send_token(&old.token_with_kid("k-1")).status, 307);
        *current.lock().unwrap() = new.token_with_kid("k-2");
        // the request in progress still has the old token
        wait_for_users(2);
        publish(&[second]);
        wait_for_users(10);
    });
    app.send_token(&old.token_with_kid("k-1")).assert_refused(401, "invalid_token");
}

#[test]
fn entrances_with_one_jwks_url_share_its_keys() {
    let key = Key::new("ES256");
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let same = fetching(&server.origin());
    let app = App::start_ready(same.clone().entrance("second", &same).entrance("third", &same));
    assert!(app.entrances_without_keys().is_empty());
    for path in ["/pandium-sso", "/second", "/third"] {
        assert_eq!(app.send_token_to(path, &key.token_with_kid("k-1")).status, 307, "{path}");
    }
    assert_eq!(server.requested_paths(), ["/keys"]);
    // a fetch for one entrance serves all
    let new = Key::new("ES256");
    server.set_behaviour(keys_response(&[new.jwk(Some("k-2"))]));
    for path in ["/second", "/third", "/pandium-sso"] {
        assert_eq!(app.send_token_to(path, &new.token_with_kid("k-2")).status, 307, "{path}");
    }
    assert_eq!(server.requested_paths().len(), 2);
}

#[test]
fn entrances_with_other_fetch_settings_fetch_separately() {
    let server = serve_keys(&[Key::new("ES256").jwk(Some("k-1"))]);
    let other = fetching(&server.origin()).identity("jwks_timeout_s", 7);
    let _app = App::start_ready(fetching(&server.origin()).entrance("second", &other));
    assert_eq!(server.requested_paths(), ["/keys", "/keys"]);
}

#[test]
fn an_unsupported_key_is_skipped_counted_and_logged_once() {
    let key = Key::new("ES256");
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let app = App::start_ready(fetching_often(&server.origin()));
    let url = format!("{}/keys", server.origin());
    let labels = [("url", url.as_str())];
    let warnings =
        || app.log_lines().into_iter().filter(|line| line.get("skipped").is_some()).collect::<Vec<_>>();
    let publish = |strange: &[Value]| {
        server.set_behaviour(keys_response(&[&[key.jwk(Some("k-1"))], strange].concat()));
        // several fetches, to see whether each one logs
        for _ in 0..2 {
            let before = app.fetches(&url, "success");
            wait_until("fetched again", || {
                let response = app.send_token(&key.token_with_kid("unknown"));
                assert!(matches!(response.status, 401 | 503), "{response:?}");
                app.fetches(&url, "success") > before
            });
        }
        assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
    };
    assert!(warnings().is_empty());
    publish(&[json!({"kid": "canary"}), json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "canary"})]);
    app.wait_for_metric("marketplace_sso_jwks_skipped_keys", &labels, 2.0);
    let logged = warnings();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["keys"], "key 2: its kty is missing; key 3: its kty is not supported");
    assert_eq!((&logged[0]["url"], &logged[0]["level"]), (&json!(url), &json!("WARN")));

    publish(&[json!({"kty": "EC", "crv": "P-256", "x": 1, "y": "AA"})]);
    app.wait_for_metric("marketplace_sso_jwks_skipped_keys", &labels, 1.0);
    assert_eq!(warnings().len(), 2);
    publish(&[]);
    app.wait_for_metric("marketplace_sso_jwks_skipped_keys", &labels, 0.0);
    assert_eq!(warnings().len(), 2);
    assert!(!app.output().contains("canary"));
}

#[rstest]
fn discovery_locates_the_keys(#[values("", "/", "/tenants/acme", "/tenants/acme/")] path: &str) {
    let key = Key::new("ES256");
    let server = KeyServer::start(Behaviour::Down).unwrap();
    let issuer = format!("{}{path}", server.origin());
    let location = format!("{}/.well-known/openid-configuration", path.trim_end_matches('/'));
    let document = json!({"issuer": issuer, "jwks_uri": format!("{}/their/keys?v=1", server.origin())});
    server.set_behaviour(serving(&[
        (&location, &document.to_string()),
        ("/their/keys?v=1", &jwks(&[key.jwk(Some("k-1"))])),
    ]));
    let app = App::start_ready(Settings::bearer().issuer(&issuer));
    let token = key.sign(&named("k-1"), &issued_by(&issuer));
    assert_eq!(app.send_token(&token).status, 307);
    app.send_token(&key.token_with_kid("k-1")).assert_refused(401, "invalid_token");
    assert_eq!(server.requested_paths(), [location.as_str(), "/their/keys?v=1"]);
    assert_eq!(app.fetches(&format!("{}{location}", server.origin()), "success"), 1);
}

#[test]
fn an_invalid_discovery_document_yields_no_keys() {
    const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
    let key = Key::new("ES256");
    let set = jwks(&[key.jwk(Some("k-1"))]);
    let documents = [
        ("other", "{\"issuer\":\"https://evil.example\",\"jwks_uri\":\"SELF/keys\"}", "another issuer"),
        ("slash", "{\"issuer\":\"SELF/\",\"jwks_uri\":\"SELF/keys\"}", "another issuer"),
        ("none", "{\"jwks_uri\":\"SELF/keys\"}", "another issuer"),
        ("list", "{\"issuer\":[\"SELF\"],\"jwks_uri\":\"SELF/keys\"}", "another issuer"),
        ("nowhere", "{\"issuer\":\"SELF\"}", "no jwks_uri"),
        ("number", "{\"issuer\":\"SELF\",\"jwks_uri\":1}", "no jwks_uri"),
        ("http", "{\"issuer\":\"SELF\",\"jwks_uri\":\"http://keys.example.com/keys\"}", "is not https"),
        ("file", "{\"issuer\":\"SELF\",\"jwks_uri\":\"file:///keys\"}", "is not https"),
        ("login", "{\"issuer\":\"SELF\",\"jwks_uri\":\"http://a:b@127.0.0.1/keys\"}", "is not https"),
        ("text", "no JSON", "is not JSON"),
        ("empty", "", "is not JSON"),
    ];
    let servers = documents.map(|(name, document, message)| {
        let server = KeyServer::start(Behaviour::Down).unwrap();
        let document = document.replace("SELF", &server.origin());
        server.set_behaviour(serving(&[(DISCOVERY_PATH, &document), ("/keys", &set)]));
        (name, server, message)
    });
    let app = App::start_ready(servers.iter().fold(Settings::standard(), |settings, (name, server, _)| {
        let discovering = Settings::bearer().issuer(&server.origin());
        settings.entrance(name, &discovering.identity("jwks_min_refresh_interval_s", 1))
    }));
    let send_token = |name: &str, server: &KeyServer| {
        app.send_token_to(&format!("/{name}"), &key.sign(&named("k-1"), &issued_by(&server.origin())))
    };
    for (name, server, message) in &servers {
        send_token(name, server).assert_refused(503, "keys_unavailable");
        assert!(
            server.requested_paths().iter().all(|path| path == DISCOVERY_PATH),
            "{name}: {:?}",
            server.requested_paths()
        );
        let url = format!("{}{DISCOVERY_PATH}", server.origin());
        assert!(app.fetches(&url, "error") > 0, "{name}");
        assert_eq!(app.fetches(&url, "success"), 0, "{name}");
        app.wait_for_line(|line| {
            line["url"] == url.as_str() && line["error"].as_str().is_some_and(|error| error.contains(message))
        });
    }
    for (_, server, _) in &servers {
        let document = json!({"issuer": server.origin(), "jwks_uri": format!("{}/keys", server.origin())});
        server.set_behaviour(serving(&[(DISCOVERY_PATH, &document.to_string()), ("/keys", &set)]));
    }
    for (name, server, _) in &servers {
        wait_until(name, || send_token(name, server).status == 307);
    }
}

#[test]
fn readiness_waits_for_the_first_key_fetch() {
    let key = Key::new("ES256");
    let gate = GatedServer::start(&[("/keys", &jwks(&[key.jwk(Some("k-1"))]))], false);
    let app = App::start(fetching_patiently(gate.origin()));
    gate.wait_until_requested(1);
    for path in ["/readyz", "/healthz"] {
        let not_yet = app.get(path, &[]);
        not_yet.assert_refused(503, "keys_unavailable");
        assert!(not_yet.has("retry-after"));
    }
    assert_eq!(app.get("/livez", &[]).status, 200);
    assert_eq!(app.admin("/readyz").status, 503);
    std::thread::scope(|scope| {
        // a request before the first fetch waits for it
        let user = scope.spawn(|| app.send_token(&key.token_with_kid("k-1")).status);
        wait_until("a request waits", || app.metric("marketplace_sso_requests_in_flight", &[]) > 1.5);
        gate.open();
        assert_eq!(user.join().unwrap(), 307);
    });
    assert!(app.entrances_without_keys().is_empty());
    assert_eq!(gate.requested_paths().len(), 1);
}

#[test]
fn readiness_lists_entrances_without_keys() {
    let key = Key::new("ES256");
    let (good, bad) = (serve_keys(&[key.jwk(Some("k-1"))]), KeyServer::start(Behaviour::Hang(HOUR)).unwrap());
    let down = KeyServer::start(Behaviour::Down).unwrap();
    let hanging = fetching(&bad.origin()).identity("jwks_timeout_s", 1);
    let gate = GatedServer::start(&[("/keys", &jwks(&[key.jwk(Some("k-1"))]))], false);
    let delayed = fetching_patiently(gate.origin());
    let settings = fetching(&good.origin()).entrance("hanging", &hanging).entrance("delayed", &delayed);
    let app = App::start(settings.entrance("down", &fetching(&down.origin())));
    app.get("/readyz", &[]).assert_refused(503, "keys_unavailable");
    gate.open();
    app.wait_until_ready();
    assert_eq!(app.entrances_without_keys(), ["down", "hanging"]);
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
    app.send_token_to("/down", &key.token_with_kid("k-1")).assert_refused(503, "keys_unavailable");
    app.send_token_to("/hanging", &key.token_with_kid("k-1")).assert_refused(503, "keys_unavailable");
}

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

// T11
#[test]
fn stale_keys_serve_for_a_bounded_time() {
    let key = Key::new("ES256");
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let settings = fetching_often(&server.origin()).identity("jwks_refresh_interval_s", 1);
    let app = App::start_ready(settings.identity("jwks_max_stale_s", 12));
    let url = format!("{}/keys", server.origin());
    assert!(app.key_age().is_some());
    server.set_behaviour(Behaviour::Down);
    wait_until("a failure", || app.fetches(&url, "error") > 0);
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
    assert!(app.entrances_without_keys().is_empty());

    wait_until("the keys are too old", || app.key_age().is_none());
    let response = app.send_token(&key.token_with_kid("k-1"));
    response.assert_refused(503, "keys_unavailable");
    assert!(response.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(app.entrances_without_keys(), [MAIN]);
    server.set_behaviour(keys_response(&[key.jwk(Some("k-1"))]));
    wait_until("the keys are back", || app.send_token(&key.token_with_kid("k-1")).status == 307);
    assert!(app.entrances_without_keys().is_empty() && app.key_age().is_some());
    assert!(app.fetches(&url, "success") >= 2);
}

#[test]
fn a_fetch_survives_the_disconnect_of_its_client() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let gate = GatedServer::start(&[("/keys", &jwks(&[old.jwk(Some("k-1"))]))], true);
    let app = App::start_ready(fetching_patiently(gate.origin()).identity("jwks_min_refresh_interval_s", 1));
    app.wait_for_cooldown();
    gate.serve(&[("/keys", &jwks(&[old.jwk(Some("k-1")), new.jwk(Some("k-2"))]))]);
    gate.close();
    let bearer = format!("Bearer {}", new.token_with_kid("k-2"));
    let mut client = TcpStream::connect(app.address()).unwrap();
    client.write_all(&request_bytes("GET", "/pandium-sso", &[("Authorization", &bearer)])).unwrap();
    gate.wait_until_requested(2);
    drop(client);
    gate.open();
    let url = format!("{}/keys", gate.origin());
    wait_until("fetched", || app.fetches(&url, "success") == 2);
    assert_eq!(app.send_token(&new.token_with_kid("k-2")).status, 307);
    assert_eq!(gate.requested_paths().len(), 2);
}

#[test]
fn a_reload_keeps_cached_keys() {
    let key = Key::new("ES256");
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let app = App::start_ready(fetching(&server.origin()));
    server.set_behaviour(Behaviour::Down);
    app.reconfigure("[pandium]\naccount = \"second\"");
    let token = Token::of(&app.send_token(&key.token_with_kid("k-1")));
    assert_eq!(token.url.path(), "/second");
    assert!(app.entrances_without_keys().is_empty());
    assert_eq!(server.requested_paths().len(), 1);

    // keys of another URL are not reused
    let other = serve_keys(&[key.jwk(Some("k-2"))]);
    app.reconfigure(&format!("[identity]\njwks_url = \"{}/keys\"", other.origin()));
    app.wait_until_ready();
    app.send_token(&key.token_with_kid("k-1")).assert_refused(401, "invalid_token");
    assert_eq!(app.send_token(&key.token_with_kid("k-2")).status, 307);
}

#[test]
fn a_reload_during_a_fetch_fetches_again() {
    let key = Key::new("ES256");
    let gate = GatedServer::start(&[("/keys", &jwks(&[key.jwk(Some("k-1"))]))], false);
    let app = App::start(fetching_patiently(gate.origin()).identity("jwks_min_refresh_interval_s", 600));
    gate.wait_until_requested(1);
    app.reconfigure("[pandium]\naccount = \"second\"");
    gate.open();
    assert_eq!(Token::of(&app.send_token(&key.token_with_kid("k-1"))).url.path(), "/second");
    app.wait_until_ready();
}

#[test]
fn a_reload_does_not_reset_readiness() {
    let key = Key::new("ES256");
    let app = App::start_ready(fetching_patiently(&serve_keys(&[key.jwk(Some("k-1"))]).origin()));
    let gate = GatedServer::start(&[("/keys", &jwks(&[key.jwk(Some("k-2"))]))], false);
    app.reconfigure(&format!("[identity]\njwks_url = \"{}/keys\"", gate.origin()));
    gate.wait_until_requested(1);
    assert_eq!(app.entrances_without_keys(), [MAIN]);
    gate.open();
    assert_eq!(app.send_token(&key.token_with_kid("k-2")).status, 307);
    assert!(app.entrances_without_keys().is_empty());
}

fn named(kid: &str) -> String {
    json!({"alg": "ES256", "kid": kid}).to_string()
}

/// The default claims with another issuer.
fn issued_by(issuer: &str) -> String {
    claims_with(&[("iss", &format!("{issuer:?}"))])
}
