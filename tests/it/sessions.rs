//! Sessions: how long they are valid, what ends them, and which cookies are refused.

use std::time::Duration;

use marketplace_sso::clock::Timestamp;
use marketplace_sso::session::{Provider, Session, SessionCookies, SessionId};
use marketplace_sso::user::{Identifier, User};
use rstest::rstest;
use serde_json::json;

use crate::harness::provider::{
    ADA, CLIENT_ID, CLIENT_SECRET, FixedResponse, Lies, Provider as StandIn, RegisteredAuthentication,
    SignatureLie, change, provider,
};
use crate::harness::sign_in::{
    Browser, LOGIN, SESSION_KEY, SignInService, WINDOW, session_settings, settings,
};
use crate::harness::{App, Settings, wait_until};

const SESSION: &str = "__Host-sso-pandium-sso";
pub const LOGOUT: &str = "/auth/pandium-sso/logout";

fn ago(seconds: u64) -> Timestamp {
    Timestamp::now().earlier_by(Duration::from_secs(seconds))
}

/// A browser with the cookie of a session that began and was last used these numbers of seconds
/// ago.
fn browser_with(service: &SignInService, key: &str, created_s: u64, used_s: u64) -> Browser {
    let id = SessionId::random().unwrap();
    let session = Session {
        id,
        sign_in: id,
        created: ago(created_s),
        authenticated: None,
        used: ago(used_s),
        refreshed: ago(created_s),
        issuer: "https://id.example.com".into(),
        subject: ADA.into(),
        sid: None,
        nonce: String::new(),
        refresh_token: None,
        user: User { id: Some(Identifier::parse(ADA).unwrap()), ..User::default() },
    };
    let provider = Provider { issuer: service.provider.issuer(), client_id: CLIENT_ID };
    let cookies =
        SessionCookies::new(session_settings(key), "pandium-sso", "https://app.example.com", provider);
    let set = cookies.set(&session).unwrap();
    let (_, value) = set.split(';').next().unwrap().split_once('=').unwrap();
    let browser = Browser::default();
    browser.set(SESSION, value);
    browser
}

/// The reason of a refusal, or `handed_off`.
pub fn outcome(app: &App, browser: &Browser) -> String {
    let response = browser.get(app, "/pandium-sso", &[("Accept", "application/json")]);
    match response.status {
        200 => "handed_off".to_owned(),
        _ => response.json()["reason"].as_str().unwrap().to_owned(),
    }
}

// T38
#[test]
fn a_session_ends_when_idle_or_too_old() {
    let service = SignInService::start();
    for (created_s, used_s, expected) in [
        (0, 0, "handed_off"),
        (40_000, 3500, "handed_off"),
        (40_000, 3700, "expired_token"),
        (43_300, 10, "expired_token"),
    ] {
        let browser = browser_with(&service, SESSION_KEY, created_s, used_s);
        assert_eq!(outcome(&service.app, &browser), expected, "{created_s} {used_s}");
    }
}

#[test]
fn a_session_in_use_is_extended() {
    let service = SignInService::start();
    let fresh = browser_with(&service, SESSION_KEY, 300, 300);
    let before = fresh.session();
    assert_eq!(outcome(&service.app, &fresh), "handed_off");
    assert_eq!(fresh.session(), before);
    let used = browser_with(&service, SESSION_KEY, 3000, 3000);
    let before = used.session();
    assert_eq!(outcome(&service.app, &used), "handed_off");
    assert_ne!(used.session(), before);
    assert_eq!(outcome(&service.app, &used), "handed_off");
}

// T38
#[test]
fn a_changed_session_cookie_is_refused() {
    let service = SignInService::start();
    let good = service.signed_in().session();
    let half = good.len() / 2;
    let mut wrong = vec![
        good[..half].to_owned(),
        good[1..].to_owned(),
        format!("{}{}", &good[half..], &good[..half]),
        format!("{good}A"),
        format!("{good}="),
        "A".repeat(60_000),
        String::new(),
    ];
    for place in (0..good.len()).step_by(good.len() / 20) {
        let mut changed = good.clone().into_bytes();
        changed[place] ^= 1;
        wrong.push(String::from_utf8(changed).unwrap());
    }
    for value in wrong {
        let browser = Browser::default();
        browser.set(SESSION, &value);
        assert_eq!(outcome(&service.app, &browser), "unauthenticated", "{value}");
    }
    let twice =
        service.app.get("/pandium-sso", &[("Cookie", &format!("{SESSION}={good}; {SESSION}={good}"))]);
    assert_eq!(twice.status, 400, "{twice:?}");
    let unsafe_name = service.app.get("/pandium-sso", &[("Cookie", &format!("sso-pandium-sso={good}"))]);
    assert_eq!(unsafe_name.status, 401);
}

// T38
#[test]
fn a_session_outlasts_a_reload_until_its_key_is_retired() {
    let service = SignInService::start();
    let browser = service.signed_in();
    let other = "another-key-another-key-another-key";
    service.app.reconfigure(&format!("[session]\nkey = [{other:?}, {SESSION_KEY:?}]\n"));
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    let newer = service.signed_in();
    service.app.reconfigure(&format!("[session]\nkey = {other:?}\n"));
    assert_eq!(outcome(&service.app, &browser), "unauthenticated");
    assert_eq!(outcome(&service.app, &newer), "handed_off");
    let event = service.app.audit_events().into_iter().rfind(|event| event["outcome"] == "refused").unwrap();
    assert!(event["detail"].as_str().unwrap().contains("session.key"), "{event}");
}

#[test]
fn a_sign_out_ends_the_session_and_leads_to_the_provider() {
    let service = SignInService::start();
    let browser = service.signed_in();
    let copy = browser.clone();
    let own = [
        ("Origin", "https://app.example.com"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Dest", "document"),
    ];
    let response = browser.post(&service.app, LOGOUT, &own, "");
    assert_eq!(response.status, 303, "{response:?}");
    let provider = service.provider.issuer();
    assert!(response.header("location").starts_with(&format!("{provider}/end_session?client_id=")));
    assert!(browser.names().is_empty());
    assert_eq!(outcome(&service.app, &copy), "expired_token", "a copy of the cookie is worthless, too");
    // the ended sessions outlast a reload
    service.app.reload();
    assert_eq!(outcome(&service.app, &copy), "expired_token");
    let events = service.app.audit_events();
    assert!(events.iter().any(|event| event["outcome"] == "signed_out" && event["subject"].is_string()));
}

#[test]
fn the_provider_sends_the_browser_back_after_a_sign_out() {
    let back = "https://app.example.com/signed-out?from=marketplace";
    let service = SignInService::start_with(|own| own.identity("post_logout_redirect_uri", back));
    let browser = service.signed_in();
    // no parameter of the request changes the URL
    let target = format!("{LOGOUT}?post_logout_redirect_uri=https%3A%2F%2Fevil.example");
    let response = browser.post(&service.app, &target, &[("Origin", "https://app.example.com")], "");
    let url = url::Url::parse(response.header("location")).unwrap();
    let sent: Vec<_> = url.query_pairs().filter(|(name, _)| name == "post_logout_redirect_uri").collect();
    assert_eq!(sent, [("post_logout_redirect_uri".into(), back.into())]);
    settings(&service.provider)
        .identity("post_logout_redirect_uri", "javascript:alert(1)")
        .assert_wrong("identity.post_logout_redirect_uri", "cannot be used");
}

#[test]
fn a_page_says_that_the_user_is_signed_out() {
    let service = SignInService::start();
    service.provider.lie(Lies { discovery: change("end_session_endpoint", json!(null)), ..Lies::default() });
    let browser = service.signed_in();
    let response = browser.post(&service.app, LOGOUT, &[("Origin", "https://app.example.com")], "");
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.page().contains("You’re signed out"), "{}", response.page());
    assert!(browser.names().is_empty());
}

// T40
#[rstest]
#[case::foreign(&[("Origin", "https://evil.example")])]
#[case::foreign_with_metadata(
    &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "document")]
)]
#[case::sandboxed(&[("Origin", "null")])]
#[case::no_origin(&[])]
#[case::same_site(&[("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Dest", "document")])]
fn a_foreign_page_signs_no_user_out(#[case] headers: &[(&str, &str)]) {
    let service = SignInService::start();
    let browser = service.signed_in();
    let response = browser.post(&service.app, LOGOUT, headers, "");
    assert_eq!(response.status, 403, "{response:?}");
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(browser.get(&service.app, LOGOUT, WINDOW).status, 405);
}

/// A service whose sessions are refreshed after a second, and a browser whose session is older.
fn refreshing() -> (SignInService, Browser) {
    let provider = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
    let service = SignInService { app: App::start(refreshing_settings(&provider)), provider };
    let browser = service.signed_in();
    wait_until_stale();
    (service, browser)
}

fn refreshing_settings(provider: &StandIn) -> Settings {
    settings(provider)
        .set("session.refresh_after_s", 1)
        .identity("scopes", ["openid", "offline_access"])
        .identity("user_info", true)
}

/// Waits until sessions that are refreshed after a second are due.
pub fn wait_until_stale() {
    let first = Timestamp::now();
    wait_until("the data is stale", || Timestamp::now().seconds_since(first) >= 2);
}

fn refreshes(service: &SignInService) -> usize {
    let requests = service.provider.requests();
    requests
        .iter()
        .filter(|request| request.form.get("grant_type").is_some_and(|grant| grant == "refresh_token"))
        .count()
}

#[test]
fn stale_data_is_refreshed_once() {
    let (service, browser) = refreshing();
    let (before, copy) = (browser.session(), browser.clone());
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(refreshes(&service), 1);
    assert_ne!(browser.session(), before, "the cookie has the newer data");
    // a reload keeps the results of refreshes, since the earlier refresh token was used already
    service.app.reload();
    assert_eq!(outcome(&service.app, &copy), "handed_off", "a request that was sent with the earlier cookie");
    assert_eq!(refreshes(&service), 1);
}

// its response could not set a refreshed cookie, and could not distinguish the API's own pages from
// those of other sites
#[test]
fn a_session_authorizes_no_request_to_an_api() {
    let service = SignInService::start();
    let response = service.signed_in().get(&service.app, "/v1/verify/pandium-sso", &[]);
    assert_eq!(response.status, 404, "{response:?}");
}

#[test]
fn a_session_whose_refresh_is_rejected_has_ended() {
    let (service, browser) = refreshing();
    service.provider.revoke_refresh_tokens();
    assert_eq!(outcome(&service.app, &browser), "expired_token");
    assert_eq!(outcome(&service.app, &browser), "expired_token");
}

#[test]
fn a_session_outlasts_a_provider_that_is_down() {
    let (service, browser) = refreshing();
    let response =
        FixedResponse { path: "/token", status: 503, content_type: "text/plain", body: String::new() };
    service.provider.lie(Lies { response: Some(response), ..Lies::default() });
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert!(refreshes(&service) <= 1, "it is not asked again immediately");
}

/// The refresh token was used, so the cookie has the next one even if the rest of the refresh
/// fails.
#[rstest]
#[case::user_info_is_down(Lies {
    response: Some(FixedResponse { path: "/userinfo", status: 503, content_type: "text/plain", body: String::new() }),
    ..Lies::default()
})]
#[case::no_id_token(Lies { token_response: change("id_token", json!(null)), ..Lies::default() })]
#[case::too_large(Lies { user_info: change("note", json!("n".repeat(4000))), ..Lies::default() })]
fn a_rotated_refresh_token_is_kept(#[case] lies: Lies) {
    let (service, browser) = refreshing();
    let other = App::start(refreshing_settings(&service.provider));
    let before = browser.session();
    service.provider.lie(lies);
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_ne!(browser.session(), before);
    service.provider.lie(Lies::default());
    wait_until_stale();
    assert_eq!(outcome(&other, &browser), "handed_off");
    assert_eq!(refreshes(&service), 2);
}

/// A response that would fail a sign-in ends the session.
// T38
#[rstest]
#[case::another_user(Lies { id_token: change("sub", json!("usr-318")), ..Lies::default() })]
#[case::another_nonce(Lies { id_token: change("nonce", json!("another")), ..Lies::default() })]
#[case::another_issuer(Lies { id_token: change("iss", json!("https://evil.example")), ..Lies::default() })]
#[case::user_info_of_another_user(Lies { user_info: change("sub", json!("usr-318")), ..Lies::default() })]
#[case::unsigned(Lies { signature: SignatureLie::Unsigned, ..Lies::default() })]
fn a_refresh_that_proves_another_user_ends_the_session(#[case] lies: Lies) {
    let (service, browser) = refreshing();
    service.provider.lie(lies);
    assert_eq!(outcome(&service.app, &browser), "expired_token");
    service.provider.lie(Lies::default());
    assert_eq!(outcome(&service.app, &browser), "expired_token");
}

/// A cookie for one provider, and the refresh token in it, is never used at another one.
// T38
#[test]
fn a_session_ends_when_the_provider_or_client_changes() {
    let service = SignInService::start();
    let browser = service.signed_in();
    let other = SignInService::start();
    assert_eq!(outcome(&other.app, &browser), "unauthenticated");
    let client = App::start(settings(&service.provider).identity("client_id", "another"));
    assert_eq!(outcome(&client, &browser), "unauthenticated");
    assert_eq!(outcome(&service.app, &browser), "handed_off");
}

#[test]
fn no_secret_of_a_session_is_logged() {
    let service = SignInService::start();
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    let (_, login) = browser.cookie("__Host-sso-login-").unwrap();
    browser.get(&service.app, &callback, WINDOW);
    browser.get(&service.app, "/pandium-sso", WINDOW);
    browser.get(&service.app, &callback, WINDOW);
    service.app.log_lines();
    let output = service.app.output();
    let (_, query) = callback.split_once('?').unwrap();
    for secret in [&browser.session(), &login, query, "code=", "state=", CLIENT_SECRET, SESSION_KEY, "ada@"] {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
}
