//! The part of a configuration file that a problem concerns: one entry, with its position. Values
//! that may be secrets are hidden, and so is the rest of the line.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::effective::is_secret;
use super::merge::{ENCODING, FILE};

/// Replaces a value that may be a secret.
const HIDDEN: &str = "[hidden]";

/// Replaces a character that a terminal would interpret.
const HARMLESS: char = char::REPLACEMENT_CHARACTER;

/// An entry of a file, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The column of the marked part, counted from 1, in characters.
    pub column: usize,
    /// The entry, without the rest of its line.
    pub text: String,
    /// The marked part of `text`: its start and its length, in characters.
    pub marked: (usize, usize),
}

/// The part of an entry to mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkedPart {
    /// The value.
    Value,
    /// The key, because it is unknown or a section. The value is hidden: it may belong to another
    /// key.
    Key,
}

/// The entry in a line of a TOML text whose name is the last part of `key`. `None` if there is
/// none.
pub(crate) fn excerpt(text: &str, line: usize, key: &str, mark: MarkedPart) -> Option<Excerpt> {
    let name = key.rsplit('.').next().unwrap_or(key).trim_matches('"');
    let table = DeTable::parse(text).ok()?;
    let mut entries = Vec::new();
    collect(table.get_ref(), "", &mut entries);
    let entry = entries
        .into_iter()
        .rev()
        .find(|entry| entry.name == name && line_of(text, entry.key.start) == line)?;
    entry.excerpt(text, mark)
}

/// A text in which a tab is a space, and any other character that could change the display of its
/// surroundings in a terminal is a placeholder. The number of characters stays the same.
pub(crate) fn printable(text: &str) -> String {
    let shown = |char: char| match char {
        '\t' => ' ',
        // directional marks and embeddings, separators of lines
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => HARMLESS,
        char if char.is_control() => HARMLESS,
        char => char,
    };
    text.chars().map(shown).collect()
}

/// A value in quotes, without the query of a URL. A value that may contain a password is replaced.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('@') && text.contains(':') {
        return "the value".to_owned();
    }
    match text.split_once('?') {
        Some((before, _query)) => format!("{:?}", format!("{before}?…")),
        None => format!("{text:?}"),
    }
}

/// The number of the line at this offset, counted from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// An entry and its position, in bytes.
struct Entry<'a> {
    section: String,
    name: &'a str,
    key: Range<usize>,
    value: Range<usize>,
    content: &'a DeValue<'a>,
}

fn collect<'a>(table: &'a DeTable<'a>, section: &str, entries: &mut Vec<Entry<'a>>) {
    for (key, value) in table {
        let name: &str = Spanned::<Cow<'_, str>>::get_ref(key);
        let content = value.get_ref();
        entries.push(Entry {
            section: section.to_owned(),
            name,
            key: key.span(),
            value: value.span(),
            content,
        });
        if let DeValue::Table(table) = content {
            let below = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            collect(table, &below, entries);
        }
    }
}

impl Entry<'_> {
    fn excerpt(&self, text: &str, mark: MarkedPart) -> Option<Excerpt> {
        let line_start = text.get(..self.key.start)?.rfind('\n').map_or(0, |end| end + 1);
        let before = text.get(line_start..self.key.start)?.trim_start();
        let key = text.get(self.key.clone())?;
        let count = |text: &str| text.chars().count();
        let column_of = |offset: usize| text.get(line_start..offset).map(|before| count(before) + 1);
        if before.starts_with('[') {
            return Some(Excerpt {
                column: column_of(self.key.start)?,
                marked: (count(before), count(key)),
                text: printable(&format!("{before}{key}]")),
            });
        }
        // an inline table may hold a secret before this entry
        let before = if before.contains(['=', ',', '{']) { "… " } else { before };
        let value = self.shown_value(text, mark)?;
        let is_value_marked = mark == MarkedPart::Value && !matches!(self.content, DeValue::Table(_));
        let (column, marked) = if is_value_marked {
            let start = count(before) + count(key) + count(" = ");
            (column_of(self.value.start)?, (start, count(&value)))
        } else {
            (column_of(self.key.start)?, (count(before), count(key)))
        };
        Some(Excerpt { column, text: printable(&format!("{before}{key} = {value}")), marked })
    }

    /// The first line of the value, or a placeholder.
    fn shown_value(&self, text: &str, mark: MarkedPart) -> Option<String> {
        let source = text.get(self.value.clone())?;
        let plain = match self.content {
            DeValue::Table(_) => return Some("{ … }".to_owned()),
            DeValue::Array(_) if has_table(self.content) => return Some("[ … ]".to_owned()),
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => source,
        };
        let may_be_secret = mark == MarkedPart::Key
            || is_secret(&self.section, self.name, plain)
            // a URL with a password
            || (plain.contains('@') && plain.contains(':'))
            // a secret that was written under the key of its file
            || (self.name.ends_with(FILE) && !plain.contains('/'))
            // a secret that was written under the key of its encoding
            || self.name.ends_with(ENCODING);
        if may_be_secret {
            return Some(HIDDEN.to_owned());
        }
        let first = source.lines().next().unwrap_or_default();
        // the query of a URL may hold a secret
        if (plain.contains("//") || self.name.ends_with("url"))
            && let Some((before, _query)) = first.split_once('?')
        {
            return Some(format!("{before}?…"));
        }
        Some(if source.contains('\n') { format!("{first} …") } else { first.to_owned() })
    }
}

/// Whether a value is a table or an array that contains one, whose values have other keys.
fn has_table(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().any(|item| has_table(item.get_ref())),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEXT: &str = "environment = \"test\" # a comment\n\
        [pandium]\n\
        account   = \"a/b\"\n\
        shared_secret = \"hush-hush\"\n\
        shared_secret_file = \"hush-hush\"\n\
        base_url = \"https://u:hush-hush@h\"\n\
        parents = [\n  \"a\",\n]\n\
        [entrances.x]\n\
        identity = { shared_secret = \"hush-hush\", kind = \"odd\" }\n\
        claims.ti.ufn = \"naem\"\n\
        [store]\n\
        url = \"host=db user=sso password=hush-hush\"\n\
        listen = [ 1, [ { shared_secret = \"hush-hush\" } ] ]\n\
        key_encoding = \"hush-hush\"\n\
        login_url = \"//h/\u{9b}\u{202e}?token=hush-hush\"\n\
        \"o\u{9b}\" = \"\u{9b}31m\u{2066}\" \n\
        [stores]\n\
        url = \"sqlite:a\"\n";

    #[rstest]
    #[case(1, "environment", MarkedPart::Value, "environment = \"test\"", 15, "\"test\"")]
    #[case(3, "pandium.account", MarkedPart::Value, "account = \"a/b\"", 13, "\"a/b\"")]
    #[case(3, "pandium.account", MarkedPart::Key, "account = [hidden]", 1, "account")]
    #[case(4, "pandium.shared_secret", MarkedPart::Value, "shared_secret = [hidden]", 17, HIDDEN)]
    #[case(5, "pandium.shared_secret_file", MarkedPart::Value, "shared_secret_file = [hidden]", 22, HIDDEN)]
    #[case(6, "pandium.base_url", MarkedPart::Value, "base_url = [hidden]", 12, HIDDEN)]
    #[case(7, "pandium.parents", MarkedPart::Value, "parents = [ …", 11, "[ …")]
    #[case(10, "entrances.x", MarkedPart::Value, "[entrances.x]", 12, "x")]
    #[case(11, "entrances.x.identity", MarkedPart::Value, "identity = { … }", 1, "identity")]
    #[case(11, "entrances.x.identity.kind", MarkedPart::Value, "… kind = \"odd\"", 50, "\"odd\"")]
    #[case(12, "entrances.x.claims.ti.ufn", MarkedPart::Value, "claims.ti.ufn = \"naem\"", 17, "\"naem\"")]
    #[case(14, "store.url", MarkedPart::Value, "url = [hidden]", 7, HIDDEN)]
    #[case(15, "store.listen", MarkedPart::Value, "listen = [ … ]", 10, "[ … ]")]
    #[case(16, "store.key_encoding", MarkedPart::Value, "key_encoding = [hidden]", 16, HIDDEN)]
    #[case(17, "store.login_url", MarkedPart::Value, "login_url = \"//h/��?…", 13, "\"//h/��?…")]
    #[case(18, "store.o\u{9b}", MarkedPart::Value, "\"o�\" = \"�31m�\"", 8, "\"�31m�\"")]
    #[case(20, "stores.url", MarkedPart::Value, "url = \"sqlite:a\"", 7, "\"sqlite:a\"")]
    fn an_excerpt_shows_one_entry_without_secrets(
        #[case] line: usize,
        #[case] key: &str,
        #[case] mark: MarkedPart,
        #[case] text: &str,
        #[case] column: usize,
        #[case] marked: &str,
    ) {
        let excerpt = excerpt(TEXT, line, key, mark).unwrap();
        let (start, length) = excerpt.marked;
        let shown: String = excerpt.text.chars().skip(start).take(length).collect();
        assert_eq!((excerpt.text.as_str(), excerpt.column, shown.as_str()), (text, column, marked));
    }

    #[test]
    fn an_entry_of_another_line_or_name_has_no_excerpt() {
        assert_eq!(excerpt(TEXT, 2, "pandium.account", MarkedPart::Value), None);
        assert_eq!(excerpt(TEXT, 3, "pandium.acount", MarkedPart::Value), None);
        assert_eq!(excerpt("not = [toml", 1, "not", MarkedPart::Value), None);
    }
}
