//! The documents as a whole: each page is in `docs/SUMMARY.md` and short, each link has a target,
//! and the reference is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use marketplace_sso::audit::CSV_FIELDS;
use marketplace_sso::refusal::{Advice, Reason};

use crate::harness::tree::{files_below, read, root};

const MAX_LINES: usize = 450;

#[test]
fn every_page_is_in_the_summary_once() {
    let docs = root().join("docs");
    let summary = docs.join("SUMMARY.md");
    let listed: Vec<PathBuf> = links(&read(&summary)).into_iter().map(|link| docs.join(link)).collect();
    let once: BTreeSet<PathBuf> = listed.iter().cloned().collect();
    let pages: BTreeSet<PathBuf> =
        files_below(&docs, "md").into_iter().filter(|file| *file != summary).collect();
    assert_eq!((once.len(), &once), (listed.len(), &pages));
}

#[test]
fn every_page_is_short() {
    for file in files_below(&root().join("docs"), "md") {
        let lines = read(&file).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for file in documents() {
        for link in links(&read(&file)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(target.exists(), "{} links to {link}", file.display());
            let has_anchor = anchor.is_empty() || anchors(&read(&target)).contains(anchor);
            assert!(has_anchor, "{} links to {link}", file.display());
            count += 1;
        }
    }
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn every_reason_is_in_the_runbook_with_its_advice() {
    let entries = runbook();
    let documented: BTreeSet<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(documented, Reason::ALL.into_iter().map(Reason::code).collect());
    for reason in Reason::ALL {
        let entry = &entries[reason.code()];
        let Advice { cause, remedy } = reason.advice();
        for line in [format!("\n- Usual cause: {cause}.\n"), format!("\n- What to do: {remedy}.\n")] {
            assert!(entry.contains(&line), "{}: {line}", reason.code());
        }
        assert!(entry.contains("\n- Seen by: "), "{}", reason.code());
    }
}

#[test]
fn every_metric_is_documented() {
    let mut registered = BTreeSet::new();
    let sources = files_below(&root().join("src/metrics"), "rs");
    for file in sources.into_iter().chain([root().join("src/metrics.rs")]) {
        for part in read(&file).split("registry.register").skip(1) {
            registered.insert(part.split('"').nth(1).unwrap().to_owned());
        }
    }
    let suffixes = ["_total", "_seconds", "_info"];
    let documented: BTreeSet<String> = names(&read(&root().join("docs/reference/metrics.md")))
        .iter()
        .map(|name| name.strip_prefix("marketplace_sso_").unwrap())
        .map(|name| suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned())
        .collect();
    assert_eq!(documented, registered);
}

#[test]
fn every_member_of_an_event_is_documented() {
    let documented = names(&read(&root().join("docs/reference/audit-events.md")));
    let of_a_line = ["level", "message", "api_token", "instance_id"];
    let written = CSV_FIELDS.into_iter().chain(of_a_line).map(str::to_owned).collect();
    assert_eq!(documented, written);
}

#[test]
fn every_path_is_documented() {
    let page = read(&root().join("docs/reference/http.md"));
    let mut count = 0;
    for file in files_below(&root().join("src/http"), "rs") {
        for line in read(&file).lines().filter(|line| line.contains("const ") || line.contains("fixed(\"")) {
            for path in line.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/')) {
                let is_documented = page.contains(path) || path.starts_with("/dashboard/");
                assert!(is_documented, "{} has {path}", file.display());
                count += 1;
            }
        }
    }
    assert!(count > 10, "only {count} paths were found");
}

/// The entries of the runbook, by reason.
pub fn runbook() -> BTreeMap<String, String> {
    let text = read(&root().join("docs/runbook.md"));
    let entries = text.split("\n### `").skip(1).map(|entry| entry.split("\n## ").next().unwrap());
    entries
        .map(|entry| entry.split_once("`\n").unwrap())
        .map(|(reason, text)| (reason.into(), text.into()))
        .collect()
}

/// The names in the first column of the tables.
fn names(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files_below(&root().join("docs"), "md");
    documents.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    documents
}

/// The targets of all links outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        let without_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for part in without_code.split("](").skip(1) {
            links.push(part.split(')').next().unwrap().to_owned());
        }
    }
    links
}

/// The anchors of the headings, as GitHub and mdBook generate them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let text: String = heading.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = text
            .chars()
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        assert!(anchors.insert(anchor.clone()), "the heading {heading} is repeated");
    }
    anchors
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}
