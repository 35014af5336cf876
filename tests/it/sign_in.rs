//! Sign-in at a provider: the whole application, a stand-in provider, and browsers.

use std::time::Duration;

use marketplace_sso::clock::Timestamp;
use marketplace_sso::session::{LoginCookies, Provider};
use rstest::rstest;
use serde_json::json;

use crate::harness::provider::{
    ADA, CLIENT_ID, CLIENT_SECRET, Lies, RegisteredAuthentication, change, provider,
};
use crate::harness::sign_in::{
    Browser, LOGIN, SESSION_KEY, SignInService, WINDOW, login_to, session_settings, settings, target,
};
use crate::harness::{Response, Token};

const SESSION: &str = "__Host-sso-pandium-sso";

/// Asserts that there is no session, and a page that leads to the sign-in.
#[track_caller]
fn assert_refused(response: &Response, browser: &Browser, reason: &str) {
    let text = response.page();
    assert!(text.contains(&format!(">{reason}<")), "{response:?} {text}");
    assert!(text.contains("href=\"/auth/pandium-sso/login?return="), "{text}");
    assert_eq!(browser.cookie(SESSION), None);
}

#[test]
fn a_user_signs_in_and_is_handed_off() {
    let service = SignInService::start();
    let browser = Browser::default();
    let refused = browser.get(&service.app, "/pandium-sso?integration_id=1121", WINDOW);
    assert_eq!(refused.status, 401);
    let told = browser.get(&service.app, "/pandium-sso", &[("Accept", "application/json")]).json();
    assert_eq!(told["login_url"], "https://app.example.com/auth/pandium-sso/login");
    let login = login_to("/pandium-sso?integration_id=1121");
    assert!(refused.page().contains(&format!("href=\"{login}\"")), "{}", refused.page());

    let response = browser.sign_in(&service.app, &service.provider, &login);
    assert_eq!((response.status, response.header("location")), (303, "/pandium-sso?integration_id=1121"));
    let set = response.all("set-cookie");
    assert!(
        set[0].starts_with("__Host-sso-pandium-sso=") && set[0].ends_with("; Secure; SameSite=Lax"),
        "{set:?}"
    );
    assert!(set[1].starts_with("__Host-sso-login-") && set[1].ends_with("Max-Age=0"), "{set:?}");
    assert_eq!(
        (response.header("referrer-policy"), response.header("cache-control")),
        ("no-referrer", "no-store")
    );
    assert_eq!(browser.names(), [SESSION]);

    let handed_off = browser.get(&service.app, "/pandium-sso?integration_id=1121", WINDOW);
    assert_eq!(handed_off.status, 307, "{handed_off:?}");
    assert_eq!(Token::of(&handed_off).claims["sub"], ADA);
    assert!(handed_off.all("set-cookie").is_empty(), "it is extended after a tenth of idle_s");
    let events: Vec<_> = service.app.audit_events().iter().map(|event| event["outcome"].clone()).collect();
    assert_eq!(events, [json!("refused"), json!("refused"), json!("signed_in"), json!("handed_off")]);
}

// T37
#[test]
fn a_response_without_its_login_is_refused() {
    let service = SignInService::start();
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    let other = Browser::default();
    // in another browser, and in one that began another login
    assert_refused(&other.get(&service.app, &callback, WINDOW), &other, "invalid_token");
    other.begin(&service.app, LOGIN);
    assert_refused(&other.get(&service.app, &callback, WINDOW), &other, "invalid_token");
    // with the cookie of the other login, renamed
    let (name, _) = browser.cookie("__Host-sso-login-").unwrap();
    let (_, value) = other.cookie("__Host-sso-login-").unwrap();
    other.set(&name, &value);
    assert_refused(&other.get(&service.app, &callback, WINDOW), &other, "invalid_token");
    for (from, to) in [("state=", "x="), ("state=", "state=A"), ("code=", "code=&code=")] {
        let changed = callback.replacen(from, to, 1);
        let browser = browser.clone();
        let response = browser.get(&service.app, &changed, WINDOW);
        assert!(matches!(response.status, 400 | 401), "{response:?}");
        assert_eq!(browser.cookie(SESSION), None);
    }
    assert_eq!(service.provider.requests().iter().filter(|request| request.path == "/token").count(), 0);
    // the login itself is still valid
    assert_eq!(browser.get(&service.app, &callback, WINDOW).status, 303);
}

// T37
#[test]
fn a_replayed_response_yields_no_session() {
    let service = SignInService::start();
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    let copy = browser.clone();
    assert_eq!(browser.get(&service.app, &callback, WINDOW).status, 303);
    // with the login cookie, as an attacker with both could send it
    assert_refused(&copy.get(&service.app, &callback, WINDOW), &copy, "invalid_token");
    // without the login cookie
    let stranger = Browser::default();
    assert_refused(&stranger.get(&service.app, &callback, WINDOW), &stranger, "invalid_token");
}

// T37
#[test]
fn a_response_of_another_entrance_is_refused() {
    let other = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
    let service = SignInService::start_with(|own| own.entrance("partners", &settings(&other)));
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    let foreign = callback.replacen("/auth/pandium-sso/", "/auth/partners/", 1);
    let response = browser.get(&service.app, &foreign, WINDOW);
    assert_eq!(response.status, 401, "{response:?}");
    assert!(
        other.requests().iter().all(|request| request.path != "/token"),
        "no code reaches another provider"
    );
    // a session at one entrance is not valid at the other
    assert_eq!(browser.get(&service.app, &callback, WINDOW).status, 303);
    browser.set("__Host-sso-partners", &browser.session());
    assert_eq!(browser.get(&service.app, "/partners", WINDOW).status, 401);
    assert_eq!(browser.get(&service.app, "/pandium-sso", WINDOW).status, 307);
}

// T37
#[rstest]
#[case::nonce(Lies { id_token: change("nonce", json!("x")), ..Lies::default() })]
#[case::issuer(Lies { id_token: change("iss", json!("https://evil.example")), ..Lies::default() })]
#[case::audience(Lies { id_token: change("aud", json!("other")), ..Lies::default() })]
#[case::azp(Lies { id_token: change("azp", json!("other")), ..Lies::default() })]
#[case::at_hash(Lies { id_token: change("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")), ..Lies::default() })]
#[case::c_hash(Lies { id_token: change("c_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")), ..Lies::default() })]
#[case::mix_up(Lies { authorization_response: change("iss", json!("https://evil.example")), ..Lies::default() })]
fn an_incorrect_response_yields_no_session(#[case] lies: Lies) {
    let service = SignInService::start();
    service.provider.lie(lies);
    let browser = Browser::default();
    let response = browser.sign_in(&service.app, &service.provider, LOGIN);
    assert_eq!(response.status, 401, "{response:?}");
    assert_refused(&response, &browser, "invalid_token");
    assert_eq!(browser.names(), [""; 0], "the login is over");
}

#[test]
fn a_denied_sign_in_is_a_page_with_status_403() {
    let service = SignInService::start();
    let browser = Browser::default();
    let denied = service.provider.deny(&browser.begin(&service.app, LOGIN)).unwrap();
    let response = browser.get(&service.app, &target(&denied), WINDOW);
    assert_eq!(response.status, 403);
    assert_refused(&response, &browser, "not_allowed");
}

#[test]
fn an_unavailable_provider_is_reported() {
    let service = SignInService::start_with(|own| own.issuer("http://127.0.0.1:9"));
    let response = Browser::default().get(&service.app, LOGIN, WINDOW);
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.page().contains("upstream_unavailable"), "{}", response.page());
    // other paths are served
    assert_eq!(service.app.get("/readyz", &[]).status, 200);
}

// T37
#[test]
fn two_tabs_sign_in_at_the_same_time() {
    let service = SignInService::start();
    let browser = Browser::default();
    let first = browser.callback(&service.app, &service.provider, &login_to("/pandium-sso/install/1"));
    let second = browser.callback(&service.app, &service.provider, &login_to("/pandium-sso/install/2"));
    assert_eq!(browser.get(&service.app, &first, WINDOW).header("location"), "/pandium-sso/install/1");
    assert_eq!(browser.get(&service.app, &second, WINDOW).header("location"), "/pandium-sso/install/2");
    assert_eq!(browser.names(), [SESSION]);
}

#[test]
fn four_logins_may_have_begun() {
    let service = SignInService::start();
    let browser = Browser::default();
    for _ in 0..7 {
        browser.begin(&service.app, LOGIN);
    }
    assert_eq!(browser.names().len(), 4, "{:?}", browser.names());
}

#[test]
fn login_cookies_stay_small() {
    let service = SignInService::start();
    let page = |length| format!("https://app.example.com/{}", "a".repeat(length));
    for (length, returns_to) in [(100, page(100)), (1000, "/pandium-sso".to_owned())] {
        let browser = Browser::default();
        let callback = browser.callback(&service.app, &service.provider, &login_to(&page(length)));
        let (name, value) = browser.cookie("__Host-sso-login-").unwrap();
        assert!(name.len() + value.len() < 750, "{length}: {}", name.len() + value.len());
        let response = browser.get(&service.app, &callback, WINDOW);
        assert_eq!((response.status, response.header("location")), (303, returns_to.as_str()));
    }
}

#[test]
fn no_entrance_has_the_name_of_a_login_cookie() {
    let provider = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
    let own = settings(&provider).entrance("login-00000000", &settings(&provider));
    own.assert_wrong("entrances.login-00000000", "a login cookie");
}

// T37
#[rstest]
#[case::ten_minutes(600, 303)]
#[case::sixteen_minutes(960, 401)]
fn a_login_may_take_a_quarter_of_an_hour(#[case] age_s: u64, #[case] status: u16) {
    let service = SignInService::start();
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    let (name, value) = browser.cookie("__Host-sso-login-").unwrap();
    // the same cookie, with an earlier time
    let (_, query) = callback.split_once('?').unwrap();
    let state = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").unwrap().1;
    let provider = Provider { issuer: service.provider.issuer(), client_id: CLIENT_ID };
    let cookies =
        LoginCookies::new(session_settings(SESSION_KEY), "pandium-sso", "https://app.example.com", provider);
    let field = format!("{name}={value}");
    let headers = std::iter::once(("cookie", field.as_bytes())).collect();
    let data = cookies.open(&headers, &state, Timestamp::now()).unwrap();
    let mut login: serde_json::Value = serde_json::from_slice(&data).unwrap();
    let begun = Timestamp::now().earlier_by(Duration::from_secs(age_s));
    login["pending"]["begun_at"] = json!(begun.unix_seconds());
    let set = cookies.set(&state, begun, login.to_string().as_bytes()).unwrap();
    let (_, value) = set.split(';').next().unwrap().split_once('=').unwrap();
    browser.set(&name, value);
    let response = browser.get(&service.app, &callback, WINDOW);
    assert_eq!(response.status, status, "{response:?}");
    if status == 401 {
        assert_refused(&response, &browser, "invalid_token");
    }
}

#[test]
fn a_repeated_callback_shows_that_the_user_is_signed_in() {
    let service = SignInService::start();
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, &login_to("/pandium-sso/install/1"));
    assert_eq!(browser.get(&service.app, &callback, WINDOW).status, 303);
    let session = browser.session();
    let again = browser.get(&service.app, &callback, WINDOW);
    assert_eq!(again.status, 200, "{again:?}");
    assert!(again.page().contains("You’re signed in") && again.page().contains("href=\"/pandium-sso\""));
    assert_eq!(browser.session(), session, "the session is as before");
}

// T38
#[test]
fn a_login_ends_the_earlier_session_of_the_browser() {
    let service = SignInService::start();
    let browser = service.signed_in();
    let before = browser.clone();
    assert_eq!(browser.sign_in(&service.app, &service.provider, LOGIN).status, 303);
    assert_ne!(before.session(), browser.session());
    let response = before.get(&service.app, "/pandium-sso", WINDOW);
    assert_eq!(response.status, 401, "{response:?}");
    assert!(response.page().contains("expired_token"));
    assert_eq!(browser.get(&service.app, "/pandium-sso", WINDOW).status, 307);
}

// T39
#[rstest]
#[case("//evil.example")]
#[case("/\\evil.example")]
#[case("https://evil.example/")]
#[case("https://app.example.com.evil.example/")]
#[case("https://app.example.com@evil.example/")]
#[case("javascript:alert(1)")]
#[case("/pandium-sso?tenant=x")]
#[case("/auth/pandium-sso/logout")]
fn a_foreign_return_address_is_ignored(#[case] address: &str) {
    let service = SignInService::start();
    let response = Browser::default().sign_in(&service.app, &service.provider, &login_to(address));
    assert_eq!((response.status, response.header("location")), (303, "/pandium-sso"));
    let twice = format!("{}&return=%2Fembed", login_to("https://app.example.com/page"));
    let response = Browser::default().sign_in(&service.app, &service.provider, &twice);
    assert_eq!(response.header("location"), "/pandium-sso");
}

#[rstest]
#[case("/embed?integration_id=1")]
#[case("https://app.example.com/integrations")]
fn own_pages_and_those_of_parents_are_returned_to(#[case] address: &str) {
    let service = SignInService::start();
    let response = Browser::default().sign_in(&service.app, &service.provider, &login_to(address));
    assert_eq!((response.status, response.header("location")), (303, address));
}

#[rstest]
#[case("iframe", 401)]
#[case("image", 403)]
#[case("empty", 403)]
fn only_a_window_signs_in(#[case] destination: &str, #[case] status: u16) {
    let service = SignInService::start();
    let response = service.app.get(LOGIN, &[("Sec-Fetch-Dest", destination), ("Accept", "text/html")]);
    assert_eq!(response.status, status, "{response:?}");
    assert!(response.all("set-cookie").is_empty());
    let prefetched = service.app.get(LOGIN, &[("Sec-Fetch-Dest", "document"), ("Sec-Purpose", "prefetch")]);
    assert_eq!(prefetched.status, 403);
    assert_eq!(service.app.request("HEAD", LOGIN, &[]).status, 405);
    assert_eq!(service.app.get("/auth/other/login", &[]).status, 404);
    assert_eq!(service.app.get("/auth/pandium-sso/login/", &[]).status, 404);
}

#[test]
fn a_configuration_without_key_or_https_is_refused() {
    let provider = provider(RegisteredAuthentication::None);
    let good = settings(&provider);
    good.clone().without("session").assert_wrong("identity.kind", "session.key_file is not set");
    good.clone().set("session.key", "short").assert_wrong("session.key", "at least 32 bytes");
    let twice = [SESSION_KEY, SESSION_KEY];
    good.clone().set("session.key", twice).assert_wrong("session.key", "key 2 was given before");
    let http = good.clone().set("server.public_url", "http://app.example.com");
    http.assert_wrong("identity.kind", "public_url is not https");
    let partitioned = good
        .clone()
        .set("server.public_url", "http://localhost:1")
        .set("session.same_site", "none_partitioned");
    partitioned.assert_wrong("identity.kind", "by https only");
    good.clone().set("session.idle_s", 50_000).assert_wrong("session.idle_s", "more than absolute_s");
}
