//! Sign-in from a frame: pop-ups, single-use addresses, and cookies in the frame's own partition.

use std::sync::Arc;

use marketplace_sso::clock::Timestamp;
use marketplace_sso::session::{EndedSessions, Provider, SameSite, SessionCookies, SessionSettings};

use crate::harness::provider::{ADA, CLIENT_ID};
use crate::harness::sign_in::{Browser, LOGIN, SESSION_KEY, SignInService, WINDOW, session_settings};
use crate::harness::store::{Engine, TestStore};
use crate::harness::{App, Token};
use crate::sessions::LOGOUT;

const SESSION: &str = "__Host-sso-pandium-sso";

/// The header fields of a request by a frame in a page of the app.
fn frame(site: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("Accept", "text/html"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", site),
        ("Referer", "https://app.example.com/"),
    ]
}

#[test]
fn a_pop_up_posts_a_message_to_its_opener() {
    let service = SignInService::start();
    let page = service.app.get("/pandium-sso/install/1", &frame("same-site")).page();
    let popup = "/auth/pandium-sso/login?return=%2Fpandium-sso%2Finstall%2F1&amp;mode=popup";
    assert!(page.contains(&format!("data-popup=\"{popup}\"")), "{page}");
    // without a store there is no ticket for a frame in a page of another site
    let cross_site = service.app.get("/pandium-sso", &frame("cross-site")).page();
    assert!(!cross_site.contains("data-popup") && cross_site.contains("target=\"_top\""), "{cross_site}");

    let browser = Browser::default();
    let done = browser.sign_in(&service.app, &service.provider, &popup.replace("&amp;", "&"));
    assert_eq!(done.status, 200, "{done:?}");
    let text = done.page();
    assert!(text.contains("\"marketplace-sso:signed-in\"") && !text.contains("ticket"), "{text}");
    assert!(text.contains("[\"https://app.example.com\"]") && text.contains("window.close()"), "{text}");
    assert!(done.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(browser.get(&service.app, "/pandium-sso", &frame("same-site")).status, 307);
}

#[test]
fn a_frame_without_a_cookie_gets_a_ticket() {
    let store = TestStore::new(Engine::Sqlite);
    let service = SignInService::start_with(|own| own.set("store.url", &store.url));
    let page = service.app.get("/pandium-sso/install/1", &frame("cross-site")).page();
    let popup = "/auth/pandium-sso/login?return=%2Fpandium-sso%2Finstall%2F1&amp;mode=popup&amp;ticket=1";
    assert!(page.contains(&format!("data-popup=\"{popup}\"")), "{page}");
    let done = Browser::default().sign_in(&service.app, &service.provider, &popup.replace("&amp;", "&"));
    let text = done.page();
    let (_, ticket) =
        text.split_once("ticket: \"https://app.example.com").unwrap_or_else(|| panic!("{text}"));
    let ticket = ticket.split('"').next().unwrap();
    let own_frame =
        [("Accept", "text/html"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")];
    let handed_off = service.app.get(ticket, &own_frame);
    assert_eq!(handed_off.status, 307, "{handed_off:?}");
    assert_eq!(Token::of(&handed_off).claims["sub"], ADA);
    assert!(handed_off.header("location").contains("/tenants/create/1"), "{handed_off:?}");
    assert_eq!(service.app.get(ticket, &own_frame).status, 410);
}

fn partitioned(settings: Arc<SessionSettings>) -> Arc<SessionSettings> {
    let settings = Arc::into_inner(settings).unwrap();
    Arc::new(SessionSettings { same_site: SameSite::NonePartitioned, ..settings })
}

#[test]
fn a_partitioned_cookie_is_set_in_the_frame() {
    let store = TestStore::new(Engine::Sqlite);
    let service = SignInService::start_with(|own| {
        own.set("store.url", &store.url).set("session.same_site", "none_partitioned")
    });
    let (in_window, ticket) = sign_in_by_pop_up(&service, &Browser::default());
    let framed = Browser::default();
    let response = framed.get(&service.app, &ticket, &frame("cross-site"));
    assert_eq!((response.status, framed.names()), (307, vec![format!("{SESSION}-partitioned")]));
    // the refresh token stays in the pop-up's session, because a provider accepts it only once
    let provider = Provider { issuer: service.provider.issuer(), client_id: CLIENT_ID };
    let settings = partitioned(session_settings(SESSION_KEY));
    let cookies = SessionCookies::new(settings, "pandium-sso", "https://app.example.com", provider);
    let session = |field: &str| {
        let cookie = field.split(';').next().unwrap();
        let headers = std::iter::once(("cookie", cookie.as_bytes())).collect();
        cookies.open(&headers, Timestamp::now(), &EndedSessions::default()).unwrap()
    };
    let (in_frame, in_window) = (session(response.all("set-cookie")[0]), session(&in_window));
    assert!(in_frame.id != in_window.id && in_frame.sid == in_window.sid);
    assert!(in_frame.refresh_token.is_none() && in_window.refresh_token.is_some());
    assert_eq!(framed.get(&service.app, "/pandium-sso", &[]).status, 307);
}

// T40
#[test]
fn a_sign_out_in_the_window_ends_the_frames_session() {
    let store = TestStore::new(Engine::Sqlite);
    let service = SignInService::start_with(|own| {
        own.set("store.url", &store.url).set("session.same_site", "none_partitioned")
    });
    let (window, framed) = (Browser::default(), Browser::default());
    let (_, ticket) = sign_in_by_pop_up(&service, &window);
    assert_eq!(framed.get(&service.app, &ticket, &frame("cross-site")).status, 307);
    assert_eq!(framed.get(&service.app, "/pandium-sso", &[]).status, 307);
    let signed_out = window.post(&service.app, LOGOUT, &[("Origin", "https://app.example.com")], "");
    assert_eq!(signed_out.status, 303, "{signed_out:?}");
    assert_eq!(framed.get(&service.app, "/pandium-sso", &[]).status, 401);
}

/// Signs in with a pop-up. Returns its cookie, and the single-use address that is posted to its
/// opener.
fn sign_in_by_pop_up(service: &SignInService, window: &Browser) -> (String, String) {
    let login = format!("{LOGIN}?mode=popup&ticket=1");
    let done = window.sign_in(&service.app, &service.provider, &login);
    let cookie = done.all("set-cookie")[0].to_owned();
    assert!(cookie.ends_with("; Secure; SameSite=None; Partitioned"), "{cookie}");
    let text = done.page();
    let (_, ticket) = text.split_once("ticket: \"https://app.example.com").unwrap();
    (cookie, ticket.split('"').next().unwrap().to_owned())
}

// T38
#[test]
fn a_ticket_sets_no_cookie_outside_a_frame() {
    let store = TestStore::new(Engine::Sqlite);
    let service = SignInService::start_with(|own| {
        own.set("store.url", &store.url)
            .set("session.same_site", "none_partitioned")
            .set("embed.policy", "report")
    });
    let elsewhere: Vec<_> = frame("cross-site").into_iter().filter(|(name, _)| *name != "Referer").collect();
    let elsewhere = [elsewhere, vec![("Referer", "https://evil.example/")]].concat();
    for headers in [&[][..], WINDOW, elsewhere.as_slice()] {
        let victim = Browser::default();
        let (_, ticket) = sign_in_by_pop_up(&service, &Browser::default());
        let response = victim.get(&service.app, &ticket, headers);
        assert_eq!((response.status, victim.names()), (307, vec![]), "{headers:?}");
    }
}

#[test]
fn the_component_gets_the_sign_in_url() {
    let service = SignInService::start();
    let login_url =
        |app: &App, site| app.get("/embed.json", &[("Sec-Fetch-Site", site)]).json()["login_url"].clone();
    let own = "https://app.example.com/auth/pandium-sso/login?return=%2Fpandium-sso";
    assert_eq!(login_url(&service.app, "same-site"), format!("{own}&mode=popup"));
    // without a store there are no single-use addresses, so the frame would get no session from a
    // pop-up
    assert_eq!(login_url(&service.app, "cross-site"), format!("{own}&mode=top"));
    assert_eq!(login_url(&App::standard(), "same-site"), "https://app.example.com/login");
}

/// Without a store, a pop-up gives the component in the page `/embed` no session, so the component
/// must not offer one.
#[test]
fn an_embed_page_without_sessions_links_to_a_window() {
    let service = SignInService::start();
    let target = "/embed?integration_id=7";
    let refused = service.app.get(target, &frame("cross-site"));
    assert_eq!(refused.status, 401, "{refused:?}");
    let page = refused.page();
    let login = format!("href=\"{LOGIN}?return=%2Fembed%3Fintegration_id%3D7\" target=\"_top\"");
    assert!(page.contains(&login) && !page.contains("data-popup"), "{page}");
    assert_eq!(service.app.get(target, &frame("same-site")).status, 200);
    assert_eq!(service.app.get(target, WINDOW).status, 200);
    let store = TestStore::new(Engine::Sqlite);
    let with_tickets = SignInService::start_with(|own| own.set("store.url", &store.url));
    assert_eq!(with_tickets.app.get(target, &frame("cross-site")).status, 200);
}

#[test]
fn any_frame_gets_a_ticket_if_tickets_are_available() {
    let store = TestStore::new(Engine::Sqlite);
    let service = SignInService::start_with(|own| own.set("store.url", &store.url));
    // a page of the service in a page of another site makes same-origin requests
    for site in ["same-origin", "same-site", "cross-site"] {
        let told = service.app.get("/embed.json", &[("Sec-Fetch-Site", site)]).json();
        let login_url = told["login_url"].as_str().unwrap();
        assert!(login_url.ends_with("/login?return=%2Fpandium-sso&mode=popup&ticket=1"), "{login_url}");
        let page = service.app.get("/pandium-sso", &frame(site)).page();
        assert!(page.contains("&amp;mode=popup&amp;ticket=1\""), "{page}");
    }
}

#[test]
fn a_framed_sign_in_keeps_its_return_address() {
    let service = SignInService::start();
    let install = format!("{LOGIN}?return=%2Fpandium-sso%2Finstall%2F1");
    let page = service.app.get(&install, &frame("same-site")).page();
    assert!(page.contains(&format!("data-popup=\"{install}&amp;mode=popup\"")), "{page}");
    assert!(!page.contains("return=%2Fpandium-sso\""), "{page}");
}
