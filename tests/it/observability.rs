//! Audit events, metrics and health checks.

use serde_json::Value;

use crate::harness::{ALICE, App, EMAIL, Field, Response, Settings, Token};

#[test]
fn a_hand_off_writes_one_audit_event() {
    let app = App::standard();
    let response = app.get("/pandium-sso", &[ALICE, &[("Sec-Fetch-Dest", "document")]].concat());
    let event = app.audit_event_of(&response);
    assert_eq!(
        fields(&event),
        [
            "entrance",
            "environment",
            "fetch_dest",
            "jti",
            "level",
            "message",
            "outcome",
            "peer",
            "request_id",
            "subject",
            "timestamp",
            "took_us"
        ]
    );
    assert_eq!(event["outcome"], "handed_off");
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["jti"], Token::of(&response).claims["jti"]);
    assert_eq!((&event["entrance"], &event["environment"]), (&"pandium-sso".into(), &"sandbox".into()));
    assert_eq!((&event["peer"], &event["fetch_dest"]), (&"127.0.0.1".into(), &"document".into()));
    assert!(event["took_us"].as_u64().unwrap() < 10_000_000);
    let timestamp = event["timestamp"].as_str().unwrap();
    time::OffsetDateTime::parse(timestamp, &time::format_description::well_known::Rfc3339).unwrap();
}

#[test]
fn a_refusal_writes_one_audit_event() {
    let app = App::standard();
    let response =
        app.get("/pandium-sso", &[("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]);
    let event = app.audit_event_of(&response);
    assert_eq!(
        fields(&event),
        [
            "detail",
            "entrance",
            "environment",
            "fetch_dest",
            "level",
            "message",
            "outcome",
            "peer",
            "reason",
            "request_id",
            "timestamp",
            "took_us"
        ]
    );
    assert_eq!((&event["outcome"], &event["level"]), (&"refused".into(), &"WARN".into()));
    assert_eq!((&event["reason"], &event["fetch_dest"]), (&"unauthenticated".into(), &"iframe".into()));
}

#[test]
fn every_response_has_exactly_one_audit_event() {
    let app = App::standard();
    let mut responses = Vec::new();
    for _ in 0..20 {
        responses.push(app.get("/pandium-sso", ALICE));
        responses.push(app.get("/pandium-sso", &[]));
        responses.push(app.get("/pandium-sso?tenant=x", ALICE));
        responses.push(app.request("POST", "/pandium-sso", ALICE));
        responses.push(app.get("/nowhere", ALICE));
    }
    // health checks and metrics are not audited
    app.get("/livez", &[]);
    app.admin("/metrics");
    let mut returned: Vec<&str> = responses.iter().map(|response| response.header("x-request-id")).collect();
    let audit_events = app.audit_events();
    let mut written: Vec<&str> =
        audit_events.iter().map(|event| event["request_id"].as_str().unwrap()).collect();
    returned.sort_unstable();
    written.sort_unstable();
    assert_eq!(returned, written);
}

#[test]
fn text_logs_carry_the_same_fields() {
    let app = App::start(Settings::standard().set("log.format", "text").set("log.subject", "plain"));
    let (signed_in, anonymous) = (app.get("/pandium-sso", ALICE), app.get("/pandium-sso", &[]));
    app.log_lines();
    let output = app.output();
    let line_of = |response: &Response| {
        let id = response.header("x-request-id");
        let lines: Vec<&str> = output.lines().filter(|line| line.contains(id)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].to_owned()
    };
    assert!(line_of(&signed_in).contains(" INFO handed a user off "), "{output}");
    assert!(line_of(&signed_in).contains("subject=\"alice@example.com\""), "{output}");
    assert!(line_of(&anonymous).contains(" WARN refused a request reason=unauthenticated "), "{output}");
}

#[test]
fn request_ids_are_generated_and_consistent() {
    let app = App::standard();
    let forged = ("X-Request-Id", "forged\"}{");
    let problem = app.get("/pandium-sso", &[forged]);
    let page = app.get("/pandium-sso", &[forged, ("Accept", "text/html")]);
    assert_eq!(problem.json()["request_id"], problem.header("x-request-id"));
    assert!(page.text().contains(page.header("x-request-id")));
    for response in [&problem, &page] {
        uuid::Uuid::parse_str(response.header("x-request-id")).unwrap();
        app.audit_event_of(response);
    }
    assert!(!app.output().contains("forged"));
}

#[test]
fn log_subject_controls_how_users_are_named() {
    let subject = |log: &str, email: &str| {
        let app = App::start(Settings::standard().set("log.subject", log));
        let event = app.audit_event_of(&app.get("/pandium-sso", &[(EMAIL, email)]));
        (log == "plain" || !app.output().contains(email)).then_some(event["subject"].clone()).unwrap()
    };
    assert_eq!(subject("none", "alice@example.com"), Value::Null);
    assert_eq!(subject("plain", "alice@example.com"), "alice@example.com");
    let hash = subject("hashed", "alice@example.com");
    let text = hash.as_str().unwrap();
    assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    assert_eq!(subject("hashed", "alice@example.com"), hash, "a restart changes nothing");
    assert_ne!(subject("hashed", "bob@example.com"), hash);
}

#[test]
fn events_and_metrics_name_the_entrance() {
    let settings = Settings::standard()
        .entrance("partners", &Settings::proxy_headers("authelia"))
        .set("entrances.partners.path", "/partners/sso")
        .set("entrances.partners.pandium.account", "partners");
    let app = App::start(settings);
    let response =
        app.get("/partners/sso/install/7", &[("Remote-User", "bo"), ("Remote-Email", "bo@example.com")]);
    assert_eq!(Token::of(&response).url.path(), "/partners/tenants/create/7");
    assert_eq!(app.audit_event_of(&response)["entrance"], "partners");
    // an identity header of one entrance is ignored at another
    app.get("/partners/sso", ALICE).assert_refused(401, "unauthenticated");
    app.get("/pandium-sso", &[("Remote-User", "bo")]).assert_refused(401, "unauthenticated");
    for (name, labels, count) in [
        ("marketplace_sso_handoffs_total", [("entrance", "partners"), ("environment", "sandbox")], 1),
        ("marketplace_sso_handoffs_total", [("entrance", "pandium-sso"), ("environment", "sandbox")], 0),
        ("marketplace_sso_refusals_total", [("entrance", "partners"), ("reason", "unauthenticated")], 1),
        ("marketplace_sso_refusals_total", [("entrance", "pandium-sso"), ("reason", "unauthenticated")], 1),
    ] {
        assert_count(&app, name, &labels, count);
    }
}

#[test]
fn the_counters_count() {
    let app = App::standard();
    for _ in 0..3 {
        app.get("/pandium-sso", ALICE);
    }
    app.get("/pandium-sso", &[ALICE, &[("Accept", "application/json")]].concat());
    app.get("/pandium-sso", &[]);
    app.get("/nowhere", &[]);
    app.get("/livez", &[]);
    let here = ("entrance", "pandium-sso");
    assert_count(&app, "marketplace_sso_requests_total", &[here, ("code", "307")], 3);
    assert_count(&app, "marketplace_sso_requests_total", &[here, ("code", "200")], 1);
    assert_count(&app, "marketplace_sso_requests_total", &[here, ("code", "401")], 1);
    assert_count(&app, "marketplace_sso_requests_total", &[("entrance", "none"), ("code", "404")], 1);
    assert_count(&app, "marketplace_sso_handoffs_total", &[here, ("environment", "sandbox")], 4);
    assert_count(&app, "marketplace_sso_refusals_total", &[here, ("reason", "unauthenticated")], 1);
    assert_count(&app, "marketplace_sso_location_bytes_count", &[], 4);
    assert_count(&app, "marketplace_sso_config_reloads_total", &[("result", "applied")], 0);
    assert_count(&app, "marketplace_sso_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    assert!(app.metric("marketplace_sso_request_duration_seconds_count", &[]) > 6.5);
    // the request for the metrics is in progress itself
    assert_count(&app, "marketplace_sso_requests_in_flight", &[], 1);
}

#[test]
fn the_metrics_are_openmetrics_and_name_no_user() {
    let app = App::start(Settings::standard().set("log.subject", "plain"));
    let headers =
        [ALICE, &[("X-Auth-Request-User", "u-1-canary"), ("X-Auth-Request-Groups", "canary-group")]];
    app.get("/pandium-sso", &headers.concat());
    app.get("/canary-path", ALICE);
    let response = app.admin("/metrics");
    assert!(response.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    let text = response.text();
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("alice") && !text.contains("canary"), "{text}");
    let signed_in = ["entrance", "code", "reason", "environment", "result", "version", "le"];
    let labels = text.split(['{', ',']).filter_map(|part| part.split_once("=\"")).map(|(name, _)| name);
    for label in labels {
        assert!(signed_in.contains(&label), "the label {label} is new");
    }
}

#[test]
fn health_is_served_on_both_listeners() {
    let app = App::standard();
    for path in ["/livez", "/readyz", "/healthz"] {
        let untrusted: &[Field<'_>] = &[("X-Forwarded-For", "203.0.113.9"), ("Sec-Fetch-Dest", "image")];
        for response in [app.get(path, untrusted), app.admin(path), app.request("HEAD", path, &[])] {
            assert_eq!((response.status, response.header("content-type")), (200, "application/json"));
            assert_eq!(response.header("cache-control"), "no-store", "{response:?}");
            assert!(response.has("x-request-id"), "{response:?}");
        }
        assert_eq!(app.get(path, &[]).json()["status"], "ok");
        let posted = app.request("POST", path, &[]);
        posted.assert_refused(405, "method_not_allowed");
        assert!(posted.header("allow").contains("GET"), "{posted:?}");
    }
}

#[test]
fn each_listener_serves_its_own_paths() {
    let app = App::standard();
    app.admin("/pandium-sso").assert_refused(404, "not_found");
    app.get("/metrics", &[]).assert_refused(404, "not_found");
    let without = App::start(Settings::standard().set("server.admin_listen", ""));
    assert_eq!(without.get("/livez", &[]).status, 200);
}

fn assert_count(app: &App, name: &str, labels: &[(&str, &str)], count: u32) {
    let metric = app.metric(name, labels);
    assert!((metric - f64::from(count)).abs() < 0.1, "{name}{labels:?} is {metric}, not {count}");
}

fn fields(event: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_wrong_preset_is_logged_without_values() {
    let app = App::start(Settings::proxy_headers("oauth2_proxy"));
    let response = app.get("/pandium-sso", ALICE);
    response.assert_refused(401, "unauthenticated");
    assert!(!response.text().contains("X-Auth-Request-Email"), "the cause is only in the log");
    let event = app.audit_event_of(&response);
    assert_eq!(
        event["detail"],
        "preset oauth2_proxy reads X-Forwarded-Email; X-Auth-Request-Email was present"
    );
    assert!(!event.to_string().contains("alice"), "{event}");
}
