//! Suggestions for unknown keys and values.

use std::cmp::Reverse;

/// The Jaro-Winkler similarity above which a name is suggested.
const MIN_SIMILARITY: f64 = 0.8;

/// Renamed settings: the old and the new name.
const RENAMED: [(&str, &str); 9] = [
    ("dangerous_allow_http_keys", "dangerous_allow_http_jwks"),
    ("keys_ca_file", "jwks_ca_file"),
    ("keys_cooldown_s", "jwks_min_refresh_interval_s"),
    ("keys_keep_s", "jwks_max_stale_s"),
    ("keys_refresh_s", "jwks_refresh_interval_s"),
    ("keys_timeout_s", "jwks_timeout_s"),
    ("page", "branding"),
    ("script_origins", "cors_origins"),
    ("unknown_parent", "missing_referer"),
];

/// The remedy for an unknown key in a file. `prefix` is the section's name with a dot, or empty;
/// `known` are the section's keys.
pub(crate) fn key(prefix: &str, name: &str, known: &[String]) -> String {
    if let Some(now) = renamed(name, known) {
        return format!("it is renamed to {prefix}{now}");
    }
    match nearest_key(name, known) {
        Some(near) => format!("is {prefix}{near} meant? Otherwise remove it"),
        None => "remove it; config/default.toml lists every key".to_owned(),
    }
}

/// The remedy for an unknown environment variable.
pub(crate) fn variable(prefix: &str, name: &str, known: &[String]) -> String {
    let variable = |key: &str| format!("SSO_{}", format!("{prefix}{key}").replace('.', "__").to_uppercase());
    if let Some(intended) = separated(name, known) {
        return format!("is {} meant, with two underscores?", variable(&intended));
    }
    if let Some(now) = renamed(name, known) {
        return format!("it is renamed to {}", variable(now));
    }
    match nearest_key(name, known) {
        Some(near) => format!("is {} meant? Otherwise unset it", variable(near)),
        None => {
            "unset it; variables are SSO_SECTION__KEY, and config/default.toml lists every key".to_owned()
        }
    }
}

/// The remedy for a value that is none of these.
pub(crate) fn value(text: &str, values: &[&str]) -> String {
    let all: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    let help = format!("write one of {}", all.join(", "));
    match nearest(text, values.iter().copied()) {
        Some(near) => format!("is {near:?} meant? Otherwise {help}"),
        None => help,
    }
}

/// Splits a name in which section and key are separated by one underscore or none, such as
/// `pandium_account`.
fn separated(name: &str, sections: &[String]) -> Option<String> {
    /// The minimum length of a section's name: shorter ones are too often the prefix of another
    /// word.
    const MIN_LENGTH: usize = 5;
    sections.iter().find_map(|section| {
        let rest = name.strip_prefix(section.as_str())?;
        let key = rest.strip_prefix('_').or_else(|| (section.len() >= MIN_LENGTH).then_some(rest))?;
        (!key.is_empty()).then(|| format!("{section}.{key}"))
    })
}

fn renamed(name: &str, known: &[String]) -> Option<&'static str> {
    let (_, now) = RENAMED.into_iter().find(|(before, _)| *before == name)?;
    known.iter().any(|known| known == now).then_some(now)
}

fn nearest_key<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    nearest(name, known.iter().map(String::as_str))
}

/// The similar name with the smallest edit distance, in which a transposition counts as one edit.
/// If there are several, the one with the longest common prefix.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similar = known.filter(|known| strsim::jaro_winkler(name, known) > MIN_SIMILARITY);
    similar.min_by_key(|known| {
        let common_prefix = name.chars().zip(known.chars()).take_while(|(a, b)| a == b).count();
        (strsim::osa_distance(name, known), Reverse(common_prefix))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("sevre", Some("server"))]
    #[case("sevrer", Some("server"))]
    #[case("stroe", Some("store"))]
    #[case("sesion", Some("session"))]
    #[case("emebd", Some("embed"))]
    #[case("identiy", Some("identity"))]
    #[case("quota", None)]
    fn the_nearest_name_is_suggested(#[case] name: &str, #[case] expected: Option<&str>) {
        let sections = ["access", "embed", "entrances", "identity", "server", "session", "store"];
        assert_eq!(nearest(name, sections.into_iter()), expected);
        assert_eq!(nearest(name, sections.into_iter().rev()), expected);
    }
}
