//! API tokens that the program creates, and requests with them.

use super::command::{CommandResult, File, run};
use super::store::TestStore;
use super::{App, Response, Settings};

/// The standard settings with this store, in which every audit event is stored.
pub fn settings(test: &TestStore) -> Settings {
    Settings::standard().set("store.url", &test.url).set("audit.durability", "commit")
}

/// A configuration file with these settings.
pub fn config(test: &TestStore) -> File {
    settings(test).file()
}

/// Runs a command of `token`.
pub fn token(config: &File, arguments: &[&str]) -> CommandResult {
    let [command, rest @ ..] = arguments else { panic!("no command") };
    run(&[&["token", command, "--config", &config.text()], rest].concat())
}

/// Creates a token with these scopes.
pub fn create_token(config: &File, name: &str, scopes: &[&str]) -> String {
    let mut arguments = vec!["create", "--name", name];
    for scope in scopes {
        arguments.extend(["--scope", scope]);
    }
    let result = token(config, &arguments);
    assert_eq!(result.status, 0, "{result:?}");
    result.output.trim_end().to_owned()
}

impl App {
    /// Sends a GET request with an API token.
    pub fn api(&self, target: &str, token: &str) -> Response {
        self.get(target, &[("Authorization", &format!("Bearer {token}"))])
    }
}
