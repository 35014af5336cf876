//! commercetools: the Merchant Center's gateway forwards requests with an exchange
//! token for the requested URL and its own headers.

use std::time::Instant;

use rstest::rstest;
use serde_json::json;

use crate::harness::issuer::{Key, assert_invalid, claims_of, jwks};
use crate::harness::key_server::{Behaviour, KeyServer, repetitions_since, serving};
use crate::harness::{App, Field, Response, Settings, Token};

const HERE: &str = "https://sso.example.com/pandium-sso";

pub const CLOUD: Field<'static> = ("X-MC-API-Cloud-Identifier", "gcp-eu");
pub const VERSION: Field<'static> = ("X-MC-API-Forward-To-Version", "v2");

/// Settings for a gateway, with an expression for `sub`, because the token has no e-mail address.
fn settings(issuer: &str) -> Settings {
    Settings::commercetools(issuer)
        .set("claims.sub", "attributes.project_key ~ ':' ~ id")
        .set("claims.meta.permissions", "attributes.permissions")
        .set("claims.meta.organization", "organization.id")
}

/// The gateway: its key and key server.
pub struct Gateway {
    key: Key,
    server: KeyServer,
}

impl Gateway {
    pub fn start() -> Self {
        let key = Key::new("RS256");
        let set = jwks(&[key.jwk(Some("k-1"))]);
        Self { key, server: KeyServer::start(serving(&[("/.well-known/jwks.json", &set)])).unwrap() }
    }

    pub fn settings(&self) -> Settings {
        settings(&self.server.origin())
    }

    fn app(&self) -> App {
        App::start_ready(self.settings())
    }

    /// An exchange token with changed claims, in which `ISSUER` is replaced by the gateway's URL.
    fn token(&self, changed: &[(&str, &str)]) -> String {
        let issuer = self.server.origin();
        let (quoted, audience) = (format!("{issuer:?}"), format!("{HERE:?}"));
        let project = format!("{issuer}/claims/project_key");
        let defaults = [
            ("iss", quoted.as_str()),
            ("sub", "\"user-1\""),
            ("aud", &audience),
            ("type", "\"exchange\""),
            ("iat", "@0"),
            ("exp", "@60"),
            (&project, "\"shop\""),
        ];
        let changed: Vec<(String, String)> = changed
            .iter()
            .map(|(name, value)| (name.replace("ISSUER", &issuer), value.replace("ISSUER", &issuer)))
            .collect();
        let changed: Vec<(&str, &str)> =
            changed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.key.sign(r#"{"alg":"RS256","typ":"JWT","kid":"k-1"}"#, &claims_of(&defaults, &changed))
    }

    pub fn for_audience(&self, audience: &str) -> String {
        self.token(&[("aud", &format!("{audience:?}"))])
    }
}

/// Forwards a token as the gateway does.
fn forward(app: &App, target: &str, token: &str) -> Response {
    app.get(target, &[("Authorization", &format!("Bearer {token}")), CLOUD, VERSION])
}

#[test]
fn a_merchant_center_user_is_signed_on() {
    let gateway = Gateway::start();
    let app = gateway.app();
    let claims = Token::of(&forward(&app, "/pandium-sso", &gateway.token(&[]))).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("shop:user-1"), &json!("user-1")));
    assert_eq!(claims["meta"], json!({"organization": "shop"}));
    assert_eq!(claims["ti"]["aid"], "shop");

    let allowed = ("ISSUER/claims/user_permissions", "[\"ViewOrders\",\"ManageProject\"]");
    let claims = Token::of(&forward(&app, "/pandium-sso", &gateway.token(&[allowed]))).claims;
    assert_eq!(claims["meta"]["permissions"], json!(["ViewOrders", "ManageProject"]));
    for bad in ["\"ViewOrders\"", "[1]", "null", "{}"] {
        let token = gateway.token(&[("ISSUER/claims/user_permissions", bad)]);
        forward(&app, "/pandium-sso", &token).assert_refused(401, "invalid_token");
    }
    assert_eq!(gateway.server.requested_paths(), ["/.well-known/jwks.json"]);
}

/// A claim and its invalid values, as in [`claims_of`].
#[test]
fn an_invalid_claim_is_rejected() {
    let gateway = Gateway::start();
    let app = gateway.app();
    assert_eq!(forward(&app, "/pandium-sso", &gateway.token(&[])).status, 307);
    let cases = [
        ("exp", r#"|null|"@60"|true"#, "invalid_token"),
        ("exp", "@0|@-1", "expired_token"),
        ("iat", r#"|null|"0"|@60"#, "invalid_token"),
        ("nbf", "@60", "invalid_token"),
        ("sub", r#"|null|1|""|"null"|["user-1"]"#, "invalid_token"),
        ("iss", r#"|"ISSUER/"|"https://mc-api.europe-west1.gcp.commercetools.com""#, "invalid_token"),
        ("iss", r#"["ISSUER"]"#, "invalid_token"),
        ("type", r#"|"access"|"Exchange"|null|["exchange"]"#, "invalid_token"),
        ("ISSUER/claims/project_key", r#"|null|""|" "|1|["shop"]"#, "invalid_token"),
        ("aud", "|null|1|[]|{}", "invalid_token"),
    ];
    assert_invalid(&cases, |name, value| forward(&app, "/pandium-sso", &gateway.token(&[(name, value)])));
}

#[test]
fn a_project_key_of_another_issuer_is_rejected() {
    let gateway = Gateway::start();
    let app = gateway.app();
    for other in ["project_key", "https://mc-api.commercetools.com/claims/project_key", "ISSUER/project_key"]
    {
        let token = gateway.token(&[("ISSUER/claims/project_key", ""), (other, "\"shop\"")]);
        forward(&app, "/pandium-sso", &token).assert_refused(401, "invalid_token");
    }
    assert_eq!(forward(&app, "/pandium-sso", &gateway.token(&[])).status, 307);
}

#[test]
fn the_gateway_headers_are_required_once() {
    let gateway = Gateway::start();
    let app = gateway.app();
    let token = gateway.token(&[]);
    let bearer = format!("Bearer {token}");
    let authorization = ("Authorization", bearer.as_str());
    let request = |headers: &[Field<'_>]| app.get("/pandium-sso", headers);
    for version in ["v1", "v2"] {
        assert_eq!(request(&[authorization, CLOUD, (VERSION.0, version)]).status, 307);
    }
    request(&[CLOUD, VERSION]).assert_refused(401, "unauthenticated");
    request(&[authorization, VERSION]).assert_refused(401, "invalid_token");
    request(&[authorization, CLOUD]).assert_refused(401, "invalid_token");
    for empty in ["", " ", "\t"] {
        request(&[authorization, (CLOUD.0, empty), VERSION]).assert_refused(401, "invalid_token");
    }
    for version in ["v3", "v0", "V1", "1", "", "v1, v2", "v2 v2"] {
        request(&[authorization, CLOUD, (VERSION.0, version)]).assert_refused(401, "invalid_token");
    }
    for value in [token.as_str(), &format!("Token {token}"), &format!("Bearer{token}"), "Bearer"] {
        request(&[("Authorization", value), CLOUD, VERSION]).assert_refused(401, "invalid_token");
    }
    for twice in [authorization, CLOUD, VERSION] {
        request(&[authorization, CLOUD, VERSION, twice]).assert_refused(400, "ambiguous_identity");
    }
}

/// The requested path, the audience, and whether they match.
#[test]
fn the_audience_is_the_requested_url() {
    let gateway = Gateway::start();
    let app = gateway.app();
    for (target, audience, is_same) in [
        ("/pandium-sso", HERE, true),
        ("/pandium-sso?integration_id=1121", HERE, true),
        ("/pandium-sso?integration_id=1121", "HERE?integration_id=1121", false),
        ("/pandium-sso/install/1121", "HERE/install/1121", true),
        ("/pandium-sso/install/1121", "HERE/install/1122", false),
        ("/pandium-sso/install/1121", HERE, false),
        ("/pandium-sso", "https://sso.example.com", false),
        ("/pandium-sso", "https://sso.example.com/", false),
        ("/pandium-sso", "HERE/", false),
        ("/pandium-sso", "https://sso.example.com//pandium-sso", false),
        ("/pandium-sso", "https://SSO.example.com/pandium-sso", false),
        ("/pandium-sso", "https://sso.example.com/pandium%2Dsso", false),
        ("/pandium-sso", "https://sso.example.com/%70andium-sso", false),
        ("/pandium-sso", "https://sso.example.com:443/pandium-sso", false),
        ("/pandium-sso", "http://sso.example.com/pandium-sso", false),
        ("/pandium-sso", "https://evil.example/pandium-sso", false),
        ("/pandium-sso", "/pandium-sso", false),
        ("/pandium-sso", "HERE#", false),
    ] {
        let audience = audience.replace("HERE", HERE);
        let response = forward(&app, target, &gateway.for_audience(&audience));
        match is_same {
            true => assert_eq!(Token::of(&response).claims["sub"], "shop:user-1", "{target} {audience}"),
            false => response.assert_refused(401, "invalid_token"),
        }
        let listed = gateway.token(&[("aud", &format!("[\"https://other.example\",{audience:?}]"))]);
        let status = forward(&app, target, &listed).status;
        assert_eq!(status, if is_same { 307 } else { 401 }, "{target} {audience}");
    }
}

#[test]
fn no_header_changes_the_expected_audience() {
    let gateway = Gateway::start();
    let app = gateway.app();
    let (there, here) = (gateway.for_audience("https://evil.example/there"), gateway.token(&[]));
    let claims = [
        ("Host", "marketplace-sso:8080"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Uri", "/there"),
        ("X-Original-URL", "/there"),
        ("Forwarded", "host=evil.example"),
    ];
    for (token, status) in [(there, 401), (here, 307)] {
        let bearer = format!("Bearer {token}");
        let headers = [&[("Authorization", bearer.as_str()), CLOUD, VERSION], &claims[..]].concat();
        assert_eq!(app.get("/pandium-sso", &headers).status, status);
    }
}

#[test]
fn the_audience_can_be_the_public_origin() {
    let gateway = Gateway::start();
    let app = App::start_ready(gateway.settings().identity("audience_policy", "forward-url-origin"));
    let send_token = |audience: &str| forward(&app, "/pandium-sso", &gateway.for_audience(audience));
    assert_eq!(send_token("https://sso.example.com").status, 307);
    for other in ["https://sso.example.com/", HERE, "https://sso.example.com.evil.example"] {
        send_token(other).assert_refused(401, "invalid_token");
    }
    // by default the origin of server.public_url
    let app = App::start_ready(gateway.settings().without("identity.public_origin"));
    let there = gateway.for_audience("https://app.example.com/pandium-sso");
    assert_eq!(forward(&app, "/pandium-sso", &there).status, 307);
    forward(&app, "/pandium-sso", &gateway.token(&[])).assert_refused(401, "invalid_token");
}

#[test]
fn only_configured_projects_are_allowed() {
    let gateway = Gateway::start();
    let app = App::start_ready(gateway.settings().identity("project_keys", ["shop", "other"]));
    let send_token = |project: &str| {
        let token = gateway.token(&[("ISSUER/claims/project_key", &format!("{project:?}"))]);
        forward(&app, "/pandium-sso", &token)
    };
    assert_eq!(Token::of(&send_token("other")).claims["sub"], "other:user-1");
    for other in ["evil", "Shop", "shop2"] {
        send_token(other).assert_refused(403, "not_allowed");
    }
}

#[test]
fn only_rs256_of_a_published_key_is_accepted() {
    let gateway = Gateway::start();
    let app = gateway.app();
    assert_eq!(forward(&app, "/pandium-sso", &gateway.token(&[])).status, 307);
    let token = gateway.token(&[]);
    let claims = token.split('.').nth(1).unwrap();
    let sign = |key: &Key, header: &str| {
        use base64::Engine;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
        key.sign_text(&format!("{header}.{claims}"))
    };
    let (pss, ec) = (Key::new("PS256"), Key::new("ES256"));
    assert_eq!(forward(&app, "/pandium-sso", &sign(&gateway.key, r#"{"alg":"RS256"}"#)).status, 307);
    for forged in [
        sign(&gateway.key, r#"{"alg":"none","kid":"k-1"}"#),
        sign(&gateway.key, r#"{"alg":"RS512","kid":"k-1"}"#),
        sign(&pss, r#"{"alg":"PS256","kid":"k-1"}"#),
        sign(&ec, r#"{"alg":"RS256","kid":"k-1"}"#),
        sign(&Key::shared(gateway.key.pem()), r#"{"alg":"HS256","kid":"k-1"}"#),
    ] {
        forward(&app, "/pandium-sso", &forged).assert_refused(401, "invalid_token");
    }
}

/// The gateway headers of a request, and the host of its keys.
const TABLE: [(&str, &str, &str); 12] = [
    ("gcp-au", "v2", "mc-api.australia-southeast1.gcp.commercetools.com"),
    ("gcp-au", "v1", "mc-api.australia-southeast1.gcp.commercetools.com"),
    ("gcp-eu", "v2", "mc-api.europe-west1.gcp.commercetools.com"),
    ("gcp-eu", "v1", "mc-api.commercetools.com"),
    ("gcp-us", "v2", "mc-api.us-central1.gcp.commercetools.com"),
    ("gcp-us", "v1", "mc-api.commercetools.co"),
    ("aws-eu", "v2", "mc-api.eu-central-1.aws.commercetools.com"),
    ("aws-fra", "v2", "mc-api.eu-central-1.aws.commercetools.com"),
    ("aws-fra", "v1", "mc-api.eu-central-1.aws.commercetools.com"),
    ("aws-us", "v2", "mc-api.us-east-2.aws.commercetools.com"),
    ("aws-ohio", "v2", "mc-api.us-east-2.aws.commercetools.com"),
    ("aws-us", "v1", "mc-api.us-east-2.aws.commercetools.com"),
];

/// Starts a service whose outbound requests go through a proxy that records hosts.
fn start_behind(proxy: &KeyServer, settings: Settings) -> App {
    let app = App::start_behind_proxy(&proxy.origin(), settings);
    app.wait_until_ready();
    app
}

#[test]
fn infer_issuer_selects_known_gateways_only() {
    let gateway = Gateway::start();
    let proxy = KeyServer::start(Behaviour::Respond(403, String::new())).unwrap();
    let app = start_behind(&proxy, gateway.settings().identity("infer_issuer", true));
    let bearer = format!("Bearer {}", gateway.token(&[]));
    let request = |cloud: &str, version: &str| {
        app.get("/pandium-sso", &[("Authorization", &bearer), (CLOUD.0, cloud), (VERSION.0, version)])
    };
    let hosts = || {
        let mut hosts: Vec<String> = Vec::new();
        for path in proxy.requested_paths() {
            if !hosts.contains(&path) {
                hosts.push(path);
            }
        }
        hosts
    };
    // no keys of known gateways are fetched at start
    assert!(proxy.requested_paths().is_empty());
    let (mut expected, started) = (Vec::new(), Instant::now());
    for (cloud, version, host) in TABLE {
        request(cloud, version).assert_refused(503, "keys_unavailable");
        // keys are fetched from each host once per cooldown
        let authority = format!("{host}:443");
        if !expected.contains(&authority) {
            expected.push(authority.clone());
        }
        let fetches = proxy.requested_paths().iter().filter(|path| **path == authority).count();
        assert!(fetches <= 1 + repetitions_since(started), "{cloud} {version}: {fetches}");
        assert_eq!(hosts(), expected, "{cloud} {version}");
    }
    for cloud in ["gcp-xx", "GCP-EU", "gcp-eu.evil.example", "https://evil.example"] {
        // unknown gateways use the configured issuer
        assert_eq!(request(cloud, "v2").status, 307, "{cloud}");
    }
    assert_eq!(hosts(), expected);
    assert!(app.entrances_without_keys().is_empty());
}

#[rstest]
#[case::by_its_identifier("gcp-us", "mc-api.us-central1.gcp.commercetools.com")]
#[case::by_the_older_one("aws-ohio", "mc-api.us-east-2.aws.commercetools.com")]
#[case::by_its_address(
    "https://mc-api.europe-west1.gcp.commercetools.com",
    "mc-api.europe-west1.gcp.commercetools.com"
)]
fn without_infer_issuer_the_request_selects_nothing(#[case] issuer: &str, #[case] host: &str) {
    let proxy = KeyServer::start(Behaviour::Respond(403, String::new())).unwrap();
    let gateway = Gateway::start();
    let started = Instant::now();
    let app = start_behind(&proxy, settings(issuer));
    let bearer = format!("Bearer {}", gateway.token(&[]));
    for (cloud, _, _) in TABLE {
        let headers = [("Authorization", bearer.as_str()), (CLOUD.0, cloud), VERSION];
        app.get("/pandium-sso", &headers).assert_refused(503, "keys_unavailable");
    }
    let requested = proxy.requested_paths();
    assert!(
        requested.iter().all(|path| *path == format!("{host}:443")) && !requested.is_empty(),
        "{requested:?}"
    );
    assert!(requested.len() <= 1 + repetitions_since(started), "{requested:?}");
    assert_eq!(app.entrances_without_keys(), ["pandium-sso"]);
}

#[test]
fn a_wrong_setting_is_named() {
    let settings = || settings("gcp-eu");
    assert_eq!(settings().check().status, 0);
    settings().without("claims").assert_wrong("claims.sub", "attributes.project_key");
    settings().set("claims.sub", "attributes.project").assert_wrong("claims.sub", "attributes.project");
    for (key, value, message) in [
        ("issuer", "gcp-xx", ""),
        ("issuer", "http://mc-api.example.com", "https"),
        ("public_origin", "https://sso.example.com/path", "must have only"),
        ("audience_policy", "any", "forward-url-full-path"),
        ("jwks_url", "https://a.example/", ""),
    ] {
        settings().identity(key, value).assert_wrong(&format!("identity.{key}"), message);
    }
}
