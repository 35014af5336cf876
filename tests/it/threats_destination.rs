//! The destination comes from the configuration, and only a GET by a page or an
//! allowed frame or script gets a token.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;

use crate::harness::{ALICE, App, EMAIL, Field, Response, Settings, Token, wire};

// T16
#[test]
fn no_request_changes_the_destination() {
    let app = App::standard();
    let handed_off = Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let names = prop_oneof![
        Just("integration_id".to_owned()),
        Just("display".to_owned()),
        Just("integration_settings".to_owned()),
        Just("Tenant".to_owned()),
        "[a-zA-Z_%]{1,8}",
    ];
    let values = prop_oneof![
        "[0-9]{1,6}",
        Just("list".to_owned()),
        Just("https://evil.example/".to_owned()),
        "(%[0-9a-f]{2}|[!-~&&[^# ]]){0,12}",
    ];
    let queries = prop::collection::vec((names, values), 0..4);
    let paths = prop_oneof![
        4 => Just("/pandium-sso".to_owned()),
        1 => "/pandium-sso/install/[0-9]{1,4}",
        1 => "/pandium-sso[!-~&&[^?# ]]{0,12}",
        1 => "[/.%a-z0-9@:]{0,6}/pandium-sso",
    ];
    let header_names = prop_oneof![
        Just("Host".to_owned()),
        Just("X-Forwarded-Host".to_owned()),
        Just("X-Forwarded-Prefix".to_owned()),
        Just("X-Original-URL".to_owned()),
        Just("Forwarded".to_owned()),
        Just("Referer".to_owned()),
        Just("X-Auth-Request-User".to_owned()),
        "X-[A-Za-z-]{1,10}",
    ];
    let headers = prop::collection::vec((header_names, "[!-~]([ -~]{0,20}[!-~])?"), 0..4);
    let all = (paths, queries, headers);
    let result = runner.run(&all, |(path, query, headers)| {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<Field<'_>> = ALICE.iter().copied().chain(fields).collect();
        let response = wire::request(app.address(), "GET", &target, &fields).unwrap();
        if response.status == 307 {
            handed_off.set(handed_off.get() + 1);
            assert_destination(&response);
        } else {
            prop_assert!((400..500).contains(&response.status), "{response:?}");
            response.assert_no_token();
        }
        Ok(())
    });
    result.unwrap();
    let handed_off = handed_off.get();
    assert!(handed_off > 20, "only {handed_off} hand-offs");
}

fn assert_destination(response: &Response) {
    let location = response.header("location");
    assert!(location.starts_with("https://imp.sandbox.pandium.com/acme"), "{location}");
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
    let token = Token::of(response);
    let url = &token.url;
    assert_eq!(url.origin().ascii_serialization(), "https://imp.sandbox.pandium.com");
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
    let known = ["tenant", "integration_id", "display", "integration_settings"];
    for (name, _) in url.query_pairs() {
        assert!(known.contains(&&*name), "{location}");
    }
}

// T17
#[test]
fn invalid_link_parameters_are_refused() {
    let app = App::standard();
    for query in [
        "tenant=eyJhbGciOiJub25lIn0.e30.",
        "tenant=",
        "TENANT=x",
        "%74enant=x",
        "integration_id=1&tenant=x",
        "unknown=1",
        "integration_id",
        "integration_id=",
        "integration_id=abc",
        "integration_id=-1",
        "integration_id=+1",
        "integration_id=1.5",
        "integration_id=1%20",
        "integration_id=99999999999999999999999",
        "integration_id=1&integration_id=2",
        "display=",
        "display=admin",
        "display=List",
        "integration_settings=a%0d%0aSet-Cookie:x",
        "integration_settings=%00",
    ] {
        app.get(&format!("/pandium-sso?{query}"), ALICE).assert_refused(400, "bad_link");
    }
}

// T17
#[test]
fn install_ids_are_integers() {
    let app = App::standard();
    for id in ["abc", "-1", "1%2f", "..", "%31"] {
        app.get(&format!("/pandium-sso/install/{id}"), ALICE).assert_refused(400, "bad_link");
    }
}

// T17
#[rstest]
#[case::known("display=canary", "display ")]
#[case::unknown("canary=x", "a parameter ")]
fn a_refused_link_is_explained_without_text_of_the_client(#[case] query: &str, #[case] named: &str) {
    let app = App::standard();
    let target = format!("/pandium-sso?{query}");
    let response = app.get(&target, &[ALICE, &[("Accept", "application/json")]].concat());
    response.assert_refused(400, "bad_link");
    let detail = response.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with(named), "{detail}");
    app.wait_for_line(|line| line["detail"] == detail.as_str());
    let page = app.get(&target, &[ALICE, &[("Accept", "text/html")]].concat()).page();
    assert!(!page.contains(&detail), "{page}");
    assert!(!format!("{detail} {page} {:?}", app.log_lines()).contains("canary"));
}

// T17
#[test]
fn unknown_parameters_can_be_dropped_but_not_tenant() {
    let app = App::start(Settings::standard().set("pandium.unknown_link_parameters", "drop"));
    let token = Token::of(&app.get("/pandium-sso?utm_source=mail&integration_id=1&x=%0d%0a", ALICE));
    assert_eq!(token.link(), "integration_id=1");
    app.get("/pandium-sso?tenant=x", ALICE).assert_refused(400, "bad_link");
}

// T18
#[test]
fn paths_match_byte_for_byte() {
    let app = App::standard();
    let proxy_headers: &[&[Field<'_>]] = &[
        &[],
        &[("X-Original-URL", "/pandium-sso")],
        &[("X-Rewrite-URL", "/pandium-sso")],
        &[("X-Forwarded-Uri", "/pandium-sso"), ("X-Forwarded-Prefix", "/pandium-sso")],
        &[("X-Forwarded-Host", "imp.sandbox.pandium.com"), ("User-Agent", "kube-probe/1.30")],
    ];
    for path in [
        "//pandium-sso",
        "/pandium-sso/",
        "/pandium-sso%2f..",
        "/livez/../pandium-sso",
        "/./pandium-sso",
        "/pandium-sso;x",
        "/pandium-sso/install",
        "/pandium-sso/install/",
        "/pandium-sso/install/1/2",
        "/PANDIUM-SSO",
        "/%70andium-sso",
        "/metrics",
        "/",
    ] {
        for headers in proxy_headers {
            app.get(path, &[ALICE, headers].concat()).assert_refused(404, "not_found");
        }
    }
}

// T18
#[test]
fn no_header_changes_the_path_or_method() {
    let app = App::standard();
    for name in ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-HTTP-Method-Override"] {
        for value in ["/livez", "/metrics", "POST"] {
            let response = app.get("/pandium-sso", &[ALICE, &[(name, value)]].concat());
            assert_eq!(response.status, 307, "{name}: {value}");
        }
    }
    assert_eq!(app.get("/livez", &[("X-Original-URL", "/pandium-sso")]).status, 200);
}

// T18
#[test]
fn an_absolute_request_target_counts_as_its_path() {
    let app = App::standard();
    for origin in ["http://app.example.com", "https://app.example.com:8443", "http://127.0.0.1"] {
        let response = app.get(&format!("{origin}/pandium-sso?display=list"), ALICE);
        assert_eq!(response.status, 307, "{origin}");
        assert_destination(&response);
        app.get(&format!("{origin}/livez/../pandium-sso"), ALICE).assert_refused(404, "not_found");
    }
}

// T19
#[test]
fn only_get_yields_a_token() {
    let app = App::standard();
    let targets = ["/pandium-sso", "/pandium-sso/install/1121"];
    for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "OPTIONS", "PROPFIND", "get"] {
        for target in targets {
            let response = app.request(method, target, &[ALICE, &[("Content-Length", "0")]].concat());
            assert_eq!(response.status, 405, "{method} {target}");
            assert_eq!(response.header("allow"), "GET");
            response.assert_no_token();
            assert_eq!(app.audit_event_of(&response)["reason"], "method_not_allowed");
        }
    }
    let audit_events = app.audit_events();
    assert!(audit_events.iter().all(|event| event["outcome"] != "handed_off"), "{audit_events:?}");
    let labels = [("entrance", "pandium-sso"), ("environment", "sandbox")];
    assert!(app.metric("marketplace_sso_handoffs_total", &labels) < 0.5);
}

// T19
#[test]
fn a_preflight_gets_no_token() {
    let app = App::standard();
    let request = |origin| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
        app.request("OPTIONS", "/pandium-sso", &[ALICE, &headers].concat())
    };
    let allowed = request("https://app.example.com");
    assert_eq!((allowed.status, allowed.header("access-control-allow-methods")), (204, "GET"));
    allowed.assert_no_token();
    request("https://evil.example").assert_refused(403, "cross_site_request");
}

// T20, T21a
#[test]
fn subresources_and_prefetches_get_no_token() {
    let app = App::standard();
    let cases: [&[Field<'_>]; 21] = [
        &[("Sec-Fetch-Dest", "image")],
        &[("Sec-Fetch-Dest", "script")],
        &[("Sec-Fetch-Dest", "style")],
        &[("Sec-Fetch-Dest", "embed")],
        &[("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Mode", "no-cors")],
        &[("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Mode", "cors")],
        &[("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Mode", "cors"), ("Origin", "null")],
        &[("Sec-Fetch-Dest", "document"), ("Sec-Purpose", "prefetch")],
        &[("Sec-Purpose", "prefetch;prerender")],
        &[("Purpose", "prefetch")],
        &[("X-Purpose", "preview")],
        &[("Sec-Purpose", "prefetch;anonymous-client-ip")],
        &[("Sec-Fetch-Dest", "image"), ("Sec-Fetch-Dest", "document")],
        &[("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Dest", "document")],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none")],
        &[("Sec-Fetch-User", "?1")],
        &[("Sec-Fetch-Dest", "page"), ("Sec-Fetch-Mode", "navigate")],
        &[("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "teleport")],
        &[("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "cors")],
        &[("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "same")],
    ];
    for headers in cases {
        app.get("/pandium-sso", &[ALICE, headers].concat()).assert_refused(403, "cross_site_request");
    }
}

const FRAME: [Field<'static>; 3] =
    [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "cross-site")];

// T21
#[test]
fn a_frame_in_an_unlisted_page_is_refused_or_reported() {
    let refusing = App::standard();
    let reporting = App::start(Settings::standard().set("embed.policy", "report"));
    let mut violations = 0.0;
    for parent in [
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://app.example.com:8443/",
        "http://app.example.com/",
    ] {
        let headers = [ALICE, &FRAME, &[("Referer", parent)]].concat();
        refusing.get("/pandium-sso", &headers).assert_refused(403, "embedding_not_allowed");

        let served = reporting.get("/pandium-sso", &headers);
        assert_eq!(served.status, 307, "{served:?}");
        let event = reporting.audit_event_of(&served);
        let reported = (&event["fetch_dest"], event["embed_violation"].is_string());
        assert_eq!(reported, (&"iframe".into(), true), "{parent}");
        violations += 1.0;
        let counted =
            reporting.metric("marketplace_sso_embed_violations_total", &[("entrance", "pandium-sso")]);
        assert!((counted - violations).abs() < 0.5, "{parent}: {counted}");
    }
}

// T21a
#[test]
fn only_frames_in_listed_parents_are_served() {
    let app = App::standard();
    let headers =
        [&[(EMAIL, "alice@example.com")], &FRAME[..], &[("Referer", "https://app.example.com/x?y")]];
    assert_eq!(app.get("/pandium-sso", &headers.concat()).status, 307);
    let same_site =
        [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "same-site")];
    let sibling = [ALICE, &same_site, &[("Referer", "https://other.example.com/")]].concat();
    app.get("/pandium-sso", &sibling).assert_refused(403, "embedding_not_allowed");
    // without a Referer the parent is unknown
    app.get("/pandium-sso", &[ALICE, &FRAME].concat()).assert_refused(403, "embedding_not_allowed");
}

// T20
#[test]
fn requests_without_fetch_metadata_can_be_refused() {
    let app = App::start(Settings::standard().set("embed.without_fetch_metadata", "refuse"));
    app.get("/pandium-sso", ALICE).assert_refused(403, "cross_site_request");
    let page = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none")];
    assert_eq!(app.get("/pandium-sso", &[ALICE, &page].concat()).status, 307);
}
