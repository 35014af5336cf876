//! The counts of stored events for the dashboard, on both engines.

use std::time::Duration;

use marketplace_sso::clock::Timestamp;
use marketplace_sso::refusal::Reason;
use marketplace_sso::store::Store;
use marketplace_sso::store::statistics::{Buckets, EventKind, EventSeries, RefusalCount, SubjectPeers};
use rstest::rstest;

use crate::harness::journal::{Request, TestAudit};
use crate::harness::store::{Engine, TestStore, block_on};

const START: u64 = 1_800_000_000;

fn at(seconds: u64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_seconds(START).later_by(Duration::from_secs(seconds)))
}

fn start_us() -> i64 {
    Timestamp::from_unix_seconds(START).unix_microseconds()
}

/// Hand-offs of `a` at 0, 9 and 10 seconds and of `b` at 25; refusals at 5, 15 and 16.
async fn filled(test: &TestStore) -> Store {
    let store = test.open().await;
    let audit = TestAudit::start(&store, "durability = \"commit\"").await;
    let handed_off =
        |subject, seconds| Request { subject: Some(subject), at: at(seconds), ..Request::default() };
    let refused = |reason, seconds| Request { refused: Some(reason), at: at(seconds), ..Request::default() };
    for request in [
        handed_off("a", 0),
        handed_off("a", 9),
        handed_off("a", 10),
        handed_off("b", 25),
        refused(Reason::BadLink, 5),
        refused(Reason::ExpiredToken, 15),
        refused(Reason::ExpiredToken, 16),
    ] {
        audit.record(request).await.unwrap();
    }
    store
}

fn series(entrance: Option<&str>, kind: EventKind, counts: [i64; 3]) -> EventSeries {
    EventSeries { entrance: entrance.map(str::to_owned), kind, counts: counts.to_vec() }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn events_are_counted_by_time_entrance_and_reason(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = filled(&test).await;
        // refusals outside of entrances, and at another entrance
        test.execute("UPDATE audit_events SET entrance = NULL WHERE reason = 'bad_link'").await;
        test.execute("UPDATE audit_events SET entrance = 'partners' WHERE subject = 'b'").await;
        let buckets = Buckets { start_us: start_us(), width_us: 10_000_000, count: 3 };
        let main = Some("pandium-sso");
        let handed_off = || EventKind::Served("handed_off".into());
        let refused = |reason: Reason| EventKind::Refused(reason.code().into());
        let expected = [
            series(main, handed_off(), [2, 1, 0]),
            series(Some("partners"), handed_off(), [0, 0, 1]),
            series(None, refused(Reason::BadLink), [1, 0, 0]),
            series(main, refused(Reason::ExpiredToken), [0, 2, 0]),
        ];
        let mut counted = store.event_series(buckets).await.unwrap();
        counted.sort_by_key(|series| (series.kind.clone(), series.entrance.clone()));
        assert_eq!(counted, expected);

        let later = Buckets { start_us: start_us() + 20_000_000, width_us: 10_000_000, count: 3 };
        assert_eq!(
            store.event_series(later).await.unwrap(),
            [series(Some("partners"), handed_off(), [1, 0, 0])]
        );
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn the_first_hand_off_of_each_entrance_is_found(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = filled(&test).await;
        test.execute("UPDATE audit_events SET entrance = 'partners' WHERE subject = 'b'").await;
        let first = store.first_hand_offs().await.unwrap();
        assert_eq!(first, [("pandium-sso".into(), start_us()), ("partners".into(), start_us() + 25_000_000)]);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn subjects_are_counted_by_their_peers(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = filled(&test).await;
        test.execute("UPDATE audit_events SET peer = '192.0.2.' || (seq % 2) WHERE subject = 'a'").await;
        let found = async |since_us, min| store.subjects_by_peers(since_us, min, 5).await.unwrap();
        let a = SubjectPeers { subject: "a".into(), peers: 2, events: 3 };
        assert_eq!(found(start_us(), 2).await, [a]);
        assert_eq!(found(start_us(), 3).await, []);
        assert_eq!(found(start_us() + 10_000_000, 1).await.len(), 2);
        assert_eq!(found(start_us() + 10_000_000, 2).await, []);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn refusals_are_counted_by_their_detail(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    block_on(async {
        let store = filled(&test).await;
        let found = async |since_us| store.refusals_by_detail("expired_token", since_us).await.unwrap();
        let expected = |count| RefusalCount {
            entrance: Some("pandium-sso".into()),
            reason: "expired_token".into(),
            detail: Some("it is refused".into()),
            count,
        };
        assert_eq!(found(start_us()).await, [expected(2)]);
        assert_eq!(found(start_us() + 16_000_000).await, [expected(1)]);
        assert_eq!(found(start_us() + 17_000_000).await, []);
    });
}

#[test]
fn an_empty_store_has_no_counts() {
    let test = TestStore::new(Engine::Sqlite);
    block_on(async {
        let store = test.open().await;
        let buckets = Buckets { start_us: 0, width_us: 1, count: 1 };
        assert_eq!(store.event_series(buckets).await.unwrap(), []);
        assert_eq!(store.first_hand_offs().await.unwrap(), []);
    });
}
