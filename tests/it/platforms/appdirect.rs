//! AppDirect: a marketplace's extension brings the secure token of its user, as
//! documented, and nothing else is believed in its place.

use rstest::rstest;
use serde_json::json;

use crate::harness::issuer::{Key, claims_of, entrance};
use crate::harness::key_server::{keys_there, publishing, until};
use crate::harness::{Answer, App, Field, Token};

const USER: &str = "7f3b8f6e-7a44-4a6c-9a53-1f2b0b5f3e11";

/// What the marketplace says of its user, some of it otherwise.
fn claims(changed: &[(&str, &str)]) -> String {
    let (user, email) = (format!("{USER:?}"), "\"alice@example.com\"");
    claims_of(
        &[("sub", &user), ("name", email), ("tenant", "\"ACME\""), ("iat", "@0"), ("exp", "@300")],
        changed,
    )
}

fn settings(origin: &str, more: &str) -> String {
    format!(
        "kind = \"appdirect\"\nmarketplace_url = \"https://market.example.com\"\ntenant = \"ACME\"\n\
         jwks_url = \"{origin}/keys\"\n{more}"
    )
}

fn token(key: &Key, changed: &[(&str, &str)]) -> String {
    key.sign(&json!({"alg": key.algorithm, "typ": "JWT"}).to_string(), &claims(changed))
}

fn bring(app: &App, token: &str) -> Answer {
    app.get("/pandium-sso", &[("MP-Authorization", &format!("Bearer {token}"))])
}

/// A service that believes a marketplace with this key.
fn start(key: &Key) -> App {
    let server = publishing(&[key.jwk(Some("k-1"))]);
    let app = App::start_with_identity(
        &settings(&server.origin(), &format!("algorithms = [{:?}]", key.algorithm)),
        "[claims.meta]\ntenant = \"attributes.tenant\"",
    );
    app.wait_until_ready();
    app
}

#[test]
fn the_documented_token_signs_a_user_on() {
    let key = Key::new("RS256");
    let app = start(&key);
    let claims = Token::of(&bring(&app, &token(&key, &[]))).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("alice@example.com"), &json!(USER)));
    assert_eq!(claims["meta"]["tenant"], "ACME");
}

#[test]
fn an_extension_script_gets_a_new_url_each_time() {
    let key = Key::new("RS256");
    let app = start(&key);
    let bearer = format!("Bearer {}", token(&key, &[]));
    let asks: [Field<'_>; 6] = [
        ("MP-Authorization", &bearer),
        ("Accept", "application/json"),
        ("Origin", "https://market.example.com"),
        ("Sec-Fetch-Dest", "empty"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let mut ids = Vec::new();
    for _ in 0..20 {
        let answer = app.get("/pandium-sso", &asks);
        assert_eq!(answer.header("access-control-allow-origin"), "https://market.example.com");
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(Token::of(&answer).claims["external_id"], USER);
        ids.push(answer.json()["jti"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20, "the same token is never handed out twice");
    // the marketplace's pages may ask, and may not frame
    let framed = [
        ("MP-Authorization", bearer.as_str()),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", "https://market.example.com/"),
    ];
    app.get("/pandium-sso", &framed).assert_refused(403, "embedding_not_allowed");
}

/// A claim, and what is written as its value, as `claims_of` has it.
#[rstest]
#[case::of_another_marketplace("tenant", &["\"OTHER\"", "", "\"acme\"", "\"ACME \"", "[\"ACME\"]", "null", "1"],
    "invalid_token")]
#[case::never_issued("iat", &["", "\"0\"", "null", "@60", "true"], "invalid_token")]
#[case::without_an_end("exp", &["", "\"@300\"", "null", "true"], "invalid_token")]
#[case::over("exp", &["@0", "@-1", "0"], "expired_token")]
#[case::not_yet("nbf", &["@60"], "invalid_token")]
#[case::nobody("sub", &["", "\"\"", "\" \"", "null", "\"null\"", "\"undefined\"", "1"], "invalid_token")]
#[case::no_email("name", &["", "\"\"", "null"], "unauthenticated")]
fn an_undocumented_claim_value_is_rejected(
    #[case] name: &str,
    #[case] values: &[&str],
    #[case] reason: &str,
) {
    let key = Key::new("RS256");
    let app = start(&key);
    assert_eq!(bring(&app, &token(&key, &[])).status, 307);
    for value in values {
        let answer = bring(&app, &token(&key, &[(name, value)]));
        assert_eq!((answer.status, answer.reason().as_str()), (401, reason), "{name}: {value}");
        answer.assert_no_token();
    }
}

#[test]
fn a_name_that_is_not_an_email_is_refused() {
    let key = Key::new("RS256");
    let app = start(&key);
    for name in ["\"Alice\"", "\"a@b@example.com\"", "[\"alice@example.com\"]"] {
        bring(&app, &token(&key, &[("name", name)])).assert_refused(400, "bad_identity");
    }
}

#[test]
fn the_token_is_read_from_mp_authorization_only() {
    let key = Key::new("RS256");
    let app = start(&key);
    let good = token(&key, &[]);
    let (bearer, basic) = (format!("Bearer {good}"), format!("Basic {good}"));
    assert_eq!(app.get("/pandium-sso", &[("mp-authorization", &bearer)]).status, 307);
    app.bring(&good).assert_refused(401, "unauthenticated");
    for value in [&good, &basic, "Bearer", &format!("Bearer  {good}")] {
        app.get("/pandium-sso", &[("MP-Authorization", value)]).assert_refused(401, "invalid_token");
    }
    let twice = [("MP-Authorization", bearer.as_str()), ("MP-Authorization", &bearer)];
    app.get("/pandium-sso", &twice).assert_refused(400, "ambiguous_identity");
    // what stands in the other header has no say
    let both = [("MP-Authorization", bearer.as_str()), ("Authorization", "Bearer x.y.z")];
    assert_eq!(app.get("/pandium-sso", &both).status, 307);
}

#[test]
fn only_the_configured_algorithm_is_accepted() {
    let (key, other) = (Key::new("RS256"), Key::new("PS256"));
    let app = start(&key);
    assert_eq!(bring(&app, &token(&key, &[])).status, 307);
    // the sample on the page is signed with HS256
    let jwk = key.jwk(None)["n"].as_str().unwrap().to_owned();
    for secret in ["", "secret", "your-256-bit-secret", &key.pem(), &jwk] {
        bring(&app, &token(&Key::shared(secret), &[])).assert_refused(401, "invalid_token");
    }
    bring(&app, &token(&other, &[])).assert_refused(401, "invalid_token");
    bring(&app, &token(&Key::new("ES256"), &[])).assert_refused(401, "invalid_token");
    assert_eq!(bring(&start(&other), &token(&other, &[])).status, 307);
}

#[test]
fn every_matching_key_is_tried_without_a_kid() {
    let (first, second, third) = (Key::new("ES256"), Key::new("ES256"), Key::new("ES256"));
    let server = publishing(&[first.jwk(Some("k-1")), second.jwk(Some("k-2"))]);
    let more = "algorithms = [\"ES256\"]\njwks_min_refresh_interval_s = 1";
    let app = App::start_with_identity(&settings(&server.origin(), more), "");
    app.wait_until_ready();
    for key in [&first, &second] {
        assert_eq!(bring(&app, &token(key, &[])).status, 307);
    }
    assert_eq!(server.asked().len(), 1);
    bring(&app, &token(&third, &[])).assert_refused(401, "invalid_token");
    assert_eq!(server.asked().len(), 2);
    // a name that a token does give counts
    let named = |kid: &str| second.sign(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims(&[]));
    assert_eq!(bring(&app, &named("k-2")).status, 307);
    bring(&app, &named("k-1")).assert_refused(401, "invalid_token");

    // the keys change, and no token says so
    app.wait_for_the_cooldown();
    server.behave(keys_there(&[second.jwk(Some("k-2")), third.jwk(Some("k-3"))]));
    std::thread::scope(|scope| {
        for key in [&third, &second, &third, &third] {
            let app = &app;
            scope.spawn(move || assert_eq!(bring(app, &token(key, &[])).status, 307));
        }
    });
    assert_eq!(server.asked().len(), 3);
    bring(&app, &token(&first, &[])).assert_refused(401, "invalid_token");
}

#[test]
fn each_marketplace_has_its_own_entrance() {
    let (ours, theirs) = (Key::new("ES256"), Key::new("ES256"));
    let servers = [publishing(&[ours.jwk(None)]), publishing(&[theirs.jwk(None)])];
    let of = |at: usize, tenant: &str, market: &str| {
        settings(&servers[at].origin(), "algorithms = [\"ES256\"]")
            .replace("ACME", tenant)
            .replace("market.example", &format!("{market}.example"))
    };
    let more = entrance("a", &of(0, "ACME", "market"))
        + &entrance("b", &of(1, "ACME", "shop"))
        + &entrance("c", &of(0, "OTHER", "store"));
    let app = App::start(&more);
    app.wait_until_ready();
    let tokens = [
        ("a", token(&ours, &[])),
        ("b", token(&theirs, &[])),
        ("c", token(&ours, &[("tenant", "\"OTHER\"")])),
    ];
    for (own, token) in &tokens {
        for (name, _) in &tokens {
            let bearer = format!("Bearer {token}");
            let answer = app.get(&format!("/{name}"), &[("MP-Authorization", &bearer)]);
            assert_eq!(answer.status, if own == name { 307 } else { 401 }, "{own} at {name}");
        }
    }
}

// T9
#[test]
fn the_request_never_changes_the_jwks_url() {
    let (key, attacker) = (Key::new("RS256"), Key::new("ES256"));
    let theirs = publishing(&[attacker.jwk(Some("k-1"))]);
    let app = start(&key);
    let bearer = format!("Bearer {}", token(&attacker, &[("iss", &format!("{:?}", theirs.origin()))]));
    let host = theirs.origin().replace("http://", "");
    let asks = [
        ("MP-Authorization", bearer.as_str()),
        ("Origin", &theirs.origin()),
        ("Referer", &theirs.origin()),
        ("Host", &host),
        ("X-Marketplace-Url", &theirs.origin()),
    ];
    app.get("/pandium-sso", &asks).assert_refused(401, "invalid_token");
    until("written", || !app.records().is_empty());
    assert!(theirs.asked().is_empty());
}
