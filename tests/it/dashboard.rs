//! The dashboard: which clients may see it, what it shows, and what it never shows.

use marketplace_sso::refusal::Reason;
use rstest::rstest;
use tempfile::TempDir;

use crate::harness::store::{Engine, TestStore};
use crate::harness::{ALICE, App, EMAIL, Field, Response, SECRET, Settings, api, wait_until, wire};

const LOCAL: Field<'static> = ("Host", "127.0.0.1:9090");
const HTML: Field<'static> = ("Accept", "text/html");
const OWN_FORM: [Field<'static>; 2] = [("Sec-Fetch-Site", "same-origin"), HTML];

const PAGES: [&str; 5] = [
    "/dashboard",
    "/dashboard/events",
    "/dashboard/requests/019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b",
    "/dashboard/configuration",
    "/dashboard/token",
];

/// A service that stores its events.
fn with_store(settings: Settings) -> App {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}/sso.db", folder.path().display());
    App::start_in(folder, settings.set("store.url", url).set("audit.durability", "commit"))
}

fn get(app: &App, target: &str, fields: &[Field<'_>]) -> Response {
    wire::request(app.admin_address(), "GET", target, fields).unwrap()
}

/// A page, requested as by a browser on this machine.
fn page(app: &App, target: &str) -> String {
    let response = get(app, target, &[LOCAL, HTML]);
    assert_eq!(response.status, 200, "{response:?}");
    response.page()
}

fn post(app: &App, target: &str, fields: &[Field<'_>], body: &str) -> Response {
    let length = body.len().to_string();
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", length.as_str())];
    let mut bytes = wire::request_bytes("POST", target, &[fields, &form].concat());
    bytes.extend(body.as_bytes());
    wire::send(app.admin_address(), &bytes).unwrap()
}

#[test]
fn a_local_browser_sees_every_page() {
    let app = with_store(Settings::standard());
    for target in PAGES {
        let response = get(&app, target, &[LOCAL, HTML, ("Sec-Fetch-Site", "none")]);
        let expected = if target.contains("requests") { 404 } else { 200 };
        assert_eq!(response.status, expected, "{response:?}");
        let policy = response.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("cache-control"), "no-store");
        assert_eq!(response.header("referrer-policy"), "same-origin");
        assert!(!response.has("set-cookie"), "{response:?}");
    }
    assert_eq!(get(&app, "/", &[LOCAL]).header("location"), "/dashboard");
}

// T42
#[rstest]
#[case::own_name(&[HTML])]
#[case::container(&[("Host", "marketplace-sso:9090"), HTML])]
#[case::address(&[("Host", "192.0.2.7:9090"), HTML])]
#[case::behind_a_proxy(&[LOCAL, HTML, ("X-Forwarded-For", "192.0.2.7")])]
#[case::unknown_session(&[HTML, ("Cookie", "sso_dashboard=AAAA")])]
fn a_browser_elsewhere_is_asked_to_log_in(#[case] fields: &[Field<'_>]) {
    let app = with_store(Settings::standard());
    for target in PAGES {
        let response = get(&app, target, fields);
        assert_eq!((response.status, response.header("location")), (303, "/dashboard/login"), "{response:?}");
        assert!(response.body.is_empty());
    }
    assert_eq!(get(&app, "/dashboard/login", fields).status, 200);
    let script: Vec<_> = fields.iter().copied().filter(|field| *field != HTML).collect();
    get(&app, "/dashboard", &script).assert_refused(401, "unauthenticated");
}

// T42
#[test]
fn a_rebound_name_is_refused() {
    let app = with_store(Settings::standard());
    for target in PAGES.into_iter().chain(["/", "/dashboard/login"]) {
        get(&app, target, &[("Host", "evil.example:9090")]).assert_refused(421, "misdirected_request");
    }
}

// T42
#[rstest]
#[case("cross-site")]
#[case("same-site")]
fn a_request_of_another_site_is_refused(#[case] site: &str) {
    let app = with_store(Settings::standard());
    for target in PAGES {
        get(&app, target, &[LOCAL, ("Sec-Fetch-Site", site)]).assert_refused(403, "cross_site_request");
    }
    for target in ["/dashboard/login", "/dashboard/logout"] {
        let fields = [LOCAL, ("Sec-Fetch-Site", site), ("Origin", "http://127.0.0.1:9090")];
        post(&app, target, &fields, "token=x").assert_refused(403, "cross_site_request");
        let fields = [LOCAL, ("Origin", "http://127.0.0.1:1234")];
        post(&app, target, &fields, "token=x").assert_refused(403, "cross_site_request");
    }
}

// T42
#[test]
fn a_wrong_token_opens_no_session() {
    let app = with_store(Settings::standard());
    let token = "mkt_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH";
    for body in
        [format!("token={token}"), "token=".into(), String::new(), format!("token={}", "x".repeat(5000))]
    {
        let response = post(&app, "/dashboard/login", &OWN_FORM, &body);
        assert_eq!(response.status, 401, "{response:?}");
        assert!(!response.has("set-cookie"), "{response:?}");
        assert!(response.text().contains("The token was refused"), "{response:?}");
        assert_eq!(app.audit_event_of(&response)["outcome"], "refused");
        assert!(!response.text().contains(token) && !app.output().contains(token));
    }
    let by_query = get(&app, &format!("/dashboard?token={token}"), &[HTML]);
    assert_eq!(by_query.header("location"), "/dashboard/login");
}

/// A service with an API token of this scope, and the response to a login with it.
fn logged_in(scope: &str) -> (App, TestStore, Response) {
    let test = TestStore::new(Engine::Sqlite);
    let app = App::start(api::settings(&test));
    let token = api::create_token(&api::config(&test), "operator", &[scope]);
    let response = post(&app, "/dashboard/login", &OWN_FORM, &format!("token={token}"));
    assert!(!app.output().contains(&token));
    (app, test, response)
}

/// The `Cookie` field of a session.
fn cookie_of(response: &Response) -> String {
    assert_eq!((response.status, response.header("location")), (303, "/dashboard"), "{response:?}");
    let (cookie, attributes) = response.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/dashboard; Max-Age=3600; HttpOnly; SameSite=Strict");
    cookie.to_owned()
}

#[test]
fn an_api_token_opens_a_session_until_the_logout() {
    let (app, _test, response) = logged_in("audit:read");
    let cookie = cookie_of(&response);
    let session = [HTML, ("Cookie", cookie.as_str())];
    for target in PAGES {
        let response = get(&app, target, &session);
        assert!(
            response.status != 303 && response.page().contains("API token <b>operator</b>"),
            "{response:?}"
        );
    }
    let response = post(&app, "/dashboard/logout", &[OWN_FORM[0], OWN_FORM[1], session[1]], "");
    assert_eq!((response.status, response.header("location")), (303, "/dashboard/login"));
    assert!(response.header("set-cookie").starts_with("sso_dashboard=; Path=/dashboard; Max-Age=0"));
    assert_eq!(get(&app, "/dashboard", &session).status, 303);
}

// T42
#[test]
fn a_session_ends_when_its_token_is_revoked() {
    let (app, test, response) = logged_in("audit:read");
    let cookie = cookie_of(&response);
    let session = [HTML, ("Cookie", cookie.as_str())];
    assert_eq!(get(&app, "/dashboard", &session).status, 200);
    assert_eq!(api::token(&api::config(&test), &["revoke", "operator"]).status, 0);
    wait_until("the session ends", || get(&app, "/dashboard", &session).status == 303);
}

// T42
#[test]
fn a_token_without_the_scope_opens_no_session() {
    let (app, _test, response) = logged_in("links:create");
    assert_eq!(response.status, 403, "{response:?}");
    assert!(response.text().contains("lacks the scope audit:read") && !response.has("set-cookie"));
    assert_eq!(app.audit_event_of(&response)["reason"], "missing_scope");
}

// T42
#[test]
fn guessing_tokens_at_the_login_is_limited() {
    let app = with_store(Settings::standard().set("limits.token_guesses_per_peer_per_minute", 2));
    let attempt = || post(&app, "/dashboard/login", &OWN_FORM, "token=mkt_x").status;
    assert_eq!([(); 3].map(|()| attempt()), [401, 401, 429]);
}

#[test]
fn only_exact_paths_and_methods_are_served() {
    let app = with_store(Settings::standard());
    for target in [
        "/dashboard/",
        "/Dashboard",
        "/dashboard//events",
        "/dashboard/%65vents",
        "/dashboard/requests/",
        "/dashboard/requests/a/b",
        "/dashboard/style.css",
        "/dashboardx",
    ] {
        get(&app, target, &[LOCAL]).assert_refused(404, "not_found");
    }
    for target in PAGES {
        post(&app, target, &[LOCAL, OWN_FORM[0]], "").assert_refused(405, "method_not_allowed");
        get(&app, "/dashboard/logout", &[LOCAL]).assert_refused(405, "method_not_allowed");
    }
    // the public listener has no dashboard
    app.get("/dashboard", &[LOCAL]).assert_refused(404, "not_found");
}

#[test]
fn a_refusal_is_explained_as_in_the_documents() {
    let app = with_store(Settings::standard());
    let response = app.get("/pandium-sso?integration_id=x", ALICE);
    let id = response.header("x-request-id");
    let explained = page(&app, &format!("/dashboard/requests/{id}"));
    let event = app.audit_event_of(&response);
    for part in [
        event["detail"].as_str().unwrap(),
        Reason::BadLink.title(),
        "<code>bad_link</code> · status 400",
        "<code>tenant</code> in the request, an <code>integration_id</code> that is not a number",
        "correct the link as <code>detail</code> says, in the log and in the JSON response",
        "<code>pandium.link_parameters</code> lists what is passed on",
    ] {
        assert!(explained.contains(part), "{part}\n{explained}");
    }
    assert_eq!(get(&app, "/dashboard/requests/x", &[LOCAL]).status, 404);
}

#[test]
fn events_are_found_by_request_id_subject_and_jti() {
    let app = with_store(Settings::standard());
    let handed_off = app.get("/pandium-sso", ALICE);
    let refused = app.get("/pandium-sso", &[]);
    let event = app.audit_event_of(&handed_off);
    let [own, other] = [&handed_off, &refused].map(|response| response.header("x-request-id").to_owned());
    for q in [&own, event["jti"].as_str().unwrap(), "alice%40example.com", event["subject"].as_str().unwrap()]
    {
        let found = page(&app, &format!("/dashboard/events?q={q}"));
        assert!(found.contains(&own) && !found.contains(&other), "{q}\n{found}");
    }
    let refusals = page(&app, "/dashboard/events?outcome=refused&reason=unauthenticated");
    assert!(!refusals.contains(&own) && refusals.contains(&other), "{refusals}");
    assert!(page(&app, "/dashboard/events?q=nothing").contains("No events"));
    assert!(page(&app, "/dashboard/events?entrance=x%27%20OR%201=1").contains("No events"));
}

#[test]
fn events_are_paged() {
    let app = with_store(Settings::standard());
    let ids: Vec<String> =
        (0..60).map(|_| app.get("/pandium-sso", &[]).header("x-request-id").to_owned()).collect();
    let shown = |page: &str| ids.iter().filter(|id| page.contains(id.as_str())).count();
    let first = page(&app, "/dashboard/events?outcome=refused");
    assert_eq!(shown(&first), 50);
    let (_, older) =
        first.split_once("<a class=\"button\" href=\"/dashboard/events?outcome=refused&amp;after=").unwrap();
    let after = older.split('"').next().unwrap();
    let second = page(&app, &format!("/dashboard/events?outcome=refused&after={after}"));
    assert_eq!(shown(&second), 10);
    assert!(!second.contains(">Older<") && second.contains(">Newest<"), "{second}");
}

#[test]
fn hostile_values_are_escaped() {
    let app = with_store(Settings::standard().set("audit.subject", "plain"));
    let hostile = "<script>alert(1)</script>\"'&";
    let id = app.get("/pandium-sso", &[(EMAIL, "a&b@example.com"), ("User-Agent", hostile)]);
    let id = id.header("x-request-id");
    let targets = [
        format!("/dashboard/requests/{id}"),
        "/dashboard".into(),
        "/dashboard/events?q=%22%3E%3Cscript%3E".into(),
    ];
    for target in &targets {
        let shown = page(&app, target);
        assert!(!shown.contains("<script>"), "{shown}");
    }
    let shown = page(&app, &targets[0]);
    assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"), "{shown}");
    assert!(shown.contains("subject=a%26b%40example.com"), "{shown}");
}

#[test]
fn the_overview_counts_hand_offs_and_refusals() {
    let app = with_store(Settings::standard());
    for _ in 0..3 {
        app.get("/pandium-sso", ALICE);
    }
    for _ in 0..21 {
        app.get("/pandium-sso", &[]);
    }
    for range in ["", "?range=7d", "?range=30d", "?range=x"] {
        let shown = page(&app, &format!("/dashboard{range}"));
        assert!(shown.contains("3 in this time: 3 pandium-sso."), "{shown}");
        assert!(shown.contains("21 in this time: 21 unauthenticated."), "{shown}");
        assert!(shown.contains("<svg role=\"img\" aria-label=\"Refusals by reason\""), "{shown}");
        assert!(shown.contains("21 refusals in the last ten minutes"), "{shown}");
        assert!(shown.contains("First hand-off at the entrance pandium-sso"), "{shown}");
    }
}

#[test]
fn without_a_store_counters_and_the_remedy_are_shown() {
    let app = App::standard();
    app.get("/pandium-sso", ALICE);
    let refused = app.get("/pandium-sso", &[]);
    let shown = page(&app, "/dashboard");
    assert!(
        shown.contains("There is no store") && shown.contains("durability = &quot;commit&quot;"),
        "{shown}"
    );
    assert!(
        shown.contains("<code>unauthenticated</code> 1") && !shown.contains("<svg role=\"img\""),
        "{shown}"
    );
    assert!(page(&app, "/dashboard/events").contains("There is no store"));
    let id = refused.header("x-request-id");
    let request = get(&app, &format!("/dashboard/requests/{id}"), &[LOCAL]);
    assert!(request.status == 404 && request.text().contains("Events are not stored"), "{request:?}");
    // reading counters for the page creates no new ones
    assert!(!app.admin("/metrics").text().contains("reason=\"token_too_large\""));
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let chain_key = "a-chain-key-of-the-operator-0123456789";
    let bearer = Settings::bearer().without("identity.algorithms").algorithm("HS256");
    let bearer = bearer.identity("shared_secret", "what-the-issuer-signs-with-0123456789");
    let settings = Settings::standard().entrance("partners", &bearer).set("audit.chain_key", chain_key);
    let app = with_store(settings);
    for target in PAGES {
        let shown = get(&app, target, &[LOCAL, HTML]).page();
        for secret in [SECRET, chain_key, "what-the-issuer-signs-with"] {
            assert!(!shown.contains(secret), "{target}");
        }
    }
    let shown = page(&app, "/dashboard/configuration");
    for part in
        ["[hidden]", "standard.toml", "/partners", "bearer", "max_location_bytes", env!("CARGO_PKG_VERSION")]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn a_reload_changes_the_configuration_that_is_shown() {
    let app = with_store(Settings::standard());
    assert!(!page(&app, "/dashboard/configuration").contains("https://other.example.com"));
    app.reconfigure("[embed]\nparents = [\"https://other.example.com\"]");
    assert!(page(&app, "/dashboard/configuration").contains("https://other.example.com"));
}
