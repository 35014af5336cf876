//! AppDirect: an extension of the marketplace sends the secure token of its user, and
//! only the documented form is accepted.

use serde_json::json;

use crate::harness::issuer::{Key, assert_invalid, claims_of};
use crate::harness::key_server::{keys_response, serve_keys, wait_until};
use crate::harness::{App, Field, Response, Settings, Token};

const USER: &str = "7f3b8f6e-7a44-4a6c-9a53-1f2b0b5f3e11";

/// The documented claims, with changes as in [`claims_of`].
fn claims(changed: &[(&str, &str)]) -> String {
    let (user, email) = (format!("{USER:?}"), "\"alice@example.com\"");
    claims_of(
        &[("sub", &user), ("name", email), ("tenant", "\"ACME\""), ("iat", "@0"), ("exp", "@300")],
        changed,
    )
}

/// Settings for a marketplace whose keys are at `/keys` of an origin.
fn settings(origin: &str) -> Settings {
    Settings::appdirect().jwks_url(&format!("{origin}/keys"))
}

fn token(key: &Key, changed: &[(&str, &str)]) -> String {
    key.sign(&json!({"alg": key.algorithm, "typ": "JWT"}).to_string(), &claims(changed))
}

fn send_token(app: &App, token: &str) -> Response {
    app.get("/pandium-sso", &[("MP-Authorization", &format!("Bearer {token}"))])
}

/// A service for a marketplace with this key.
fn start(key: &Key) -> App {
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let settings = settings(&server.origin()).algorithm(key.algorithm);
    App::start_ready(settings.set("claims.meta.tenant", "attributes.tenant"))
}

#[test]
fn the_documented_token_signs_a_user_on() {
    let key = Key::new("RS256");
    let app = start(&key);
    let claims = Token::of(&send_token(&app, &token(&key, &[]))).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("alice@example.com"), &json!(USER)));
    assert_eq!(claims["meta"]["tenant"], "ACME");
}

#[test]
fn an_extension_script_gets_a_new_url_each_time() {
    let key = Key::new("RS256");
    let app = start(&key);
    let bearer = format!("Bearer {}", token(&key, &[]));
    let headers: [Field<'_>; 6] = [
        ("MP-Authorization", &bearer),
        ("Accept", "application/json"),
        ("Origin", "https://market.example.com"),
        ("Sec-Fetch-Dest", "empty"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let mut ids = Vec::new();
    for _ in 0..20 {
        let response = app.get("/pandium-sso", &headers);
        assert_eq!(response.header("access-control-allow-origin"), "https://market.example.com");
        assert_eq!(response.header("access-control-allow-credentials"), "true");
        assert_eq!(Token::of(&response).claims["external_id"], USER);
        ids.push(response.json()["jti"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20, "every token is new");
    // pages of the marketplace may send requests but not frame
    let framed = [
        ("MP-Authorization", bearer.as_str()),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", "https://market.example.com/"),
    ];
    app.get("/pandium-sso", &framed).assert_refused(403, "embedding_not_allowed");
}

/// A claim and its invalid values, as in [`claims_of`].
#[test]
fn an_undocumented_claim_value_is_rejected() {
    let key = Key::new("RS256");
    let app = start(&key);
    assert_eq!(send_token(&app, &token(&key, &[])).status, 307);
    let cases = [
        ("tenant", r#""OTHER"||"acme"|"ACME "|["ACME"]|null|1"#, "invalid_token"),
        ("iat", r#"|"0"|null|@60|true"#, "invalid_token"),
        ("exp", r#"|"@300"|null|true"#, "invalid_token"),
        ("exp", "@0|@-1|0", "expired_token"),
        ("nbf", "@60", "invalid_token"),
        ("sub", r#"|""|" "|null|"null"|"undefined"|1"#, "invalid_token"),
        ("name", r#"|""|null"#, "unauthenticated"),
    ];
    assert_invalid(&cases, |name, value| send_token(&app, &token(&key, &[(name, value)])));
}

#[test]
fn a_name_that_is_not_an_email_is_refused() {
    let key = Key::new("RS256");
    let app = start(&key);
    for name in ["\"Alice\"", "\"a@b@example.com\"", "[\"alice@example.com\"]"] {
        send_token(&app, &token(&key, &[("name", name)])).assert_refused(400, "bad_identity");
    }
}

#[test]
fn the_token_is_read_from_mp_authorization_only() {
    let key = Key::new("RS256");
    let app = start(&key);
    let good = token(&key, &[]);
    let (bearer, basic) = (format!("Bearer {good}"), format!("Basic {good}"));
    assert_eq!(app.get("/pandium-sso", &[("mp-authorization", &bearer)]).status, 307);
    app.send_token(&good).assert_refused(401, "unauthenticated");
    for value in [&good, &basic, "Bearer", &format!("Bearer  {good}")] {
        app.get("/pandium-sso", &[("MP-Authorization", value)]).assert_refused(401, "invalid_token");
    }
    let twice = [("MP-Authorization", bearer.as_str()), ("MP-Authorization", &bearer)];
    app.get("/pandium-sso", &twice).assert_refused(400, "ambiguous_identity");
    // the other header is ignored
    let both = [("MP-Authorization", bearer.as_str()), ("Authorization", "Bearer x.y.z")];
    assert_eq!(app.get("/pandium-sso", &both).status, 307);
}

#[test]
fn only_the_configured_algorithm_is_accepted() {
    let (key, other) = (Key::new("RS256"), Key::new("PS256"));
    let app = start(&key);
    assert_eq!(send_token(&app, &token(&key, &[])).status, 307);
    // the documented sample is signed with HS256
    let jwk = key.jwk(None)["n"].as_str().unwrap().to_owned();
    for secret in ["", "secret", "your-256-bit-secret", &key.pem(), &jwk] {
        send_token(&app, &token(&Key::shared(secret), &[])).assert_refused(401, "invalid_token");
    }
    send_token(&app, &token(&other, &[])).assert_refused(401, "invalid_token");
    send_token(&app, &token(&Key::new("ES256"), &[])).assert_refused(401, "invalid_token");
    assert_eq!(send_token(&start(&other), &token(&other, &[])).status, 307);
}

#[test]
fn every_matching_key_is_tried_without_a_kid() {
    let (first, second, third) = (Key::new("ES256"), Key::new("ES256"), Key::new("ES256"));
    let server = serve_keys(&[first.jwk(Some("k-1")), second.jwk(Some("k-2"))]);
    let settings = settings(&server.origin()).algorithm("ES256");
    let app = App::start_ready(settings.identity("jwks_min_refresh_interval_s", 1));
    for key in [&first, &second] {
        assert_eq!(send_token(&app, &token(key, &[])).status, 307);
    }
    assert_eq!(server.requested_paths().len(), 1);
    send_token(&app, &token(&third, &[])).assert_refused(401, "invalid_token");
    assert_eq!(server.requested_paths().len(), 2);
    // a kid is used if it is present
    let named = |kid: &str| second.sign(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims(&[]));
    assert_eq!(send_token(&app, &named("k-2")).status, 307);
    send_token(&app, &named("k-1")).assert_refused(401, "invalid_token");

    // a rotation without a new kid
    app.wait_for_cooldown();
    server.set_behaviour(keys_response(&[second.jwk(Some("k-2")), third.jwk(Some("k-3"))]));
    std::thread::scope(|scope| {
        for key in [&third, &second, &third, &third] {
            let app = &app;
            scope.spawn(move || assert_eq!(send_token(app, &token(key, &[])).status, 307));
        }
    });
    assert_eq!(server.requested_paths().len(), 3);
    send_token(&app, &token(&first, &[])).assert_refused(401, "invalid_token");
}

#[test]
fn each_marketplace_has_its_own_entrance() {
    let (ours, theirs) = (Key::new("ES256"), Key::new("ES256"));
    let servers = [serve_keys(&[ours.jwk(None)]), serve_keys(&[theirs.jwk(None)])];
    let of = |at: usize, tenant: &str, marketplace: &str| {
        let settings = settings(&servers[at].origin()).algorithm("ES256");
        settings.identity("tenant", tenant).identity("marketplace_url", marketplace)
    };
    let app = App::start_ready(
        Settings::standard()
            .entrance("a", &of(0, "ACME", "https://market.example.com"))
            .entrance("b", &of(1, "ACME", "https://shop.example.com"))
            .entrance("c", &of(0, "OTHER", "https://store.example.com")),
    );
    let tokens = [
        ("a", token(&ours, &[])),
        ("b", token(&theirs, &[])),
        ("c", token(&ours, &[("tenant", "\"OTHER\"")])),
    ];
    for (own, token) in &tokens {
        for (name, _) in &tokens {
            let bearer = format!("Bearer {token}");
            let response = app.get(&format!("/{name}"), &[("MP-Authorization", &bearer)]);
            assert_eq!(response.status, if own == name { 307 } else { 401 }, "{own} at {name}");
        }
    }
}

// T9
#[test]
fn the_request_never_changes_the_jwks_url() {
    let (key, attacker) = (Key::new("RS256"), Key::new("ES256"));
    let theirs = serve_keys(&[attacker.jwk(Some("k-1"))]);
    let app = start(&key);
    let bearer = format!("Bearer {}", token(&attacker, &[("iss", &format!("{:?}", theirs.origin()))]));
    let host = theirs.origin().replace("http://", "");
    let headers = [
        ("MP-Authorization", bearer.as_str()),
        ("Origin", &theirs.origin()),
        ("Referer", &theirs.origin()),
        ("Host", &host),
        ("X-Marketplace-Url", &theirs.origin()),
    ];
    app.get("/pandium-sso", &headers).assert_refused(401, "invalid_token");
    wait_until("written", || !app.audit_events().is_empty());
    assert!(theirs.requested_paths().is_empty());
}
