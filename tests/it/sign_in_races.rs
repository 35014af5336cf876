//! What happens at the same time: requests that refresh one session, and another configuration
//! during a sign-in.

use std::time::Duration;

use marketplace_sso::clock::Timestamp;

use crate::harness::provider::{CLIENT_SECRET, Lies, RegisteredAuthentication, provider};
use crate::harness::sign_in::{Browser, LOGIN, SESSION_KEY, SignInService, WINDOW};
use crate::harness::wait_until;

/// The requests for tokens so far.
fn token_requests(service: &SignInService, grant: &str) -> usize {
    let requests = service.provider.requests();
    requests.iter().filter(|request| request.form.get("grant_type").is_some_and(|own| own == grant)).count()
}

/// Responses of one path are held back, so that requests overlap.
fn slow(path: &'static str, time: Duration) -> Lies {
    Lies { delay: Some((path, time)), ..Lies::default() }
}

/// The provider accepts a refresh token once.
#[test]
fn requests_at_once_use_one_refresh_token() {
    let service = SignInService::start_with(|settings| {
        let scopes = ["openid", "offline_access"];
        settings.set("session.refresh_after_s", 1).identity("scopes", scopes)
    });
    let browser = service.signed_in();
    let first = Timestamp::now();
    wait_until("the data is stale", || Timestamp::now().seconds_since(first) >= 2);
    service.provider.lie(slow("/token", Duration::from_millis(300)));
    let tabs: Vec<Browser> = (0..8).map(|_| browser.clone()).collect();
    let app = &service.app;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let open = |tab: Browser| scope.spawn(move || (tab.get(app, "/pandium-sso", WINDOW).status, tab));
        let opened: Vec<_> = tabs.into_iter().map(open).collect();
        opened.into_iter().map(|tab| tab.join().unwrap().0).collect()
    });
    assert_eq!(statuses, [307; 8]);
    assert_eq!(token_requests(&service, "refresh_token"), 1);
}

// T37
#[test]
fn a_sign_in_outlasts_a_reload() {
    let service = SignInService::start();
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    service.app.reconfigure("[claims]\nexternal_id = \"id\"\n");
    assert_eq!(browser.get(&service.app, &callback, WINDOW).status, 303);
    assert_eq!(browser.get(&service.app, "/pandium-sso", WINDOW).status, 307);
}

// T37
#[test]
fn a_sign_in_ends_where_the_issuer_was_replaced() {
    let service = SignInService::start();
    let other = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    service.app.reconfigure(&format!("[identity]\nissuer = {:?}\n", other.issuer()));
    let refused = browser.get(&service.app, &callback, WINDOW);
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(browser.cookie("__Host-sso-pandium-sso"), None);
    // no provider sees the code
    assert_eq!(token_requests(&service, "authorization_code"), 0);
    assert!(other.requests().iter().all(|request| request.path != "/token"));
}

// T38
#[test]
fn a_reload_in_the_middle_of_a_callback_is_harmless() {
    let service = SignInService::start_with(|settings| settings.identity("user_info", true));
    service.provider.lie(slow("/userinfo", Duration::from_secs(1)));
    let browser = Browser::default();
    let callback = browser.callback(&service.app, &service.provider, LOGIN);
    let app = &service.app;
    let (response, browser) = std::thread::scope(|scope| {
        let signing_in = scope.spawn(move || (browser.get(app, &callback, WINDOW), browser));
        wait_until("the exchange", || token_requests(&service, "authorization_code") == 1);
        let another = "another-key-of-sessions-with-32-bytes";
        service.app.reconfigure(&format!("[session]\nkey = [{another:?}, {SESSION_KEY:?}]\n"));
        signing_in.join().unwrap()
    });
    assert_eq!(response.status, 303, "{response:?}");
    assert_eq!(browser.get(app, "/pandium-sso", WINDOW).status, 307);
    service.app.reconfigure("[session]\nkey = \"another-key-of-sessions-with-32-bytes\"\n");
    assert_eq!(browser.get(app, "/pandium-sso", WINDOW).status, 401);
}
