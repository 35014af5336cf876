//! The journal of stored audit events: acknowledged events are stored, whatever happens to the
//! store, and the journal recovers without a restart.

use std::time::{Duration, Instant};

use marketplace_sso::audit::AuditHealth;
use marketplace_sso::store::events::{EventFilter, EventOrder, EventQuery};
use marketplace_sso::store::{IfMissing, Store};
use rstest::rstest;
use uuid::Uuid;

use crate::harness::TIMEOUT;
use crate::harness::journal::{Request, TestAudit, findings};
use crate::harness::own_mounts;
use crate::harness::postgres::Postgres;
use crate::harness::store::{Engine, TestStore, block_on, impatient, settings};

/// A lock that lets no event be written.
const STALLED: &str = "audit_events IN EXCLUSIVE MODE";

async fn stored_tokens(store: &Store) -> Vec<Uuid> {
    let query = EventQuery {
        filter: EventFilter { outcome: Some("handed_off".into()), ..EventFilter::default() },
        order: EventOrder::OldestFirst,
        after: None,
        limit: 100_000,
    };
    store.events(query).await.unwrap().iter().filter_map(|stored| stored.event.jti).collect()
}

/// Records hand-offs until one is stored, and returns the acknowledged ones.
async fn record_until_stored(audit: &TestAudit) -> Vec<Uuid> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Ok((jti, _)) = audit.record(Request::default()).await {
            return vec![jti];
        }
        assert!(Instant::now() < deadline, "{:?}", audit.audit.health());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn wait_for(what: &str, holds: impl AsyncFnMut() -> bool) {
    wait_within(TIMEOUT, what, holds).await;
}

async fn wait_within(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn events_of_concurrent_requests_are_stored_together(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let requests = (0..64).map(|_| async {
            let mut tokens = Vec::new();
            for _ in 0..10 {
                tokens.push(audit.record(Request::default()).await.unwrap().0);
            }
            tokens
        });
        let mut acknowledged: Vec<Uuid> = futures_util::future::join_all(requests).await.concat();
        let mut stored = stored_tokens(&store).await;
        acknowledged.sort();
        stored.sort();
        assert_eq!(acknowledged, stored);
        assert_eq!(findings(&store).await, [""; 0]);
        assert_eq!(audit.metrics.queue_length.get(), 0);
        assert_eq!(audit.metrics.stored.get(), 640);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn queued_events_are_stored_before_the_stop(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"queued\"").await;
        audit.record_some(100).await;
        audit.audit.stop().await;
        assert_eq!(stored_tokens(&store).await.len(), 100);
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

#[test]
fn a_stop_waits_for_a_slow_store_and_not_for_a_stalled_one() {
    let test = TestStore::new(Engine::Sqlite);
    block_on(async {
        let store = test.open().await;
        let toml = "durability = \"queued\"\nqueue_length = 20000";
        let audit = TestAudit::start(&store, toml).await;
        audit.record_some(20_000).await;
        audit.audit.stop().await;
        assert_eq!(stored_tokens(&store).await.len(), 20_000);
        let store = test.open_impatient().await;
        let stalled = test.lock(STALLED).await;
        let audit = TestAudit::try_start(&store, &format!("{toml}\non_failure = \"allow\"")).await.unwrap();
        audit.record_some(5).await;
        audit.audit.stop().await;
        assert_eq!(audit.metrics.queue_length.get(), 6);
        stalled.release().await;
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn old_events_are_purged_at_the_start(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = test.open().await;
        let earlier = TestAudit::start(&store, "durability = \"commit\"").await;
        earlier.record_some(3).await;
        earlier.audit.stop().await;
        test.execute("UPDATE audit_events SET at_us = at_us - 86400000000").await;
        let toml = "durability = \"commit\"\nretention_days = 1";
        let audit = TestAudit::start(&store, toml).await;
        let purged = EventFilter { outcome: Some("purged".into()), ..EventFilter::default() };
        let query = EventQuery { filter: purged, order: EventOrder::OldestFirst, after: None, limit: 10 };
        wait_for("the purge is recorded", async || !store.events(query.clone()).await.unwrap().is_empty())
            .await;
        let events = store.events(query.clone()).await.unwrap();
        assert_eq!(events[0].event.data.as_deref(), Some("{\"events\":5}"));
        assert_eq!(store.count_events().await.unwrap(), 2);
        assert_eq!(findings(&store).await, [""; 0]);
        audit.audit.stop().await;
    });
}

#[test]
fn without_durability_nothing_is_stored() {
    let test = TestStore::new(Engine::Sqlite);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"log\"").await;
        audit.record_some(1).await;
        audit.audit.stop().await;
        assert_eq!(audit.audit.health(), AuditHealth::LogOnly);
        assert_eq!(store.count_events().await.unwrap(), 0);
    });
}

// T30
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_stalled_store_refuses_requests_and_recovers(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = test.open_impatient().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"\nqueue_length = 10").await;
        let stalled = test.lock(STALLED).await;
        // more than fit into the queue; none waits longer than the time limit
        let requests = (0..50).map(|_| audit.record(Request::default()));
        let results = futures_util::future::join_all(requests).await;
        assert!(results.iter().all(Result::is_err));
        wait_for("the failure is reported", async || {
            matches!(audit.audit.health(), AuditHealth::Failing { .. })
        })
        .await;
        assert_eq!(audit.metrics.store_up.get(), 0);
        wait_for("the append fails", async || audit.metrics.failures.get() > 0).await;
        stalled.release().await;
        let acknowledged = record_until_stored(&audit).await;
        assert_eq!(audit.audit.health(), AuditHealth::Stored);
        assert!(stored_tokens(&store).await.ends_with(&acknowledged));
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

/// How long a slow append may take on a busy machine.
const APPEND: Duration = Duration::from_secs(120);

/// A store and its audit while an append takes longer than their time limit, for some seconds more.
async fn during_a_slow_append(test: &TestStore) -> (Store, TestAudit) {
    let store = test.open_impatient().await;
    let audit = TestAudit::start(&store, "durability = \"commit\"").await;
    test.slow_down_appends().await;
    assert!(audit.record(Request::default()).await.is_err());
    (store, audit)
}

// T30
#[test]
fn an_append_that_takes_too_long_refuses_requests_until_it_ends() {
    let test = TestStore::new(Engine::Sqlite);
    block_on(async {
        let (store, audit) = during_a_slow_append(&test).await;
        wait_for("it is reported", async || audit.metrics.store_up.get() == 0).await;
        let error = "the database did not respond within 2 s".into();
        assert_eq!(audit.audit.health(), AuditHealth::Failing { error, refuses: true });
        assert_eq!(audit.metrics.failures.get(), 0, "the append has ended");
        assert!(audit.record(Request::default()).await.is_err());
        wait_within(APPEND, "the append ends", async || audit.metrics.failures.get() > 0).await;
        assert!(stored_tokens(&store).await.is_empty());
        test.execute("DROP TRIGGER slow").await;
        let acknowledged = record_until_stored(&audit).await;
        assert!(stored_tokens(&store).await.ends_with(&acknowledged));
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

// T30
#[test]
fn closing_the_store_does_not_wait_for_an_append_that_takes_too_long() {
    let test = TestStore::new(Engine::Sqlite);
    block_on(async {
        let (store, audit) = during_a_slow_append(&test).await;
        store.close().await;
        assert_eq!(audit.metrics.failures.get(), 0, "the append has ended");
    });
}

// T30
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn allowed_requests_are_stored_later_if_they_fit(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = test.open_impatient().await;
        let toml = "durability = \"commit\"\non_failure = \"allow\"\nqueue_length = 10";
        let audit = TestAudit::start(&store, toml).await;
        let stalled = test.lock(STALLED).await;
        audit.record_some(1).await;
        wait_for("the failure is reported", async || {
            matches!(audit.audit.health(), AuditHealth::Failing { .. })
        })
        .await;
        // the task has received the first, and ten fit into the queue
        audit.record_some(20).await;
        assert_eq!((audit.metrics.queue_length.get(), audit.metrics.lost.get()), (11, 10));
        stalled.release().await;
        wait_for("events are stored again", async || audit.metrics.queue_length.get() == 0).await;
        assert_eq!(stored_tokens(&store).await.len(), 11);
        assert_eq!(audit.audit.health(), AuditHealth::Stored);
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

// T30
#[test]
fn a_stopped_server_loses_no_acknowledged_event() {
    let server = Postgres::start();
    let url = server.new_database();
    block_on(async {
        let store = Store::open(&impatient(&url), IfMissing::Create).await.unwrap();
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let mut acknowledged = Vec::new();
        for _ in 0..3 {
            // stopped while events are committed
            let requests = (0..8).map(|_| async {
                let mut tokens = Vec::new();
                while let Ok((jti, _)) = audit.record(Request::default()).await {
                    tokens.push(jti);
                }
                tokens
            });
            let before = audit.metrics.stored.get();
            let stop = async {
                wait_for("events are stored", async || audit.metrics.stored.get() > before + 8).await;
                std::thread::scope(|scope| scope.spawn(|| server.stop()).join().unwrap());
            };
            let (tokens, ()) = tokio::join!(futures_util::future::join_all(requests), stop);
            acknowledged.extend(tokens.concat());
            assert!(audit.record(Request::default()).await.is_err());
            server.start_again();
            acknowledged.extend(record_until_stored(&audit).await);
        }
        assert!(acknowledged.len() > 10);
        let stored = stored_tokens(&store).await;
        assert!(acknowledged.iter().all(|jti| stored.contains(jti)));
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

#[test]
fn allowed_requests_need_no_store_at_the_start() {
    let server = Postgres::start();
    let url = server.new_database();
    server.stop();
    block_on(async {
        let store = Store::open_later(&impatient(&url), IfMissing::Create).unwrap();
        assert!(TestAudit::try_start(&store, "durability = \"commit\"").await.is_err());
        let audit = TestAudit::start(&store, "durability = \"commit\"\non_failure = \"allow\"").await;
        let (jti, _) = audit.record(Request::default()).await.unwrap();
        assert!(matches!(audit.audit.health(), AuditHealth::Failing { .. }));
        server.start_again();
        wait_for("the event is stored", async || audit.metrics.queue_length.get() == 0).await;
        assert_eq!(stored_tokens(&store).await, [jti]);
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

/// Connections are cut while they commit.
// T30
#[test]
fn cut_connections_lose_no_acknowledged_event() {
    let test = TestStore::new(Engine::Postgres);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'marketplace-sso'";
        let mut acknowledged = Vec::new();
        for _ in 0..20 {
            acknowledged.extend(record_until_stored(&audit).await);
            let requests = (0..8).map(|_| async {
                let mut tokens = Vec::new();
                for _ in 0..20 {
                    tokens.extend(audit.record(Request::default()).await.map(|(jti, _)| jti));
                }
                tokens
            });
            let (tokens, _) = tokio::join!(futures_util::future::join_all(requests), test.execute(cut));
            acknowledged.extend(tokens.concat());
        }
        acknowledged.extend(record_until_stored(&audit).await);
        let stored = stored_tokens(&store).await;
        let lost: Vec<&Uuid> = acknowledged.iter().filter(|jti| !stored.contains(jti)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert!(acknowledged.len() > 20, "{}", acknowledged.len());
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

// T30
#[test]
fn a_full_disk_refuses_requests_and_recovers() {
    if !own_mounts::entered("audit_journal::a_full_disk_refuses_requests_and_recovers") {
        return;
    }
    let folder = own_mounts::small_disk("1m");
    let url = format!("sqlite:{}/sso.db", folder.path().display());
    block_on(async {
        let store = Store::open(&settings(&url), IfMissing::Create).await.unwrap();
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let ballast = folder.path().join("ballast");
        let written = std::fs::File::create(&ballast)
            .and_then(|mut file| std::io::copy(&mut std::io::repeat(0), &mut file));
        assert!(written.is_err(), "the disk is not full");
        let mut acknowledged = Vec::new();
        // the disk may still have some space
        wait_for("requests are refused", async || match audit.record(Request::default()).await {
            Ok((jti, _)) => {
                acknowledged.push(jti);
                false
            }
            Err(_) => true,
        })
        .await;
        let AuditHealth::Failing { error, .. } = audit.audit.health() else { panic!("it is not reported") };
        assert_eq!(error, "the disk of the database is full");
        let failures = audit.metrics.failures.get();
        wait_for("it is tested again", async || audit.metrics.failures.get() > failures + 2).await;
        assert_eq!(audit.metrics.store_up.get(), 0);
        std::fs::remove_file(ballast).unwrap();
        acknowledged.extend(record_until_stored(&audit).await);
        assert_eq!(stored_tokens(&store).await, acknowledged);
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

// T30
#[test]
fn a_read_only_disk_is_reported_and_recovered_from() {
    if !own_mounts::entered("audit_journal::a_read_only_disk_is_reported_and_recovered_from") {
        return;
    }
    let folder = own_mounts::small_disk("4m");
    let settings = settings(&format!("sqlite:{}/sso.db", folder.path().display()));
    block_on(async {
        Store::open(&settings, IfMissing::Create).await.unwrap().close().await;
        own_mounts::remount(&folder, "ro");
        let store = Store::open_later(&settings, IfMissing::Create).unwrap();
        let toml = "durability = \"commit\"\non_failure = \"allow\"";
        let audit = TestAudit::start(&store, toml).await;
        let AuditHealth::Failing { error, .. } = audit.audit.health() else { panic!("it is not reported") };
        assert_eq!(error, "the database is read-only");
        let (jti, _) = audit.record(Request::default()).await.unwrap();
        own_mounts::remount(&folder, "rw");
        wait_for("the event is stored", async || audit.metrics.queue_length.get() == 0).await;
        assert_eq!(stored_tokens(&store).await, [jti]);
    });
}

// T30
#[test]
fn a_read_only_server_refuses_requests_and_recovers() {
    let test = TestStore::new(Engine::Postgres);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        let (server, _) = test.url.split_once('?').unwrap();
        let (_, database) = server.rsplit_once('/').unwrap();
        let connect_again = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND datname = current_database()";
        test.execute(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on")).await;
        test.execute(connect_again).await;
        wait_for("requests are refused", async || audit.record(Request::default()).await.is_err()).await;
        assert!(
            matches!(audit.audit.health(), AuditHealth::Failing { error, .. } if error == "the database is read-only")
        );
        let writable = format!("ALTER DATABASE {database} SET default_transaction_read_only = off");
        test.execute(&format!("BEGIN READ WRITE; {writable}; COMMIT")).await;
        test.execute(connect_again).await;
        record_until_stored(&audit).await;
        assert_eq!(findings(&store).await, [""; 0]);
    });
}

/// The chain in a restored copy ends at another event, and must not be continued.
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_database_that_is_replaced_gets_a_new_chain(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"commit\"").await;
        audit.record_some(2).await;
        for table in ["audit_events", "audit_writers"] {
            test.execute(&format!("DELETE FROM {table}")).await;
        }
        let acknowledged = record_until_stored(&audit).await;
        assert_eq!(stored_tokens(&store).await, acknowledged);
        assert_eq!(findings(&store).await, [""; 0]);
    });
}
