//! What happens at the same time: requests that refresh one session, at one replica or two, and another
//! configuration during a sign-in.

use std::time::Duration;

use rstest::rstest;
use secrecy::ExposeSecret;

use crate::harness::provider::{CLIENT_SECRET, Lies, RegisteredAuthentication, provider};
use crate::harness::sign_in::{Browser, LOGIN, SESSION_KEY, SignInService, WINDOW, settings};
use crate::harness::store::{Engine, TestStore, block_on};
use crate::harness::{App, Settings, wait_until};
use crate::sessions::{outcome, wait_until_stale};

/// The requests for tokens so far.
fn token_requests(service: &SignInService, grant: &str) -> usize {
    let requests = service.provider.requests();
    requests.iter().filter(|request| request.form.get("grant_type").is_some_and(|own| own == grant)).count()
}

/// Responses of one path are held back, so that requests overlap.
fn slow(path: &'static str, time: Duration) -> Lies {
    Lies { delay: Some((path, time)), ..Lies::default() }
}

/// Sessions that are refreshed after a second.
fn refreshing(settings: Settings) -> Settings {
    settings.set("session.refresh_after_s", 1).identity("scopes", ["openid", "offline_access"])
}

/// A service with such sessions, another replica of it, and a browser whose session is older.
fn two_replicas(change: impl Fn(Settings) -> Settings) -> (SignInService, App, Browser) {
    let change = |settings| change(refreshing(settings));
    let service = SignInService::start_with(change);
    let other = App::start(change(settings(&service.provider)));
    for app in [&service.app, &other] {
        app.wait_until_ready();
    }
    let browser = service.signed_in();
    wait_until_stale();
    (service, other, browser)
}

/// Opens a page in eight tabs at once, at each service in turn.
fn open_at_once(apps: &[&App], browser: &Browser) -> (Vec<u16>, Vec<Browser>) {
    let tabs: Vec<Browser> = (0..8).map(|_| browser.clone()).collect();
    std::thread::scope(|scope| {
        let opened: Vec<_> = tabs
            .into_iter()
            .zip(apps.iter().copied().cycle())
            .map(|(tab, app)| scope.spawn(move || (tab.get(app, "/pandium-sso", WINDOW).status, tab)))
            .collect();
        opened.into_iter().map(|tab| tab.join().unwrap()).unzip()
    })
}

/// The provider accepts a refresh token once.
#[test]
fn requests_at_once_use_one_refresh_token() {
    let service = SignInService::start_with(refreshing);
    let browser = service.signed_in();
    wait_until_stale();
    service.provider.lie(slow("/token", Duration::from_millis(300)));
    assert_eq!(open_at_once(&[&service.app], &browser).0, [307; 8]);
    assert_eq!(token_requests(&service, "refresh_token"), 1);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn replicas_at_once_use_one_refresh_token(#[case] engine: Engine) {
    let store = TestStore::new(engine);
    let (service, other, browser) = two_replicas(|own| own.set("store.url", &store.url));
    service.provider.lie(slow("/token", Duration::from_millis(300)));
    let (statuses, tabs) = open_at_once(&[&service.app, &other], &browser);
    assert_eq!(statuses, [307; 8]);
    assert_eq!(token_requests(&service, "refresh_token"), 1);
    // each response has the newer refresh token, whichever comes last
    let token = |browser: &Browser| service.session_of(browser).refresh_token.unwrap();
    let newer = token(&tabs[0]);
    assert!(tabs.iter().all(|tab| token(tab).expose_secret() == newer.expose_secret()));
    assert_ne!(newer.expose_secret(), token(&browser).expose_secret());
}

#[test]
fn a_replica_refreshes_alone_while_the_store_is_down() {
    let store = TestStore::new(Engine::Sqlite);
    let (service, _, browser) = two_replicas(|own| own.set("store.url", &store.url));
    block_on(store.execute("ALTER TABLE session_refreshes RENAME TO elsewhere"));
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(token_requests(&service, "refresh_token"), 1);
}

/// What the documents say of replicas that share no store.
#[test]
fn without_a_store_a_session_ends_at_the_later_replica() {
    let (service, other, browser) = two_replicas(|own| own);
    let copy = browser.clone();
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(outcome(&other, &copy), "expired_token");
    assert_eq!(outcome(&service.app, &browser), "handed_off");
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
