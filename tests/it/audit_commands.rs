//! `audit list`, `export`, `verify` and `forget`, on both engines.

use std::fmt::Write as _;
use std::time::Instant;

use marketplace_sso::clock::Timestamp;
use marketplace_sso::refusal::Reason;
use rstest::rstest;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::STANDARD;
use crate::harness::command::{CommandResult, File, run, run_unread};
use crate::harness::journal::{Request, TestAudit, settings};
use crate::harness::store::{Engine, TestStore, block_on};
use crate::harness::tree::{read, root};

const ALICE: &str = "alice@example.com";

fn config(test: &TestStore) -> File {
    File::new(&format!("{STANDARD}\n[store]\nurl = {:?}\n[audit]\ndurability = \"commit\"", test.url))
}

/// The events: `started`; a hand-off of Alice with plain subject, one with hashed subject, one of
/// Bob; a refusal.
fn filled(engine: Engine) -> (TestStore, [(Uuid, Uuid); 4]) {
    let test = TestStore::new(engine);
    let hashed = settings("").pseudonym_keys[0].pseudonym(ALICE);
    let ids = block_on(async {
        let audit = TestAudit::start(&test.open().await, "durability = \"commit\"").await;
        let of = |subject| Request { subject: Some(subject), user_agent: "=cmd|x", ..Request::default() };
        let refused = Request { refused: Some(Reason::NotAllowed), ..Request::default() };
        let requests = [of(ALICE), of(&hashed), of("bob@example.com"), refused];
        let mut ids = [(Uuid::nil(), Uuid::nil()); 4];
        for (ids, request) in ids.iter_mut().zip(requests) {
            *ids = audit.record(request).await.unwrap();
        }
        ids
    });
    (test, ids)
}

fn audit(config: &File, arguments: &[&str]) -> CommandResult {
    let [command, rest @ ..] = arguments else { panic!("no command") };
    run(&[&["audit", command, "--config", &config.text()], rest].concat())
}

fn json(result: &CommandResult) -> Vec<Value> {
    assert_eq!((result.status, result.errors.as_str()), (0, ""), "{result:?}");
    result.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn list_selects_by_each_argument(#[case] engine: Engine) {
    let (test, ids) = filled(engine);
    let config = config(&test);
    let (jti, request_id) = (ids[2].0.to_string(), ids[3].1.to_string());
    let seconds = |offset| Timestamp::now().to_utc() + time::Duration::seconds(offset);
    let rfc_3339 =
        |at: time::OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let later = rfc_3339(seconds(60));
    for (arguments, count) in [
        (&[][..], 5),
        // plain and hashed
        (&["--subject", ALICE], 2),
        (&["--subject", "carol@example.com"], 0),
        (&["--outcome", "handed_off"], 3),
        (&["--outcome", "refused", "--entrance", "pandium-sso"], 1),
        (&["--entrance", "other"], 0),
        (&["--reason", "not_allowed"], 1),
        (&["--jti", &jti], 1),
        (&["--request-id", &request_id], 1),
        (&["--since", "1h"], 5),
        (&["--since", &later], 0),
        (&["--until", &later, "--subject", ALICE, "--outcome", "handed_off"], 2),
        (&["--limit", "2"], 2),
    ] {
        let result = audit(&config, &[&["list", "--format", "jsonl"], arguments].concat());
        assert_eq!(json(&result).len(), count, "{arguments:?}");
    }
    let newest = json(&audit(&config, &["list", "--format", "jsonl", "--limit", "1"]));
    assert_eq!(newest[0]["request_id"], request_id.as_str());
}

#[test]
fn list_shows_a_table() {
    let (test, ids) = filled(Engine::Sqlite);
    let result = audit(&config(&test), &["list", "--limit", "4"]);
    assert_eq!(result.errors, "the newest 4; there may be more, see --limit\n");
    let lines: Vec<&str> = result.output.lines().collect();
    assert_eq!(lines.len(), 5);
    for (line, words) in [(0, ["TIME", "SUBJECT", "REQUEST"]), (1, ["refused", "not_allowed", "127.0.0.1"])] {
        assert!(words.iter().all(|word| lines[line].contains(word)), "{}", lines[line]);
    }
    assert!(lines[4].contains(ALICE) && lines[4].ends_with(&ids[0].1.to_string()));
    let none = audit(&config(&test), &["list", "--subject", "nothing"]);
    assert_eq!((none.output.as_str(), none.errors.as_str()), ("", "no stored event matches\n"));
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn export_writes_every_event_once(#[case] engine: Engine) {
    let (test, ids) = filled(engine);
    block_on(async {
        let store = test.open().await;
        let audit = TestAudit::start(&store, "durability = \"queued\"").await;
        // more than two pages of events with the same time
        let at = Some(Timestamp::from_unix_seconds(1_600_000_000));
        for _ in 0..2_500 {
            audit.record(Request { at, ..Request::default() }).await.unwrap();
        }
        audit.audit.stop().await;
    });
    let config = config(&test);
    let exported = json(&audit(&config, &["export"]));
    assert_eq!(exported.len(), 5 + 2_502);
    assert!(exported.is_sorted_by_key(|event| event["timestamp"].as_str().unwrap().to_owned()));
    let mut positions: Vec<String> =
        exported.iter().map(|event| format!("{} {}", event["writer"], event["seq"])).collect();
    positions.sort();
    positions.dedup();
    assert_eq!(positions.len(), exported.len());
    let of_alice = exported.iter().find(|event| event["jti"] == ids[0].0.to_string()).unwrap();
    assert_eq!((&of_alice["subject"], &of_alice["user_agent"]), (&ALICE.into(), &"=cmd|x".into()));
    assert_eq!(of_alice["link"], "integration_id=1121");

    let csv = audit(&config, &["export", "--format", "csv", "--limit", "3"]).output;
    assert!(csv.starts_with("timestamp,outcome,reason,") && csv.lines().count() == 4, "{csv}");
    let evaluated = audit(&config, &["export", "--format", "csv", "--subject", ALICE]).output;
    assert!(evaluated.contains(",\"'=cmd|x\","), "{evaluated}");
}

// T36
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn verify_names_the_first_broken_event(#[case] engine: Engine) {
    let (test, _) = filled(engine);
    let config = config(&test);
    let verified = audit(&config, &["verify"]);
    let expected = "5 events in 1 chain: none was changed, removed or inserted\n";
    assert_eq!((verified.status, verified.output.as_str()), (0, expected), "{verified:?}");
    let heads = audit(&config, &["verify", "--heads"]).output;
    assert_eq!(heads.split(' ').nth(1), Some("5"), "{heads}");

    block_on(test.execute("UPDATE audit_events SET outcome = 'verified' WHERE seq IN (3, 4)"));
    let broken = audit(&config, &["verify"]);
    assert_eq!(broken.status, 1);
    assert!(broken.output.contains("event 3 was changed, inserted or moved"), "{broken:?}");
    assert!(!broken.output.contains("event 4"), "{broken:?}");
    assert_eq!(broken.errors, "error: chains that are not intact: 1 of 1\n");
}

#[test]
fn verify_accepts_earlier_secrets() {
    let (test, _) = filled(Engine::Sqlite);
    let config = config(&test);
    let other =
        File::new(&std::fs::read_to_string(config.path()).unwrap().replace("0123456789", "9876543210"));
    let unknown = audit(&other, &["verify"]);
    assert_eq!(unknown.status, 1, "{unknown:?}");
    assert!(unknown.output.contains("it cannot be verified without the key"), "{unknown:?}");
    let earlier = File::new("0123456789abcdef0123456789abcdef\n");
    assert_eq!(audit(&other, &["verify", "--key-file", &earlier.text()]).status, 0);
    let missing = audit(&other, &["verify", "--key-file", "/nowhere"]);
    assert_eq!(missing.status, 2, "{missing:?}");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn forget_erases_a_person(#[case] engine: Engine) {
    let (test, _) = filled(engine);
    let config = config(&test);
    let forgotten = audit(&config, &["forget", "--subject", ALICE]);
    assert_eq!(forgotten.output, "erased what identifies this person in 2 events\n", "{forgotten:?}");
    assert_eq!(audit(&config, &["verify"]).status, 0);
    let exported = json(&audit(&config, &["export"]));
    let count = |key: &str| exported.iter().filter(|event| event.get(key).is_some()).count();
    assert_eq!((count("erased"), count("subject"), count("peer")), (2, 1, 2));
    let recorded: Vec<&Value> = exported.iter().filter(|event| event["outcome"] == "forgotten").collect();
    assert!(!recorded.is_empty() && recorded.iter().all(|event| event["data"]["events"].as_i64() > Some(0)));
    let again = audit(&config, &["forget", "--subject", ALICE]);
    assert_eq!((again.status, again.output.as_str()), (0, "no stored event has this subject\n"));
}

#[rstest]
#[case("list")]
#[case("export")]
fn a_command_has_every_filter_of_the_api(#[case] command: &str) {
    let description: Value = serde_json::from_str(&read(&root().join("docs/openapi.json"))).unwrap();
    let parameters = description["paths"]["/v1/audit"]["get"]["parameters"].as_array().unwrap();
    let names = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap());
    // the command has a fixed order and writes all pages, so it has no such arguments
    let filters: Vec<&str> = names.filter(|name| !["order", "cursor"].contains(name)).collect();
    assert_eq!(filters.len(), 9, "{filters:?}");
    let help = run(&["audit", command, "--help"]).output;
    for filter in filters {
        let argument = format!("--{} <", filter.replace('_', "-"));
        assert!(help.contains(&argument), "{argument} is missing: {help}");
    }
}

#[test]
fn a_missing_store_is_reported() {
    let without = File::new(STANDARD);
    let result = audit(&without, &["list"]);
    assert_eq!(result.status, 78, "{result:?}");
    assert!(result.errors.contains("store.url: it is not set"), "{}", result.errors);
    let nowhere = File::new(&format!("{STANDARD}\n[store]\nurl = \"sqlite:/nowhere/sso.db\""));
    let result = audit(&nowhere, &["verify"]);
    assert_eq!(result.status, 1, "{result:?}");
    assert!(result.errors.contains("there is no database at /nowhere/sso.db"), "{}", result.errors);
}

#[rstest]
#[case(&["list", "--since", "yesterday"])]
#[case(&["list", "--limit", "0"])]
#[case(&["list", "--jti", "x"])]
#[case(&["export", "--format", "xml"])]
#[case(&["forget"])]
fn a_wrong_argument_is_refused(#[case] arguments: &[&str]) {
    assert_eq!(run(&[&["audit"], arguments].concat()).status, 2);
}

#[test]
fn a_closed_pipe_ends_an_export() {
    let (test, _) = filled(Engine::Sqlite);
    assert_eq!(run_unread(&["audit", "export", "--config", &config(&test).text()], ""), 0);
}

#[rstest]
#[case("list")]
#[case("export")]
#[case("verify")]
#[case("forget")]
fn every_audit_command_shows_an_example(#[case] command: &str) {
    let CommandResult { status, output, .. } = run(&["audit", command, "--help"]);
    let (_, examples) = output.split_once("Example").unwrap();
    assert_eq!(status, 0);
    assert!(examples.contains(&format!("marketplace-sso audit {command}")), "{output}");
}

/// Fills the tables by SQL, with events that are not chained: tests that only read them need no
/// chain.
fn fill_by_sql(test: &TestStore, events: usize) {
    const STEP: usize = 5_000;
    block_on(async {
        test.open().await.close().await;
        for start in (0..events).step_by(STEP) {
            let mut sql = "BEGIN; INSERT INTO audit_events (writer, seq, at_us, outcome, jti, entrance, subject, peer, \
                           user_agent, hash) VALUES "
                .to_owned();
            for number in start..start + STEP {
                let separator = if number == start { "" } else { ", " };
                let (bytes, id) = match test.engine {
                    Engine::Sqlite => ("x'00'", format!("x'{number:032x}'")),
                    Engine::Postgres => ("''", format!("'{number:032x}'")),
                };
                let (at, user) = (1_700_000_000_000_000 + number * 1_000, number % 20_000);
                write!(
                    sql,
                    "{separator}({id}, {number}, {at}, 'handed_off', {id}, 'pandium-sso', 'user-{user}@example.com', \
                     '192.0.2.1', 'Mozilla/5.0', {bytes})"
                )
                .unwrap();
            }
            test.execute(&format!("{sql}; COMMIT")).await;
        }
    });
}

/// The limit is a fraction of the time that a scan of all events takes.
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_subject_is_found_by_an_index(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    fill_by_sql(&test, 100_000);
    let config = config(&test);
    let timed = |arguments: &[&str]| {
        let started = Instant::now();
        let count = json(&audit(&config, arguments)).len();
        (started.elapsed(), count)
    };
    let find = || timed(&["list", "--format", "jsonl", "--subject", "user-7@example.com"]);
    let (found, count) = (0..5).map(|_| find()).min().unwrap();
    assert_eq!(count, 5);
    let (all, count) = timed(&["export"]);
    assert_eq!(count, 100_000);
    assert!(found * 3 < all, "{found:?} of {all:?}");
}
