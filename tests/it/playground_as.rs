//! The playground with a stand-in platform: its page gets a token, sends it to the
//! entrance, and opens the marketplace.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rstest::rstest;
use serde_json::{Value, json};
use url::Url;

use crate::harness::{Field, Response, command, wire};
use crate::playground::Playground;

const ADA: &str = "usr-201";
const BEN: &str = "usr-318";

/// A stand-in platform and the source of its page.
struct Platform {
    playground: Playground,
    page: String,
}

impl Platform {
    fn start(kind: &str) -> Self {
        let playground = Playground::start_with(&["--as", kind], "Ctrl-C");
        let response = playground.get("/", &[]);
        assert_eq!(response.status, 200);
        Self { playground, page: response.page() }
    }

    /// A `data-` attribute of the page's body.
    fn data(&self, name: &str) -> &str {
        let (_, rest) = self.page.split_once(&format!("data-{name}=\"")).unwrap();
        rest.split('"').next().unwrap()
    }

    /// A new token, requested as the page does.
    fn token(&self, person: &str, is_authorized: bool) -> String {
        let body = json!({"person": person, "is_authorized": is_authorized}).to_string();
        let response = self.playground.request("POST", "/platform/token", &[], &body);
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["token"].as_str().unwrap().to_owned()
    }

    /// Sends the token to the entrance as the page's script does, after a preflight.
    fn sign_on(&self, token: &str) -> Response {
        let entrance = Url::parse(self.data("entrance")).unwrap();
        let (socket_address, host) = socket_address(&entrance);
        let (origin, header) = (self.playground.origin.as_str(), self.data("header").to_owned());
        let requested_headers = format!("accept,{}", header.to_ascii_lowercase());
        let preflight = [
            ("Host", host.as_str()),
            ("Origin", origin),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", &requested_headers),
        ];
        let allowed = wire::request(socket_address, "OPTIONS", entrance.path(), &preflight).unwrap();
        assert_eq!(allowed.status, 204, "{allowed:?}");
        assert_eq!(allowed.header("access-control-allow-origin"), origin);
        assert_eq!(allowed.header("access-control-allow-credentials"), "true");
        let named = allowed.header("access-control-allow-headers").to_ascii_lowercase();
        assert!(named.contains(&header.to_ascii_lowercase()), "{named}");

        let credentials = format!("Bearer {token}");
        let request = [
            ("Host", host.as_str()),
            ("Origin", origin),
            ("Accept", "application/json"),
            ("Sec-Fetch-Dest", "empty"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Site", "same-site"),
            (&header, &credentials),
        ];
        let response = wire::request(socket_address, "GET", entrance.path(), &request).unwrap();
        assert_eq!(response.header("access-control-allow-origin"), origin);
        response
    }

    /// Sends a request through the gateway, as the page does.
    fn forward(&self, project_key: &str) -> Response {
        let to = [("X-Forward-To", self.data("entrance")), ("X-Project-Key", project_key)];
        self.playground.get(self.data("gateway"), &to)
    }

    /// Opens the marketplace as the page of this platform does.
    fn open(&self, person: &str) -> Response {
        if self.data("header").is_empty() {
            self.forward(if person == ADA { "winter-pottery" } else { "okafor-cycles" })
        } else {
            self.sign_on(&self.token(person, true))
        }
    }

    /// The page of the marketplace at the URL of a response.
    fn marketplace(&self, response: &Response) -> String {
        assert_eq!(response.status, 200, "{response:?}");
        let url = Url::parse(response.json()["url"].as_str().unwrap()).unwrap();
        let (socket_address, host) = socket_address(&url);
        let target = &url[url::Position::BeforePath..];
        let shown = wire::request(socket_address, "GET", target, &[("Host", &host)]).unwrap();
        assert_eq!(shown.status, 200, "{shown:?}");
        let ancestors = format!("frame-ancestors {}", self.playground.origin);
        assert!(shown.header("content-security-policy").contains(&ancestors));
        shown.page()
    }

    /// Rotates the platform's keys, or stops or starts its key server.
    fn change_keys(&self, what: &str) -> Value {
        let response =
            self.playground.request("POST", "/platform/keys", &[], &json!({"do": what}).to_string());
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }
}

fn socket_address(url: &Url) -> (SocketAddr, String) {
    let socket_address = url.socket_addrs(|| None).unwrap()[0];
    (socket_address, socket_address.to_string())
}

/// A token's header and claims.
fn decode(token: &str) -> (Value, Value) {
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    (read(parts[0]), read(parts[1]))
}

/// What the marketplace shows about a plan.
const FREE: [&str; 2] = [">Free</span></p>", "0 of 2 installs used"];
const PRO: [&str; 2] = [">Pro</span></p>", "0 of 5 installs used"];
const UNNAMED: [&str; 2] = ["The token names no plan.", "no limit given"];

#[rstest]
#[case::appdirect("appdirect", "ada@winter-pottery.example", "ben@okafor-cycles.example", FREE, PRO)]
#[case::commercetools("commercetools", "winter-pottery:3f1d6c7a", "okafor-cycles:b7a4e0d2", FREE, PRO)]
#[case::caf("caf", "3f1d6c7a", "b7a4e0d2", UNNAMED, UNNAMED)]
#[case::bearer("bearer", "Ada Winter", "Ben Okafor", FREE, PRO)]
fn each_platform_user_is_signed_on(
    #[case] kind: &str,
    #[case] ada: &str,
    #[case] ben: &str,
    #[case] plan_of_ada: [&str; 2],
    #[case] plan_of_ben: [&str; 2],
) {
    let mut platform = Platform::start(kind);
    for (person, name, plan) in [(ADA, ada, plan_of_ada), (BEN, ben, plan_of_ben)] {
        let shown = platform.marketplace(&platform.open(person));
        assert!(shown.contains(&format!("Signed on as {name}")), "{shown}");
        let (head, _) = shown.split_once("</header>").unwrap();
        assert!(plan.iter().all(|part| head.contains(part)), "{head}");
        assert!(shown.contains("signature verified"), "{shown}");
    }
    platform.playground.interrupt();
}

#[rstest]
fn the_page_is_strict_and_hides_secrets(#[values("appdirect", "commercetools", "caf", "bearer")] kind: &str) {
    let platform = Platform::start(kind);
    let response = platform.playground.get("/", &[]);
    let policy = response.header("content-security-policy");
    let service = platform.data("entrance").strip_suffix("/pandium-sso").unwrap();
    for part in ["default-src 'none'", "script-src 'nonce-", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(policy.contains(&format!("connect-src 'self' {service};")), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");

    let page = platform.page.replace("&quot;", "\"");
    assert!(page.contains(&format!("kind = \"{kind}\"")), "{page}");
    let secrets: Vec<&str> = page.lines().filter(|line| line.contains("_secret = ")).collect();
    assert_eq!(secrets.len(), if kind == "caf" { 2 } else { 1 });
    assert!(secrets.iter().all(|line| line.ends_with("\"[hidden]\"")), "{secrets:?}");
    for inline in [" onclick=", " onchange=", " style=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[test]
fn key_rotations_and_outages_refuse_no_user() {
    // concurrently, because each waits for its cooldowns
    std::thread::scope(|scope| {
        for kind in ["appdirect", "commercetools", "bearer"] {
            scope.spawn(move || assert_rotations_and_outages_are_survived(kind));
        }
    });
}

fn assert_rotations_and_outages_are_survived(kind: &str) {
    let platform = Platform::start(kind);
    let first = platform.change_keys("up");
    assert_eq!(platform.open(ADA).status, 200, "{kind}");
    for _ in 0..2 {
        let before = platform.playground.get("/platform/keys", &[]).json();
        let after = platform.change_keys("rotate");
        assert_ne!(before["signing"], after["signing"], "{kind}");
        assert!(after["published"].as_array().unwrap().contains(&before["signing"]), "{kind}: {after}");
        assert_eq!(platform.open(ADA).status, 200, "{kind}: {after}");
    }
    let last = platform.playground.get("/platform/keys", &[]).json();
    assert!(last["requests"].as_u64() > first["requests"].as_u64(), "{kind}: {last}");

    assert_eq!(platform.change_keys("down")["is_down"], true, "{kind}");
    assert_eq!(platform.open(BEN).status, 200, "{kind}");
    // the issuer does not sign with a key that was never fetched
    let rotated = platform.change_keys("rotate");
    assert_eq!(
        (&rotated["signing"], &rotated["is_newest_waiting"]),
        (&last["signing"], &json!(true)),
        "{kind}"
    );
    assert_eq!(platform.open(BEN).status, 200, "{kind}");
    let up = platform.change_keys("up");
    assert_eq!((&up["is_down"], &up["is_newest_waiting"]), (&json!(false), &json!(false)), "{kind}: {up}");
    assert_eq!(platform.open(BEN).status, 200, "{kind}");
}

#[test]
fn appdirect_tokens_have_no_kid_and_can_be_reused() {
    let platform = Platform::start("appdirect");
    let token = platform.token(ADA, true);
    let (header, claims) = decode(&token);
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert_eq!(
        (&claims["name"], &claims["tenant"]),
        (&json!("ada@winter-pottery.example"), &json!("northgate"))
    );
    assert_eq!((platform.sign_on(&token).status, platform.sign_on(&token).status), (200, 200));
    platform.change_keys("rotate");
    // it is signed with the previous key, which is still published
    assert_eq!(platform.sign_on(&token).status, 200);
    assert_eq!(platform.data("reuse-s"), "180");
}

#[test]
fn the_gateway_forwards_to_the_entrance_only() {
    let platform = Platform::start("commercetools");
    let response = platform.forward("winter-pottery");
    let (header, claims) = decode(response.header("x-stand-in-token"));
    assert_eq!((&header["alg"], &claims["type"]), (&json!("RS256"), &json!("exchange")));
    assert_eq!(claims["aud"], platform.data("entrance"));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    let issuer = claims["iss"].as_str().unwrap();
    assert_eq!(claims[&format!("{issuer}/claims/project_key")], "winter-pottery");

    let gateway = platform.data("gateway");
    let request = |fields: &[Field<'_>]| platform.playground.get(gateway, fields);
    let elsewhere = [("X-Forward-To", "http://127.0.0.1:1/"), ("X-Project-Key", "winter-pottery")];
    assert_eq!(request(&elsewhere).status, 400);
    assert_eq!(request(&[("X-Project-Key", "winter-pottery")]).status, 403);
    assert_eq!(platform.forward("nobodys-project").status, 400);
    let body = json!({"person": ADA, "is_authorized": true}).to_string();
    assert_eq!(platform.playground.request("POST", "/platform/token", &[], &body).status, 404);
}

#[test]
fn an_unauthorized_person_is_refused() {
    let platform = Platform::start("caf");
    platform.sign_on(&platform.token(ADA, false)).assert_refused(403, "not_allowed");
    assert_eq!(platform.sign_on(&platform.token(ADA, true)).status, 200);
    assert_eq!(platform.playground.get("/platform/keys", &[]).status, 404);
}

#[test]
fn cross_site_requests_get_no_token_and_change_no_keys() {
    let platform = Platform::start("bearer");
    let host = platform.playground.origin.strip_prefix("http://").unwrap();
    for (path, body) in [
        ("/platform/token", json!({"person": ADA, "is_authorized": true})),
        ("/platform/keys", json!({"do": "down"})),
    ] {
        let body = body.to_string();
        let length = body.len().to_string();
        for origin in ["https://evil.example", "null"] {
            let headers = [
                ("Host", host),
                ("Origin", origin),
                ("Content-Type", "application/json"),
                ("Content-Length", &length),
            ];
            let request = [wire::request_bytes("POST", path, &headers), body.as_bytes().to_vec()].concat();
            let response = wire::send(host.parse().unwrap(), &request).unwrap();
            assert_eq!(response.status, 403, "{path} {origin}");
            response.assert_no_token();
        }
    }
    assert_eq!(platform.playground.get("/platform/keys", &[]).json()["is_down"], false);
}

#[test]
fn each_stand_in_serves_its_own_host_only() {
    let platform = Platform::start("appdirect");
    let page = platform.page.replace("&quot;", "\"");
    let (_, keys) = page.split_once("jwks_url = \"http://").unwrap();
    let keys = keys.split('/').next().unwrap();
    let front = platform.playground.origin.strip_prefix("http://").unwrap();
    let request = |host: &str, at: &str, method, path| {
        let origin = format!("http://{host}");
        wire::request(at.parse().unwrap(), method, path, &[("Host", host), ("Origin", &origin)]).unwrap()
    };
    assert_eq!(request(front, front, "GET", "/platform/keys").status, 200);
    assert_eq!(request(keys, keys, "GET", "/keys").status, 200);
    for host in ["rebound.example", "127.0.0.1", "localhost:1", ""] {
        let response = request(host, front, "GET", "/platform/keys");
        assert!(response.status == 307 && response.body.is_empty(), "{host}: {response:?}");
        assert_eq!(request(host, front, "POST", "/platform/token").status, 421, "{host}");
        let response = request(host, keys, "GET", "/keys");
        assert!(response.status == 421 && response.body.is_empty(), "{host}: {response:?}");
    }
}

#[test]
fn help_lists_the_platforms_and_others_are_rejected() {
    let help = command::run(&["playground", "--help"]).output;
    assert!(help.contains("playground --as commercetools"), "{help}");
    let wrong = command::run(&["playground", "--as", "elsewhere"]);
    assert_eq!(wrong.status, 2);
    for kind in ["appdirect", "commercetools", "caf", "bearer", "oidc"] {
        assert!(help.contains(kind) && wrong.errors.contains(kind), "{}", wrong.errors);
    }
}
