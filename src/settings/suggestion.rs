//! Suggestions for unknown keys.

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

/// Help with an unknown key of a file. `prefix` is its section's: empty, or
/// ending with a dot; `known` are the section's keys.
pub(crate) fn key(prefix: &str, name: &str, known: &[String]) -> String {
    if let Some(now) = renamed(name, known) {
        return format!("it is renamed to {prefix}{now}");
    }
    match nearest(name, known) {
        Some(near) => format!("is {prefix}{near} meant? Otherwise remove it"),
        None => "remove it; config/default.toml lists every key".to_owned(),
    }
}

/// Help with an unknown environment variable.
pub(crate) fn variable(prefix: &str, name: &str, known: &[String]) -> String {
    let variable = |key: &str| format!("SSO_{}", format!("{prefix}{key}").replace('.', "__").to_uppercase());
    if let Some(intended) = separated(name, known) {
        return format!("is {} meant, with two underscores?", variable(&intended));
    }
    if let Some(now) = renamed(name, known) {
        return format!("it is renamed to {}", variable(now));
    }
    match nearest(name, known) {
        Some(near) => format!("is {} meant? Otherwise unset it", variable(near)),
        None => {
            "unset it; variables are SSO_SECTION__KEY, and config/default.toml lists every key".to_owned()
        }
    }
}

/// Section and key of a name with one underscore or none between them, such as
/// `pandium_account`.
fn separated(name: &str, sections: &[String]) -> Option<String> {
    /// Shorter section names are too often the prefix of another word.
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

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let similarity = |known: &'a String| (strsim::jaro_winkler(name, known), known.as_str());
    let similar = known.iter().map(similarity).filter(|(similarity, _)| *similarity > MIN_SIMILARITY);
    similar.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, near)| near)
}
