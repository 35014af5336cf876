//! `token create`, `list` and `revoke`, on both engines.

use marketplace_sso::api_token::ApiToken;
use rstest::rstest;
use serde_json::Value;

use crate::harness::STANDARD;
use crate::harness::api::{config, create_token, token};
use crate::harness::command::{File, run};
use crate::harness::store::{Engine, TestStore, block_on};

fn list(config: &File) -> Vec<Value> {
    let result = token(config, &["list", "--format", "json"]);
    assert_eq!((result.status, result.errors.as_str()), (0, ""), "{result:?}");
    serde_json::from_str(&result.output).unwrap()
}

// T35
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_token_is_printed_once_and_stored_as_a_hash(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    let config = config(&test);
    let created = token(&config, &["create", "--name", "siem", "--scope", "audit:read"]);
    assert_eq!(created.status, 0, "{created:?}");
    let text = created.output.trim_end();
    let parsed = ApiToken::parse(text).unwrap();
    assert!(created.errors.contains("created the API token siem (audit:read), which expires at"));

    let listed = list(&config);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], parsed.id().as_str());
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&"siem".into(), &"valid".into()));
    assert!(listed[0]["last_used_at"].is_null());
    let events = run(&["audit", "export", "--config", &config.text()]).output;
    let secret = &text[12..];
    for shown in [&created.errors, &token(&config, &["list"]).output, &events] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let stored = block_on(async { test.open().await.api_tokens().await.unwrap() });
    assert!(stored[0].hash.verifies(&parsed.hash()));
    let bytes = String::from_utf8_lossy(stored[0].hash.as_bytes()).into_owned();
    assert!(!bytes.contains(secret) && stored[0].hash.as_bytes().len() == 32);
    if engine == Engine::Sqlite {
        for file in ["sso.db", "sso.db-wal"] {
            let content = std::fs::read(test.file().with_file_name(file)).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&content).contains(secret), "{file}");
        }
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn creating_and_revoking_are_audit_events(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    let config = config(&test);
    create_token(&config, "siem", &["audit:read", "links:create", "audit:read"]);
    assert_eq!(token(&config, &["revoke", "siem"]).status, 0);
    let exported = run(&["audit", "export", "--config", &config.text()]).output;
    let events: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |outcome: &str| events.iter().find(|event| event["outcome"] == outcome).unwrap();
    assert_eq!(of("token_created")["data"]["scopes"], serde_json::json!(["audit:read", "links:create"]));
    for outcome in ["token_created", "token_revoked"] {
        assert_eq!(of(outcome)["data"]["name"], "siem");
    }
    assert_eq!(run(&["audit", "verify", "--config", &config.text()]).status, 0);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
fn a_name_is_free_once_its_token_is_revoked(#[case] engine: Engine) {
    let test = TestStore::new(engine);
    let config = config(&test);
    let first = create_token(&config, "siem", &["audit:read"]);
    let again = token(&config, &["create", "--name", "siem", "--scope", "audit:read"]);
    assert_eq!((again.status, again.output.as_str()), (1, ""), "{again:?}");
    assert!(again.errors.contains("an API token siem exists"), "{again:?}");
    let id = &first[4..12];
    let revoked = token(&config, &["revoke", "--id", id]);
    assert!(revoked.output.contains("revoked the API token siem"), "{revoked:?}");
    assert_eq!(token(&config, &["revoke", "siem"]).status, 1);
    create_token(&config, "siem", &["audit:read"]);
    let states: Vec<Value> = list(&config).into_iter().map(|token| token["state"].clone()).collect();
    assert_eq!(states, ["revoked", "valid"]);
}

#[test]
fn the_table_shows_each_token_on_a_line() {
    let test = TestStore::new(Engine::Sqlite);
    let config = config(&test);
    block_on(async { test.open().await.close().await });
    assert_eq!(token(&config, &["list"]).errors, "there are no API tokens; see token create\n");
    let created =
        token(&config, &["create", "--name", "siem", "--scope", "audit:read", "--expires-in", "never"]);
    assert!(created.errors.contains("which never expires"), "{created:?}");
    let table = token(&config, &["list"]).output;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("ID ") && lines[0].contains("LAST USE"), "{table}");
    for word in ["siem", "valid", "never", "audit:read", &created.output[4..12]] {
        assert!(lines[1].contains(word), "{word}: {table}");
    }
}

#[rstest]
#[case::scope(&["create", "--name", "a", "--scope", "audit:write"], "none of the scopes audit:read")]
#[case::no_scope(&["create", "--name", "a"], "--scope")]
#[case::name(&["create", "--name", "a b", "--scope", "audit:read"], "1 to 64 letters")]
#[case::time(&["create", "--name", "a", "--scope", "audit:read", "--expires-in", "soon"], "or never")]
#[case::no_time(&["create", "--name", "a", "--scope", "audit:read", "--expires-in", "0d"], "or never")]
#[case::nothing(&["revoke"], "<NAME>")]
#[case::both(&["revoke", "a", "--id", "12345678"], "cannot be used with")]
#[case::id(&["revoke", "--id", "mkt_12345678"], "8 letters and digits")]
fn a_wrong_argument_is_explained(#[case] arguments: &[&str], #[case] why: &str) {
    let result = run(&[&["token"], arguments].concat());
    assert!(result.status == 2 && result.errors.contains(why), "{result:?}");
}

#[rstest]
#[case::create(&["create", "--name", "a", "--scope", "audit:read"])]
#[case::list(&["list"])]
#[case::revoke(&["revoke", "a"])]
fn a_missing_store_is_named_with_a_remedy(#[case] arguments: &[&str]) {
    let result = token(&File::new(STANDARD), arguments);
    assert_eq!((result.status, result.output.as_str()), (78, ""), "{result:?}");
    assert!(result.errors.contains("store.url: it is not set, and API tokens are kept in a store"));
    assert!(result.errors.contains("sqlite:data/marketplace-sso.db"), "{}", result.errors);
}

#[rstest]
#[case("create")]
#[case("list")]
#[case("revoke")]
fn every_token_command_shows_an_example(#[case] command: &str) {
    let result = run(&["token", command, "--help"]);
    let (_, examples) = result.output.split_once("Example").unwrap();
    assert!(examples.contains(&format!("marketplace-sso token {command}")), "{}", result.output);
}
