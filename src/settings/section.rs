//! Reads one table of the configuration: asks for keys by name and kind, and
//! collects a problem for whatever is not as asked, unknown keys included.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::Path;

use config::{Value, ValueKind};

use super::files::too_open_mode;
use super::layers::{BUILT_IN_DEFAULT, VARIABLE};
use super::merge::{merge, origin, without_other_forms};
use super::problem::Collector;
use super::suggestion;

/// What a secret's key ends with where a file holds it.
pub(crate) const FILE: &str = "_file";

/// What the name of a setting begins with that gives a protection up.
const DANGEROUS: &str = "dangerous_";

/// The secrets in our own examples, which everybody can read.
const PLACEHOLDERS: [&str; 1] = ["replace-me-by-32-bytes-or-more-from-pandium"];

/// A table, and what was asked of it.
pub(crate) struct Section<'a> {
    key: String,
    entries: BTreeMap<String, Value>,
    asked: RefCell<Vec<String>>,
    problems: &'a Collector,
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub fn root(value: Value, problems: &'a Collector) -> Self {
        Self::new(String::new(), value, problems)
    }

    fn new(key: String, value: Value, problems: &'a Collector) -> Self {
        let place = origin(&value);
        let entries = match value.kind {
            ValueKind::Table(table) => table.into_iter().collect(),
            ValueKind::Nil => BTreeMap::new(),
            _ => {
                problems.add(&key, place, "it is a single value", format!("write it as a table: [{key}]"));
                BTreeMap::new()
            }
        };
        Self { key, entries, asked: RefCell::default(), problems }
    }

    /// The key of something within.
    pub fn key(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    /// Where a value was given.
    pub fn place(&self, name: &str) -> Option<String> {
        self.entries.get(name).and_then(origin)
    }

    /// The same, for whoever has to change it: not the built-in default.
    fn own_place(&self, name: &str) -> Option<String> {
        self.place(name).filter(|place| !place.starts_with(BUILT_IN_DEFAULT))
    }

    /// Says that a value within is wrong.
    pub fn wrong(&self, name: &str, what: impl Display, help: impl Display) {
        self.problems.add(self.key(name), self.own_place(name), what.to_string(), help.to_string());
    }

    /// Warns of a value within that is valid and probably a mistake.
    pub fn warn(&self, name: &str, what: impl Display, help: impl Display) {
        let place = self.own_place(name);
        self.problems.warn(&self.key(name), place.as_deref(), &what.to_string(), &help.to_string());
    }

    /// Says that something deeper within is wrong, by its path from here.
    pub fn wrong_within(&self, path: &str, what: &str, help: &str) {
        let mut names = path.split('.');
        let mut value = names.next().and_then(|name| self.entries.get(name));
        for name in names {
            match value.map(|value| &value.kind) {
                Some(ValueKind::Table(table)) if table.contains_key(name) => value = table.get(name),
                _ => break,
            }
        }
        let place = value.and_then(origin);
        self.problems.add(self.key(path), place, what, help);
    }

    /// A table within; an empty one, where there is none.
    pub fn section(&self, name: &str) -> Section<'a> {
        let value = self.value(name).unwrap_or_else(|| Value::new(None, ValueKind::Nil));
        Section::new(self.key(name), value, self.problems)
    }

    /// A table within, laid over one of another section.
    pub fn section_over(&self, name: &str, base: &Self) -> Section<'a> {
        let own = self.value(name);
        base.asked.borrow_mut().push(name.to_owned());
        let value = match (base.entries.get(name).cloned(), own) {
            (Some(base), Some(own)) => merge(without_other_forms(base, &own), own),
            (base, own) => own.or(base).unwrap_or_else(|| Value::new(None, ValueKind::Nil)),
        };
        let key = if self.entries.contains_key(name) { self.key(name) } else { base.key(name) };
        Section::new(key, value, self.problems)
    }

    /// The names of everything within.
    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Whether a value is there.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A value of any kind.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.asked.borrow_mut().push(name.to_owned());
        self.entries.get(name).cloned()
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name)?.kind {
            ValueKind::String(text) => Some(text),
            other => {
                self.wrong(name, format!("it is {}, a text is meant", kind(&other)), "put it in quotes");
                None
            }
        }
    }

    /// Whether something is there that has to be; a problem, where it is not.
    pub fn need(&self, name: &str, help: &str) -> bool {
        self.asked.borrow_mut().push(name.to_owned());
        if !self.has(name) {
            self.wrong(name, "it is not set", help);
        }
        self.has(name)
    }

    /// A text that has to be there.
    pub fn needed_text(&self, name: &str, help: &str) -> Option<String> {
        if self.need(name, help) { self.text(name) } else { None }
    }

    /// What is written, else what is usual. It is asked for in either case, so
    /// that a wrong key is told what there is.
    pub fn or_default<T>(&self, name: &str, usual: T, read: impl FnOnce(&Self) -> Option<T>) -> Option<T> {
        if self.has(name) {
            read(self)
        } else {
            self.asked.borrow_mut().push(name.to_owned());
            Some(usual)
        }
    }

    /// A text, read into what it stands for.
    pub fn parsed<T, E: Display>(
        &self,
        name: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        self.usable(name, &text, help, parse)
    }

    /// What a text stands for; a problem that quotes it, where it stands for nothing.
    fn usable<T, E: Display>(
        &self,
        name: &str,
        text: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text)
            .map_err(|why| self.wrong(name, format!("{} cannot be used: {why}", quoted(text)), help))
            .ok()
    }

    /// Like [`Self::parsed`]; an empty text means that nothing is set.
    pub fn optional<T, E: Display>(
        &self,
        name: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.text(name)?.is_empty() { None } else { self.parsed(name, help, parse) }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.wrong(
                name,
                format!("{text:?} is not one of its values"),
                format!("write one of {}", words.join(", ")),
            );
        }
        chosen
    }

    /// A whole number between two bounds.
    pub fn number(&self, name: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(name)?;
        let number = match &value.kind {
            ValueKind::I64(number) => u64::try_from(*number).ok(),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(
                name,
                "it is not a number within its bounds",
                format!("write a whole number from {least} to {most}"),
            );
        }
        number
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        let flag = match &value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            self.wrong(name, "it is neither true nor false", "write true or false");
        }
        // a variable is inherited and seldom reviewed, unlike a line in a file
        if flag == Some(true) && name.starts_with(DANGEROUS) && self.is_from_variable(name) {
            self.warn(
                name,
                "a dangerous setting is switched on by an environment variable",
                "unset the variable, or write the setting into the configuration file",
            );
        }
        flag
    }

    /// A list of texts. A single text, as environment variables give it, is a
    /// JSON list, or is split at its commas.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.value(name)?.kind {
            ValueKind::String(text) if text.starts_with('[') => {
                let texts = serde_json::from_str(&text).ok();
                if texts.is_none() {
                    self.wrong(name, "it is not a list", "write [\"one\", \"two\"], or one,two");
                }
                texts
            }
            ValueKind::String(text) => Some(
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
            ),
            ValueKind::Array(items) => {
                let texts: Option<Vec<String>> = items
                    .into_iter()
                    .map(|item| match item.kind {
                        ValueKind::String(text) => Some(text),
                        _ => None,
                    })
                    .collect();
                if texts.is_none() {
                    self.wrong(name, "something in it is not a text", "put each item in quotes");
                }
                texts
            }
            other => {
                self.wrong(
                    name,
                    format!("it is {}, a list is meant", kind(&other)),
                    "write [\"one\", \"two\"]",
                );
                None
            }
        }
    }

    /// A list of texts, each read into what it stands for.
    pub fn all_parsed<T, E: Display>(
        &self,
        name: &str,
        help: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let texts = self.texts(name)?;
        let parsed: Vec<T> = texts.iter().filter_map(|text| self.usable(name, text, help, &parse)).collect();
        (parsed.len() == texts.len()).then_some(parsed)
    }

    /// A secret, given as itself or in a file, and the key that gave it.
    pub fn secret(&self, name: &str, help: &str) -> Option<(String, String)> {
        let file_name = format!("{name}{FILE}");
        let (given, file) = (self.has(name), self.has(&file_name));
        let (text, path) = (self.text_if(given, name), self.text_if(file, &file_name));
        let (key, secret) = match (text, path) {
            (Some(_), Some(_)) => {
                self.wrong(name, format!("both {name} and {file_name} are set"), "keep one of them");
                return None;
            }
            (Some(text), None) => {
                let holder = self.place(name).and_then(|place| self.problems.file_of(&place));
                self.warn_if_too_open(name, holder.as_deref());
                (name.to_owned(), text)
            }
            (None, Some(path)) => {
                let text = self.file(&file_name)?;
                self.warn_if_too_open(&file_name, Some(Path::new(&path)));
                (file_name, text)
            }
            (None, None) => {
                if !given && !file {
                    self.wrong(name, format!("neither {name} nor {file_name} is set"), help);
                }
                return None;
            }
        };
        if PLACEHOLDERS.contains(&secret.trim()) {
            self.wrong(&key, "it is the placeholder of our own example, which is public", help);
            return None;
        }
        Some((key, secret))
    }

    fn warn_if_too_open(&self, name: &str, file: Option<&Path>) {
        let Some((path, mode)) = file.and_then(|path| Some((path, too_open_mode(path)?))) else { return };
        let what = format!(
            "the file {path:?} holds a secret, and its mode {mode:o} allows more than reading by its group"
        );
        self.warn(name, what, format!("chmod 600 {path:?}, or 640 where the group has to read it"));
    }

    /// What a file holds whose path is given.
    pub fn file(&self, name: &str) -> Option<String> {
        self.read(name, |path| self.read_file(path))
    }

    /// The same, where it need not be a text.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.read(name, |path| self.problems.read_bytes(path))
    }

    /// What a file holds that a setting leads to; when it changes, the
    /// configuration has.
    pub fn read_file(&self, path: &Path) -> io::Result<String> {
        self.problems.read_file(path)
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&Path) -> io::Result<T>) -> Option<T> {
        let path = self.text(name)?;
        read(Path::new(&path))
            .map_err(|error| {
                // what is no path may be the secret itself, written to the wrong key
                let shown = if path.contains('/') { format!("{path:?}") } else { "named there".to_owned() };
                let what = format!("the file {shown} cannot be read: {error}");
                self.wrong(name, what, "write the path of a file that this process may read");
            })
            .ok()
    }

    fn is_from_variable(&self, name: &str) -> bool {
        self.place(name).is_some_and(|place| place.starts_with(VARIABLE))
    }

    fn text_if(&self, given: bool, name: &str) -> Option<String> {
        if given { self.text(name) } else { self.value(name).and(None) }
    }

    /// Says which keys nobody has asked for. Defaults for another kind of the
    /// same thing are nobody's mistake.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        let is_default =
            |name: &str| self.place(name).is_some_and(|place| place.starts_with(BUILT_IN_DEFAULT));
        for name in self.entries.keys().filter(|name| !asked.contains(name) && !is_default(name)) {
            let help = if self.is_from_variable(name) {
                suggestion::variable(&self.key(""), name, &asked)
            } else {
                suggestion::key(&self.key(""), name, &asked)
            };
            self.wrong(name, "there is no such key", help);
        }
    }
}

/// A value as it was written, unless a password may be in it.
fn quoted(text: &str) -> String {
    if text.contains('@') && text.contains(':') { "what is written".to_owned() } else { format!("{text:?}") }
}

fn kind(value: &ValueKind) -> &'static str {
    match value {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_) => "a number",
        ValueKind::String(_) => "a text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}
