//! The store: opened by many processes at the same time, on both engines, and its settings.

use std::os::unix::fs::PermissionsExt;

use marketplace_sso::audit::{ChainKey, ChainWriter, Operation};
use marketplace_sso::config::{Config, Problem};
use marketplace_sso::secret::SharedSecret;
use marketplace_sso::store::{IfMissing, SessionRefresh, Store, StoreError};
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::STANDARD;
use crate::harness::command::{File, run};
use crate::harness::store::{Engine, TestStore, block_on, settings};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn ten_processes_start_at_once(#[case] engine: Engine) {
    let store = TestStore::new(engine);
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let settings = store.settings();
            std::thread::spawn(move || {
                block_on(async {
                    let opened = Store::open(&settings, IfMissing::Create).await?;
                    opened.check().await
                })
            })
        })
        .collect();
    for start in starts {
        start.join().unwrap().unwrap();
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_migration_of_a_newer_version_is_tolerated(#[case] engine: Engine) {
    let store = TestStore::new(engine);
    block_on(async {
        store.open().await.close().await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                     SELECT 9999, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        store.execute(newer).await;
        store.open().await.check().await.unwrap();
    });
}

// T40
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_logout_token_is_remembered_while_it_is_valid(#[case] engine: Engine) {
    let test_store = TestStore::new(engine);
    block_on(async {
        let store = test_store.open().await;
        // valid for longer than the sessions that it ends
        let use_token = || store.end_sessions(vec![vec![1; 32]], Some((vec![2; 32], 3_000)), 0, 1_000);
        assert!(use_token().await.unwrap());
        store.purge_ended_sessions(2_000).await.unwrap();
        assert!(!use_token().await.unwrap(), "a replay");
        store.purge_ended_sessions(3_000).await.unwrap();
        assert!(use_token().await.unwrap());
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_refresh_is_of_one_process_until_it_expires(#[case] engine: Engine) {
    let test_store = TestStore::new(engine);
    block_on(async {
        let store = test_store.open().await;
        let hash = vec![1; 32];
        let begin =
            async |now_us| store.begin_session_refresh(hash.clone(), now_us, now_us + 60).await.unwrap();
        let look = async |now_us| store.session_refresh(hash.clone(), now_us, now_us + 60).await.unwrap();
        let end = async |begun_us: i64, session| {
            store.end_session_refresh(hash.clone(), begun_us + 60, session).await
        };
        let (running, done) = (Some(SessionRefresh::Running), Some(SessionRefresh::Done(vec![2])));
        assert_eq!(
            (begin(0).await, begin(59).await, look(59).await),
            (None, running.clone(), running.clone())
        );
        end(0, Some(vec![2])).await.unwrap();
        // the late end of a slow process changes nothing
        end(0, Some(vec![3])).await.unwrap();
        end(0, None).await.unwrap();
        assert_eq!((begin(59).await, look(59).await), (done.clone(), done));
        assert_eq!((look(60).await, begin(60).await), (None, None), "it has expired");
        // the process that began it first ends only now
        end(0, None).await.unwrap();
        end(0, Some(vec![3])).await.unwrap();
        assert_eq!((begin(61).await, look(61).await), (running.clone(), running));
        end(60, None).await.unwrap();
        assert_eq!((look(61).await, begin(61).await), (None, None), "there was no result");
        assert_eq!(store.purge_session_refreshes(120).await.unwrap(), 0);
        assert_eq!(store.purge_session_refreshes(121).await.unwrap(), 1);
    });
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_refresh_expires_when_the_clock_is_set_back(#[case] engine: Engine) {
    let test_store = TestStore::new(engine);
    block_on(async {
        let store = test_store.open().await;
        let begin =
            async |now_us| store.begin_session_refresh(vec![1; 32], now_us, now_us + 60).await.unwrap();
        let look = async |now_us| store.session_refresh(vec![1; 32], now_us, now_us + 60).await.unwrap();
        assert_eq!(begin(1000).await, None);
        // clocks differ slightly
        assert_eq!(
            (begin(940).await, look(940).await),
            (Some(SessionRefresh::Running), Some(SessionRefresh::Running))
        );
        assert_eq!((look(939).await, begin(939).await), (None, None));
    });
}

#[test]
fn a_sqlite_file_is_readable_by_its_owner_alone() {
    let store = TestStore::new(Engine::Sqlite);
    block_on(store.open());
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(store.file()), mode(store.folder().join("data"))), (0o600, 0o700));
}

#[test]
fn a_closed_sqlite_store_is_one_file() {
    let test_store = TestStore::new(Engine::Sqlite);
    let key = ChainKey::new(&SharedSecret::parse("0123456789abcdef0123456789abcdef").unwrap());
    let names = || {
        let entries = std::fs::read_dir(test_store.folder().join("data")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    block_on(async {
        let store = test_store.open().await;
        let mut chain = ChainWriter::start(store.clone(), key, "test").await.unwrap();
        chain.write_operation(Operation::Reloaded, &json!({})).await.unwrap();
        assert_eq!(names(), ["sso.db", "sso.db-shm", "sso.db-wal"]);
        store.close().await;
        assert_eq!(names(), ["sso.db"]);
        let late = chain.write_operation(Operation::Reloaded, &json!({})).await.unwrap_err();
        assert!(matches!(late, StoreError::Stopped), "{late}");
    });
}

#[test]
fn a_command_does_not_create_a_missing_database() {
    let store = TestStore::new(Engine::Sqlite);
    let error = block_on(Store::open(&store.settings(), IfMissing::Fail)).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no database at {}", store.file().display()));
    assert!(!store.file().exists());
}

#[test]
fn an_unreachable_server_is_reported_without_the_password() {
    let folder = TempDir::new().unwrap();
    let url = format!("postgres://sso:hush-hush@localhost/sso?host={}", folder.path().display());
    let error = block_on(Store::open(&settings(&url), IfMissing::Create)).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
}

#[rstest]
#[case(
    "[store]\nurl = \"mysql://u:hush@h/d\"",
    "store.url: the URL cannot be used: it is neither sqlite:PATH"
)]
#[case("[store]\nurl = \"postgres://u:hush@h/d?sslmod=x\"", "it has a parameter other than host, sslmode")]
#[case("[audit]\ndurability = \"commit\"", "audit.durability: there is no store for the events")]
#[case("[audit]\nchain_key = \"hush\"", "audit.chain_key: the secret cannot be used: it has 4 bytes")]
#[case("[audit]\ndurability = \"disk\"", "write one of \"log\", \"queued\", \"commit\"")]
fn a_wrong_setting_is_reported_with_a_remedy(#[case] toml: &str, #[case] reported: &str) {
    let problems = Config::from_toml(&format!("{STANDARD}\n{toml}")).unwrap_err().to_string();
    assert!(problems.contains(reported) && problems.contains("to do:"), "{problems}");
    assert!(!problems.contains("hush"), "{problems}");
}

#[test]
fn an_unverified_database_server_is_a_warning() {
    let of = |url: &str| {
        let config = Config::from_toml(&format!("{STANDARD}\n[store]\nurl = {url:?}")).unwrap();
        config.warnings().iter().map(Problem::one_line).collect::<Vec<_>>().join("\n")
    };
    let warned = of("postgres://sso:hush@db.example.com/sso");
    assert!(warned.contains("store.url") && warned.contains("sslmode=verify-full"), "{warned}");
    assert!(!warned.contains("hush"), "{warned}");
    assert!(!of("postgres://db.example.com/sso?sslmode=verify-full").contains("store.url"));
}

#[test]
fn check_shows_no_password_of_the_store() {
    let secret = "[store]\nurl = \"postgres://sso:hush@localhost/sso\"\n[audit]\nchain_key = \"hush-hush-hush-hush-hush-hush-hush\"";
    let file = File::new(&format!("{STANDARD}\n{secret}"));
    let shown = run(&["check", "--show", "--config", &file.text()]);
    assert_eq!(shown.status, 0, "{shown:?}");
    assert!(shown.output.contains("url = \"[hidden]\""), "{}", shown.output);
    assert!(!shown.output.contains("hush"), "{}", shown.output);
}

#[test]
fn the_url_may_be_in_a_file() {
    let file = File::new("sqlite:data/sso.db\n");
    let toml = format!("{STANDARD}\n[store]\nurl_file = {:?}\n[audit]\ndurability = \"commit\"", file.text());
    let store = Config::from_toml(&toml).unwrap().store.unwrap();
    assert_eq!(store.url.to_string(), "sqlite:data/sso.db");
}
