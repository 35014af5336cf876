//! Single-use addresses: each works once, for a navigation, before it expires; only its hash is
//! stored.

use rstest::rstest;
use serde_json::json;

use crate::harness::links::{LinkService, race};
use crate::harness::store::{Engine, block_on};
use crate::harness::{Connection, Field, Token};

/// The number of tickets that concurrent requests try to use.
const TICKETS: usize = 1_000;

/// The number of tickets that are created before their race.
const BATCH: usize = 200;

/// The number of concurrent requests for each ticket.
const RACERS: usize = 8;

const NAVIGATION: &[Field<'static>] =
    &[("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "cross-site")];

// T34
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_ticket_is_used_once_by_racing_replicas(#[case] engine: Engine) {
    let service = LinkService::start_with(engine, 2, |settings| {
        settings.set("audit.durability", "log").set("limits.token_guesses_per_peer_per_minute", 0)
    });
    let addresses = [service.app.address(), service.others[0].address()];
    let connect = |racer: usize| Connection::open(addresses[racer % 2]).unwrap();
    let mut connections: Vec<_> = (0..RACERS).map(connect).collect();
    let mut won = [0; RACERS];
    // in batches: a ticket is valid for 60 s
    for _ in 0..TICKETS / BATCH {
        let paths: Vec<String> = std::thread::scope(|scope| {
            let create = || (0..BATCH / RACERS).map(|_| service.path()).collect::<Vec<_>>();
            let creators: Vec<_> = (0..RACERS).map(|_| scope.spawn(create)).collect();
            creators.into_iter().flat_map(|creator| creator.join().unwrap()).collect()
        });
        let statuses = race(&mut connections, &paths, NAVIGATION);
        for ticket in 0..BATCH {
            let mut of_it: Vec<u16> = statuses.iter().map(|of_racer| of_racer[ticket]).collect();
            of_it.sort_unstable();
            assert_eq!(of_it, [307, 410, 410, 410, 410, 410, 410, 410]);
        }
        for (won, of_racer) in won.iter_mut().zip(statuses) {
            *won += of_racer.iter().filter(|status| **status == 307).count();
        }
    }
    assert_eq!(won.iter().sum::<usize>(), TICKETS);
    // each process has used some of the tickets
    let by_process = [0, 1].map(|process| won.iter().skip(process).step_by(2).sum::<usize>());
    assert!(by_process.iter().all(|won| *won > 0), "{by_process:?}");
}

// T20, T21, T34
#[test]
fn only_a_navigation_uses_a_ticket() {
    let service = LinkService::start();
    let path = service.path();
    let get = |headers: &[Field<'_>]| service.app.get(&path, headers);
    let dest =
        |dest, mode| [("Sec-Fetch-Dest", dest), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Site", "cross-site")];

    let head = service.app.request("HEAD", &path, NAVIGATION);
    assert_eq!((head.status, head.header("allow")), (405, "GET"));
    for method in ["POST", "OPTIONS", "PUT"] {
        service.app.request(method, &path, &[]).assert_refused(405, "method_not_allowed");
    }
    for purpose in
        [("Sec-Purpose", "prefetch"), ("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch")]
    {
        get(&[NAVIGATION, &[purpose]].concat()).assert_refused(403, "cross_site_request");
        get(&[purpose]).assert_refused(403, "cross_site_request");
    }
    for (of, mode) in
        [("image", "no-cors"), ("script", "no-cors"), ("document", "no-cors"), ("empty", "cors")]
    {
        let allowed = [("Origin", "https://app.example.com")];
        get(&[&dest(of, mode)[..], &allowed].concat()).assert_refused(403, "cross_site_request");
    }
    let foreign = [("Referer", "https://evil.example/")];
    for frame in ["iframe", "frame"] {
        let frame = dest(frame, "navigate");
        get(&[&frame[..], &foreign].concat()).assert_refused(403, "embedding_not_allowed");
        get(&frame).assert_refused(403, "embedding_not_allowed");
    }
    let preview = get(&[("User-Agent", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)")]);
    assert_eq!(preview.status, 200);
    preview.assert_no_token();
    assert!(!preview.text().contains("alice"), "{preview:?}");

    let parent = [("Referer", "https://app.example.com/")];
    let opened = get(&[&dest("iframe", "navigate")[..], &parent].concat());
    assert_eq!(Token::of(&opened).claims["sub"], "alice@example.com");
    assert_eq!(service.app.audit_event_of(&opened)["fetch_dest"], "iframe");
}

// T34
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn an_expired_ticket_is_refused(#[case] engine: Engine) {
    let service = LinkService::start_with(engine, 1, |settings| settings);
    let path = service.path();
    assert_eq!(block_on(service.store.execute("UPDATE tickets SET expires_at_us = 1")), 1);
    service.app.get(&path, &[]).assert_refused(410, "link_expired");
    let found = "UPDATE tickets SET expires_at_us = 1 WHERE used_at_us IS NULL AND data IS NOT NULL";
    assert_eq!(block_on(service.store.execute(found)), 1);
    block_on(async {
        let store = service.store.open().await;
        assert_eq!(store.purge_tickets(2, 0).await.unwrap(), 0);
        assert_eq!(service.store.execute(found).await, 0, "its data is deleted");
        assert_eq!(store.purge_tickets(2, 1).await.unwrap(), 1);
    });
}

// T34
#[test]
fn only_the_hash_of_a_ticket_is_stored() {
    let service = LinkService::start();
    let path = service.path();
    let ticket = path.strip_prefix("/l/").unwrap().to_owned();
    let stored = || {
        let log = service.store.file().with_extension("db-wal");
        [std::fs::read(service.store.file()).unwrap(), std::fs::read(log).unwrap_or_default()].concat()
    };
    let has = |text: &str| stored().windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("pandium-sso"), "the search finds what is there");
    assert!(!has(&ticket) && !has(&ticket[..20]) && !has("alice"));
    assert_eq!(service.app.get(&path, &[]).status, 307);
    let without_data = "UPDATE tickets SET expires_at_us = 1 WHERE used_at_us IS NOT NULL AND data IS NULL";
    assert_eq!(block_on(service.store.execute(without_data)), 1);
}

// T22, T34
#[rstest]
#[case("json")]
#[case("text")]
fn no_log_line_has_a_ticket(#[case] format: &'static str) {
    let service = LinkService::start_with(Engine::Sqlite, 1, |settings| {
        settings.set("log.level", "trace").set("log.format", format)
    });
    let path = service.path();
    for headers in [&[("Sec-Purpose", "prefetch")][..], &[], &[]] {
        service.app.get(&path, headers);
    }
    service.app.log_lines();
    let output = service.app.output();
    assert!(!output.contains(&path["/l/".len()..]), "{output}");
    assert!(output.contains("link_expired") && output.contains("link_created"));
}

// T34
#[test]
fn wrong_tickets_are_limited() {
    let service = LinkService::start_with(Engine::Sqlite, 1, |settings| {
        settings.set("limits.token_guesses_per_peer_per_minute", 2)
    });
    let wrong = format!("/l/{}", "A".repeat(43));
    for _ in 0..2 {
        service.app.get(&wrong, &[]).assert_refused(410, "link_expired");
    }
    let limited = service.app.get(&wrong, &[]);
    limited.assert_refused(429, "too_many_requests");
    assert!((1..=30).contains(&limited.header("retry-after").parse::<u32>().unwrap()));
    // a valid ticket is served nevertheless, because the peer may be a proxy
    let path = service.path();
    assert_eq!(service.app.get(&path, &[]).status, 307);
    service.app.get(&path, &[]).assert_refused(410, "link_expired");
}

// T34
#[test]
fn a_ticket_is_valid_at_one_service_only() {
    let (service, other) = (
        LinkService::start(),
        LinkService::start_with(Engine::Sqlite, 1, |settings| {
            settings.set("pandium.shared_secret", "another-secret-another-secret-another")
        }),
    );
    let path = service.path();
    other.app.get(&path, &[]).assert_refused(410, "link_expired");
    assert_eq!(service.app.get(&path, &[]).status, 307);
    let body = json!({"user": {"email": "alice@example.com"}, "entrance": "removed"});
    service.post(&body).assert_refused(400, "bad_request");
}
