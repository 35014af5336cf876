//! CORS: which origins may send requests, with which headers, and read responses.
//! Origins match exactly.

use crate::harness::issuer::{Key, key_and_file};
use crate::harness::key_server::{Behaviour, KeyServer, fetching};
use crate::harness::{ALICE, App, Field, Response, Settings, Token};

/// Parents with a pattern, and origins of scripts.
fn with_origins(settings: Settings) -> Settings {
    settings
        .embed_parents(&["https://app.example.com", "https://*.tenant.example.com"])
        .set("embed.cors_origins", ["https://scripts.example.com", "http://localhost:3000"])
}

const MARKETPLACE: &str = "https://market.example.com";

/// The main entrance, one for AppDirect, and one with its own parents.
fn start() -> App {
    let server = KeyServer::start(Behaviour::Down).unwrap();
    let appdirect = Settings::appdirect().identity("marketplace_url", format!("{MARKETPLACE}/some/page"));
    let settings = with_origins(Settings::standard())
        .entrance("appdirect", &appdirect.jwks_url(&format!("{}/keys", server.origin())))
        .entrance("own", &Settings::standard())
        .set("entrances.own.embed.parents", ["https://own.example.com"])
        .set("entrances.own.embed.cors_origins", [""; 0]);
    App::start(settings)
}

fn preflight(app: &App, path: &str, origin: &str) -> Response {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "accept,authorization,x-anything"),
    ];
    app.request("OPTIONS", path, &headers)
}

/// Asserts that scripts of this origin may read a response, or that none may.
fn assert_readable(response: &Response, origin: &str, is_allowed: bool) {
    let named: Vec<&str> = response.all("access-control-allow-origin");
    assert_eq!(named, if is_allowed { vec![origin] } else { Vec::new() }, "{origin:?}: {response:?}");
    let credentials = response.all("access-control-allow-credentials");
    assert_eq!(credentials, if is_allowed { vec!["true"] } else { Vec::new() }, "{origin:?}");
    assert_eq!(response.all("vary").join(",").to_ascii_lowercase(), "origin, accept", "{origin:?}");
    let all = response.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    for (name, value) in all {
        assert!(!value.contains('*'), "{name}: {value}");
    }
}

/// An origin, and the entrances whose responses its scripts may read.
#[test]
fn origins_match_exactly() {
    let app = start();
    let cases: [(&str, &[&str]); 23] = [
        ("https://app.example.com", &["/pandium-sso", "/appdirect"]),
        ("https://a.tenant.example.com", &["/pandium-sso", "/appdirect"]),
        ("https://scripts.example.com", &["/pandium-sso", "/appdirect"]),
        ("http://localhost:3000", &["/pandium-sso", "/appdirect"]),
        (MARKETPLACE, &["/appdirect"]),
        ("https://own.example.com", &["/own"]),
        ("https://evil.example", &[]),
        ("https://app.example.com.evil.example", &[]),
        ("https://evil-app.example.com", &[]),
        ("http://app.example.com", &[]),
        ("https://app.example.com:8443", &[]),
        ("https://app.example.com:443", &[]),
        ("http://localhost:3001", &[]),
        ("https://APP.example.com", &[]),
        ("https://app.example.com/", &[]),
        ("https://*.tenant.example.com", &["/pandium-sso", "/appdirect"]),
        ("https://tenant.example.com", &[]),
        ("https://eviltenant.example.com", &[]),
        ("null", &[]),
        ("*", &[]),
        ("https://app.example.com https://evil.example", &[]),
        ("https://app.example.com, https://evil.example", &[]),
        ("", &[]),
    ];
    for (origin, allowed) in cases {
        for path in ["/pandium-sso", "/appdirect", "/own", "/pandium-sso/install/1121"] {
            let is_allowed = allowed.contains(&path.trim_end_matches("/install/1121"));
            let response = preflight(&app, path, origin);
            if origin == "https://*.tenant.example.com" {
                // browsers never send such an origin, so echoing it reveals nothing
                assert!(response.all("access-control-allow-origin").iter().all(|named| *named == origin));
                continue;
            }
            assert_readable(&response, origin, is_allowed);
            match is_allowed {
                true => {
                    assert_eq!(
                        (response.status, response.header("access-control-allow-methods")),
                        (204, "GET"),
                        "{response:?}"
                    );
                    assert!(response.header("access-control-max-age").parse::<u32>().unwrap() <= 7200);
                }
                false => {
                    response.assert_refused(403, "cross_site_request");
                    assert!(!response.has("access-control-allow-headers"));
                    assert!(!response.has("access-control-allow-methods"));
                }
            }
            // the request itself, without credentials: allowed origins may read the refusal
            let refused = app.get(path, &[("Origin", origin), ("Accept", "application/json")]);
            refused.assert_refused(401, "unauthenticated");
            assert_readable(&refused, origin, is_allowed);
        }
    }
}

#[test]
fn only_allowed_origins_can_read_the_url() {
    let app = start();
    let request = |origin: &str| {
        let script: [Field<'_>; 5] = [
            ("Accept", "application/json"),
            ("Origin", origin),
            ("Sec-Fetch-Dest", "empty"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        app.get("/pandium-sso", &[&script[..], ALICE].concat())
    };
    for origin in ["https://app.example.com", "https://a.tenant.example.com", "https://scripts.example.com"] {
        let response = request(origin);
        assert_readable(&response, origin, true);
        assert_eq!(Token::of(&response).claims["sub"], "alice@example.com");
        assert!(!response.header("access-control-expose-headers").is_empty());
    }
    for origin in ["https://evil.example", MARKETPLACE, "null"] {
        let response = request(origin);
        response.assert_refused(403, "cross_site_request");
        assert_readable(&response, origin, false);
    }
    // no CORS headers without an Origin
    let response = app.get("/pandium-sso", ALICE);
    assert!(response.headers.iter().all(|(name, _)| !name.starts_with("access-control-")));
}

#[test]
fn a_preflight_allows_the_header_with_the_credentials() {
    // nothing listens at that port: there are no keys, and a preflight does not wait for any
    let nowhere = "http://127.0.0.1:1";
    let bearer = || fetching(nowhere);
    let access = Settings::of_kind("cloudflare_access").identity("team", "acme").audience("a");
    let balancer = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/b";
    for (settings, headers) in [
        (Settings::standard(), "accept"),
        (bearer(), "accept, authorization"),
        (bearer().identity("header", "X-Id-Token"), "accept, x-id-token"),
        (bearer().identity("cookie", "session"), "accept"),
        (Settings::appdirect().jwks_url(nowhere), "accept, mp-authorization"),
        (Settings::commercetools(nowhere), "accept, authorization"),
        (Settings::caf("what-caf-and-its-client-alone-know"), "accept, authorization"),
        (access.jwks_url(nowhere), "accept, cf-access-jwt-assertion"),
        (Settings::aws_alb(balancer, "i", nowhere), "accept, x-amzn-oidc-data"),
    ] {
        let app = App::start(settings.set("claims.sub", "id or email or username"));
        for target in ["/pandium-sso", "/pandium-sso/install/1121", "/pandium-sso?tenant=x&unknown=y"] {
            let response = preflight(&app, target, "https://app.example.com");
            let allowed = (response.status, response.header("access-control-allow-headers"));
            assert_eq!(allowed, (204, headers), "{target}");
            assert_readable(&response, "https://app.example.com", true);
            assert!(response.body.is_empty() && !response.has("www-authenticate"), "{response:?}");
        }
        // no hand-off was counted
        let labels = [("entrance", "pandium-sso"), ("environment", "sandbox")];
        assert!(app.metric("marketplace_sso_handoffs_total", &labels) < 0.5, "{headers}");
    }
}

#[test]
fn options_without_preflight_headers_is_refused() {
    let app = start();
    let origin = ("Origin", "https://app.example.com");
    for headers in [&[][..], &[origin], &[("Access-Control-Request-Method", "GET")]] {
        app.request("OPTIONS", "/pandium-sso", headers).assert_refused(405, "method_not_allowed");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let headers = [origin, ("Access-Control-Request-Method", method)];
        let response = app.request("OPTIONS", "/pandium-sso", &headers);
        assert_eq!(response.header("access-control-allow-methods"), "GET", "{method}");
    }
    assert_preflight_only_at_entrances(&app);
}

#[test]
fn two_origin_headers_are_not_allowed() {
    let app = start();
    let (ours, evil) = (("Origin", "https://app.example.com"), ("Origin", "https://evil.example"));
    let method = ("Access-Control-Request-Method", "GET");
    for both in [[ours, evil], [evil, ours]] {
        for response in [
            app.request("OPTIONS", "/pandium-sso", &[&both[..], &[method]].concat()),
            app.get("/pandium-sso", &[&both[..], ALICE].concat()),
        ] {
            assert!(!response.has("access-control-allow-origin"), "{response:?}");
        }
    }
    let once = app.request("OPTIONS", "/pandium-sso", &[ours, method]);
    assert_eq!(once.header("access-control-allow-origin"), ours.1);
}

fn assert_preflight_only_at_entrances(app: &App) {
    for path in ["/livez", "/readyz", "/nowhere", "/v1/verify/pandium-sso"] {
        let response = preflight(app, path, "https://app.example.com");
        assert_ne!(response.status, 204, "{path}");
        assert!(!response.has("access-control-allow-headers"), "{path}");
    }
    assert_eq!(preflight(app, "/pandium-sso", "https://app.example.com").status, 204);
}

#[test]
fn allowed_origins_can_read_why_a_token_was_rejected() {
    let (key, file) = key_and_file();
    let app = App::start(with_origins(Settings::bearer().jwks_file(&file)));
    let invalid = format!("Bearer {}", Key::new("ES256").token());
    let request = |bearer: &str, origin: &str| {
        app.get(
            "/pandium-sso",
            &[("Authorization", bearer), ("Origin", origin), ("Accept", "application/json")],
        )
    };
    for origin in ["https://app.example.com", "https://scripts.example.com", "https://evil.example"] {
        let response = request(&invalid, origin);
        response.assert_refused(401, "invalid_token");
        assert_readable(&response, origin, origin != "https://evil.example");
    }
    let good = request(&format!("Bearer {}", key.token()), "https://app.example.com");
    assert_eq!(Token::of(&good).claims["external_id"], "u-1");
}
