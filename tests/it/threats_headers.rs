//! Unsigned identity headers: anything ambiguous is refused.

use rstest::rstest;

use crate::harness::{ALICE, App, EMAIL, Field, Settings, Token, wire};

const FOLDED: [&str; 4] =
    ["X_Auth_Request_Email", "X.Auth.Request.Email", "X-Auth_Request-Email", "x-auth-request.email"];

// T1
#[rstest]
#[case::another_is_trusted(&["192.0.2.1"])]
#[case::others_are_trusted(&["10.0.0.0/8", "::1/128", "127.0.0.2/32"])]
fn an_identity_from_an_untrusted_peer_is_refused(#[case] trusted: &[&str]) {
    let app = App::start(Settings::standard().identity("trusted_proxies", trusted));
    let forwarding_headers: &[&[Field<'_>]] = &[
        &[],
        &[("X-Forwarded-For", "10.0.0.1")],
        &[("X-Forwarded-For", "127.0.0.2, 10.0.0.1")],
        &[("Forwarded", "for=10.0.0.1;by=10.0.0.2")],
        &[("X-Real-IP", "10.0.0.1")],
        &[("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("Forwarded", "for=10.0.0.1")],
        &[("True-Client-IP", "10.0.0.1"), ("CF-Connecting-IP", "10.0.0.1")],
    ];
    for headers in forwarding_headers {
        app.get("/pandium-sso", &[ALICE, headers].concat()).assert_refused(403, "untrusted_peer");
    }
    for name in FOLDED {
        app.get("/pandium-sso", &[(name, "alice@example.com")]).assert_refused(403, "untrusted_peer");
    }
    app.get("/pandium-sso", &[]).assert_refused(401, "unauthenticated");
}

// T1
#[test]
fn no_header_revokes_the_trust_of_a_peer() {
    let app = App::standard();
    let headers = [("X-Forwarded-For", "203.0.113.9"), ("X-Real-IP", "203.0.113.9")];
    assert_eq!(app.get("/pandium-sso", &[ALICE, &headers].concat()).status, 307);
}

// T2
#[test]
fn header_name_aliases_are_never_accepted() {
    let app = App::standard();
    for name in FOLDED {
        let other = [(name, "boss@example.com")];
        app.get("/pandium-sso", &[ALICE, &other].concat()).assert_refused(400, "ambiguous_identity");
        app.get("/pandium-sso", &[&other, ALICE].concat()).assert_refused(400, "ambiguous_identity");
        app.get("/pandium-sso", &other).assert_refused(401, "unauthenticated");
    }
    let other = [("X_Auth_Request_Groups", "admins")];
    app.get("/pandium-sso", &[ALICE, &other].concat()).assert_refused(400, "ambiguous_identity");
}

// T3
#[test]
fn more_than_one_value_is_ambiguous() {
    let app = App::standard();
    let cases: [&[Field<'_>]; 9] = [
        &[(EMAIL, "alice@example.com"), (EMAIL, "boss@example.com")],
        &[(EMAIL, "alice@example.com"), (EMAIL, "alice@example.com")],
        &[(EMAIL, "alice@example.com"), ("x-AUTH-request-email", "boss@example.com")],
        &[(EMAIL, ""), (EMAIL, "boss@example.com")],
        &[(EMAIL, "alice@example.com, boss@example.com")],
        &[(EMAIL, "alice@example.com,boss@example.com")],
        &[(EMAIL, "alice@example.com"), ("X-Auth-Request-User", "1"), ("X-Auth-Request-User", "2")],
        &[(EMAIL, "alice@example.com"), ("X-Auth-Request-User", "1,2")],
        &[(EMAIL, "alice@example.com"), ("X-Auth-Request-Groups", "a"), ("X-Auth-Request-Groups", "b")],
    ];
    for headers in cases {
        app.get("/pandium-sso", headers).assert_refused(400, "ambiguous_identity");
    }
}

// T4
#[test]
fn connection_naming_an_identity_header_is_ambiguous() {
    let app = App::standard();
    for connection in [
        "X-Auth-Request-Email",
        "close, x-auth-request-email",
        "keep-alive,X-AUTH-REQUEST-EMAIL , upgrade",
        "X_Auth_Request_Email",
        "X-Auth-Request-Groups",
    ] {
        let headers = [ALICE, &[("Connection", connection)]].concat();
        app.get("/pandium-sso", &headers).assert_refused(400, "ambiguous_identity");
    }
}

// T5
#[test]
fn the_primary_header_is_required() {
    let app = App::standard();
    let others = [
        ("X-Auth-Request-User", "u-1"),
        ("X-Auth-Request-Preferred-Username", "alice"),
        ("X-Auth-Request-Groups", "admins"),
        ("X-Forwarded-Email", "alice@example.com"),
        ("Remote-User", "alice"),
        ("Authorization", "Basic YWxpY2U6YWxpY2U="),
    ];
    let cases: [&[Field<'_>]; 3] = [&[], &[(EMAIL, "")], &[(EMAIL, "   \t ")]];
    for primary in cases {
        let headers = [primary, &others].concat();
        app.get("/pandium-sso", &headers).assert_refused(401, "unauthenticated");
    }
}

// T6
#[test]
fn malformed_emails_are_refused_and_not_logged() {
    let app = App::start(Settings::standard().set("log.subject", "plain"));
    let too_long = format!("{}@example.com", "a".repeat(300));
    let values: Vec<&[u8]> = vec![
        b"attacker@evil.example@company.example",
        b"@company.example",
        b"attacker@",
        b"attacker",
        b"at tacker@evil.example",
        too_long.as_bytes(),
        b"attacker\x01@evil.example",
        b"attacker\x7f@evil.example",
        b"attacker\t@evil.example",
        "attacker\u{202e}@evil.example".as_bytes(),
        "attacker\u{2066}@evil.example".as_bytes(),
        "attacker\u{200f}@evil.example".as_bytes(),
        "attacker\u{85}@evil.example".as_bytes(),
        "attacker\u{feff}@evil.example".as_bytes(),
        b"attacker\xff@evil.example",
        b"attacker\xc0\xae@evil.example",
        b"attacker\xed\xa0\x80@evil.example",
    ];
    for value in values {
        let request = [b"GET /pandium-sso HTTP/1.1\r\nHost: a\r\nX-Auth-Request-Email: ", value, b"\r\n\r\n"];
        let response = wire::send(app.address(), &request.concat()).unwrap();
        let shown = String::from_utf8_lossy(value).into_owned();
        // the parser refuses bytes that are not valid in a header value
        match response.status {
            400 if response.body.is_empty() => response.assert_no_token(),
            _ => response.assert_refused(400, "bad_identity"),
        }
        assert!(!response.has("location"), "{shown}");
    }
    app.log_lines();
    assert!(!app.output().contains("attacker") && !app.output().contains("evil.example"));
}

// T6
#[test]
fn a_line_break_or_nul_in_a_value_is_refused() {
    let app = App::standard();
    for value in ["a@b.example\0", "a@b.example\rX: y", "\0"] {
        let request = format!("GET /pandium-sso HTTP/1.1\r\nHost: a\r\n{EMAIL}: {value}\r\n\r\n");
        let response = wire::send(app.address(), request.as_bytes()).unwrap();
        assert_eq!(response.status, 400, "{value:?}");
        response.assert_no_token();
    }
    // a bare LF ends a header field, so the rest is a second one
    let request =
        format!("GET /pandium-sso HTTP/1.1\r\nHost: a\r\n{EMAIL}: a@b.example\n{EMAIL}: c@d.example\r\n\r\n");
    let response = wire::send(app.address(), request.as_bytes()).unwrap();
    assert_eq!(response.status, 400);
    response.assert_no_token();
}

// T6
#[test]
fn every_identity_header_is_parsed_strictly() {
    let app = App::standard();
    for name in ["X-Auth-Request-User", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Groups"] {
        for value in ["a\u{202e}b", "a\u{1}b"] {
            let request = format!(
                "GET /pandium-sso HTTP/1.1\r\nHost: a\r\n{EMAIL}: a@b.example\r\n{name}: {value}\r\n\r\n"
            );
            let response = wire::send(app.address(), request.as_bytes()).unwrap();
            assert_eq!(response.status, 400, "{name}: {value:?}");
            response.assert_no_token();
        }
    }
}

// T7
#[test]
fn placeholder_values_count_as_absent() {
    let app = App::standard();
    let custom = Settings::proxy_headers("custom").identity("headers.id", "X-User");
    let by_id = App::start(custom.set("claims.sub", "id"));
    for word in ["", " ", "null", "NULL", "undefined", "(null)", "-", " - "] {
        app.get("/pandium-sso", &[(EMAIL, word)]).assert_refused(401, "unauthenticated");
        by_id.get("/pandium-sso", &[("X-User", word)]).assert_refused(401, "unauthenticated");
    }
}

// T7
#[rstest]
#[case::empty("''")]
#[case::blank("'  '")]
#[case::null("'null'")]
#[case::undefined("attributes.nothing")]
#[case::the_word("'undefined'")]
#[case::dash("'-'")]
#[case::missing_claim("id")]
fn a_placeholder_subject_is_unauthenticated(#[case] expression: &str) {
    let app = App::start(Settings::standard().set("claims.sub", expression));
    app.get("/pandium-sso", ALICE).assert_refused(401, "unauthenticated");
}

// T1
#[test]
fn tailscale_funnel_requests_are_refused() {
    let app = App::start(Settings::proxy_headers("tailscale"));
    let alice = [("Tailscale-User-Login", "alice@example.com")];
    assert_eq!(app.get("/pandium-sso", &alice).status, 307);
    let funnel = [alice[0], ("Tailscale-Funnel-Request", "?1")];
    app.get("/pandium-sso", &funnel).assert_refused(403, "untrusted_peer");
}

// T6
#[test]
fn access_rules_match_domains_and_groups_exactly() {
    let settings = Settings::standard().set("access.email_domains", ["example.com"]);
    let app = App::start(settings.set("access.denied_groups", ["left"]));
    let request =
        |email, groups| app.get("/pandium-sso", &[(EMAIL, email), ("X-Auth-Request-Groups", groups)]);
    assert_eq!(Token::of(&request("alice@EXAMPLE.com", "staff")).claims["sub"], "alice@EXAMPLE.com");
    request("alice@example.com.evil.example", "staff").assert_refused(403, "not_allowed");
    request("alice@sub.example.com", "staff").assert_refused(403, "not_allowed");
    request("alice@example.com", "staff,left").assert_refused(403, "not_allowed");
}
