//! AWS Application Load Balancer: padded tokens with the signer in the header, and
//! one URL for each key.

use serde_json::json;

use crate::harness::issuer::{Key, assert_invalid, claims_of};
use crate::harness::key_server::{Behaviour, GatedServer, KeyServer, serving, wait_until};
use crate::harness::{App, Response, Settings, Token};

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/app/50dc6c495c0c9188";
const OTHER_REGION: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/app/50dc6c495c0c9188";
const ISSUER: &str = "https://idp.example.com";
const KID: &str = "6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11";
const NEXT: &str = "b7d3c2f4-11aa-4d6e-8a3b-5e0f9c1d2e22";

fn at(keys_url: &str) -> Settings {
    Settings::aws_alb(ARN, ISSUER, keys_url)
}

/// The load balancer's JOSE header, with changes as in [`claims_of`].
fn header(changed: &[(&str, &str)]) -> String {
    let (kid, signer, issuer) = (format!("{KID:?}"), format!("{ARN:?}"), format!("{ISSUER:?}"));
    let defaults = [
        ("typ", "\"JWT\""),
        ("kid", kid.as_str()),
        ("alg", "\"ES256\""),
        ("iss", &issuer),
        ("client", "\"client-1\""),
        ("signer", &signer),
        ("exp", "@120"),
    ];
    claims_of(&defaults, changed)
}

const CLAIMS: &str =
    r#"{"sub":"u-1","email":"alice@example.com","email_verified":"true","name":"Alice","exp":1}"#;

fn token(key: &Key, changed: &[(&str, &str)]) -> String {
    key.sign_padded(&header(changed), CLAIMS)
}

fn named(key: &Key, kid: &str) -> String {
    token(key, &[("kid", &format!("{kid:?}"))])
}

fn send_token(app: &App, token: &str) -> Response {
    app.get("/pandium-sso", &[("X-Amzn-Oidc-Data", token)])
}

/// A key, the stand-in for the region's key store, and a service that uses it.
fn start() -> (Key, KeyServer, App) {
    let key = Key::new("ES256");
    let server = KeyServer::start(serving(&[(&format!("/{KID}"), &key.pem())])).unwrap();
    let app = App::start(at(&server.origin()));
    (key, server, app)
}

#[test]
fn a_documented_token_is_accepted_with_one_fetch() {
    let (key, server, app) = start();
    // the service is ready without keys: none can be fetched before a token names one
    app.wait_until_ready();
    assert!(server.requested_paths().is_empty() && app.entrances_without_keys().is_empty());
    for _ in 0..10 {
        let claims = Token::of(&send_token(&app, &token(&key, &[]))).claims;
        assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("alice@example.com"), &json!("u-1")));
        assert_eq!(claims["ti"]["ufn"], "Alice");
    }
    assert_eq!(server.requested_paths(), [format!("/{KID}")]);
    assert_eq!(app.fetches(&format!("{}/", server.origin()), "success"), 1);
}

/// A header member and its invalid values.
// T14
#[test]
fn a_foreign_header_is_rejected_without_a_fetch() {
    let (key, server, app) = start();
    let send = |name: &str, value: &str| {
        let value = value.replace("ARN", ARN).replace("REGION", OTHER_REGION);
        send_token(&app, &token(&key, &[(name, &value)]))
    };
    let cases = [
        ("signer", "|null", "invalid_token"),
        (
            "signer",
            r#""arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/app/x""#,
            "invalid_token",
        ),
        ("signer", r#"["ARN"]|"ARN "|"REGION""#, "invalid_token"),
        ("client", r#"|null|"client-2"|"Client-1"|["client-1"]"#, "invalid_token"),
        ("iss", r#"|null|"https://idp.example.com/"|"https://evil.example""#, "invalid_token"),
        ("alg", r#"|null|"none"|"ES384"|"HS256"|"es256""#, "invalid_token"),
        ("kid", r#"|null|1|"k-1"|"6A2F1C1E-3B0F-4C50-9D52-0C6F6A0E7B11""#, "invalid_token"),
        ("kid", r#""6a2f1c1e3b0f4c509d520c6f6a0e7b11""#, "invalid_token"),
        ("kid", r#""{6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11}""#, "invalid_token"),
        ("kid", r#""urn:uuid:6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11""#, "invalid_token"),
        ("kid", r#""../6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11""#, "invalid_token"),
        ("kid", r#""6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11/..""#, "invalid_token"),
        ("kid", r#""6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11?""#, "invalid_token"),
        ("kid", r#""6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e7b11 "|"../../dev/null""#, "invalid_token"),
        ("kid", r#""http://evil.example/""#, "invalid_token"),
    ];
    assert_invalid(&cases, send);
    assert!(server.requested_paths().is_empty(), "{:?}", server.requested_paths());
    assert_invalid(&[("crit", r#"[]|["exp"]"#, "invalid_token")], send);
    assert_eq!(send_token(&app, &token(&key, &[])).status, 307);
}

#[test]
fn the_expiry_in_the_header_is_checked() {
    let (key, _server, app) = start();
    assert_eq!(send_token(&app, &token(&key, &[])).status, 307);
    for over in ["@0", "@-1"] {
        send_token(&app, &token(&key, &[("exp", over)])).assert_refused(401, "expired_token");
    }
    for none in ["", "null", "\"@120\"", "true"] {
        send_token(&app, &token(&key, &[("exp", none)])).assert_refused(401, "invalid_token");
    }
    // claims do not replace the header
    let later = CLAIMS.replace("\"exp\":1", "\"exp\":9999999999,\"iss\":\"https://idp.example.com\"");
    send_token(&app, &key.sign_padded(&header(&[("exp", "@-1")]), &later))
        .assert_refused(401, "expired_token");
    send_token(&app, &key.sign_padded(&header(&[("iss", "")]), &later)).assert_refused(401, "invalid_token");
}

// T14
#[test]
fn only_the_padded_form_is_accepted() {
    let (key, server, app) = start();
    let padded = token(&key, &[]);
    assert!(padded.ends_with("=="));
    // signed correctly without padding
    for unpadded in [key.sign(&header(&[]), CLAIMS), padded.replace('=', "")] {
        send_token(&app, &unpadded).assert_refused(401, "invalid_token");
    }
    assert!(server.requested_paths().is_empty());
    let standard = padded.replace('-', "+").replace('_', "/");
    for other in [format!("{padded}="), format!(" {padded} x"), padded.replacen('.', "..", 1)] {
        send_token(&app, &other).assert_refused(401, "invalid_token");
    }
    if standard != padded {
        send_token(&app, &standard).assert_refused(401, "invalid_token");
    }
    assert_eq!(send_token(&app, &padded).status, 307);
    send_token(&app, &token(&Key::new("ES256"), &[])).assert_refused(401, "invalid_token");
    let (signed, signature) = padded.rsplit_once('.').unwrap();
    let other = key.sign_padded(&header(&[]), &CLAIMS.replace("u-1", "u-2"));
    let (forged, _) = other.rsplit_once('.').unwrap();
    send_token(&app, &format!("{forged}.{signature}")).assert_refused(401, "invalid_token");
    send_token(&app, &format!("{signed}.")).assert_refused(401, "invalid_token");
}

#[test]
fn unsigned_headers_of_the_balancer_are_ignored() {
    let (key, server, app) = start();
    let claims = [
        ("X-Amzn-Oidc-Identity", "u-1"),
        ("X-Amzn-Oidc-Accesstoken", "a.b.c"),
        ("X-Auth-Request-Email", "alice@example.com"),
    ];
    app.get("/pandium-sso", &claims).assert_refused(401, "unauthenticated");
    app.send_token(&token(&key, &[])).assert_refused(401, "unauthenticated");
    let good = token(&key, &[]);
    let twice = [("X-Amzn-Oidc-Data", good.as_str()), ("x-amzn-oidc-data", &good)];
    app.get("/pandium-sso", &twice).assert_refused(400, "ambiguous_identity");
    assert!(server.requested_paths().is_empty());
    assert_eq!(send_token(&app, &good).status, 307);
}

#[test]
fn a_missing_key_is_fetched_once_per_cooldown() {
    let (key, server, app) = start();
    for _ in 0..20 {
        send_token(&app, &named(&key, NEXT)).assert_refused(401, "invalid_token");
    }
    assert_eq!(server.requested_paths(), [format!("/{NEXT}")]);
    // other unknown ids cause fetches, too, within the budget
    for number in 0..20 {
        let other = format!("6a2f1c1e-3b0f-4c50-9d52-0c6f6a0e{number:04}");
        let response = send_token(&app, &named(&key, &other));
        if number < 3 {
            response.assert_refused(401, "invalid_token");
        } else {
            response.assert_refused(503, "keys_unavailable");
            assert!(response.has("retry-after"));
        }
    }
    assert_eq!(server.requested_paths().len(), 4);
}

#[test]
fn a_failed_key_fetch_gives_503_and_keeps_other_keys() {
    let key = Key::new("ES256");
    let (here, there) = (format!("/{KID}"), format!("/{NEXT}"));
    let failures = [
        ("down", Behaviour::Down),
        ("error", Behaviour::Respond(500, String::new())),
        ("page", Behaviour::Respond(200, "<html>".into())),
        ("private", Behaviour::Respond(200, Key::private_pem())),
        ("large", Behaviour::Respond(200, "x".repeat(1 << 20))),
        ("endless", Behaviour::Endless),
        ("elsewhere", Behaviour::Redirect("http://127.0.0.1:1/".into())),
    ]
    .map(|(name, behaviour)| (name, KeyServer::start(serving(&[(&here, &key.pem())])).unwrap(), behaviour));
    let app = App::start(failures.iter().fold(Settings::standard(), |settings, (name, server, _)| {
        settings.entrance(name, &at(&server.origin()).identity("jwks_min_refresh_interval_s", 1))
    }));
    let send_token = |name: &str, token: &str| app.get(&format!("/{name}"), &[("X-Amzn-Oidc-Data", token)]);
    for (name, server, behaviour) in &failures {
        assert_eq!(send_token(name, &token(&key, &[])).status, 307, "{name}");
        server.set_behaviour(behaviour.clone());
        let response = send_token(name, &named(&key, NEXT));
        assert_eq!((response.status, response.reason().as_str()), (503, "keys_unavailable"), "{name}");
        assert!(response.has("retry-after"), "{name}");
        assert_eq!(send_token(name, &token(&key, &[])).status, 307, "{name}");
    }
    assert_eq!(app.get("/readyz", &[]).status, 200);
    for (_, server, _) in &failures {
        server.set_behaviour(serving(&[(&there, &key.pem())]));
    }
    for (name, ..) in &failures {
        wait_until(name, || send_token(name, &named(&key, NEXT)).status == 307);
    }
}

#[test]
fn a_key_for_another_algorithm_is_not_used() {
    let (key, server, app) = start();
    for (algorithm, kid) in
        [("ES384", NEXT), ("RS256", &NEXT.replace('b', "c")), ("EdDSA", &NEXT.replace('b', "d"))]
    {
        let other = Key::new(algorithm);
        server
            .set_behaviour(serving(&[(&format!("/{KID}"), &key.pem()), (&format!("/{kid}"), &other.pem())]));
        send_token(&app, &named(&other, kid)).assert_refused(401, "invalid_token");
        send_token(&app, &named(&key, kid)).assert_refused(401, "invalid_token");
    }
    assert_eq!(send_token(&app, &token(&key, &[])).status, 307);
}

#[test]
fn concurrent_requests_share_one_key_fetch() {
    let key = Key::new("ES256");
    let gate = GatedServer::start(&[(&format!("/{KID}"), &key.pem())], false);
    let app = App::start(at(gate.origin()).identity("jwks_timeout_s", 60));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(send_token(&app, &token(&key, &[])).status, 307));
        }
        wait_until("all requests wait", || app.metric("marketplace_sso_requests_in_flight", &[]) > 16.5);
        gate.open();
    });
    assert_eq!(gate.requested_paths().len(), 1);
}

#[test]
fn another_key_is_served_during_a_fetch() {
    let (one, other) = (Key::new("ES256"), Key::new("ES256"));
    let gate =
        GatedServer::start(&[(&format!("/{KID}"), &one.pem()), (&format!("/{NEXT}"), &other.pem())], false);
    let app = App::start(at(gate.origin()).identity("jwks_timeout_s", 60));
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(send_token(&app, &token(&one, &[])).status, 307));
        gate.wait_until_requested(1);
        scope.spawn(|| assert_eq!(send_token(&app, &named(&other, NEXT)).status, 307));
        wait_until("both requests wait", || app.metric("marketplace_sso_requests_in_flight", &[]) > 2.5);
        gate.open();
    });
    assert_eq!(gate.requested_paths(), [format!("/{KID}"), format!("/{NEXT}")]);
}

#[test]
fn entrances_with_one_keys_url_share_its_keys() {
    let key = Key::new("ES256");
    let server = KeyServer::start(serving(&[(&format!("/{KID}"), &key.pem())])).unwrap();
    let app = App::start(at(&server.origin()).entrance("second", &at(&server.origin())));
    for path in ["/pandium-sso", "/second"] {
        assert_eq!(app.get(path, &[("X-Amzn-Oidc-Data", &token(&key, &[]))]).status, 307, "{path}");
    }
    assert_eq!(server.requested_paths(), [format!("/{KID}")]);
}

#[test]
fn a_reload_keeps_the_keys() {
    let (key, server, app) = start();
    assert_eq!(send_token(&app, &token(&key, &[])).status, 307);
    server.set_behaviour(Behaviour::Down);
    app.reconfigure("[pandium]\naccount = \"second\"");
    assert_eq!(Token::of(&send_token(&app, &token(&key, &[]))).url.path(), "/second");
    assert_eq!(server.requested_paths().len(), 1);
}

#[test]
fn the_configured_region_selects_the_key_host() {
    let key = Key::new("ES256");
    let proxy = KeyServer::start(Behaviour::Respond(403, String::new())).unwrap();
    let settings = at("").without("identity.keys_url").identity("load_balancers", [ARN, OTHER_REGION]);
    let app = App::start_behind_proxy(&proxy.origin(), settings);
    for (arn, region) in [(ARN, "eu-west-1"), (OTHER_REGION, "us-east-1")] {
        let before = proxy.requested_paths().len();
        let response = send_token(&app, &token(&key, &[("signer", &format!("{arn:?}"))]));
        response.assert_refused(503, "keys_unavailable");
        let expected = [format!("public-keys.auth.elb.{region}.amazonaws.com:443")];
        assert_eq!(proxy.requested_paths()[before..], expected);
    }
}
