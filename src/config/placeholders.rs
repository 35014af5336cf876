//! Detects the placeholders that `init` writes for values that only the user knows. They cause
//! warnings, and problems in production.

use std::collections::BTreeMap;

use config::{Value, ValueKind};
use url::Url;

use crate::settings::{Collector, PLACEHOLDER};

/// The placeholder for a text.
pub(crate) const REPLACE_ME: &str = "replace-me";

/// The prefix of a random secret that stands in for one from an issuer.
pub(crate) const TRIAL_SECRET: &str = "trial-only-";

/// The placeholder for the id of an extension.
const NIL_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// Reports each placeholder in this table, and each trial secret that was read.
pub(super) fn check(root: &Value, problems: &Collector, is_production: bool) {
    let report = |key: String, origin: Option<&str>, help: &str| {
        if is_production {
            problems.add(key, origin.map(str::to_owned), PLACEHOLDER, help);
        } else {
            problems.warn(&key, origin, PLACEHOLDER, help);
        }
    };
    check_value("", root, &|key, origin| report(key.to_owned(), origin, remedy(key)));
    for noted in problems.secrets() {
        if noted.secret.expose_bytes().starts_with(TRIAL_SECRET.as_bytes()) {
            let help = "replace this trial secret of init by the one that its issuer gave you";
            report(noted.key, noted.origin.as_deref(), help);
        }
    }
}

/// Calls `report` with the key and the origin of each placeholder.
fn check_value(key: &str, value: &Value, report: &impl Fn(&str, Option<&str>)) {
    if let ValueKind::Table(table) = &value.kind {
        let entries: BTreeMap<&String, &Value> = table.iter().collect();
        for (name, value) in entries {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            check_value(&key, value, report);
        }
        return;
    }
    let is_placeholder = match &value.kind {
        ValueKind::String(text) => is_placeholder(text),
        ValueKind::Array(items) => {
            items.iter().any(|item| matches!(&item.kind, ValueKind::String(text) if is_placeholder(text)))
        }
        _ => false,
    };
    if is_placeholder {
        report(key, value.origin());
    }
}

/// Whether a text is a placeholder. A name that ends in `.invalid` never has an address (RFC 6761,
/// section 6.4).
fn is_placeholder(text: &str) -> bool {
    let is_invalid = |name: &str| name.trim_end_matches('.').ends_with(".invalid");
    matches!(text, REPLACE_ME | NIL_UUID)
        || Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(is_invalid))
}

/// What to write as the value of a key.
fn remedy(key: &str) -> &'static str {
    match key.rsplit('.').next().unwrap_or_default() {
        "issuer" => "write the issuer, exactly as its discovery document or its tokens have it",
        "client_id" => "write the id of the client that you registered at the provider",
        "audience" => "write the audience (aud) of the tokens for this service",
        "jwks_url" => "write the URL of the issuer's keys (JWKS)",
        "marketplace_url" => "write the marketplace's origin",
        "tenant" => "write the tokens' tenant, exactly",
        "project_keys" => "write the keys of the allowed projects",
        "policy_id" => "write the id of the policy that verifies your users",
        "extension_ids" => "write the id of your extension",
        _ => "write the real value",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("replace-me", true)]
    #[case("https://replace-me.invalid", true)]
    #[case("https://id.invalid./keys?x", true)]
    #[case("00000000-0000-0000-0000-000000000000", true)]
    #[case("https://invalid.example.com", false)]
    #[case("https://id.example.com/.invalid", false)]
    #[case("do-not-replace-me", false)]
    #[case("", false)]
    fn placeholders_are_recognised(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_placeholder(text), expected);
    }
}
