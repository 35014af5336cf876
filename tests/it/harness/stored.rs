//! Services that store audit events, and the stored events, read with the program.

use serde_json::Value;

use super::Settings;
use super::command::{self, CommandResult, File};

/// The standard settings with a store.
pub fn stored(url: &str, durability: &str) -> Settings {
    Settings::standard()
        .set("store.url", url)
        .set("audit.durability", durability)
        .set("audit.subject", "plain")
}

/// The stored events, the newest last, including those with a time in the future.
pub fn events(url: &str) -> Vec<Value> {
    let exported = audit(url, &["export", "--format", "jsonl", "--until", "2999-01-01"]);
    assert_eq!(exported.status, 0, "{exported:?}");
    exported.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that every chain verifies.
#[track_caller]
pub fn assert_verifiable(url: &str) {
    let verified = audit(url, &["verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
}

fn audit(url: &str, arguments: &[&str]) -> CommandResult {
    let config = File::new(&stored(url, "commit").text());
    let [command, rest @ ..] = arguments else { panic!("no command") };
    command::run(&[&["audit", command, "--config", &config.text()], rest].concat())
}
