//! CORS: which origins may send requests, with which headers, and read responses.
//! Origins match exactly.

use rstest::rstest;

use crate::harness::issuer::{Key, bearer_identity, entrance, key_and_file, standard_with};
use crate::harness::key_server::{Behaviour, KeyServer, jwks_identity};
use crate::harness::{ALICE, App, Field, Response, Token};

const EMBED: &str = "[embed]\nparents = [\"https://app.example.com\", \"https://*.tenant.example.com\"]\n\
                     cors_origins = [\"https://scripts.example.com\", \"http://localhost:3000\"]\n";

const MARKETPLACE: &str = "https://market.example.com";

/// The main entrance, one for AppDirect, and one with its own parents.
fn start() -> App {
    let server = KeyServer::start(Behaviour::Down).unwrap();
    let appdirect = format!(
        "kind = \"appdirect\"\nmarketplace_url = \"{MARKETPLACE}/some/page\"\ntenant = \"t\"\njwks_url = \"{}/keys\"",
        server.origin()
    );
    let own = "kind = \"proxy_headers\"\npreset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
               [entrances.own.embed]\nparents = [\"https://own.example.com\"]\ncors_origins = []";
    App::start(&format!("{EMBED}{}{}", entrance("appdirect", &appdirect), entrance("own", own)))
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
#[rstest]
#[case::a_parent("https://app.example.com", &["/pandium-sso", "/appdirect"])]
#[case::below_a_pattern("https://a.tenant.example.com", &["/pandium-sso", "/appdirect"])]
#[case::a_script("https://scripts.example.com", &["/pandium-sso", "/appdirect"])]
#[case::on_this_machine("http://localhost:3000", &["/pandium-sso", "/appdirect"])]
#[case::the_marketplace(MARKETPLACE, &["/appdirect"])]
#[case::an_entrances_own("https://own.example.com", &["/own"])]
#[case::another_origin("https://evil.example", &[])]
#[case::a_longer_name("https://app.example.com.evil.example", &[])]
#[case::a_name_before("https://evil-app.example.com", &[])]
#[case::not_encrypted("http://app.example.com", &[])]
#[case::another_port("https://app.example.com:8443", &[])]
#[case::its_usual_port("https://app.example.com:443", &[])]
#[case::another_local_port("http://localhost:3001", &[])]
#[case::in_capitals("https://APP.example.com", &[])]
#[case::with_a_slash("https://app.example.com/", &[])]
#[case::the_pattern_itself("https://*.tenant.example.com", &["/pandium-sso", "/appdirect"])]
#[case::above_the_pattern("https://tenant.example.com", &[])]
#[case::beside_the_pattern("https://eviltenant.example.com", &[])]
#[case::null_origin("null", &[])]
#[case::wildcard("*", &[])]
#[case::two("https://app.example.com https://evil.example", &[])]
#[case::a_list("https://app.example.com, https://evil.example", &[])]
#[case::empty("", &[])]
fn origins_match_exactly(#[case] origin: &str, #[case] allowed: &[&str]) {
    let app = start();
    for path in ["/pandium-sso", "/appdirect", "/own", "/pandium-sso/install/1121"] {
        let is_allowed = allowed.contains(&path.trim_end_matches("/install/1121"));
        let response = preflight(&app, path, origin);
        if origin == "https://*.tenant.example.com" {
            // no browser has such an origin; echoing it reveals nothing
            assert!(response.all("access-control-allow-origin").iter().all(|named| *named == origin));
            continue;
        }
        assert_readable(&response, origin, is_allowed);
        match is_allowed {
            true => {
                assert_eq!((response.status, response.header("access-control-allow-methods")), (204, "GET"));
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

/// The settings of an authenticator, and the headers that scripts may send to it.
#[rstest]
#[case::proxy_headers(
    "kind = \"proxy_headers\"\npreset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]",
    "accept"
)]
#[case::bearer("BEARER", "accept, authorization")]
#[case::another_header("BEARER\nheader = \"X-Id-Token\"", "accept, x-id-token")]
#[case::a_cookie("BEARER\ncookie = \"session\"", "accept")]
#[case::appdirect(
    "kind = \"appdirect\"\nmarketplace_url = \"https://market.example.com\"\ntenant = \"t\"\nKEYS",
    "accept, mp-authorization"
)]
#[case::commercetools(
    "kind = \"commercetools\"\nissuer = \"http://127.0.0.1:1\"\npublic_origin = \"https://sso.example.com\"",
    "accept, authorization"
)]
#[case::caf(
    "kind = \"caf\"\nclient_secret = \"what-caf-and-its-client-alone-know\"\npolicy_id = \"p\"",
    "accept, authorization"
)]
#[case::cloudflare_access(
    "kind = \"cloudflare_access\"\nteam = \"acme\"\naudience = \"a\"\nKEYS",
    "accept, cf-access-jwt-assertion"
)]
#[case::aws_alb(
    "kind = \"aws_alb\"\nclient = \"c\"\nissuer = \"i\"\nkeys_url = \"http://127.0.0.1:1\"\n\
     load_balancers = [\"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/b\"]",
    "accept, x-amzn-oidc-data"
)]
fn a_preflight_allows_the_header_with_the_credentials(#[case] settings: &str, #[case] headers: &str) {
    // nothing listens at that port: there are no keys, and a preflight does not wait for any
    let keys = "jwks_url = \"http://127.0.0.1:1/keys\"";
    let identity = settings.replace("BEARER", &jwks_identity("http://127.0.0.1:1", "")).replace("KEYS", keys);
    let app = App::start_with_identity(&identity, "[claims]\nsub = \"id or email or username\"");
    for target in ["/pandium-sso", "/pandium-sso/install/1121", "/pandium-sso?tenant=x&unknown=y"] {
        let response = preflight(&app, target, "https://app.example.com");
        assert_eq!(
            (response.status, response.header("access-control-allow-headers")),
            (204, headers),
            "{target}"
        );
        assert_readable(&response, "https://app.example.com", true);
        assert!(response.body.is_empty() && !response.has("www-authenticate"), "{response:?}");
    }
    // no hand-off was counted
    let labels = [("entrance", "pandium-sso"), ("environment", "sandbox")];
    assert!(app.metric("marketplace_sso_handoffs_total", &labels) < 0.5);
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
    let standard = standard_with(&bearer_identity("ES256", &file.setting("jwks_file")));
    let app = App::start_with_variables(&standard, EMBED, &[]);
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
