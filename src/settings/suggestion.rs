//! What is probably meant by a key that there is not.

/// Likeness (Jaro-Winkler) from which one name is taken for a slip of another.
const ALIKE: f64 = 0.8;

/// Settings that had another name, and what it is now.
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

/// Help with an unknown key of a file. `prefix` is that of its section: empty,
/// or with a dot at its end; `known` are the names there.
pub(crate) fn key(prefix: &str, name: &str, known: &[String]) -> String {
    if let Some(now) = renamed(name, known) {
        return format!("it is called {prefix}{now} now");
    }
    match nearest(name, known) {
        Some(near) => format!("is {prefix}{near} meant? Otherwise take it out"),
        None => "take it out; config/default.toml lists every key".to_owned(),
    }
}

/// The same for an environment variable.
pub(crate) fn variable(prefix: &str, name: &str, known: &[String]) -> String {
    let variable = |key: &str| format!("SSO_{}", format!("{prefix}{key}").replace('.', "__").to_uppercase());
    if let Some(meant) = separated(name, known) {
        return format!("is {} meant, with two underscores?", variable(&meant));
    }
    if let Some(now) = renamed(name, known) {
        return format!("it is called {} now", variable(now));
    }
    match nearest(name, known) {
        Some(near) => format!("is {} meant? Otherwise unset it", variable(near)),
        None => {
            "unset it; variables are SSO_SECTION__KEY, and config/default.toml lists every key".to_owned()
        }
    }
}

/// Section and key of a name in which one underscore or none is between them,
/// such as `pandium_account`.
fn separated(name: &str, sections: &[String]) -> Option<String> {
    /// Below that, a section's name is too easily the beginning of another word.
    const LONG: usize = 5;
    sections.iter().find_map(|section| {
        let rest = name.strip_prefix(section.as_str())?;
        let key = rest.strip_prefix('_').or_else(|| (section.len() >= LONG).then_some(rest))?;
        (!key.is_empty()).then(|| format!("{section}.{key}"))
    })
}

fn renamed(name: &str, known: &[String]) -> Option<&'static str> {
    let (_, now) = RENAMED.into_iter().find(|(before, _)| *before == name)?;
    known.iter().any(|known| known == now).then_some(now)
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let likeness = |known: &'a String| (strsim::jaro_winkler(name, known), known.as_str());
    let alike = known.iter().map(likeness).filter(|(likeness, _)| *likeness > ALIKE);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, near)| near)
}
