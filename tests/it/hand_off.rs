//! The hand-off: the redirect, the JSON, the token and its destination.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{ALICE, App, Connection, EMAIL, Field, Response, Settings, Token};

const JSON: Field<'static> = ("Accept", "application/json");
const HTML: Field<'static> = ("Accept", "text/html");

#[test]
fn a_redirect_has_exactly_these_headers() {
    let app = App::standard();
    let response = app.get("/pandium-sso", &[ALICE, &[HTML]].concat());
    assert_eq!(response.status, 307);
    let mut names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "cache-control",
            "content-length",
            "content-security-policy",
            "date",
            "location",
            "referrer-policy",
            "vary",
            "x-request-id"
        ]
    );
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("content-security-policy"), "frame-ancestors https://app.example.com");
    assert_eq!(response.header("referrer-policy"), "no-referrer");
    assert!(response.body.is_empty());
}

#[test]
fn the_token_matches_the_pandium_documentation() {
    let app = App::standard();
    let before = now();
    let token = Token::of(&app.get("/pandium-sso", ALICE));
    assert_eq!(token.header, r#"{"alg":"HS256","typ":"JWT"}"#);
    assert_eq!(token.url.as_str().split('?').next(), Some("https://imp.sandbox.pandium.com/acme"));
    let claims = token.claims;
    assert!((before..=now()).contains(&claims["iat"].as_u64().unwrap()));
    assert_eq!(uuid::Uuid::parse_str(claims["jti"].as_str().unwrap()).unwrap().get_version_num(), 4);
    assert_eq!(claims["sub"], "alice@example.com");
    let mut names: Vec<&String> = claims.keys().collect();
    names.sort();
    assert_eq!(names, ["iat", "jti", "sub", "ti"], "no claim without a value");
}

/// A preset, its identity headers, and the user as in [`user_from`].
#[rstest]
#[case::oauth2_proxy("oauth2_proxy", &[
    ("X-Forwarded-Email", "alice@example.com"), ("X-Forwarded-User", "u-1"),
    ("X-Forwarded-Preferred-Username", "alice"), ("X-Forwarded-Groups", "staff,ops")],
    json!(["alice@example.com", "u-1", null, "alice", ["staff", "ops"]]))]
#[case::auth_request("auth_request", &[
    ("X-Auth-Request-Email", "alice@example.com"), ("X-Auth-Request-User", "u-1"),
    ("X-Auth-Request-Preferred-Username", "alice"), ("X-Auth-Request-Groups", "staff,ops")],
    json!(["alice@example.com", "u-1", null, "alice", ["staff", "ops"]]))]
#[case::authelia("authelia", &[
    ("Remote-User", "alice"), ("Remote-Email", "alice@example.com"), ("Remote-Name", "Alice Ä"),
    ("Remote-Groups", "staff, ops")],
    json!(["alice@example.com", null, "Alice Ä", "alice", ["staff", "ops"]]))]
#[case::authentik("authentik", &[
    ("X-authentik-username", "alice"), ("X-authentik-email", "alice@example.com"),
    ("X-authentik-name", "Alice"), ("X-authentik-uid", "u-1"), ("X-authentik-groups", "staff|ops, eu")],
    json!(["alice@example.com", "u-1", "Alice", "alice", ["staff", "ops, eu"]]))]
#[case::vouch("vouch", &[
    ("X-Vouch-User", "alice@example.com"), ("X-Vouch-IdP-Claims-Sub", "u-1"),
    ("X-Vouch-IdP-Claims-Name", "Alice"), ("X-Vouch-IdP-Claims-Groups", "staff,ops")],
    json!(["alice@example.com", "u-1", "Alice", "alice@example.com", ["staff", "ops"]]))]
#[case::tailscale("tailscale", &[
    ("Tailscale-User-Login", "alice@example.com"), ("Tailscale-User-Name", "=?utf-8?q?Alice_=C3=84?=")],
    json!(["alice@example.com", null, "Alice Ä", "alice@example.com", null]))]
fn each_preset_reads_its_headers(#[case] preset: &str, #[case] headers: &[Field<'_>], #[case] user: Value) {
    assert_eq!(user_from(preset, headers), user);
}

#[test]
fn azure_principals_are_read_in_both_formats() {
    let app_service = json!({"auth_typ": "aad", "role_typ": "roles", "claims": [
        {"typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "val": "alice@example.com"},
        {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "u-1"},
        {"typ": "name", "val": "Alice"}, {"typ": "roles", "val": "staff"}, {"typ": "roles", "val": "ops"}]});
    let static_web_app = json!({"identityProvider": "aad", "userId": "u-1",
        "userDetails": "alice@example.com", "userRoles": ["staff", "ops"]});
    let user = |principal: Value| {
        user_from("azure", &[("X-MS-CLIENT-PRINCIPAL", &STANDARD.encode(principal.to_string()))])
    };
    assert_eq!(user(app_service), json!(["alice@example.com", "u-1", "Alice", null, ["staff", "ops"]]));
    assert_eq!(user(static_web_app), json!(["alice@example.com", "u-1", null, null, ["staff", "ops"]]));
}

/// E-mail, id, name, username and groups in the token.
fn user_from(preset: &str, headers: &[Field<'_>]) -> Value {
    let settings = Settings::proxy_headers(preset).set("claims.meta.username", "username");
    let app = App::start(settings.set("claims.meta.groups", "groups"));
    let claims = app.claims(headers);
    let (ti, meta) = (&claims["ti"], claims.get("meta").cloned().unwrap_or_default());
    assert_eq!(claims["sub"], ti["uem"]);
    assert_eq!(ti["ufn"], ti["udn"]);
    let external_id = claims.get("external_id").cloned().unwrap_or_default();
    json!([ti["uem"], external_id, ti["ufn"], meta["username"], meta["groups"]])
}

#[test]
fn custom_headers_give_organization_and_attributes() {
    let app = App::start(Settings::standard().toml(
        r#"
        [identity]
        preset = "custom"
        list_separator = ";"
        [identity.headers]
        id = "X-User-Id"
        email = "X-User-Email"
        name = "X-User-Name"
        groups = "X-User-Groups"
        organization.id = "X-Org"
        organization.name = "X-Org-Name"
        attributes.plan = "X-Plan"
        [claims]
        meta = { groups = "groups" }
        [claims.ti.xti]
        allowed_installs = "50 if attributes.plan == 'pro' else 2"
        beta = true
        "#,
    ));
    let claims = app.claims(&[
        ("X-User-Id", "u-1"),
        ("X-User-Email", "alice@example.com"),
        ("X-User-Name", "Alice"),
        ("X-User-Groups", "staff; ops"),
        ("X-Org", "org-1"),
        ("X-Org-Name", "Örg & Co"),
        ("X-Plan", "pro"),
    ]);
    assert_eq!(claims["external_id"], "u-1");
    assert_eq!(claims["meta"], json!({"groups": ["staff", "ops"]}));
    assert_eq!(
        claims["ti"],
        json!({"uem": "alice@example.com", "ufn": "Alice", "udn": "Alice", "aid": "org-1",
               "adn": "Örg & Co", "xti": {"user_tier": "pro", "allowed_installs": 50, "beta": true}})
    );
}

#[test]
fn a_script_gets_the_url_as_json() {
    let app = App::start(Settings::standard().set("pandium.token_lifetime_s", 300));
    let response = app.get("/pandium-sso", &[ALICE, &[JSON]].concat());
    assert_eq!((response.status, response.header("content-type")), (200, "application/json"));
    assert!(!response.has("location"));
    let (body, token) = (response.json(), Token::of(&response));
    assert_eq!(body["jti"], token.claims["jti"]);
    assert_eq!(body["issued_at"], token.claims["iat"]);
    assert_eq!(body["expires_at"], token.claims["exp"]);
    assert_eq!(body.as_object().unwrap().len(), 4);
}

#[test]
fn only_scripts_of_parents_can_read_the_response() {
    let app = App::standard();
    let request = |origin| {
        let metadata = [("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Mode", "cors"), ("Origin", origin), JSON];
        app.get("/pandium-sso", &[ALICE, &metadata].concat())
    };
    let allowed = request("https://app.example.com");
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    assert_eq!(allowed.header("vary"), "Origin, Accept");
    let refused = request("https://evil.example");
    refused.assert_refused(403, "cross_site_request");
    assert!(!refused.has("access-control-allow-origin"));
}

#[test]
fn link_parameters_reach_the_marketplace() {
    let app = App::standard();
    for (target, path, link) in [
        (
            "/pandium-sso?integration_id=1121&display=settings",
            "/acme",
            "integration_id=1121&display=settings",
        ),
        ("/pandium-sso?display=list&integration_id=1121", "/acme", "display=list&integration_id=1121"),
        (
            "/pandium-sso?integration_settings=a%26tenant%3Db%20%C3%A9",
            "/acme",
            "integration_settings=a%26tenant%3Db%20%C3%A9",
        ),
        ("/pandium-sso/install/1121", "/acme/tenants/create/1121", ""),
        ("/pandium-sso/install/1121?display=list", "/acme/tenants/create/1121", "display=list"),
        ("/pandium-sso?", "/acme", ""),
    ] {
        let token = Token::of(&app.get(target, ALICE));
        assert_eq!((token.url.path(), token.link().as_str()), (path, link), "{target}");
    }
}

// T16
#[rstest]
#[case("environment", "sandbox", "https://imp.sandbox.pandium.com/acme")]
#[case("environment", "demo", "https://imp.demo.pandium.com/acme")]
#[case("environment", "production", "https://imp.pandium.io/acme")]
#[case("pandium.base_url", "https://market.example.com:8443/a/", "https://market.example.com:8443/a/acme")]
#[case("pandium.account", "other", "https://imp.sandbox.pandium.com/other")]
fn the_destination_comes_from_the_configuration(#[case] key: &str, #[case] value: &str, #[case] url: &str) {
    let app = App::start(Settings::standard().set(key, value));
    let response = app.get("/pandium-sso", ALICE);
    assert_eq!(response.header("location").split('?').next(), Some(url));
}

#[test]
fn lifetime_sets_exp_and_backdating_shifts_iat() {
    let settings = Settings::standard().set("pandium.token_lifetime_s", 60);
    let app = App::start(settings.set("pandium.iat_backdate_s", 30));
    let before = now();
    let claims = app.claims(ALICE);
    let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!((before..=now()).contains(&(iat + 30)), "{iat}");
    assert_eq!(exp - iat, 90, "iat is set back, exp is not");
}

#[test]
fn unix_socket_peers_are_trusted_by_its_file_mode() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("sso.sock");
    let _app = App::start_in(folder, Settings::on_socket(&socket));
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    let mut connection = Connection::over(UnixStream::connect(&socket).unwrap());
    let response = connection.request("GET", "/pandium-sso", ALICE).unwrap();
    assert_eq!(Token::of(&response).claims["sub"], "alice@example.com");
}

#[test]
fn responses_match_their_snapshots() {
    let app = App::standard();
    let known = [(EMAIL, "alice@example.com"), ("X-Auth-Request-User", "u-1")];
    insta::assert_snapshot!("redirect", redacted(&app.get("/pandium-sso?integration_id=1121", &known)));
    insta::assert_snapshot!("json", redacted(&app.get("/pandium-sso", &[&known[..], &[JSON]].concat())));
    insta::assert_snapshot!("refused_page", redacted(&app.get("/pandium-sso", &[HTML])));
    insta::assert_snapshot!("refused_problem", redacted(&app.get("/pandium-sso", &[])));
}

/// A response as text, with variable values replaced by their names.
fn redacted(response: &Response) -> String {
    let mut text = format!("{}\n", response.status);
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| name != "content-length");
    headers.sort();
    for (name, value) in &headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    let body = response.text();
    match (body.split_once("<style"), body.split_once("</style>")) {
        (Some((before, _)), Some((_, after))) => text.push_str(&format!("\n{before}[style]{after}")),
        _ => text.push_str(&format!("\n{body}")),
    }
    let mut names = vec![(response.header("date").to_owned(), "[date]")];
    names.push((response.header("x-request-id").to_owned(), "[request id]"));
    if matches!(response.status, 200 | 307) {
        let token = Token::of(response);
        let (jti, iat) = (token.claims["jti"].as_str().unwrap(), token.claims["iat"].to_string());
        let claims = serde_json::to_string_pretty(&token.claims).unwrap();
        text.push_str(&format!("\n\n{}\n{claims}", token.header));
        names.extend([(token.text.clone(), "[token]"), (jti.to_owned(), "[jti]"), (iat, "[iat]")]);
    }
    if let Some((_, rest)) = response.all("content-security-policy")[0].split_once("'nonce-") {
        names.push((rest.split('\'').next().unwrap().to_owned(), "[nonce]"));
    }
    names.iter().fold(text, |text, (value, name)| text.replace(value, name))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
