//! Reads one table of the configuration: typed access to its keys, with a problem
//! for each value of another type and each unknown key. Files and secrets are read
//! in `section_files.rs`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use config::{Value, ValueKind};

use super::excerpt::quoted;
use super::layers::{BUILT_IN_DEFAULT, VARIABLE};
use super::merge::{merge, origin, without_other_forms};
use super::problem::{Collector, NO_SUCH_KEY, NOT_A_SECTION, Reported};
use super::suggestion;

/// The prefix of settings that disable a protection.
const DANGEROUS: &str = "dangerous_";

/// A table, and the keys that its reader knows.
pub(crate) struct Section<'a> {
    pub(super) key: String,
    pub(super) entries: BTreeMap<String, Value>,
    known: RefCell<Vec<String>>,
    pub(super) problems: &'a Collector,
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub fn root(value: Value, problems: &'a Collector) -> Self {
        Self::new(String::new(), value, problems)
    }

    fn new(key: String, value: Value, problems: &'a Collector) -> Self {
        let origin = origin(&value);
        let entries = match value.kind {
            ValueKind::Table(table) => table.into_iter().collect(),
            ValueKind::Nil => BTreeMap::new(),
            _ => {
                problems.add(&key, origin, NOT_A_SECTION, format!("write it as a table: [{key}]"));
                BTreeMap::new()
            }
        };
        Self { key, entries, known: RefCell::default(), problems }
    }

    /// The full key of an entry.
    pub fn key(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    /// The origin of a value.
    pub fn origin(&self, name: &str) -> Option<String> {
        self.entries.get(name).and_then(origin)
    }

    /// Whether an entry is a built-in default, which may belong to another kind of the section.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.origin(name).is_some_and(|origin| origin.starts_with(BUILT_IN_DEFAULT))
    }

    /// The origin of a value that the operator has set; `None` for a built-in default.
    pub(super) fn own_origin(&self, name: &str) -> Option<String> {
        self.origin(name).filter(|origin| !origin.starts_with(BUILT_IN_DEFAULT))
    }

    /// Reports a problem of an entry.
    pub fn report(&self, name: &str, what: impl Display, help: impl Display) -> Reported {
        self.problems.add(self.key(name), self.own_origin(name), what.to_string(), help.to_string())
    }

    /// Reports an entry that is valid but probably a mistake.
    pub fn warn(&self, name: &str, what: impl Display, help: impl Display) {
        let origin = self.own_origin(name);
        self.problems.warn(&self.key(name), origin.as_deref(), &what.to_string(), &help.to_string());
    }

    /// Reports a problem of a nested entry, by its path from here.
    pub fn report_within(&self, path: &str, what: &str, help: &str) -> Reported {
        let mut names = path.split('.');
        let mut value = names.next().and_then(|name| self.entries.get(name));
        for name in names {
            match value.map(|value| &value.kind) {
                Some(ValueKind::Table(table)) if table.contains_key(name) => value = table.get(name),
                _ => break,
            }
        }
        let origin = value.and_then(origin);
        self.problems.add(self.key(path), origin, what, help)
    }

    /// A nested table, which is empty if it is absent.
    pub fn section(&self, name: &str) -> Section<'a> {
        let value = self.value(name).unwrap_or_else(|| Value::new(None, ValueKind::Nil));
        Section::new(self.key(name), value, self.problems)
    }

    /// A nested table, merged over that of another section.
    pub fn section_over(&self, name: &str, base: &Self) -> Section<'a> {
        let own = self.value(name);
        base.known.borrow_mut().push(name.to_owned());
        let value = match (base.entries.get(name).cloned(), own) {
            (Some(base), Some(own)) => merge(without_other_forms(base, &own), own),
            (base, own) => own.or(base).unwrap_or_else(|| Value::new(None, ValueKind::Nil)),
        };
        let key = if self.entries.contains_key(name) { self.key(name) } else { base.key(name) };
        Section::new(key, value, self.problems)
    }

    /// The names of all entries.
    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Whether there is an entry.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A value of any type.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.known.borrow_mut().push(name.to_owned());
        self.entries.get(name).cloned()
    }

    /// A string.
    pub fn text(&self, name: &str) -> Result<String, Reported> {
        match self.present(name)?.kind {
            ValueKind::String(text) => Ok(text),
            other => {
                let what = format!("it is {}, a string is expected", kind(&other));
                Err(self.report(name, what, "put it in quotes"))
            }
        }
    }

    /// Reports a required entry that is absent.
    pub fn require(&self, name: &str, help: &str) -> Result<(), Reported> {
        match self.value(name) {
            Some(_) => Ok(()),
            None => Err(self.report(name, "it is not set", help)),
        }
    }

    /// A required string.
    pub fn required_text(&self, name: &str, help: &str) -> Result<String, Reported> {
        self.require(name, help)?;
        self.text(name)
    }

    /// A required string that is not empty.
    pub fn nonempty_text(&self, name: &str, help: &str) -> Result<String, Reported> {
        let text = self.required_text(name, help)?;
        if text.is_empty() { Err(self.report(name, "it is empty", help)) } else { Ok(text) }
    }

    /// The entry, read by `read`; the default if it is absent. The key counts as known in either
    /// case.
    pub fn or_default<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Self) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        if self.value(name).is_some() { read(self) } else { Ok(default) }
    }

    /// A parsed string.
    pub fn parsed<T, E: Display>(
        &self,
        name: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Reported> {
        self.parse_or_report(name, &self.text(name)?, help, parse)
    }

    /// Parses a string; reports a problem that quotes it on failure.
    fn parse_or_report<T, E: Display>(
        &self,
        name: &str,
        text: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Reported> {
        parse(text).map_err(|why| self.report(name, format!("{} cannot be used: {why}", quoted(text)), help))
    }

    /// Like [`Self::parsed`]; an absent or empty string is `None`.
    pub fn optional<T, E: Display>(
        &self,
        name: &str,
        help: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Reported> {
        if self.value(name).is_none() || self.text(name)?.is_empty() {
            return Ok(None);
        }
        self.parsed(name, help, parse).map(Some)
    }

    /// An integer within bounds.
    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, Reported> {
        let number = match &self.present(name)?.kind {
            ValueKind::I64(number) => u64::try_from(*number).ok(),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number| (min..=max).contains(number)).ok_or_else(|| {
            self.report(
                name,
                "it is not a number within its bounds",
                format!("write a whole number from {min} to {max}"),
            )
        })
    }

    /// An integer within bounds, of seconds.
    pub fn seconds(&self, name: &str, min: u64, max: u64) -> Result<Duration, Reported> {
        self.number(name, min, max).map(Duration::from_secs)
    }

    /// An integer within bounds, as a size.
    pub fn count(&self, name: &str, min: u32, max: u32) -> Result<usize, Reported> {
        let number = self.number(name, min.into(), max.into())?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> Result<bool, Reported> {
        let flag = match &self.present(name)?.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        let Some(flag) = flag else {
            return Err(self.report(name, "it is neither true nor false", "write true or false"));
        };
        // environment variables are inherited, and are reviewed less than files
        if flag && name.starts_with(DANGEROUS) && self.is_from_variable(name) {
            self.warn(
                name,
                "a dangerous setting is switched on by an environment variable",
                "unset the variable, or write the setting into the configuration file",
            );
        }
        Ok(flag)
    }

    /// A list of strings. A single string, as in an environment variable, is parsed as a JSON
    /// array, or split at its commas.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Reported> {
        match self.present(name)?.kind {
            ValueKind::String(text) if text.starts_with('[') => serde_json::from_str(&text)
                .map_err(|_| self.report(name, "it is not a list", "write [\"one\", \"two\"], or one,two")),
            ValueKind::String(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            ValueKind::Array(items) => {
                let text = |item: Value| match item.kind {
                    ValueKind::String(text) => Some(text),
                    _ => None,
                };
                let texts: Option<Vec<String>> = items.into_iter().map(text).collect();
                texts.ok_or_else(|| self.report(name, "an item is not a string", "put each item in quotes"))
            }
            other => {
                let what = format!("it is {}, a list is expected", kind(&other));
                Err(self.report(name, what, "write [\"one\", \"two\"]"))
            }
        }
    }

    /// A list of parsed strings.
    pub fn all_parsed<T, E: Display>(
        &self,
        name: &str,
        help: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Reported> {
        let texts = self.texts(name)?;
        // all items are parsed before the first error is returned, so that each invalid item is
        // reported
        let parsed: Vec<_> =
            texts.iter().map(|text| self.parse_or_report(name, text, help, &parse)).collect();
        parsed.into_iter().collect()
    }

    /// The value of an entry that has a default or was found to be there.
    fn present(&self, name: &str) -> Result<Value, Reported> {
        self.value(name).ok_or_else(|| self.report(name, "it is not set", "give it a value"))
    }

    fn is_from_variable(&self, name: &str) -> bool {
        self.origin(name).is_some_and(|origin| origin.starts_with(VARIABLE))
    }

    /// Reports entries that the reader does not know. Built-in defaults of another
    /// kind of the section are not reported.
    pub fn finish(&self) {
        let known = self.known.borrow();
        for name in self.entries.keys().filter(|name| !known.contains(name) && !self.is_built_in(name)) {
            let help = if self.is_from_variable(name) {
                suggestion::variable(&self.key(""), name, &known)
            } else {
                suggestion::key(&self.key(""), name, &known)
            };
            self.report(name, NO_SUCH_KEY, help);
        }
    }
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
        ValueKind::String(_) => "a string",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}
