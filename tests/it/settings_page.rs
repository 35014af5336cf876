//! `docs/reference/settings.md` has every setting of `config/default.toml` with its comment.
//! `make reference` writes the page.

use std::fmt::Write;

use toml::{Table, Value};

use crate::harness::tree::{read, root};
use crate::promises::{SMALLEST, assert_loads};

const PAGE: &str = "docs/reference/settings.md";

const INTRODUCTION: &str = "# Settings

<!-- Written by `make reference` from config/default.toml. -->

Write only what differs from the defaults into a file of your own, and name it with `--config` or `SSO_CONFIG`. Later sources
take precedence: the defaults, those of the environment, each `--config` file in order, environment variables
(`SSO_PANDIUM__ACCOUNT` sets `pandium.account`), arguments. Every secret `X` may be set as `X_file` instead: the path of a file
with the secret. `marketplace-sso check` reports every problem, and with `--show` what applies.

Each kind of `[identity]` has further settings: [signed tokens](../tokens.md), [sign-in at a provider](../sign-in.md#settings),
[platforms](../platforms.md).
";

/// A heading of the page, and the text below it.
#[derive(Default)]
struct Section {
    name: String,
    introduction: String,
    settings: Vec<Setting>,
    /// An example that is a separate table.
    example: String,
}

struct Setting {
    key: String,
    value: Value,
    /// Whether the value is the default; otherwise it is an example.
    is_default: bool,
    comment: String,
    /// The example of a setting whose default is empty.
    example: Option<String>,
}

#[test]
fn the_page_has_every_setting() {
    let page = page(&sections());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(PAGE), &page).unwrap();
    }
    assert!(read(&root().join(PAGE)) == page, "{PAGE} is out of date: run `make reference`");
}

#[test]
fn every_setting_has_a_comment_and_an_example() {
    for section in sections() {
        for Setting { key, value, comment, example, .. } in section.settings {
            let name = format!("{}.{key}", section.name);
            assert!(!comment.is_empty(), "{name} has no comment");
            let is_empty = matches!(&value, Value::String(text) if text.is_empty())
                || matches!(&value, Value::Array(list) if list.is_empty());
            assert_eq!(example.is_some(), is_empty, "{name}: an example, if the default is empty");
        }
    }
}

#[test]
fn the_examples_load() {
    let mut text = "[server]\npublic_url = \"https://app.example.com\"\n".parse::<Table>().unwrap();
    for section in sections() {
        for Setting { key, example, .. } in &section.settings {
            let Some(example) = example.as_ref().filter(|_| key != "templates_dir") else { continue };
            let value = format!("value = {example}").parse::<Table>().unwrap().remove("value").unwrap();
            let table = text.entry(section.name.clone()).or_insert(Value::Table(Table::new()));
            table.as_table_mut().unwrap().insert(key.clone(), value);
        }
    }
    let store =
        "[store]\nurl = \"sqlite:unused.db\"\nencryption_key = \"a-key-for-secrets-of-32-bytes-or-more\"\n";
    assert_loads("the examples of settings", &[SMALLEST, &text.to_string(), store]);
}

fn page(sections: &[Section]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for Section { name, introduction, settings, example } in sections {
        let heading = if name.is_empty() { "Before any section".to_owned() } else { format!("`[{name}]`") };
        write!(page, "\n## {heading}\n").unwrap();
        if !introduction.is_empty() {
            write!(page, "\n{}\n", markdown(introduction.trim_end())).unwrap();
        }
        if !example.is_empty() {
            write!(page, "\n```toml\n{example}```\n").unwrap();
        }
        if !settings.is_empty() {
            page.push_str("\n| setting | type | default | meaning |\n|---|---|---|---|\n");
        }
        for Setting { key, value, is_default, comment, example } in settings {
            let kind = match value {
                Value::String(_) => "string",
                Value::Integer(_) => "integer",
                Value::Boolean(_) => "boolean",
                Value::Array(_) => "list of strings",
                Value::Float(_) | Value::Datetime(_) | Value::Table(_) => panic!("{key} is a {value}"),
            };
            let default = if *is_default { format!("`{value}`") } else { String::new() };
            let own = (!is_default).then(|| value.to_string());
            let example = example.as_ref().or(own.as_ref());
            let example = example.map(|example| format!(" Example: `{example}`")).unwrap_or_default();
            writeln!(page, "| `{key}` | {kind} | {default} | {}{example} |", markdown(comment)).unwrap();
        }
    }
    page
}

/// A comment as Markdown: documents that it names are links.
fn markdown(comment: &str) -> String {
    let mut parts = comment.split("docs/");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (document, rest) = part.split_once(".md").unwrap();
        write!(text, "[{document}](../{document}.md){rest}").unwrap();
    }
    text.replace('*', "\\*").replace('|', "\\|")
}

fn sections() -> Vec<Section> {
    let text = read(&root().join("config/default.toml"));
    let mut sections = vec![Section::default()];
    // the first paragraph is about the file
    for paragraph in text.split("\n\n").skip(1) {
        let (header, lines): (Vec<&str>, Vec<&str>) =
            paragraph.lines().partition(|line| line.starts_with('['));
        let comments: Vec<&str> =
            lines.iter().filter_map(|line| line.strip_prefix('#')).map(str::trim).collect();
        let table = comments.iter().position(|line| line.starts_with('['));
        if let Some(table) = table {
            let (introduction, example) = comments.split_at(table);
            sections.push(Section {
                name: example[0].trim_matches(['[', ']']).to_owned(),
                introduction: introduction.join(" "),
                example: example.iter().map(|line| format!("{line}\n")).collect(),
                ..Section::default()
            });
            continue;
        }
        if let Some(header) = header.first() {
            sections.push(Section { name: header.trim_matches(['[', ']']).to_owned(), ..Section::default() });
        }
        let section = sections.last_mut().unwrap();
        let (introduction, setting) = setting(&lines);
        section.introduction += &introduction;
        section.settings.push(setting);
    }
    sections
}

/// A setting, and the part of its comment before an empty line, which describes the section.
fn setting(lines: &[&str]) -> (String, Setting) {
    let (assignment, comments) = lines.split_last().unwrap();
    let is_default = !assignment.starts_with('#');
    let table = assignment.trim_start_matches(['#', ' ']).parse::<Table>();
    let (key, value) =
        table.unwrap_or_else(|error| panic!("{assignment}: {error}")).into_iter().next().unwrap();
    let comments: Vec<&str> = comments.iter().map(|line| line.trim_start_matches('#').trim()).collect();
    let (examples, comments): (Vec<&str>, Vec<&str>) =
        comments.into_iter().partition(|line| line.starts_with("Example: "));
    let mut paragraphs: Vec<String> =
        comments.split(|line| line.is_empty()).map(|lines| lines.join(" ")).collect();
    let comment = paragraphs.pop().unwrap();
    let example = examples.first().map(|line| line.trim_start_matches("Example: ").to_owned());
    (paragraphs.join(" "), Setting { key, value, is_default, comment, example })
}
