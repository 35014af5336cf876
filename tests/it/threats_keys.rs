//! Key servers that fail, hang or serve invalid sets, and clients that try to cause
//! endless fetches.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::issuer::{Key, claims_of, claims_with, jwks};
use crate::harness::key_server::{
    Behaviour, GatedServer, KeyServer, fetching, keys_response, repetitions_since, serve_keys, serving,
    wait_until,
};
use crate::harness::{App, Connection, Response, Settings, StopOnDrop, Token};

const MAIN: &str = "pandium-sso";

/// Failures of a key server, each with its name and a part of the log message.
/// `elsewhere` is another origin that has the keys.
fn failures(ours: &Value, elsewhere: &str) -> Vec<(&'static str, Behaviour, &'static str)> {
    let duplicates = jwks(&[ours.clone(), ours.clone()]);
    let secret = json!({"kty": "oct", "kid": "k-2", "k": "c2VjcmV0LWtleS1vZi10aGUtaXNzdWVy"});
    let private = json!({"kty": "OKP", "crv": "Ed25519", "x": "YQ", "d": "YQ"});
    let many: Vec<Value> =
        (0..10_000).map(|n| json!({"kty": "EC", "kid": n.to_string()})).chain([ours.clone()]).collect();
    let large = json!({"keys": [ours], "x": "x".repeat(1 << 20)}).to_string();
    let response = |text: String| Behaviour::Respond(200, text);
    vec![
        ("down", Behaviour::Down, "no response"),
        ("hanging", Behaviour::Hang(Duration::from_secs(3600)), "timeout"),
        ("endless", Behaviour::Endless, "larger than 262144 bytes"),
        ("elsewhere", Behaviour::Redirect(format!("{elsewhere}/keys")), "the status is 302"),
        ("loop", Behaviour::Redirect("/keys".into()), "the status is 302"),
        ("error", Behaviour::Respond(500, jwks(std::slice::from_ref(ours))), "the status is 500"),
        ("missing", Behaviour::Respond(404, jwks(std::slice::from_ref(ours))), "the status is 404"),
        ("partial", Behaviour::Respond(206, jwks(std::slice::from_ref(ours))), "the status is 206"),
        ("large", response(large), "larger than 262144 bytes"),
        ("many", response(jwks(&many)), "more than 100 keys"),
        ("secret", response(jwks(&[ours.clone(), secret])), "symmetric"),
        ("private", response(jwks(&[ours.clone(), private])), "private"),
        ("twins", response(duplicates), "two keys with the same kid"),
        ("cut", response(jwks(std::slice::from_ref(ours)).replace("]}", "")), "not a JSON Web Key Set"),
        ("page", response("<html>keys</html>".into()), "not a JSON Web Key Set"),
        ("nothing", response(String::new()), "not a JSON Web Key Set"),
        ("none", response(jwks(&[])), "no usable key"),
    ]
}

/// A service with an entrance for each server, with the server's name.
fn start(servers: &[(&str, KeyServer, Behaviour, &str)]) -> App {
    App::start_ready(servers.iter().fold(Settings::standard(), |settings, (name, server, ..)| {
        let often = fetching_once_in(1, &server.origin())
            .identity("jwks_timeout_s", 1)
            .identity("jwks_refresh_interval_s", 1)
            .identity("jwks_max_stale_s", 60);
        settings.entrance(name, &often)
    }))
}

/// The keys at an origin, with this cooldown.
fn fetching_once_in(seconds: u32, origin: &str) -> Settings {
    fetching(origin).identity("jwks_min_refresh_interval_s", seconds)
}

// T11
#[test]
fn without_keys_requests_get_503_not_401() {
    let key = Key::new("ES256");
    let ours = key.jwk(Some("k-1"));
    let elsewhere = serve_keys(std::slice::from_ref(&ours));
    let servers: Vec<_> = failures(&ours, &elsewhere.origin())
        .into_iter()
        .map(|(name, behaviour, message)| {
            (name, KeyServer::start(behaviour.clone()).unwrap(), behaviour, message)
        })
        .collect();
    let app = start(&servers);
    let mut names: Vec<&str> = servers.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    assert_eq!(app.entrances_without_keys(), names);
    let token = key.token_with_kid("k-1");
    for (name, server, _, message) in &servers {
        let response = app.send_token_to(&format!("/{name}"), &token);
        assert_eq!((response.status, response.reason().as_str()), (503, "keys_unavailable"), "{name}");
        response.assert_no_token();
        assert!(response.has("retry-after") && !response.has("www-authenticate"), "{name}: {response:?}");
        // a token that no key could verify is rejected immediately
        app.send_token_to(&format!("/{name}"), "no.token").assert_refused(401, "invalid_token");
        let url = format!("{}/keys", server.origin());
        assert!(app.fetches(&url, "error") > 0, "{name}");
        app.wait_for_line(|line| {
            line["url"] == url.as_str() && line["error"].as_str().is_some_and(|error| error.contains(message))
        });
    }
    assert!(elsewhere.requested_paths().is_empty(), "a redirect was followed to another origin");
    assert!(!app.output().contains("c2VjcmV0"), "{}", app.output());
    assert_eq!(app.get("/livez", &[]).status, 200);

    for (_, server, ..) in &servers {
        server.set_behaviour(keys_response(std::slice::from_ref(&ours)));
    }
    for (name, ..) in &servers {
        wait_until(name, || app.send_token_to(&format!("/{name}"), &token).status == 307);
    }
    assert!(app.entrances_without_keys().is_empty());
}

// T11
#[test]
fn cached_keys_serve_while_fetches_fail() {
    let key = Key::new("ES256");
    let ours = key.jwk(Some("k-1"));
    let elsewhere = serve_keys(std::slice::from_ref(&ours));
    let servers: Vec<_> = failures(&ours, &elsewhere.origin())
        .into_iter()
        .map(|(name, behaviour, message)| (name, serve_keys(std::slice::from_ref(&ours)), behaviour, message))
        .collect();
    let app = start(&servers);
    wait_until("all have keys", || app.entrances_without_keys().is_empty());
    let fetched = |result: &str| -> Vec<u64> {
        let urls = servers.iter().map(|(_, server, ..)| format!("{}/keys", server.origin()));
        urls.map(|url| app.fetches(&url, result)).collect()
    };
    for (_, server, behaviour, _) in &servers {
        server.set_behaviour(behaviour.clone());
    }
    let failed = fetched("error");
    wait_until("fetches fail", || fetched("error").iter().zip(&failed).all(|(now, before)| *now > *before));
    let before = fetched("success");
    for (name, ..) in &servers {
        let target = format!("/{name}");
        assert_eq!(app.send_token_to(&target, &key.token_with_kid("k-1")).status, 307, "{name}");
        // an unknown key may be new, so the request is not rejected as invalid
        let new = app.send_token_to(&target, &key.token_with_kid("k-2"));
        assert_eq!((new.status, new.reason().as_str()), (503, "keys_unavailable"), "{name}");
        app.send_token_to(&target, &Key::new("ES256").token_with_kid("k-1"))
            .assert_refused(401, "invalid_token");
    }
    assert_eq!(fetched("success"), before);
    assert!(app.entrances_without_keys().is_empty());
    assert!(elsewhere.requested_paths().is_empty());
    assert_eq!(app.get("/livez", &[]).status, 200);
}

/// A chain of redirects; the last path has the keys.
// T11
#[rstest]
#[case::one_step(&["/keys", "/moved"], 307)]
#[case::three_steps(&["/keys", "/a", "/b", "/c"], 307)]
#[case::too_many_steps(&["/keys", "/a", "/b", "/c", "/d"], 503)]
fn same_origin_redirects_are_followed_three_times(#[case] steps: &[&str], #[case] status: u16) {
    let key = Key::new("ES256");
    let set = jwks(&[key.jwk(Some("k-1"))]);
    let (last, before) = steps.split_last().unwrap();
    let leads: Vec<String> = steps[1..].iter().map(|next| format!("Location: {next}")).collect();
    let mut pages: Vec<(&str, &str)> = before.iter().copied().zip(leads.iter().map(String::as_str)).collect();
    pages.push((last, &set));
    let server = GatedServer::start(&pages, true);
    let app = App::start_ready(fetching(server.origin()));
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, status);
    let (requested, followed) = (server.requested_paths(), &steps[..steps.len().min(4)]);
    assert!(requested.len() >= followed.len() && (status != 307 || requested == *followed), "{requested:?}");
    // a failed fetch is repeated after some seconds
    for fetch in requested.chunks(followed.len()) {
        assert_eq!(fetch, &followed[..fetch.len()]);
    }
}

/// Whether the key server works, and the number of unknown kids.
// T12
#[rstest]
#[case::that_serves(true, 10_000)]
#[case::that_is_down(false, 2_000)]
fn unknown_kids_cost_a_bounded_number_of_fetches(#[case] serves: bool, #[case] count: usize) {
    const CLIENTS: usize = 4;
    let key = Key::new("ES256");
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    if !serves {
        server.set_behaviour(Behaviour::Down);
    }
    let started = Instant::now();
    let app = App::start_ready(fetching_once_in(3600, &server.origin()));
    // the signature is never verified, so all tokens share one
    let token = key.token_with_kid("k-1");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let app = &app;
            scope.spawn(move || {
                let mut connection = Connection::open(app.address()).unwrap();
                for number in 0..count / CLIENTS {
                    let header = base64url(&format!(r#"{{"alg":"ES256","kid":"{client}-{number}"}}"#));
                    let bearer = format!("Bearer {header}.{claims}.{signature}");
                    let response =
                        connection.request("GET", "/pandium-sso", &[("Authorization", &bearer)]).unwrap();
                    assert_not_accepted(&response);
                }
            });
        }
    });
    let refused =
        |reason| app.metric("marketplace_sso_refusals_total", &[("entrance", MAIN), ("reason", reason)]);
    let (unknown, not_yet) = (refused("invalid_token"), refused("keys_unavailable"));
    assert!((unknown + not_yet - count as f64).abs() < 0.5);
    // tokens are rejected as invalid only after a successful fetch
    assert!(unknown < 100.0 && (serves == (unknown > 0.5)), "{unknown}");
    // four for all tokens; none if the one at the start failed, which is repeated after 5 s
    let fetches = server.requested_paths().len() - 1;
    if serves {
        assert_eq!(fetches, 4);
    } else {
        assert!(fetches <= repetitions_since(started), "{fetches}");
    }
    assert_eq!(app.send_token(&token).status, if serves { 307 } else { 503 });
}

// T12
#[test]
fn a_rotation_after_an_unknown_kid_is_noticed() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let server = serve_keys(&[old.jwk(Some("k-1"))]);
    // with the default cooldown of 30 seconds
    let app = App::start_ready(fetching(&server.origin()));
    app.send_token(&new.token_with_kid("made-up")).assert_refused(401, "invalid_token");
    server.set_behaviour(keys_response(&[old.jwk(Some("k-1")), new.jwk(Some("k-2"))]));
    assert_eq!(app.send_token(&new.token_with_kid("k-2")).status, 307);
    assert_eq!(server.requested_paths().len(), 3);
}

// T12
#[test]
fn an_exhausted_fetch_budget_gives_503() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let (named, nameless) = (serve_keys(&[old.jwk(Some("k-1"))]), serve_keys(&[old.jwk(None)]));
    let at = |server: &KeyServer| fetching_once_in(3600, &server.origin());
    let app = App::start_ready(at(&named).entrance("nameless", &at(&nameless)));
    for number in 0..20 {
        let noise = Key::new("ES256");
        let responses = [
            app.send_token(&noise.token_with_kid(&number.to_string())),
            app.send_token_to("/nameless", &noise.token()),
        ];
        for response in responses {
            assert_not_accepted(&response);
            assert_eq!(response.status, if number < 4 { 401 } else { 503 }, "{number}");
        }
    }
    assert_eq!((named.requested_paths().len(), nameless.requested_paths().len()), (5, 5));
    named.set_behaviour(keys_response(&[old.jwk(Some("k-1")), new.jwk(Some("k-2"))]));
    nameless.set_behaviour(keys_response(&[new.jwk(None)]));
    for response in [app.send_token(&new.token_with_kid("k-2")), app.send_token_to("/nameless", &new.token())]
    {
        response.assert_refused(503, "keys_unavailable");
        assert!(response.has("retry-after") && !response.has("www-authenticate"), "{response:?}");
        let cause = app.audit_event_of(&response)["detail"].as_str().unwrap().to_owned();
        assert!(cause.contains("newer keys could not be fetched"), "{cause}");
    }
    assert_eq!(app.send_token(&old.token_with_kid("k-1")).status, 307);
}

// T12
#[test]
fn constant_unknown_kids_do_not_block_a_rotation() {
    let (old, new) = (Key::new("ES256"), Key::new("ES256"));
    let server = serve_keys(&[old.jwk(Some("k-1"))]);
    let app = App::start_ready(fetching_once_in(1, &server.origin()));
    let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _ending = StopOnDrop(&is_over);
        scope.spawn(|| {
            let mut connection = Connection::open(app.address()).unwrap();
            let token = format!("Bearer {}", Key::new("ES256").token_with_kid("made-up"));
            while !is_over.load(Ordering::Relaxed) {
                let response =
                    connection.request("GET", "/pandium-sso", &[("Authorization", &token)]).unwrap();
                assert_not_accepted(&response);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait_until("the fetch budget is used up", || server.requested_paths().len() >= 5);
        server.set_behaviour(keys_response(&[new.jwk(Some("k-2"))]));
        wait_until("the new key is used", || {
            let response = app.send_token(&new.token_with_kid("k-2"));
            assert!(matches!(response.status, 307 | 503), "{response:?}");
            response.status == 307
        });
        wait_until("unknown kids", || count.load(Ordering::Relaxed) > 5);
    });
}

/// Asserts 401, or 503 with `Retry-After`, for a token with an unknown key.
fn assert_not_accepted(response: &Response) {
    match response.status {
        401 => response.assert_refused(401, "invalid_token"),
        _ => {
            response.assert_refused(503, "keys_unavailable");
            assert!(response.has("retry-after"), "{response:?}");
        }
    }
    response.assert_no_token();
}

// T9
#[test]
fn token_headers_never_change_the_jwks_url() {
    let (key, attacker) = (Key::new("ES256"), Key::new("ES256"));
    let server = serve_keys(&[key.jwk(Some("k-1"))]);
    let theirs = serve_keys(&[attacker.jwk(Some("k-1")), attacker.jwk(Some("k-2"))]);
    let app = App::start_ready(fetching_once_in(3600, &server.origin()));
    // an invalid kid causes no fetch
    app.assert_rejected(&key.token_with_kid(&"k".repeat(10 * 1024)));
    for other in [json!(null), json!(1), json!(["k-2"]), json!({"k-2": "k-2"})] {
        app.assert_rejected(&key.sign(&json!({"alg": "ES256", "kid": other}).to_string(), &claims_with(&[])));
    }
    assert_eq!(server.requested_paths().len(), 1);

    let kids = "../../dev/null /dev/null %2e%2e/keys //127.0.0.1/ k-1' /keys?kid=k-1 keys#k-1 |id";
    for kid in kids.split(' ').chain(["k-1' OR '1'='1", "|touch pwned", "k-1\r\nHost: x", "k-1\0", "", "K-1"])
    {
        assert_not_accepted(&app.send_token(&key.token_with_kid(kid)));
    }
    let url = format!("\"{}/keys\"", theirs.origin());
    let members = [
        ("jku", url.clone()),
        ("x5u", url.clone()),
        ("kid", url.clone()),
        ("iss", url),
        ("jwk", attacker.jwk(Some("k-2")).to_string()),
        ("x5c", "[\"MIIB\"]".to_owned()),
    ];
    for (member, value) in &members {
        for kid in [r#""kid":"k-1","#, r#""kid":"k-2","#, ""] {
            let kid = if *member == "kid" { "" } else { kid };
            let header = format!(r#"{{"alg":"ES256",{kid}{member:?}:{value}}}"#);
            assert_not_accepted(&app.send_token(&attacker.sign(&header, &claims_with(&[]))));
        }
    }
    assert!(theirs.requested_paths().is_empty(), "{:?}", theirs.requested_paths());
    // only the configured URL was fetched
    let paths = server.requested_paths();
    assert!(paths.len() == 5 && paths.iter().all(|path| path == "/keys"), "{paths:?}");
    assert_eq!(app.send_token(&key.token_with_kid("k-1")).status, 307);
}

/// The token authenticators: name, header and claims. `ORIGIN` is replaced by that of the key
/// server that they share.
const KINDS: [(&str, &str, &str); 6] = [
    ("bearer", "Authorization: Bearer", r#""iss":"ORIGIN","aud":"https://sso.example.com/bearer""#),
    ("oathkeeper", "Authorization: Bearer", r#""iss":"ORIGIN","aud":"https://sso.example.com/oathkeeper""#),
    ("cloudflare_access", "Cf-Access-Jwt-Assertion:", r#""iss":"ORIGIN","aud":["tag"],"type":"app""#),
    ("authentik", "X-authentik-jwt:", r#""iss":"ORIGIN","aud":"client""#),
    ("appdirect", "MP-Authorization: Bearer", r#""tenant":"ACME","name":"alice@example.com""#),
    (
        "commercetools",
        "Authorization: Bearer",
        r#""iss":"ORIGIN","aud":"https://sso.example.com/commercetools","type":"exchange","ORIGIN/claims/project_key":"shop""#,
    ),
];

/// An entrance for each of [`KINDS`], with its keys at an origin.
fn entrance_of_each_kind(origin: &str) -> Settings {
    let signed = |kind: &str, audience: &str| Settings::of_kind(kind).issuer(origin).audience(audience);
    let with_keys = [
        signed("bearer", "https://sso.example.com/bearer"),
        signed("oathkeeper", "https://sso.example.com/oathkeeper"),
        signed("cloudflare_access", "tag").identity("team", "acme"),
        signed("authentik", "client"),
        Settings::appdirect(),
    ]
    .map(|settings| settings.jwks_url(&format!("{origin}/keys")));
    let settings = with_keys.into_iter().chain([Settings::commercetools(origin)]);
    KINDS.iter().zip(settings).fold(Settings::standard(), |all, ((name, ..), settings)| {
        all.entrance(name, &settings).set(&format!("entrances.{name}.claims.sub"), "id")
    })
}

// T13
#[test]
fn a_token_is_rejected_at_another_kinds_entrance() {
    let key = Key::new("RS256");
    let set = jwks(&[key.jwk(Some("k-1"))]);
    let server = KeyServer::start(serving(&[("/keys", &set), ("/.well-known/jwks.json", &set)])).unwrap();
    let app = App::start_ready(entrance_of_each_kind(&server.origin()));
    assert!(app.entrances_without_keys().is_empty());
    for (own, _, claims) in KINDS {
        let defaults =
            [("sub", "\"u-1\""), ("email", "\"alice@example.com\""), ("exp", "@60"), ("iat", "@0")];
        let times = claims_of(&defaults, &[]);
        let claims = format!("{{{},{}", claims.replace("ORIGIN", &server.origin()), &times[1..]);
        let token = key.sign(r#"{"alg":"RS256","kid":"k-1"}"#, &claims);
        for (name, header, _) in KINDS {
            let (header, scheme) = header.split_once(':').unwrap();
            let value = format!("{} {token}", scheme.trim());
            let beside = [("X-MC-API-Cloud-Identifier", "custom"), ("X-MC-API-Forward-To-Version", "v2")];
            let response = app.get(&format!("/{name}"), &[&[(header, value.trim())], &beside[..]].concat());
            if own == name {
                assert_eq!(Token::of(&response).claims["sub"], "u-1");
            } else {
                let result = (response.status, response.reason());
                assert_eq!(result, (401, "invalid_token".into()), "a token for {own} at {name}");
            }
        }
    }
}

fn base64url(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}
