//! Scripts of other pages: which may ask, with which header, and read the
//! answer. An origin is named exactly or not at all.

use rstest::rstest;

use crate::harness::issuer::{Key, entrance, key_and_file, standard_with, way_in};
use crate::harness::key_server::{Behaviour, KeyServer, keys_at};
use crate::harness::{ALICE, Answer, App, Field, Token};

const EMBED: &str = "[embed]\nparents = [\"https://app.example.com\", \"https://*.tenant.example.com\"]\n\
                     cors_origins = [\"https://scripts.example.com\", \"http://localhost:3000\"]\n";

const MARKETPLACE: &str = "https://market.example.com";

/// The main entrance, one of AppDirect, and one with pages of its own.
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

fn preflight(app: &App, path: &str, origin: &str) -> Answer {
    let asks = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "accept,authorization,x-anything"),
    ];
    app.ask("OPTIONS", path, &asks)
}

/// Asserts that an answer lets scripts of that origin read it, or nobody's.
fn assert_readable(answer: &Answer, origin: &str, may: bool) {
    let named: Vec<&str> = answer.all("access-control-allow-origin");
    assert_eq!(named, if may { vec![origin] } else { Vec::new() }, "{origin:?}: {answer:?}");
    let credentials = answer.all("access-control-allow-credentials");
    assert_eq!(credentials, if may { vec!["true"] } else { Vec::new() }, "{origin:?}");
    assert_eq!(answer.all("vary").join(",").to_ascii_lowercase(), "origin, accept", "{origin:?}");
    let all = answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    for (name, value) in all {
        assert!(!value.contains('*'), "{name}: {value}");
    }
}

/// An origin, and the entrances whose answers its scripts may read.
#[rstest]
#[case::a_parent("https://app.example.com", &["/pandium-sso", "/appdirect"])]
#[case::below_a_pattern("https://a.tenant.example.com", &["/pandium-sso", "/appdirect"])]
#[case::a_script("https://scripts.example.com", &["/pandium-sso", "/appdirect"])]
#[case::on_this_machine("http://localhost:3000", &["/pandium-sso", "/appdirect"])]
#[case::the_marketplace(MARKETPLACE, &["/appdirect"])]
#[case::an_entrances_own("https://own.example.com", &["/own"])]
#[case::a_stranger("https://evil.example", &[])]
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
#[case::nobody("null", &[])]
#[case::everybody("*", &[])]
#[case::two("https://app.example.com https://evil.example", &[])]
#[case::a_list("https://app.example.com, https://evil.example", &[])]
#[case::empty("", &[])]
fn origins_match_exactly(#[case] origin: &str, #[case] allowed: &[&str]) {
    let app = start();
    for path in ["/pandium-sso", "/appdirect", "/own", "/pandium-sso/install/1121"] {
        let may = allowed.contains(&path.trim_end_matches("/install/1121"));
        let answer = preflight(&app, path, origin);
        if origin == "https://*.tenant.example.com" {
            // no browser has such an origin, and naming it back tells nobody anything
            assert!(answer.all("access-control-allow-origin").iter().all(|named| *named == origin));
            continue;
        }
        assert_readable(&answer, origin, may);
        match may {
            true => {
                assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, "GET"));
                assert!(answer.header("access-control-max-age").parse::<u32>().unwrap() <= 7200);
            }
            false => {
                answer.assert_refused(403, "cross_site_request");
                assert!(!answer.has("access-control-allow-headers"));
                assert!(!answer.has("access-control-allow-methods"));
            }
        }
        // the request itself, with nobody's identity: it may be read that it was refused
        let refused = app.get(path, &[("Origin", origin), ("Accept", "application/json")]);
        refused.assert_refused(401, "unauthenticated");
        assert_readable(&refused, origin, may);
    }
}

#[test]
fn only_allowed_origins_can_read_the_url() {
    let app = start();
    let ask = |origin: &str| {
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
        let answer = ask(origin);
        assert_readable(&answer, origin, true);
        assert_eq!(Token::of(&answer).claims["sub"], "alice@example.com");
        assert!(!answer.header("access-control-expose-headers").is_empty());
    }
    for origin in ["https://evil.example", MARKETPLACE, "null"] {
        let answer = ask(origin);
        answer.assert_refused(403, "cross_site_request");
        assert_readable(&answer, origin, false);
    }
    // without an origin there is nothing to be said of one
    let answer = app.get("/pandium-sso", ALICE);
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")));
}

/// The settings of a way in, and the headers that scripts may send there.
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
    // nobody answers at that port: there are no keys, and no preflight waits for any
    let keys = "jwks_url = \"http://127.0.0.1:1/keys\"";
    let identity = settings.replace("BEARER", &keys_at("http://127.0.0.1:1", "")).replace("KEYS", keys);
    let app = App::start_with_identity(&identity, "[claims]\nsub = \"id or email or username\"");
    for target in ["/pandium-sso", "/pandium-sso/install/1121", "/pandium-sso?tenant=x&unknown=y"] {
        let answer = preflight(&app, target, "https://app.example.com");
        assert_eq!(
            (answer.status, answer.header("access-control-allow-headers")),
            (204, headers),
            "{target}"
        );
        assert_readable(&answer, "https://app.example.com", true);
        assert!(answer.body.is_empty() && !answer.has("www-authenticate"), "{answer:?}");
    }
    // nothing was recorded as handed off
    let labels = [("entrance", "pandium-sso"), ("environment", "sandbox")];
    assert!(app.metric("marketplace_sso_handoffs_total", &labels) < 0.5);
}

#[test]
fn options_without_preflight_headers_is_refused() {
    let app = start();
    let origin = ("Origin", "https://app.example.com");
    for headers in [&[][..], &[origin], &[("Access-Control-Request-Method", "GET")]] {
        app.ask("OPTIONS", "/pandium-sso", headers).assert_refused(405, "method_not_allowed");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let asks = [origin, ("Access-Control-Request-Method", method)];
        let answer = app.ask("OPTIONS", "/pandium-sso", &asks);
        assert_eq!(answer.header("access-control-allow-methods"), "GET", "{method}");
    }
    assert_preflight_only_at_entrances(&app);
}

#[test]
fn two_origin_headers_are_not_allowed() {
    let app = start();
    let (ours, evil) = (("Origin", "https://app.example.com"), ("Origin", "https://evil.example"));
    let method = ("Access-Control-Request-Method", "GET");
    for both in [[ours, evil], [evil, ours]] {
        for answer in [
            app.ask("OPTIONS", "/pandium-sso", &[&both[..], &[method]].concat()),
            app.get("/pandium-sso", &[&both[..], ALICE].concat()),
        ] {
            assert!(!answer.has("access-control-allow-origin"), "{answer:?}");
        }
    }
    let once = app.ask("OPTIONS", "/pandium-sso", &[ours, method]);
    assert_eq!(once.header("access-control-allow-origin"), ours.1);
}

fn assert_preflight_only_at_entrances(app: &App) {
    for path in ["/livez", "/readyz", "/nowhere", "/v1/verify/pandium-sso"] {
        let answer = preflight(app, path, "https://app.example.com");
        assert_ne!(answer.status, 204, "{path}");
        assert!(!answer.has("access-control-allow-headers"), "{path}");
    }
    assert_eq!(preflight(app, "/pandium-sso", "https://app.example.com").status, 204);
}

#[test]
fn allowed_origins_can_read_why_a_token_was_rejected() {
    let (key, file) = key_and_file();
    let standard = standard_with(&way_in("ES256", &file.setting("jwks_file")));
    let app = App::start_with_variables(&standard, EMBED, &[]);
    let stranger = format!("Bearer {}", Key::new("ES256").token());
    let ask = |bearer: &str, origin: &str| {
        app.get(
            "/pandium-sso",
            &[("Authorization", bearer), ("Origin", origin), ("Accept", "application/json")],
        )
    };
    for origin in ["https://app.example.com", "https://scripts.example.com", "https://evil.example"] {
        let answer = ask(&stranger, origin);
        answer.assert_refused(401, "invalid_token");
        assert_readable(&answer, origin, origin != "https://evil.example");
    }
    let good = ask(&format!("Bearer {}", key.token()), "https://app.example.com");
    assert_eq!(Token::of(&good).claims["external_id"], "u-1");
}
