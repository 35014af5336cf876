//! The layers of the crate: a module uses only modules above it in the table of
//! `src/lib.rs`, and every file is short and says what it is for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::harness::tree::{files_below, read, root};

/// Every module, in the order of the table in `src/lib.rs`. A module uses itself
/// and those above it.
const MODULES: [&str; 31] = [
    "user",
    "clock",
    "secret",
    "api_token",
    "seal",
    "ticket",
    "host",
    "refusal",
    "log_writer",
    "expression",
    "jwt",
    "request",
    "limits",
    "session",
    "settings",
    "store",
    "authn",
    "pandium",
    "access",
    "embed",
    "metrics",
    "audit",
    "sign_on",
    "page",
    "config",
    "http",
    "telemetry",
    "server",
    "playground",
    "doctor",
    "cli",
];

/// Crates that only some modules may use.
const RESTRICTED_CRATES: [(&str, &[&str]); 4] = [
    ("actix_web", &["http", "server", "playground", "cli"]),
    ("reqwest", &["jwt", "authn", "playground", "doctor"]),
    ("clap", &["cli"]),
    ("sqlx", &["store"]),
];

/// The modules that may use the configuration; the others get values.
const MAY_USE_CONFIG: [&str; 5] = ["config", "telemetry", "server", "playground", "cli"];

const MAX_LINES: usize = 450;

#[test]
fn modules_follow_the_order_of_the_map() {
    let map = read(&source("lib.rs"));
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | ["));
    let named: Vec<&str> =
        rows.flat_map(|row| row.split('|').next().unwrap().split('`').skip(1).step_by(2)).collect();
    assert_eq!(named, MODULES);
    let mut modules: Vec<&str> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut expected = MODULES.to_vec();
    modules.sort_unstable();
    expected.sort_unstable();
    assert_eq!(modules, expected);
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let position =
        |module: &str| MODULES.iter().position(|own| *own == module).unwrap_or_else(|| panic!("{module}?"));
    for (file, module, code) in module_files() {
        for used in used_modules(&code) {
            assert!(
                position(&used) <= position(&module),
                "{} uses {used}, which is below it",
                file.display()
            );
            let is_allowed = used != "config" || MAY_USE_CONFIG.contains(&module.as_str());
            assert!(is_allowed, "{} uses the configuration", file.display());
        }
        for (name, allowed) in RESTRICTED_CRATES {
            let uses = code.contains(&format!("{name}::"));
            assert!(!uses || allowed.contains(&module.as_str()), "{} uses {name}", file.display());
        }
    }
}

#[test]
fn super_never_leaves_its_module() {
    for (file, _, code) in module_files() {
        let inside = file.strip_prefix(source("")).unwrap().components().count();
        let is_head = file.ends_with("mod.rs");
        let depth = if is_head { inside - 1 } else { inside };
        let escape = "super::".repeat(depth);
        assert!(!code.contains(&escape), "{} reaches outside its module by super", file.display());
    }
}

#[test]
fn decision_modules_use_no_web_clock_or_files() {
    let pure = [
        "user", "secret", "seal", "ticket", "refusal", "jwt", "request", "session", "authn", "pandium",
        "access", "embed", "sign_on",
    ];
    for (file, module, code) in module_files() {
        if pure.contains(&module.as_str()) {
            for word in [
                "actix",
                "SystemTime::now",
                "Timestamp::now",
                "Instant::now",
                "new_v4",
                "std::env",
                "std::fs",
            ] {
                assert!(!code.contains(word), "{} uses {word}", file.display());
            }
        }
        let reads_clock = code.contains("SystemTime::now") || code.contains("Instant::now");
        assert!(!reads_clock || module == "clock", "{} reads the clock itself", file.display());
    }
}

#[test]
fn every_file_has_a_header_and_is_short() {
    for file in files_below(&source(""), "rs") {
        let text = read(&file);
        assert!(text.starts_with("//! "), "{} has no header sentence", file.display());
        assert!(text.lines().count() <= MAX_LINES, "{} has more than {MAX_LINES} lines", file.display());
    }
}

/// The context of a request has the one snapshot that it is handled with.
#[test]
fn handlers_load_no_snapshot() {
    // except the context, the guard of a scope, whose snapshot the context gets, and code outside of requests
    let may_load = ["http/context.rs", "http/mod.rs", "http/state.rs"];
    for (file, module, code) in module_files() {
        let is_handler = module == "http" && !may_load.iter().any(|end| file.ends_with(end));
        assert!(!is_handler || !code.contains(".snapshot()"), "{} loads a snapshot", file.display());
    }
}

/// Public types only. `cli` and `playground` are left out: the types of commands have similar names,
/// and the playground is not part of the service.
#[test]
fn no_two_types_have_the_same_name() {
    let mut names = BTreeMap::new();
    for (file, module, code) in module_files() {
        let items = code.lines().filter_map(|line| line.trim_start().strip_prefix("pub"));
        let types = items.filter_map(|item| {
            // after `pub`, `pub(crate)` or `pub(in crate::store)`
            let item = if item.starts_with('(') { item.split_once(')')?.1 } else { item };
            let (kind, name) = item.trim_start().split_once(' ')?;
            ["struct", "enum", "trait", "type"].contains(&kind).then(|| first_word(name))
        });
        for name in types.filter(|_| !["cli", "playground"].contains(&module.as_str())) {
            let other = names.insert(name.clone(), file.clone());
            assert_eq!(other, None, "{} has a type {name} too", file.display());
        }
    }
}

#[test]
fn nothing_panics_outside_tests() {
    for (file, _, code) in module_files() {
        for word in
            [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!(", "unsafe {"]
        {
            assert!(!code.contains(word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn no_test_is_ignored() {
    let ignored = ["#[ign", "ore"].concat();
    for folder in ["src", "tests"] {
        for file in files_below(&root().join(folder), "rs") {
            assert!(!read(&file).contains(&ignored), "{} ignores a test", file.display());
        }
    }
}

#[test]
fn module_paths_are_found_in_code() {
    let code = "use crate::user::Email;\nuse crate::{clock::Timestamp, jwt::{sign, verify}, audit};\nlet a = crate::page::X;";
    assert_eq!(used_modules(code), ["user", "clock", "jwt", "audit", "page"]);
}

/// Each source file: its path, its module, and its code without comments and
/// tests.
pub fn module_files() -> Vec<(PathBuf, String, String)> {
    let files = files_below(&source(""), "rs").into_iter().map(|file| {
        let inside = file.strip_prefix(source("")).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = read(&file);
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (file, module, code.join("\n"))
    });
    files.filter(|(_, module, _)| module != "lib" && module != "main").collect()
}

/// The modules that code names in `crate::module` or `crate::{module, …}`.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.push(first_word(rest));
            continue;
        };
        let mut depth = 1;
        let end = group.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let mut depth = 0;
        let parts = group[..end.unwrap()].split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        used.extend(parts.map(|part| first_word(part.trim())).filter(|word| !word.is_empty()));
    }
    used
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

pub fn source(file: &str) -> PathBuf {
    root().join("src").join(file)
}
