//! `[limits]`: hand-offs of a user, and refusals of a peer.

use crate::harness::{ALICE, App, EMAIL, Settings};

const HTML: (&str, &str) = ("Accept", "text/html");
const BOB: &[(&str, &str)] = &[(EMAIL, "bob@example.com")];

fn handoffs(limit: u32) -> Settings {
    Settings::standard().set("limits.handoffs_per_subject_per_minute", limit)
}

#[test]
fn handoffs_of_a_user_are_limited() {
    let app = App::start(handoffs(3));
    let hand_off = |headers: &[_]| app.get("/pandium-sso", headers);
    let statuses: Vec<u16> = (0..5).map(|_| hand_off(ALICE).status).collect();
    assert_eq!(statuses, [307, 307, 307, 429, 429]);
    assert_eq!(hand_off(BOB).status, 307);

    let refused = hand_off(ALICE);
    refused.assert_refused(429, "too_many_requests");
    assert!((1..=20).contains(&refused.header("retry-after").parse::<u32>().unwrap()), "{refused:?}");
    let event = app.audit_event_of(&refused);
    assert_eq!(event["reason"], "too_many_requests");
    assert!(event["subject"].is_string() && event.get("jti").is_none(), "{event}");
    let labels = [("entrance", "pandium-sso"), ("reason", "too_many_requests")];
    app.wait_for_metric("marketplace_sso_refusals_total", &labels, 3.0);
}

#[test]
fn the_page_in_the_frame_does_not_reload_itself() {
    let app = App::start(handoffs(1));
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
    let refused = app.get("/pandium-sso", &[ALICE, &[HTML]].concat());
    assert_eq!(refused.status, 429);
    assert!(refused.has("retry-after"));
    let page = refused.page();
    assert!(page.contains("Too many requests") && page.contains("Wait a minute"), "{page}");
    assert!(!page.contains("http-equiv") && !page.contains("Try again"), "{page}");
    assert!(
        page.contains("data-type=\"refused\"") && page.contains("data-reason=\"too_many_requests\""),
        "{page}"
    );
    // the page reloads itself only when a prerendered page is shown
    assert_eq!(page.matches("location").count(), page.matches("() => location.reload()").count(), "{page}");
}

#[test]
fn refused_requests_do_not_count_as_handoffs() {
    let app = App::start(handoffs(1).set("access.denied_groups", ["guests"]));
    for _ in 0..3 {
        let guest = [ALICE, &[("X-Auth-Request-Groups", "guests")]].concat();
        app.get("/pandium-sso", &guest).assert_refused(403, "not_allowed");
    }
    assert_eq!(app.get("/pandium-sso", ALICE).status, 307);
}

#[test]
fn refusals_of_a_peer_are_limited() {
    let limited = Settings::standard().set("limits.refusals_per_peer_per_minute", 2);
    let app = App::start(limited.clone().set("identity.trusted_proxies", ["127.0.0.2/32"]));
    for _ in 0..2 {
        app.get("/pandium-sso", ALICE).assert_refused(403, "untrusted_peer");
    }
    let refused = app.get("/pandium-sso", ALICE);
    refused.assert_refused(429, "too_many_requests");
    assert!((1..=30).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    let detail = app.audit_event_of(&refused)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("refusals_per_peer_per_minute") && detail.contains("untrusted_peer"), "{detail}");
    app.get("/nowhere", &[]).assert_refused(429, "too_many_requests");
    // requests that would not be refused are served
    assert_eq!(app.get("/embed.js", &[]).status, 200);
    assert_eq!(app.get("/livez", &[]).status, 200);

    // not for a proxy, whose requests come from many clients
    let app = App::start(limited);
    for _ in 0..5 {
        app.get("/pandium-sso", &[]).assert_refused(401, "unauthenticated");
    }
}

#[test]
fn a_reload_changes_limits_and_else_keeps_counts() {
    let app = App::start(handoffs(1));
    let hand_off = || app.get("/pandium-sso", ALICE).status;
    assert_eq!([hand_off(), hand_off()], [307, 429]);
    app.reconfigure("[branding]\nname = \"Acme\"");
    assert_eq!(hand_off(), 429);
    app.reconfigure("[limits]\nhandoffs_per_subject_per_minute = 0");
    assert_eq!([hand_off(), hand_off()], [307, 307]);
}

#[test]
fn a_wrong_limit_is_reported() {
    let wrong = |key: &str, value: i64| Settings::standard().set(key, value).assert_wrong(key, "");
    wrong("limits.handoffs_per_subject_per_minute", -1);
    wrong("limits.refusals_per_peer_per_minute", 1_000_001);
    wrong("limits.token_guesses_per_peer_per_minute", -1);
}
