//! The house keeps its order: each room uses only what stands above it, as
//! `src/lib.rs` says, and every file is one that a person can read.

use std::path::PathBuf;

use crate::harness::tree::{files_below, read, root};

/// Every room, in the order of the table in `src/lib.rs`. A room uses itself
/// and those above it.
const ROOMS: [&str; 24] = [
    "user",
    "clock",
    "secret",
    "host",
    "refusal",
    "log_writer",
    "expression",
    "jwt",
    "request",
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

/// Crates that only some rooms may know.
const KEPT: [(&str, &[&str]); 3] = [
    ("actix_web", &["http", "server", "playground", "cli"]),
    ("reqwest", &["jwt", "playground", "doctor"]),
    ("clap", &["cli"]),
];

/// Who may use the configuration as it is read; everybody else gets values.
const KNOW_THE_CONFIGURATION: [&str; 5] = ["config", "telemetry", "server", "playground", "cli"];

const MOST_LINES: usize = 450;

#[test]
fn modules_follow_the_order_of_the_map() {
    let map = read(&source("lib.rs"));
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | ["));
    let named: Vec<&str> =
        rows.flat_map(|row| row.split('|').next().unwrap().split('`').skip(1).step_by(2)).collect();
    assert_eq!(named, ROOMS);
    let mut modules: Vec<&str> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut rooms = ROOMS.to_vec();
    modules.sort_unstable();
    rooms.sort_unstable();
    assert_eq!(modules, rooms);
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let place =
        |room: &str| ROOMS.iter().position(|own| *own == room).unwrap_or_else(|| panic!("no room {room}"));
    for (file, room, code) in rooms() {
        for used in used_rooms(&code) {
            assert!(place(&used) <= place(&room), "{} uses {used}, which stands below", file.display());
            let may = used != "config" || KNOW_THE_CONFIGURATION.contains(&room.as_str());
            assert!(may, "{} uses the configuration", file.display());
        }
        for (name, may) in KEPT {
            let uses = code.contains(&format!("{name}::"));
            assert!(!uses || may.contains(&room.as_str()), "{} uses {name}", file.display());
        }
    }
}

#[test]
fn no_module_reaches_outside_by_super() {
    for (file, _, code) in rooms() {
        let inside = file.strip_prefix(source("")).unwrap().components().count();
        let is_head = file.ends_with("mod.rs");
        let depth = if is_head { inside - 1 } else { inside };
        let way_out = "super::".repeat(depth);
        assert!(!code.contains(&way_out), "{} reaches outside its room by super", file.display());
    }
}

#[test]
fn decision_modules_use_no_web_clock_or_files() {
    let pure =
        ["user", "secret", "refusal", "jwt", "request", "authn", "pandium", "access", "embed", "sign_on"];
    for (file, room, code) in rooms() {
        if pure.contains(&room.as_str()) {
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
        assert!(!reads_clock || room == "clock", "{} reads the clock itself", file.display());
    }
}

#[test]
fn every_file_has_a_header_and_is_short() {
    for file in files_below(&source(""), "rs") {
        let text = read(&file);
        assert!(text.starts_with("//! "), "{} does not say what it is for", file.display());
        assert!(text.lines().count() <= MOST_LINES, "{} is long", file.display());
    }
}

#[test]
fn nothing_panics_outside_tests() {
    for (file, _, code) in rooms() {
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
            assert!(!read(&file).contains(&ignored), "{} leaves a test out", file.display());
        }
    }
}

#[test]
fn module_paths_are_found_in_code() {
    let code = "use crate::user::Email;\nuse crate::{clock::Timestamp, jwt::{sign, verify}, audit};\nlet a = crate::page::X;";
    assert_eq!(used_rooms(code), ["user", "clock", "jwt", "audit", "page"]);
}

/// Each file of a room: its path, the room, and its code without comments and
/// tests.
fn rooms() -> Vec<(PathBuf, String, String)> {
    let files = files_below(&source(""), "rs").into_iter().map(|file| {
        let inside = file.strip_prefix(source("")).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        let text = read(&file);
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (file, room, code.join("\n"))
    });
    files.filter(|(_, room, _)| room != "lib" && room != "main").collect()
}

/// The rooms that code names, by `crate::room` or `crate::{room, …}`.
fn used_rooms(code: &str) -> Vec<String> {
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

fn source(file: &str) -> PathBuf {
    root().join("src").join(file)
}
