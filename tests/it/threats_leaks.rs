//! Secrets, tokens, queries and credentials stay out of all output.

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::api;
use crate::harness::command::{CommandResult, File, run_with};
use crate::harness::store::{Engine, TestStore};
use crate::harness::{ALICE, App, EMAIL, Field, Response, SECRET, STANDARD, Settings, Token, wire};

/// Values that a client sends, and that no output may contain.
const IN_QUERY: &str = "canary-of-a-query";
const IN_AUTHORIZATION: &str = "canary-of-an-authorization";
const IN_COOKIE: &str = "canary-of-a-cookie";
const IN_HEADER: &str = "canary-of-a-value";

const COMMANDS: [&str; 7] = ["token", "serve", "playground", "check", "mint", "inspect", "healthcheck"];

// T22
#[rstest]
#[case::json_info("json", "info")]
#[case::text_info("text", "info")]
#[case::json_trace("json", "trace")]
#[case::text_trace("text", "trace")]
fn logs_metrics_and_bodies_hold_no_secret(#[case] format: &str, #[case] level: &str) {
    let store = TestStore::new(Engine::Sqlite);
    // stored events have the link parameters, which /v1/audit returns
    let settings = api::settings(&store)
        .set("audit.durability", "log")
        .set("log.format", format)
        .set("log.level", level)
        .set("pandium.max_location_bytes", 600)
        .set("claims.meta.rank", "username|int");
    let api_token = api::create_token(&settings.file(), "siem", &["audit:read"]);
    let app = App::start(settings);
    let (mut responses, sent) = send_every_kind_of_request(&app);
    let with_query = format!("/v1/audit?access_token={api_token}");
    for target in ["/v1/audit", "/v1/links", &with_query, "/pandium-sso"] {
        responses.push(app.api(target, &api_token));
        responses.push(app.api(target, &format!("{}0", &api_token[..47])));
    }
    assert!(responses.iter().any(|response| response.text().contains("\"events\"")));
    // an invalid configuration at a reload
    std::fs::write(app.config_file(), format!("[pandium]\nshared_secret = \"{IN_HEADER} \"")).unwrap();
    app.reload_refused();

    let tokens: Vec<String> = responses.iter().filter_map(token_in).collect();
    let mut secrets = secrets(&tokens);
    // without its first part, the id, which is public
    secrets.push(api_token[12..47].to_owned());
    let metrics = app.admin("/metrics").text();
    app.log_lines();
    let mut written = vec![app.output(), metrics];
    for response in responses.iter().filter(|response| token_in(response).is_none()) {
        written.push(format!("{:?} {}", response.headers, String::from_utf8_lossy(&response.body)));
    }
    for text in &written {
        assert_none(text, &secrets);
    }

    // positive control: the search finds each secret in the configuration or a response
    let bodies: String = responses.iter().map(|response| String::from_utf8_lossy(&response.body)).collect();
    let where_they_belong = format!("{responses:?} {bodies} {sent} {SECRET} {api_token}");
    assert!(tokens.len() >= 3 && written.iter().map(String::len).sum::<usize>() > 5_000);
    for secret in &secrets {
        assert!(where_they_belong.contains(secret.as_str()), "the search does not find {secret}");
    }
}

// T22
#[test]
fn no_command_prints_a_secret() {
    let file = File::new(STANDARD);
    let config = file.text();
    let minted = run_with(&["mint", "--config", &config, "--email", "a@b.example"], &[], "");
    let token = Token::in_url(minted.output.trim(), SECRET).text;
    let secrets = secrets(std::slice::from_ref(&token));
    let variables = [("SSO_PANDIUM__SHARED_SECRET", SECRET)];

    let mut result = vec![
        run_with(&["check", "--show", "--config", &config], &[], ""),
        run_with(&["check", "--show", "--config", &config], &variables, ""),
        run_with(&["inspect", "--config", &config, "-"], &[], &token),
        run_with(&["inspect", "--config", &config, &format!("{token}x")], &[], ""),
        run_with(&["inspect", "--config", &config, &format!("https://a/?b={token}")], &[], ""),
        run_with(&["--help"], &variables, ""),
        run_with(&["healthcheck", "127.0.0.1:1"], &variables, ""),
    ];
    result.extend(COMMANDS.iter().map(|command| run_with(&[command, "--help"], &variables, "")));
    for CommandResult { output, errors, .. } in &result {
        assert!(!output.is_empty() || !errors.is_empty());
        assert_none(output, &secrets);
        assert_none(errors, &secrets);
    }
    assert!(result[0].output.contains("shared_secret = \"[hidden]\""), "{}", result[0].output);
}

// T22
#[rstest]
#[case::no_toml("[pandium]\nshared_secret = \"SECRET\naccount = \"acme\"")]
#[case::no_toml_either("[pandium]\nshared_secret = SECRET")]
#[case::unknown_key("[pandium]\nshared_secert = \"SECRET\"")]
#[case::unknown_section("[pandum]\nshared_secret = \"SECRET\"")]
#[case::white_space("[pandium]\nshared_secret = \" SECRET\"")]
#[case::two_lines("[pandium]\nshared_secret = \"SECRET\\n\\n\"")]
#[case::not_ascii("[pandium]\nshared_secret = \"SECRETé\"")]
#[case::a_list("[pandium]\nshared_secret = [\"SECRET\"]")]
#[case::a_table("[pandium.shared_secret]\nvalue = \"SECRET\"")]
#[case::both("[pandium]\nshared_secret = \"SECRET\"\nshared_secret_file = \"/nowhere\"")]
#[case::in_an_entrance("[entrances.a]\npath = \"/a\"\n[entrances.a.pandium]\nshared_secret = \"SECRET \"")]
fn configuration_errors_quote_no_secret(#[case] toml: &str) {
    let (standard, own) = (File::new(STANDARD), File::new(&toml.replace("SECRET", SECRET)));
    for command in ["check", "serve"] {
        let result = run_with(&[command, "--config", &standard.text(), "--config", &own.text()], &[], "");
        assert_eq!(result.status, 78, "{result:?}");
        assert!(!result.output.contains(SECRET) && !result.errors.contains(SECRET), "{result:?}");
    }
}

// T23
#[test]
fn every_token_is_new() {
    let app = App::standard();
    let mut ids: Vec<Value> = (0..50).map(|_| app.claims(ALICE)["jti"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

// T24
#[test]
fn a_500_has_only_its_class_and_the_request_id() {
    let app = App::start(Settings::standard().set("claims.external_id", "groups|first|int"));
    let request = |group, accept| {
        app.get("/pandium-sso", &[ALICE, &[("X-Auth-Request-Groups", group), ("Accept", accept)]].concat())
    };
    assert_eq!(Token::of(&request("7", "*/*")).claims["external_id"], "7");

    let fault = request("canary-group", "*/*");
    fault.assert_refused(500, "internal");
    let body = fault.json();
    let mut keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["reason", "request_id", "status", "title", "type"]);
    assert_eq!(body["title"], "An internal error occurred");
    assert_eq!(body["request_id"], fault.header("x-request-id"));

    let page = request("canary-group", "text/html");
    assert_eq!(page.status, 500);
    for (what, message) in
        [("canary-group", false), ("external_id", false), (page.header("x-request-id"), true)]
    {
        assert_eq!(page.text().contains(what), message, "{what}");
    }
    let event = app.audit_event_of(&fault);
    assert!(event["detail"].as_str().unwrap().contains("claims.external_id"), "{event}");
    assert!(!app.output().contains("canary-group"));
}

/// The content of a secret file, and a part of the error if it is invalid.
// T25
#[rstest]
#[case::as_it_is("{}", None)]
#[case::with_a_line_break("{}\n", None)]
#[case::with_a_line_break_of_windows("{}\r\n", None)]
#[case::with_two_line_breaks("{}\n\n", Some("white space"))]
#[case::with_a_blank("{} ", Some("white space"))]
#[case::with_a_blank_in_front(" {}", Some("white space"))]
#[case::with_a_tab_within("{}\t{}", Some("white space"))]
#[case::with_a_byte_order_mark("\u{feff}{}", Some("not ASCII"))]
#[case::empty("", Some("it is empty"))]
#[case::a_line_break_alone("\n", Some("it is empty"))]
#[case::a_byte_too_short("0123456789abcdef0123456789abcde", Some("31 bytes; at least 32"))]
fn a_malformed_secret_stops_the_start(#[case] text: &str, #[case] problem: Option<&str>) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pandium");
    std::fs::write(&file, text.replace("{}", SECRET)).unwrap();
    let config = Settings::standard().secret_file(&file).file();
    let result = run_with(&["mint", "--config", &config.text(), "--email", "a@b.example"], &[], "");
    match problem {
        None => assert_eq!(Token::in_url(result.output.trim(), SECRET).claims["sub"], "a@b.example"),
        Some(problem) => {
            assert_eq!(result.status, 78);
            assert!(
                result.errors.contains("shared_secret_file") && result.errors.contains(problem),
                "{result:?}"
            );
            assert_eq!(run_with(&["serve", "--config", &config.text()], &[], "").status, 78);
        }
    }
}

// T25
#[test]
fn absent_and_short_secrets_stop_the_start() {
    let absent = Settings::standard().without("pandium.shared_secret").file();
    let result = run_with(&["serve", "--config", &absent.text()], &[], "");
    assert!(result.status == 78 && result.errors.contains("openssl rand -hex 32"), "{result:?}");

    let short = Settings::standard().set("pandium.shared_secret", "short");
    let mint = |settings: &Settings| {
        run_with(&["mint", "--config", &settings.file().text(), "--email", "a@b.example"], &[], "")
    };
    assert_eq!(mint(&short).status, 78);
    let allowed = mint(&short.set("pandium.dangerous_allow_short_secret", true));
    assert_eq!(Token::in_url(allowed.output.trim(), "short").claims["sub"], "a@b.example");
}

// T26
#[test]
fn an_oversized_url_is_refused_and_explained() {
    let settings = Settings::standard().set("pandium.max_location_bytes", 1000);
    let app = App::start(settings.set("claims.meta.groups", "groups"));
    let groups = "canary-group,".repeat(60);
    let response = app.get("/pandium-sso", &[ALICE, &[("X-Auth-Request-Groups", &groups)]].concat());
    response.assert_refused(500, "token_too_large");
    let labels = [("entrance", "pandium-sso"), ("reason", "token_too_large")];
    assert!((app.metric("marketplace_sso_refusals_total", &labels) - 1.0).abs() < 0.1);
    let cause = app.audit_event_of(&response)["detail"].as_str().unwrap().to_owned();
    assert!(cause.contains("largest claims: meta.groups 9") && cause.contains(" bytes"), "{cause}");
    assert!(!app.output().contains("canary-group"));
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
}

/// Responses to every kind of request, and the canaries that were sent.
fn send_every_kind_of_request(app: &App) -> (Vec<Response>, String) {
    let mut responses = send_most_kinds_of_request(app);
    let long = "x".repeat(1000);
    let too_long = [ALICE, &[("X-Auth-Request-User", long.as_str())]].concat();
    responses.push(app.get("/pandium-sso", &too_long));
    responses.push(
        app.get("/pandium-sso", &[ALICE, &[("X-Auth-Request-Preferred-Username", IN_HEADER)]].concat()),
    );
    let reasons: Vec<String> = responses.iter().map(Response::reason).collect();
    for reason in ["unauthenticated", "bad_identity", "ambiguous_identity", "bad_link", "cross_site_request"]
    {
        assert!(reasons.iter().any(|own| own == reason), "{reason} is missing in {reasons:?}");
    }
    for reason in ["token_too_large", "internal", "not_found", "method_not_allowed"] {
        assert!(reasons.iter().any(|own| own == reason), "{reason} is missing in {reasons:?}");
    }
    (responses, format!("{IN_QUERY} {IN_AUTHORIZATION} {IN_COOKIE} {IN_HEADER}"))
}

fn send_most_kinds_of_request(app: &App) -> Vec<Response> {
    let bearer = format!("Bearer {IN_AUTHORIZATION}");
    let cookie = format!("session={IN_COOKIE}");
    let query = format!("integration_settings={IN_QUERY}");
    let with_query = format!("/pandium-sso?{query}");
    let (unknown, tenant) = (format!("/pandium-sso?x={IN_QUERY}"), format!("/pandium-sso?tenant={IN_QUERY}"));
    let nowhere = format!("/nowhere?{query}");
    let broken = format!("{IN_HEADER}@b@c.example");
    let alias = ("X_Auth_Request_Email", IN_HEADER);
    let image = ("Sec-Fetch-Dest", "image");
    let origin = format!("https://{IN_HEADER}.example");
    let kinds: Vec<(&str, &str, Vec<Field<'_>>)> = vec![
        ("GET", &with_query, ALICE.to_vec()),
        ("GET", "/pandium-sso/install/1121", ALICE.to_vec()),
        ("GET", &with_query, [ALICE, &[("Accept", "application/json")]].concat()),
        ("GET", &with_query, vec![]),
        ("GET", &with_query, vec![("Accept", "text/html")]),
        ("GET", &with_query, vec![(EMAIL, &broken)]),
        ("GET", &with_query, [ALICE, &[alias]].concat()),
        ("GET", &with_query, [ALICE, &[image, ("Referer", &origin), ("Origin", &origin)]].concat()),
        ("GET", &unknown, ALICE.to_vec()),
        ("GET", &tenant, ALICE.to_vec()),
        ("GET", &nowhere, ALICE.to_vec()),
        ("POST", &with_query, ALICE.to_vec()),
        ("OPTIONS", &with_query, vec![("Origin", &origin), ("Access-Control-Request-Method", "GET")]),
        ("GET", "/livez?x", ALICE.to_vec()),
        ("GET", "/metrics", ALICE.to_vec()),
    ];
    let credentials = [("Authorization", bearer.as_str()), ("Cookie", cookie.as_str())];
    let mut responses = Vec::new();
    for (method, target, headers) in kinds {
        responses.push(app.request(method, target, &[&headers[..], &credentials].concat()));
    }
    let broken = format!("GET {with_query} HTTP/1.1\r\nHost: a\r\nno header: {IN_HEADER}\r\n\r\n");
    responses.push(wire::send(app.address(), broken.as_bytes()).unwrap());
    responses
}

fn token_in(response: &Response) -> Option<String> {
    let is_hand_off =
        response.has("location") || (response.status == 200 && response.text().contains("\"url\""));
    is_hand_off.then(|| Token::of(response).text)
}

/// The secrets, canaries, and all parts of the tokens.
fn secrets(tokens: &[String]) -> Vec<String> {
    let given = [SECRET, IN_QUERY, IN_AUTHORIZATION, IN_COOKIE, IN_HEADER];
    let parts = tokens.iter().flat_map(|token| token.split('.').map(str::to_owned));
    given.iter().map(|given| (*given).to_owned()).chain(parts).collect()
}

fn assert_none(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in: {text}");
    }
}
