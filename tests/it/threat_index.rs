//! Checks that the threat model and the tests of its threats name each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::tree::{files_below, read, root};

/// The pages of the threat model.
const PAGES: [&str; 3] =
    ["docs/threat-model.md", "docs/threats-of-sign-in.md", "docs/threats-to-availability.md"];

/// Tests as `file::name`, each with the ids of its threats.
type Index = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_threat_and_its_tests_name_each_other() {
    let (documented, marked) = (documented(), marked());
    for (test, ids) in &documented {
        assert_eq!(marked.get(test), Some(ids), "left: the ids that {test} carries");
    }
    for (test, ids) in &marked {
        assert_eq!(documented.get(test), Some(ids), "left: the threats that list {test}");
    }
    assert!(documented.len() > 60, "only {} tests were found", documented.len());
}

#[test]
fn every_threat_names_a_test() {
    let mut threats = BTreeSet::new();
    for (id, tests) in threats_in_document() {
        assert!(!tests.is_empty(), "{id} names no test");
        assert!(threats.insert(id.clone()), "{id} is repeated");
    }
    assert!(threats.len() > 30, "only {} threats were found", threats.len());
}

#[test]
fn every_test_of_threats_carries_an_id() {
    for file in files_below(&root().join("tests/it"), "rs") {
        let name = file.file_name().unwrap().to_str().unwrap();
        for (test, ids) in tests_in(&read(&file)) {
            assert!(!name.starts_with("threats_") || !ids.is_empty(), "{name}: {test} carries no id");
        }
    }
}

#[test]
fn ids_are_found_above_the_attributes() {
    let text = "// T1, T21a\n#[rstest]\n#[case(\n    1\n)]\n#[tokio::test]\nasync fn a(#[case] b: u8) {\n}\n    #[test]\n    fn c() {}\n";
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(tests_in(text), [("a".to_owned(), ids(&["T1", "T21a"])), ("c".to_owned(), ids(&[]))]);
}

/// The ids of each test that the document names.
fn documented() -> Index {
    let mut index = Index::new();
    for (id, tests) in threats_in_document() {
        for test in tests {
            index.entry(test).or_default().insert(id.clone());
        }
    }
    index
}

/// The threats of the pages, each with its tests.
fn threats_in_document() -> Vec<(String, Vec<String>)> {
    let document = PAGES.map(|page| read(&root().join(page))).join("\n");
    let entries =
        document.split("### ").filter_map(|entry| entry.split_once(": ")).filter(|(id, _)| is_id(id));
    let threats = entries.map(|(id, rest)| {
        let tests = rest.lines().filter_map(|line| line.strip_prefix("  - `")?.strip_suffix('`'));
        (id.to_owned(), tests.map(str::to_owned).collect())
    });
    threats.collect()
}

/// The ids of each test that has some.
fn marked() -> Index {
    let mut index = Index::new();
    let below = |folder: &str| files_below(&root().join(folder), "rs");
    for file in below("tests/it").into_iter().chain(below("src")) {
        let path = file.strip_prefix(root()).unwrap().with_extension("");
        let path = path.to_str().unwrap().trim_start_matches("tests/it/").to_owned();
        for (test, ids) in tests_in(&read(&file)) {
            if !ids.is_empty() {
                index.insert(format!("{path}::{test}"), ids);
            }
        }
    }
    index
}

/// Every test in a source file, with the ids in the comment above its attributes.
fn tests_in(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut tests = Vec::new();
    let (mut above, mut current) = ("", None);
    for line in text.lines().map(str::trim) {
        if matches!(line, "#[test]" | "#[rstest]" | "#[tokio::test]") {
            // an asynchronous test with cases has two such attributes, and the ids are above the
            // first
            if current.is_some() {
                continue;
            }
            let ids = above.strip_prefix("// ").filter(|ids| ids.split(", ").all(is_id)).unwrap_or_default();
            current = Some(ids.split(", ").filter(|id| !id.is_empty()).map(str::to_owned).collect());
        } else if let Some(name) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")
            && let Some(ids) = current.take()
        {
            tests.push((name.split(['(', '<']).next().unwrap().to_owned(), ids));
        }
        above = line;
    }
    tests
}

fn is_id(text: &str) -> bool {
    text.strip_prefix('T').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}
