//! Configurations as typed settings, which are written as TOML when a service starts
//! or a command runs.

use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};

use super::command::{CommandResult, File, run};
use super::free_port;
use super::issuer::{AUDIENCE, ISSUER, KeyFile};

/// The standard configuration.
pub const STANDARD: &str = r#"
environment = "sandbox"

[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
workers = 2
public_url = "https://app.example.com"
drain_delay_s = 0
shutdown_timeout_s = 5

[pandium]
account = "acme"
shared_secret = "0123456789abcdef0123456789abcdef"

[identity]
kind = "proxy_headers"
preset = "auth_request"
trusted_proxies = ["127.0.0.1/32"]

[embed]
parents = ["https://app.example.com"]
login_url = "https://app.example.com/login"

[log]
format = "json"
"#;

/// A configuration.
#[derive(Clone, Debug)]
pub struct Settings(Table);

impl Settings {
    /// [`STANDARD`].
    pub fn standard() -> Self {
        Self(STANDARD.parse().unwrap())
    }

    /// The standard configuration with an `[identity]` of this kind, and nothing else
    /// in it.
    pub fn of_kind(kind: &str) -> Self {
        Self::standard().without("identity").identity("kind", kind)
    }

    /// Headers of a proxy on this machine.
    pub fn proxy_headers(preset: &str) -> Self {
        Self::standard().identity("preset", preset)
    }

    /// ES256 tokens of [`ISSUER`] for [`AUDIENCE`], still without keys.
    pub fn bearer() -> Self {
        Self::of_kind("bearer").issuer(ISSUER).audience(AUDIENCE).algorithm("ES256")
    }

    /// Tokens of the tenant `ACME` of a marketplace, still without keys.
    pub fn appdirect() -> Self {
        Self::of_kind("appdirect")
            .identity("marketplace_url", "https://market.example.com")
            .identity("tenant", "ACME")
    }

    /// Tokens of this gateway for `https://sso.example.com`.
    pub fn commercetools(issuer: &str) -> Self {
        Self::of_kind("commercetools").issuer(issuer).identity("public_origin", "https://sso.example.com")
    }

    /// Attestations for `policy-1`, signed with this secret. They have no e-mail
    /// address.
    pub fn caf(secret: &str) -> Self {
        Self::of_kind("caf")
            .identity("client_secret", secret)
            .identity("policy_id", "policy-1")
            .set("claims.sub", "id")
    }

    /// Tokens of this load balancer for `client-1`, with its keys below a URL.
    pub fn aws_alb(balancer: &str, issuer: &str, keys_url: &str) -> Self {
        Self::of_kind("aws_alb")
            .identity("load_balancers", [balancer])
            .identity("client", "client-1")
            .issuer(issuer)
            .identity("keys_url", keys_url)
    }

    /// `identity.issuer`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.identity("issuer", issuer)
    }

    /// `identity.audience`.
    pub fn audience(self, audience: &str) -> Self {
        self.identity("audience", audience)
    }

    /// `identity.algorithms`, with only this algorithm.
    pub fn algorithm(self, algorithm: &str) -> Self {
        self.identity("algorithms", [algorithm])
    }

    /// `identity.jwks_url`.
    pub fn jwks_url(self, url: &str) -> Self {
        self.identity("jwks_url", url)
    }

    /// `identity.jwks_file`.
    pub fn jwks_file(self, file: &KeyFile) -> Self {
        self.identity("jwks_file", file.path())
    }

    /// A setting in `[identity]`.
    pub fn identity(self, key: &str, value: impl Serialize) -> Self {
        self.set(&format!("identity.{key}"), value)
    }

    /// `embed.parents`.
    pub fn embed_parents(self, parents: &[&str]) -> Self {
        self.set("embed.parents", parents)
    }

    /// `pandium.shared_secret_file` in place of the secret.
    pub fn secret_file(self, file: &Path) -> Self {
        self.without("pandium.shared_secret").set("pandium.shared_secret_file", file)
    }

    /// The standard configuration with its public listener on a Unix socket, whose peers
    /// are trusted by its file mode.
    pub fn on_socket(path: &Path) -> Self {
        let settings = Self::standard().set("server.listen", format!("unix:{}", path.display()));
        settings.without("identity.trusted_proxies")
    }

    /// The public listener on a port that no other service gets, also after this one has ended.
    pub fn on_free_port(self) -> Self {
        self.set("server.listen", format!("127.0.0.1:{}", free_port()))
    }

    /// Another entrance at the path of its name, with the `[identity]` of other
    /// settings.
    pub fn entrance(self, name: &str, other: &Self) -> Self {
        self.set(&format!("entrances.{name}.path"), format!("/{name}"))
            .set(&format!("entrances.{name}.identity"), &other.0["identity"])
    }

    /// A setting by its dotted key.
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let value = Value::try_from(value).unwrap();
        table(&mut self.0, tables).insert(name.to_owned(), value);
        self
    }

    /// The settings without this one, or without this section.
    pub fn without(mut self, key: &str) -> Self {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        table(&mut self.0, tables).remove(name).expect("there is no such setting");
        self
    }

    /// Merges settings in TOML over these.
    pub fn toml(mut self, text: &str) -> Self {
        merge(&mut self.0, text.parse().unwrap());
        self
    }

    /// The text of a configuration file.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// A configuration file.
    pub fn file(&self) -> File {
        File::new(&self.text())
    }

    /// Runs `check`.
    pub fn check(&self) -> CommandResult {
        run(&["check", "--config", &self.file().text()])
    }

    /// Asserts that `check` names a setting and what is wrong with it.
    #[track_caller]
    pub fn assert_wrong(&self, key: &str, message: &str) {
        let CommandResult { status, errors, .. } = self.check();
        let is_named = errors.contains(&format!("{key}: ")) && errors.contains(message);
        assert!(status == 78 && is_named, "not {key}: {message}, but {status}: {errors}\n{}", self.text());
    }
}

/// The table at a dotted key, created if it is absent.
fn table<'a>(root: &'a mut Table, key: &str) -> &'a mut Table {
    key.split('.').filter(|name| !name.is_empty()).fold(root, |table, name| {
        let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        entry.as_table_mut().expect("a setting that is not a table has no settings")
    })
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(own)), Value::Table(other)) => merge(own, other),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
