//! The chains of stored audit events: changed, removed and inserted events are found, on both
//! engines; erasing and purging keep the chains verifiable.

use std::time::Duration;

use marketplace_sso::audit::{ChainWriter, forget, purge, verify};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::refusal::Reason;
use marketplace_sso::store::Store;
use marketplace_sso::store::events::{EventFilter, EventOrder, EventQuery, StoredEvent};
use rstest::rstest;

use crate::harness::journal::{Request, TestAudit, findings, key, settings, verified};
use crate::harness::store::{Engine, TestStore, block_on};

const ALICE: &str = "alice@example.com";

async fn events(store: &Store, filter: EventFilter) -> Vec<StoredEvent> {
    let query = EventQuery { filter, order: EventOrder::OldestFirst, after: None, limit: 10_000 };
    store.events(query).await.unwrap()
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn an_event_is_stored_with_all_it_has(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let agent = "curl/8";
        let (jti, request_id) = audit
            .record(Request { subject: Some(ALICE), user_agent: agent, ..Request::default() })
            .await
            .unwrap();
        audit.record(Request { refused: Some(Reason::BadLink), ..Request::default() }).await.unwrap();
        audit.audit.stop().await;

        let all = events(&store, EventFilter::default()).await;
        let outcomes: Vec<&str> = all.iter().map(|stored| &*stored.event.outcome).collect();
        assert_eq!(outcomes, ["started", "handed_off", "refused", "stopped"]);
        let handed_off = &all[1].event;
        assert_eq!((handed_off.jti, handed_off.request_id), (Some(jti), Some(request_id)));
        assert_eq!(handed_off.personal.subject.as_deref(), Some(ALICE));
        assert_eq!(handed_off.personal.peer.as_deref(), Some("127.0.0.1"));
        assert_eq!(handed_off.personal.user_agent.as_deref(), Some(agent));
        assert_eq!(handed_off.fetch_dest.as_deref(), Some("iframe"));
        assert_eq!(handed_off.account.as_deref(), Some("acme"));
        assert_eq!(handed_off.took_us, Some(42));
        assert_eq!(all[2].event.reason.as_deref(), Some("bad_link"));
        assert_eq!(verified(&store).await.events, 4);
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

/// The chain has six events.
// T36
#[rstest]
#[case::changed(
    "UPDATE audit_events SET reason = 'x' WHERE seq = 3",
    "event 3 was changed, inserted or moved"
)]
#[case::person_changed("UPDATE audit_events SET subject = 'x' WHERE seq = 3", "event 3 was changed")]
#[case::time_changed("UPDATE audit_events SET at_us = at_us + 1 WHERE seq = 3", "event 3 was changed")]
#[case::removed("DELETE FROM audit_events WHERE seq = 3", "event 3 was removed")]
#[case::removed_from_the_start("DELETE FROM audit_events WHERE seq <= 3", "events 1 to 3 were removed")]
#[case::cut_off("DELETE FROM audit_events WHERE seq > 3", "events 4 to 6 were removed")]
#[case::all_removed("DELETE FROM audit_events", "events 1 to 6 were removed")]
#[case::moved(
    "UPDATE audit_events SET seq = CASE seq WHEN 3 THEN -4 WHEN 4 THEN -3 END WHERE seq IN (3, 4);
     UPDATE audit_events SET seq = -seq WHERE seq < 0",
    "event 3 was changed, inserted or moved"
)]
#[case::inserted(
    "UPDATE audit_events SET seq = -seq - 1 WHERE seq > 3;
     UPDATE audit_events SET seq = -seq WHERE seq < 0;
     INSERT INTO audit_events (writer, seq, at_us, outcome, salt, hash)
         SELECT writer, 4, at_us, outcome, salt, hash FROM audit_events WHERE seq = 3",
    "event 4 was changed, inserted or moved"
)]
#[case::appended(
    "INSERT INTO audit_events (writer, seq, at_us, outcome, salt, hash)
         SELECT writer, 7, at_us, outcome, salt, hash FROM audit_events WHERE seq = 3",
    "event 7 was changed, inserted or moved"
)]
#[case::erased_by_hand(
    "UPDATE audit_events SET subject = NULL, peer = NULL, user_agent = NULL, salt = NULL WHERE seq = 3",
    "event 3 has no personal data any more"
)]
#[case::erasure_forged(
    "UPDATE audit_events SET subject = NULL, peer = NULL, user_agent = NULL, salt = NULL,
         erased_commitment = hash, erased_mac = hash,
         erased_key_id = (SELECT chain_key_id FROM audit_writers) WHERE seq = 3",
    "event 3 has no personal data any more"
)]
#[case::head_forged(
    "DELETE FROM audit_events WHERE seq > 3;
     UPDATE audit_writers SET head_seq = 3, head_hash = (SELECT hash FROM audit_events WHERE seq = 3)",
    "its end in audit_writers was changed"
)]
#[case::anchor_forged(
    "INSERT INTO audit_anchors (writer, through_seq, hash, chain_key_id, mac)
         SELECT e.writer, e.seq, e.hash, w.chain_key_id, e.hash FROM audit_events e, audit_writers w WHERE seq = 3;
     DELETE FROM audit_events WHERE seq <= 3",
    "its anchor in audit_anchors was changed"
)]
#[case::writer_removed("DELETE FROM audit_writers", "its row in audit_writers was removed")]
#[case::writer_renamed("UPDATE audit_writers SET host = 'other'", "event 1 was changed")]
#[case::key_renamed(
    "UPDATE audit_writers SET chain_key_id = '00'",
    "it cannot be verified without the key 00"
)]
#[case::version_changed("UPDATE audit_writers SET version = 2", "it cannot be verified without a version")]
fn a_manipulation_is_found(
    #[case] sql: &str,
    #[case] found: &str,
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        audit.record_some(5).await;
        assert_eq!(findings(&store).await, [""; 0]);
        assert!(test.execute(sql).await > 0);
        let findings = findings(&store).await;
        assert!(findings.len() == 1 && findings[0].starts_with(found), "{findings:?}");
    });
}

// T36
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_chain_restored_to_an_older_end_is_found(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        audit.record_some(1).await;
        test.execute("CREATE TABLE copy AS SELECT * FROM audit_writers").await;
        audit.record_some(3).await;
        // its first event contains the head of the other chain
        let later = TestAudit::start(&store, "durability = \"commit\"").await;
        later.record_some(1).await;
        assert_eq!(findings(&store).await, [""; 0]);

        test.execute("DELETE FROM audit_events WHERE seq > 2 AND writer = (SELECT writer FROM copy)").await;
        for column in ["head_seq", "head_hash", "head_mac"] {
            let restore = format!(
                "UPDATE audit_writers SET {column} = (SELECT {column} FROM copy) WHERE writer = (SELECT writer FROM copy)"
            );
            test.execute(&restore).await;
        }
        assert_eq!(findings(&store).await, ["events 3 to 5 were removed"]);
        test.execute("DELETE FROM audit_events WHERE writer = (SELECT writer FROM copy)").await;
        test.execute("DELETE FROM audit_writers WHERE writer = (SELECT writer FROM copy)").await;
        assert_eq!(findings(&store).await, ["events 1 to 5 were removed"]);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_head_is_held_by_one_later_chain(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        for _ in 0..4 {
            TestAudit::start(&store, "durability = \"commit\"").await.audit.stop().await;
        }
        let all =
            events(&store, EventFilter { outcome: Some("started".into()), ..EventFilter::default() }).await;
        let held = all.iter().map(|stored| stored.event.data.as_deref().unwrap().matches("\"seq\"").count());
        assert_eq!(held.collect::<Vec<_>>(), [0, 1, 1, 1]);
    });
}

// T36
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_forgotten_person_leaves_a_verifiable_chain(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        audit.record_some(2).await;
        let bob = Request { subject: Some("bob@example.com"), ..Request::default() };
        audit.record(bob).await.unwrap();

        let mut chain = ChainWriter::start(store.clone(), key(), "audit forget").await.unwrap();
        assert_eq!(forget(&store, &mut chain, &[ALICE.to_owned()]).await.unwrap(), 2);
        assert_eq!(forget(&store, &mut chain, &[ALICE.to_owned()]).await.unwrap(), 0);
        assert_eq!(findings(&store).await, [""; 0]);

        let all = events(&store, EventFilter::default()).await;
        let subjects: Vec<_> =
            all.iter().filter_map(|stored| stored.event.personal.subject.as_deref()).collect();
        assert_eq!(subjects, ["bob@example.com"]);
        assert_eq!(all.iter().filter(|stored| stored.event.personal.peer.is_some()).count(), 1);
        assert_eq!(all.iter().filter(|stored| stored.event.outcome == "forgotten").count(), 1);
        if engine == Engine::Sqlite {
            let stored = std::fs::read(test.file()).unwrap();
            assert!(!contains(&stored, ALICE) && contains(&stored, "bob@example.com"));
        }
        // a change of an erased event is detected, too
        test.execute("UPDATE audit_events SET entrance = 'x' WHERE erased_mac IS NOT NULL").await;
        assert_eq!(findings(&store).await.len(), 1);
    });
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

// T36
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_purge_leaves_anchors(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let old = Timestamp::from_unix_seconds(1_600_000_000);
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        for at in [Some(old), Some(old), None, Some(old)] {
            audit.record(Request { at, ..Request::default() }).await.unwrap();
        }
        // the first event is new, so the events after it are kept
        let before = Timestamp::from_unix_seconds(1_700_000_000);
        assert_eq!(purge(&store, &key(), before).await.unwrap(), 0);
        let ended = TestAudit::start(&store, "durability = \"commit\"").await;
        ended.audit.stop().await;
        assert_eq!(
            purge(&store, &key(), Timestamp::now().later_by(Duration::from_secs(1))).await.unwrap(),
            7
        );
        assert_eq!(findings(&store).await, [""; 0]);
        audit.record_some(2).await;
        assert_eq!(verified(&store).await.events, 2);
        assert_eq!(findings(&store).await, [""; 0]);
        test.execute("DELETE FROM audit_events WHERE seq = 6").await;
        assert_eq!(findings(&store).await, ["event 6 was removed"]);
        test.execute("DELETE FROM audit_anchors").await;
        assert_eq!(findings(&store).await, ["events 1 to 6 were removed", "events 1 to 2 were removed"]);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_purge_does_not_block_writers(#[case] engine: Engine) {
    // one step deletes 500 of them
    const OLD: usize = 5_000;
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let earlier = TestAudit::start(&store, "durability = \"queued\"").await;
        earlier.record_some(OLD - 2).await;
        earlier.audit.stop().await;
        test.execute("UPDATE audit_events SET at_us = 1").await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let purging = tokio::spawn({
            let store = store.clone();
            async move { purge(&store, &key(), Timestamp::from_unix_seconds(1_700_000_000)).await }
        });
        let mut stored = 0;
        while !purging.is_finished() {
            audit.record_some(1).await;
            stored += 1;
        }
        assert_eq!(purging.await.unwrap().unwrap(), OLD as u64);
        assert!(stored >= OLD / 500, "only {stored} events were stored in the meantime");
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_chain_needs_its_own_key(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        TestAudit::start(&store, "durability = \"commit\"").await.audit.stop().await;
        let other = "durability = \"commit\"\nchain_key = \"abcdefghijklmnopqrstuvwxyz0123456789\"";
        TestAudit::start(&store, other).await.audit.stop().await;
        let both = [key(), settings(other).chain_key];
        assert_eq!(verify(&store, &both, |_| {}).await.unwrap().findings, []);
        let found = findings(&store).await;
        assert_eq!(found, [format!("it cannot be verified without the key {}", both[1].id())]);
    });
}

// T31
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_clock_that_jumps_back_breaks_no_chain(#[case] engine: Engine) {
    block_on(async {
        let test = TestStore::new(engine);
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        for seconds in [2_000_000_000, 1_000, 0, 1_900_000_000] {
            let at = Some(Timestamp::from_unix_seconds(seconds));
            audit.record(Request { at, ..Request::default() }).await.unwrap();
        }
        assert_eq!(findings(&store).await, [""; 0]);
        let times: Vec<i64> =
            events(&store, EventFilter::default()).await.iter().map(|stored| stored.event.at_us).collect();
        assert!(times.is_sorted(), "{times:?}");
    });
}

#[test]
fn verification_reads_while_events_are_written() {
    let test = TestStore::new(Engine::Sqlite);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let writing = tokio::spawn(async move { audit.record_some(500).await });
        while !writing.is_finished() {
            assert_eq!(findings(&store).await, [""; 0]);
        }
        writing.await.unwrap();
        assert_eq!(verified(&store).await.events, 501);
    });
}
