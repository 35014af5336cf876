//! The effective settings, each with its origin, also as TOML. Secrets are hidden.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use config::{Value, ValueKind};

use super::layers::BUILT_IN_DEFAULT;

/// An effective setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// The key of its table; empty at the top level.
    pub section: String,
    /// Its name in the table.
    pub name: String,
    /// Its value as TOML; a secret is hidden.
    pub value: String,
    /// Where it was given; `None` for a built-in default.
    pub origin: Option<String>,
}

/// All settings, in the order of a TOML file.
pub(crate) fn effective(root: &Value) -> Vec<EffectiveSetting> {
    let mut settings = Vec::new();
    add_table(&mut settings, "", root);
    settings
}

/// Writes all settings.
pub(crate) fn write(root: &Value) -> String {
    let mut text = String::new();
    let mut section = String::new();
    for setting in effective(root) {
        if setting.section != section {
            let _ = writeln!(text, "\n[{}]", setting.section);
            section = setting.section;
        }
        let line = format!("{} = {}", setting.name, setting.value);
        let _ = match setting.origin {
            Some(origin) => writeln!(text, "{line:<50} # {origin}"),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

fn add_table(settings: &mut Vec<EffectiveSetting>, key: &str, value: &Value) {
    let ValueKind::Table(table) = &value.kind else { return };
    let entries: BTreeMap<&String, &Value> = table.iter().collect();
    let is_table = |value: &Value| matches!(value.kind, ValueKind::Table(_));
    for (name, value) in entries.iter().filter(|(_, value)| !is_table(value)) {
        let text = if let ValueKind::String(text) = &value.kind { text } else { "" };
        let shown = if is_secret(key, name, text) { "\"[hidden]\"".to_owned() } else { write_value(value) };
        let origin = value.origin().filter(|origin| !origin.starts_with(BUILT_IN_DEFAULT));
        settings.push(EffectiveSetting {
            section: key.to_owned(),
            name: bare_or_quoted(name),
            value: shown,
            origin: origin.map(str::to_owned),
        });
    }
    for (name, value) in entries.iter().filter(|(_, value)| is_table(value)) {
        let name = bare_or_quoted(name);
        let key = if key.is_empty() { name } else { format!("{key}.{name}") };
        add_table(settings, &key, value);
    }
}

/// Whether the value of this key is a secret, not the path of its file. `text`: the value, if it is
/// a string.
pub(super) fn is_secret(section: &str, name: &str, text: &str) -> bool {
    match (section, name) {
        (_, "dangerous_allow_short_secret") => false,
        ("audit", "chain_key") => true,
        // any value except the path of a file may hold a password, even one that is not a URL:
        // host=… password=…
        ("store", "url") => !text.is_empty() && !text.starts_with("sqlite:"),
        ("session", "key") | ("store", "encryption_key") => true,
        (_, name) => name.ends_with("_secret"),
    }
}

fn write_value(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => toml::Value::String(text.clone()).to_string(),
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(write_value).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn bare_or_quoted(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { name.to_owned() } else { toml::Value::String(name.to_owned()).to_string() }
}
