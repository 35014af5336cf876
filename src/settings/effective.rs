//! Writes the effective settings as TOML, each with its origin, secrets hidden.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use config::{Value, ValueKind};

use super::layers::BUILT_IN_DEFAULT;

/// Writes all settings.
pub(crate) fn write(root: &Value) -> String {
    let mut text = String::new();
    write_table(&mut text, "", root);
    text
}

fn write_table(text: &mut String, key: &str, value: &Value) {
    let ValueKind::Table(table) = &value.kind else { return };
    let entries: BTreeMap<&String, &Value> = table.iter().collect();
    let is_table = |value: &Value| matches!(value.kind, ValueKind::Table(_));
    let singles: Vec<_> = entries.iter().filter(|(_, value)| !is_table(value)).collect();
    if !singles.is_empty() {
        if !key.is_empty() {
            let _ = writeln!(text, "\n[{key}]");
        }
        for (name, value) in singles {
            let shown =
                if is_secret(key, name, value) { "\"[hidden]\"".to_owned() } else { write_value(value) };
            let line = format!("{} = {shown}", bare_or_quoted(name));
            let _ = match value.origin().filter(|origin| !origin.starts_with(BUILT_IN_DEFAULT)) {
                Some(origin) => writeln!(text, "{line:<50} # {origin}"),
                None => writeln!(text, "{line}"),
            };
        }
    }
    for (name, value) in entries.iter().filter(|(_, value)| is_table(value)) {
        let name = bare_or_quoted(name);
        let key = if key.is_empty() { name } else { format!("{key}.{name}") };
        write_table(text, &key, value);
    }
}

/// Whether the value of this key is a secret, not the path of its file.
fn is_secret(section: &str, name: &str, value: &Value) -> bool {
    match (section, name) {
        (_, "dangerous_allow_short_secret") => false,
        ("audit", "chain_key") => true,
        // the URL of a server may hold a password
        ("store", "url") => matches!(&value.kind, ValueKind::String(text) if text.contains("//")),
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
