//! Concurrency: requests that refresh one session, at one replica or two, and a reload during a
//! sign-in.

use std::time::Duration;

use marketplace_sso::clock::{Stopwatch, Timestamp};
use marketplace_sso::session::{RefreshKey, Session};
use marketplace_sso::store::{SessionRefresh, Store};
use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::harness::clock::TestClock;
use crate::harness::provider::{CLIENT_SECRET, FixedResponse, Lies, RegisteredAuthentication, provider};
use crate::harness::sign_in::{Browser, LOGIN, SESSION_KEY, SignInService, WINDOW, settings};
use crate::harness::store::{Engine, TestStore, block_on};
use crate::harness::{App, Settings, wait_until};
use crate::sessions::{outcome, wait_until_stale};

/// The number of token requests so far with this grant.
fn token_requests(service: &SignInService, grant: &str) -> usize {
    let requests = service.provider.requests();
    requests.iter().filter(|request| request.form.get("grant_type").is_some_and(|own| own == grant)).count()
}

/// Delays the responses of one path, so that requests overlap.
fn slow(path: &'static str, time: Duration) -> Lies {
    Lies { delay: Some((path, time)), ..Lies::default() }
}

/// Settings with which sessions are refreshed after a second.
fn refreshing(settings: Settings) -> Settings {
    settings.set("session.refresh_after_s", 1).identity("scopes", ["openid", "offline_access"])
}

/// A service with [`refreshing`] settings, another replica of it, and a browser whose session is
/// due for a refresh.
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

/// A service with [`refreshing`] settings and a store, and a browser whose session was refreshed
/// and used long ago.
fn with_older_session(store: &TestStore, timeout_s: u32) -> (SignInService, Browser, Session) {
    let service = SignInService::start_with(|own| {
        refreshing(own).set("store.url", &store.url).set("store.timeout_s", timeout_s)
    });
    let (browser, session) = older_session(&service);
    (service, browser, session)
}

/// A browser whose session was refreshed and used long ago.
fn older_session(service: &SignInService) -> (Browser, Session) {
    service.app.wait_until_ready();
    let earlier = Timestamp::now().earlier_by(Duration::from_secs(600));
    let session = service.session_of(&service.signed_in());
    let session = Session { used: earlier, refreshed: earlier, ..session };
    (service.browser_with(&session), session)
}

/// Begins a refresh as another replica does. Returns its hash and its expiry.
fn begin_in(store: &Store, session: &Session) -> (Vec<u8>, i64) {
    let hash = RefreshKey::of(session).as_bytes().to_vec();
    let now_us = Timestamp::now().unix_microseconds();
    let expires_us = now_us + 60_000_000;
    assert_eq!(block_on(store.begin_session_refresh(hash.clone(), now_us, expires_us)).unwrap(), None);
    (hash, expires_us)
}

/// The refresh of a session in the store, as other processes see it.
fn refresh_in(store: &Store, session: &Session) -> Option<SessionRefresh> {
    let hash = RefreshKey::of(session).as_bytes().to_vec();
    let now_us = Timestamp::now().unix_microseconds();
    block_on(store.session_refresh(hash, now_us, now_us + 60_000_000)).unwrap()
}

/// The refresh token in the cookie of a browser.
fn refresh_token(service: &SignInService, browser: &Browser) -> String {
    service.session_of(browser).refresh_token.unwrap().expose_secret().to_owned()
}

/// Opens a page in eight tabs at the same time, at each service in turn.
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

/// The provider accepts a refresh token only once.
#[test]
fn concurrent_requests_use_one_refresh_token() {
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
    // each response has the newer refresh token, whichever is received last
    let newer = refresh_token(&service, &tabs[0]);
    assert!(tabs.iter().all(|tab| refresh_token(&service, tab) == newer));
    assert_ne!(newer, refresh_token(&service, &browser));
}

/// Each refresh yields a refresh token, and no newer data.
#[test]
fn a_replica_keeps_the_newer_refresh_token_of_another() {
    let store = TestStore::new(Engine::Sqlite);
    let (service, other, browser) =
        two_replicas(|own| own.set("store.url", &store.url).identity("user_info", true));
    let response =
        FixedResponse { path: "/userinfo", status: 503, content_type: "text/plain", body: String::new() };
    service.provider.lie(Lies { response: Some(response), ..Lies::default() });
    let [first, second, third] = [&service.app, &other, &service.app].map(|app| {
        assert_eq!(outcome(app, &browser), "handed_off");
        refresh_token(&service, &browser)
    });
    assert_ne!(first, second);
    assert_eq!(second, third);
}

/// The other replica takes longer than a request waits, and its response does not reach the browser.
#[test]
fn a_late_result_of_another_replica_is_used() {
    let store = TestStore::new(Engine::Sqlite);
    let (service, browser, session) = with_older_session(&store, 5);
    let (before, key) = (browser.session(), RefreshKey::of(&session));
    let replica = block_on(store.open());
    let (hash, expires_us) = begin_in(&replica, &session);
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(browser.session(), before, "the browser may have a newer cookie of the other replica");
    let newer = Session { refreshed: Timestamp::now(), refresh_token: Some("newer".into()), ..session };
    let sealed = service.cookies().seal_refreshed(key, &newer).unwrap();
    block_on(replica.end_session_refresh(hash, expires_us, Some(sealed))).unwrap();
    wait_until("the result is used", || {
        outcome(&service.app, &browser) == "handed_off" && refresh_token(&service, &browser) == "newer"
    });
    assert_eq!(token_requests(&service, "refresh_token"), 0);
}

/// The other replica was killed during the refresh.
#[test]
fn a_killed_replica_delays_a_session_once() {
    const WAIT: Duration = Duration::from_secs(5);
    let (store, clock) = (TestStore::new(Engine::Sqlite), TestClock::new());
    let provider = provider(RegisteredAuthentication::SecretBasic(CLIENT_SECRET.to_owned()));
    let own = refreshing(settings(&provider)).set("store.url", &store.url);
    let service =
        SignInService { app: App::start_with_clock(&clock, TempDir::new().unwrap(), own), provider };
    let (browser, session) = older_session(&service);
    begin_in(&block_on(store.open()), &session);
    let request = || {
        let waiting = Stopwatch::start();
        assert_eq!(outcome(&service.app, &browser), "handed_off");
        waiting.elapsed()
    };
    assert!(request() >= WAIT);
    for later_s in [6, 12] {
        clock.set(later_s);
        assert!(request() < WAIT, "after {later_s} s");
    }
    assert_eq!(token_requests(&service, "refresh_token"), 0);
    // its refresh has expired
    clock.set(61);
    assert!(request() < WAIT);
    assert_eq!(token_requests(&service, "refresh_token"), 1);
}

#[test]
fn a_stalled_store_delays_a_refresh_by_seconds() {
    let store = TestStore::new(Engine::Sqlite);
    let (service, browser, _) = with_older_session(&store, 20);
    let refreshing = Stopwatch::start();
    block_on(store.locked("session_refreshes", || {
        assert_eq!(outcome(&service.app, &browser), "handed_off");
    }));
    // below the time limit of the store
    assert!(refreshing.elapsed() < Duration::from_secs(15), "{:?}", refreshing.elapsed());
    assert_eq!(token_requests(&service, "refresh_token"), 1);
}

/// Another replica has used the refresh token.
#[test]
fn a_replica_that_cannot_reach_the_store_ends_no_session() {
    let store = TestStore::new(Engine::Sqlite);
    let (service, browser, session) = with_older_session(&store, 4);
    let copy = browser.clone();
    let other = App::start(refreshing(settings(&service.provider)).set("store.url", &store.url));
    other.wait_until_ready();
    assert_eq!(outcome(&other, &browser), "handed_off");
    let replica = block_on(store.open());
    let is_done = || matches!(refresh_in(&replica, &session), Some(SessionRefresh::Done(_)));
    wait_until("the result is in the store", is_done);
    let response = block_on(store.locked("session_refreshes", || outcome(&service.app, &copy)));
    assert_eq!(response, "handed_off");
    assert_eq!(refresh_token(&service, &copy), refresh_token(&service, &browser));
}

#[test]
fn a_replica_refreshes_alone_while_the_store_is_down() {
    let store = TestStore::new(Engine::Sqlite);
    let (service, _, browser) = two_replicas(|own| own.set("store.url", &store.url));
    block_on(store.execute("ALTER TABLE session_refreshes RENAME TO elsewhere"));
    assert_eq!(outcome(&service.app, &browser), "handed_off");
    assert_eq!(token_requests(&service, "refresh_token"), 1);
}

/// The documented behaviour of replicas without a common store.
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
fn a_sign_in_fails_if_the_issuer_was_replaced() {
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
