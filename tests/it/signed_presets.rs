//! Presets for login proxies that sign tokens: each with its own header, issuer and
//! algorithm.

use std::time::Instant;

use rstest::rstest;
use serde_json::json;

use crate::harness::issuer::{Key, claims_of};
use crate::harness::key_server::{Behaviour, KeyServer, repetitions_since, serve_keys};
use crate::harness::{App, Response, Settings, Token};

/// A preset's settings, and what its login proxy sends.
#[derive(Clone, Copy)]
struct Preset {
    settings: fn() -> Settings,
    header: &'static str,
    scheme: &'static str,
    issuer: &'static str,
    audience: &'static str,
    /// The default host of its keys.
    host: &'static str,
}

const ACCESS: Preset = Preset {
    settings: || Settings::of_kind("cloudflare_access").identity("team", "acme").audience("tag-1"),
    header: "Cf-Access-Jwt-Assertion",
    scheme: "",
    issuer: "https://acme.cloudflareaccess.com",
    audience: "tag-1",
    host: "acme.cloudflareaccess.com",
};

const IAP: Preset = Preset {
    settings: || Settings::of_kind("google_iap").audience("/projects/1/global/backendServices/2"),
    header: "X-Goog-IAP-JWT-Assertion",
    scheme: "",
    issuer: "https://cloud.google.com/iap",
    audience: "/projects/1/global/backendServices/2",
    host: "www.gstatic.com",
};

const POMERIUM: Preset = Preset {
    settings: || Settings::of_kind("pomerium").identity("route_host", "sso.example.com"),
    header: "X-Pomerium-Jwt-Assertion",
    scheme: "",
    issuer: "sso.example.com",
    audience: "sso.example.com",
    host: "sso.example.com",
};

const AUTHENTIK: Preset = Preset {
    settings: || {
        let issuer = "https://auth.example.com/application/o/sso/";
        Settings::of_kind("authentik").issuer(issuer).audience("client")
    },
    header: "X-authentik-jwt",
    scheme: "",
    issuer: "https://auth.example.com/application/o/sso/",
    audience: "client",
    host: "auth.example.com",
};

const OATHKEEPER: Preset = Preset {
    settings: || Settings::of_kind("oathkeeper").issuer("https://keeper.example.com/").audience("sso"),
    header: "Authorization",
    scheme: "Bearer ",
    issuer: "https://keeper.example.com/",
    audience: "sso",
    host: "keeper.example.com",
};

impl Preset {
    /// The claims for Alice, with changes as in [`claims_of`].
    fn claims(self, changed: &[(&str, &str)]) -> String {
        let (issuer, audience) = (format!("{:?}", self.issuer), format!("[{:?}]", self.audience));
        let defaults = [
            ("iss", issuer.as_str()),
            ("aud", &audience),
            ("sub", "\"u-1\""),
            ("email", "\"alice@example.com\""),
            ("type", "\"app\""),
            ("iat", "@0"),
            ("exp", "@60"),
        ];
        claims_of(&defaults, changed)
    }

    fn token(self, key: &Key, changed: &[(&str, &str)]) -> String {
        key.sign(&json!({"alg": key.algorithm, "kid": "k-1"}).to_string(), &self.claims(changed))
    }

    fn send_token(self, app: &App, token: &str) -> Response {
        app.get("/pandium-sso", &[(self.header, &format!("{}{token}", self.scheme))])
    }

    /// A service with this preset, keys from a stand-in server, and changed settings.
    fn app(self, key: &Key, change: impl FnOnce(Settings) -> Settings) -> App {
        let server = serve_keys(&[key.jwk(Some("k-1"))]);
        App::start_ready(change((self.settings)().jwks_url(&format!("{}/keys", server.origin()))))
    }
}

#[rstest]
#[case::cloudflare_access(ACCESS, "RS256")]
#[case::google_iap(IAP, "ES256")]
#[case::pomerium(POMERIUM, "ES256")]
#[case::authentik(AUTHENTIK, "RS256")]
#[case::authentik_ec(AUTHENTIK, "ES256")]
#[case::oathkeeper(OATHKEEPER, "RS256")]
#[case::oathkeeper_ec(OATHKEEPER, "ES256")]
#[case::oathkeeper_ed(OATHKEEPER, "EdDSA")]
fn each_preset_accepts_its_own_tokens_only(#[case] preset: Preset, #[case] algorithm: &'static str) {
    let key = Key::new(algorithm);
    let app = preset.app(&key, |settings| settings);
    let good = preset.token(&key, &[]);
    let claims = Token::of(&preset.send_token(&app, &good)).claims;
    assert_eq!((&claims["sub"], &claims["external_id"]), (&json!("alice@example.com"), &json!("u-1")));

    let refused = |token: &str| preset.send_token(&app, token).assert_refused(401, "invalid_token");
    for issuer in ["", "null", "\"https://evil.example\"", &format!("\"{}x\"", preset.issuer)] {
        refused(&preset.token(&key, &[("iss", issuer)]));
    }
    for audience in ["", "[]", "\"other\"", &format!("\"{}/\"", preset.audience)] {
        refused(&preset.token(&key, &[("aud", audience)]));
    }
    for (name, value) in [("exp", ""), ("sub", ""), ("sub", "\"null\""), ("iat", "@120"), ("nbf", "@120")] {
        refused(&preset.token(&key, &[(name, value)]));
    }
    preset.send_token(&app, &preset.token(&key, &[("exp", "@-60")])).assert_refused(401, "expired_token");
    for other in [Key::new("PS256"), Key::new("ES384"), Key::new("EdDSA"), Key::shared(key.pem())] {
        refused(&preset.token(&other, &[]));
    }

    for other in [ACCESS, IAP, POMERIUM, AUTHENTIK, OATHKEEPER] {
        if other.header != preset.header {
            other.send_token(&app, &good).assert_refused(401, "unauthenticated");
        }
    }
    let value = format!("{}{good}", preset.scheme);
    let twice = [(preset.header, value.as_str()), (preset.header, &value)];
    app.get("/pandium-sso", &twice).assert_refused(400, "ambiguous_identity");
}

#[rstest]
#[case::cloudflare_access(ACCESS)]
#[case::google_iap(IAP)]
#[case::pomerium(POMERIUM)]
#[case::authentik(AUTHENTIK)]
#[case::oathkeeper(OATHKEEPER)]
fn each_preset_fetches_keys_from_its_own_host(#[case] preset: Preset) {
    let proxy = KeyServer::start(Behaviour::Respond(403, String::new())).unwrap();
    let started = Instant::now();
    let app = App::start_behind_proxy(&proxy.origin(), (preset.settings)());
    app.wait_until_ready();
    let (requested, host) = (proxy.requested_paths(), format!("{}:443", preset.host));
    assert!(requested.iter().all(|path| *path == host) && !requested.is_empty(), "{requested:?}");
    assert!(requested.len() <= 1 + repetitions_since(started), "{requested:?}");
    let response = preset.send_token(&app, &preset.token(&Key::new("ES256"), &[]));
    // ES256 is acceptable to all of them except Cloudflare
    match preset.issuer == ACCESS.issuer {
        true => response.assert_refused(401, "invalid_token"),
        false => response.assert_refused(503, "keys_unavailable"),
    }
}

#[test]
fn header_issuer_and_claims_can_be_overridden() {
    let key = Key::new("RS256");
    let app = ACCESS.app(&key, |settings| {
        let settings = settings.issuer("https://access.example.com").identity("header", "X-Assertion");
        settings.identity("required_claims.tier", 2)
    });
    let changed = [("iss", "\"https://access.example.com\""), ("tier", "2")];
    let send_token = |header: &str, token: &str| app.get("/pandium-sso", &[(header, token)]);
    assert_eq!(send_token("X-Assertion", &ACCESS.token(&key, &changed)).status, 307);
    send_token("X-Assertion", &ACCESS.token(&key, &changed[..1])).assert_refused(401, "invalid_token");
    send_token("X-Assertion", &ACCESS.token(&key, &changed[1..])).assert_refused(401, "invalid_token");
    // the preset's own required claims still apply
    let org = [&changed[..], &[("type", "\"org\"")]].concat();
    send_token("X-Assertion", &ACCESS.token(&key, &org)).assert_refused(401, "invalid_token");
    send_token(ACCESS.header, &ACCESS.token(&key, &changed)).assert_refused(401, "unauthenticated");
}

// T15
#[test]
fn cloudflare_accepts_app_tokens_of_persons_only() {
    let key = Key::new("RS256");
    let app = ACCESS.app(&key, |settings| settings);
    let send_token = |changed: &[(&str, &str)]| ACCESS.send_token(&app, &ACCESS.token(&key, changed));
    assert_eq!(send_token(&[("aud", "[\"another\",\"tag-1\"]")]).status, 307);
    for kind in ["\"org\"", "", "null", "\"App\"", "[\"app\"]", "true"] {
        send_token(&[("type", kind)]).assert_refused(401, "invalid_token");
    }
    for email in ["", "\"\"", "null", "\"null\"", "[\"alice@example.com\"]"] {
        let service = [("email", email), ("common_name", "\"e367826f93b8d71185e03fe518aff3b4.access\"")];
        send_token(&service).assert_refused(403, "not_allowed");
        // nor with an empty subject
        send_token(&[&service[..], &[("sub", "\"\"")]].concat()).assert_no_token();
    }
    // the cookie of Access and the unsigned header are not read
    let cookie = format!("CF_Authorization={}", ACCESS.token(&key, &[]));
    app.get("/pandium-sso", &[("Cookie", &cookie)]).assert_refused(401, "unauthenticated");
    app.get("/pandium-sso", &[("Cf-Access-Authenticated-User-Email", "alice@example.com")])
        .assert_refused(401, "unauthenticated");
}

#[test]
fn iap_has_30_s_leeway_and_its_probes_are_unauthenticated() {
    let key = Key::new("ES256");
    let app = IAP.app(&key, |settings| settings);
    let send_token = |changed: &[(&str, &str)]| IAP.send_token(&app, &IAP.token(&key, changed));
    for within in [("exp", "@-20"), ("iat", "@20"), ("nbf", "@20")] {
        assert_eq!(send_token(&[within]).status, 307, "{within:?}");
    }
    send_token(&[("exp", "@-31")]).assert_refused(401, "expired_token");
    send_token(&[("iat", "@60")]).assert_refused(401, "invalid_token");
    let probe = [("User-Agent", "GoogleHC/1.0"), ("X-Goog-Authenticated-User-Email", "a:alice@example.com")];
    app.get("/pandium-sso", &probe).assert_refused(401, "unauthenticated");

    let strict = IAP.app(&key, |settings| settings.identity("leeway_s", 0));
    IAP.send_token(&strict, &IAP.token(&key, &[("exp", "@-1")])).assert_refused(401, "expired_token");
    assert_eq!(IAP.send_token(&strict, &IAP.token(&key, &[])).status, 307);
}

// T9
#[test]
fn the_jwks_header_of_authentik_is_never_used() {
    let (key, attacker) = (Key::new("ES256"), Key::new("ES256"));
    let theirs = serve_keys(&[attacker.jwk(Some("k-1"))]);
    let app = AUTHENTIK.app(&key, |settings| settings);
    let url = format!("{}/keys", theirs.origin());
    for (signer, status) in [(&attacker, 401), (&key, 307)] {
        let token = AUTHENTIK.token(signer, &[]);
        let headers = [
            ("X-authentik-jwt", token.as_str()),
            ("X-authentik-meta-jwks", &url),
            ("X-authentik-meta-provider", &theirs.origin()),
            ("X-authentik-email", "boss@example.com"),
        ];
        let response = app.get("/pandium-sso", &headers);
        assert_eq!(response.status, status, "{response:?}");
        if status == 307 {
            assert_eq!(Token::of(&response).claims["sub"], "alice@example.com");
        }
    }
    app.log_lines();
    assert!(theirs.requested_paths().is_empty());
}

#[test]
fn a_wrong_setting_is_named() {
    let [access, iap, pomerium, authentik, oathkeeper] =
        [ACCESS, IAP, POMERIUM, AUTHENTIK, OATHKEEPER].map(|preset| {
            assert_eq!((preset.settings)().check().status, 0, "{}", preset.issuer);
            preset.settings
        });
    for (settings, key) in [
        (access().without("identity.team"), "team"),
        (access().identity("team", "evil.example/x"), "team"),
        (access().identity("team", "x@evil"), "team"),
        (access().identity("team", ""), "team"),
        (access().without("identity.audience"), "audience"),
        (iap().without("identity.audience"), "audience"),
        (iap().identity("team", "acme"), "team"),
        (pomerium().without("identity.route_host"), "route_host"),
        (pomerium().identity("route_host", "https://sso.example.com"), "route_host"),
        (authentik().without("identity.issuer"), "issuer"),
        (oathkeeper().issuer("keeper"), "jwks_url"),
        (access().identity("kind", "cloudflare"), "kind"),
        (oathkeeper().without("identity.audience"), "audience"),
    ] {
        settings.assert_wrong(&format!("identity.{key}"), "");
    }
}
