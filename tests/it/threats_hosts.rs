//! DNS rebinding: a request for a host that an attacker's DNS could point to us is
//! refused.

use crate::harness::{ALICE, App, Settings, wire};

const TARGETS: [&str; 6] = [
    "/pandium-sso",
    "/pandium-sso/install/1121",
    "/v1/verify/pandium-sso",
    "/embed",
    "/embed.json",
    "/nowhere",
];

// T21b
#[test]
fn a_request_for_a_foreign_host_is_refused() {
    let app = App::standard();
    for host in [
        "evil.example",
        "evil.example:8080",
        "x.app.example.com",
        "app.example.com.evil.example",
        "127.0.0.1.evil.example",
        "",
    ] {
        for target in TARGETS {
            let response = app.get(target, &[ALICE, &[("Host", host)]].concat());
            response.assert_refused(421, "misdirected_request");
            let event = app.audit_event_of(&response);
            assert!(event.to_string().contains("server.hosts"), "{event}");
        }
        let admin = wire::request(app.admin_address(), "GET", "/metrics", &[("Host", host)]).unwrap();
        admin.assert_refused(421, "misdirected_request");
    }
}

// T21b
#[test]
fn a_request_for_a_configured_host_is_served() {
    let app = App::start(Settings::standard().set("server.hosts", ["sso.example.org"]));
    for host in [
        "app.example.com",
        "APP.example.com:8443",
        "sso.example.org",
        "localhost:8080",
        "192.0.2.7",
        "[2001:db8::7]:8080",
        "marketplace-sso:8080",
    ] {
        assert_eq!(app.get("/pandium-sso", &[ALICE, &[("Host", host)]].concat()).status, 307, "{host}");
        let metrics = wire::request(app.admin_address(), "GET", "/metrics", &[("Host", host)]).unwrap();
        assert_eq!(metrics.status, 200, "{host}");
    }
}

// T21b
#[test]
fn health_is_served_for_any_host() {
    let app = App::standard();
    for target in ["/livez", "/readyz", "/healthz"] {
        for address in [app.address(), app.admin_address()] {
            assert_eq!(
                wire::request(address, "GET", target, &[("Host", "evil.example")]).unwrap().status,
                200
            );
        }
    }
}

// T21b
#[test]
fn every_host_in_a_request_is_checked() {
    let app = App::standard();
    let twice = [ALICE, &[("Host", "app.example.com"), ("Host", "app.example.com")]].concat();
    // the parser refuses requests without a Host field, or with several
    assert_eq!(app.get("/pandium-sso", &twice).status, 400);
    app.get("http://evil.example/pandium-sso", ALICE).assert_refused(421, "misdirected_request");
    let foreign = [ALICE, &[("Host", "evil.example")]].concat();
    app.get("http://app.example.com/pandium-sso", &foreign).assert_refused(421, "misdirected_request");
    let none = b"GET /pandium-sso HTTP/1.1\r\nX-Auth-Request-Email: alice@example.com\r\n\r\n";
    assert_eq!(wire::send(app.address(), none).unwrap().status, 400);
}

// T21b
#[test]
fn a_reload_changes_the_accepted_hosts() {
    let app = App::standard();
    let request = || app.get("/pandium-sso", &[ALICE, &[("Host", "sso.example.org")]].concat()).status;
    assert_eq!(request(), 421);
    app.reconfigure("[server]\nhosts = [\"sso.example.org\"]");
    app.wait_for_line(|line| line["message"] == "the new configuration is in use");
    assert_eq!(request(), 307);
    assert!(!app.output().contains("apply after a restart"), "{}", app.output());
}
