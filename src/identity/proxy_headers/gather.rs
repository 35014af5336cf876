//! Finds the identity headers among a request's headers, in one pass, and all
//! that makes them doubtful: repetitions, other spellings, `Connection`. It
//! decides nothing.

use super::{FieldName, Layout};
use crate::arrival::Headers;

/// What a request's headers hold for a layout.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    /// One place for each field of the layout, in its order.
    pub values: Vec<Option<&'a [u8]>>,
    /// Attributes by prefix: what follows the prefix, and the value.
    pub attributes: Vec<(&'a str, &'a [u8])>,
    /// The primary header came more than once.
    pub primary_repeated: bool,
    /// Some identity header came more than once.
    pub repeated: bool,
    /// An identity header came with `_` or `.` where `-` belongs, or the like.
    pub alias: bool,
    /// `Connection` names an identity header, so that a proxy on the way would
    /// have taken it out.
    pub hop_by_hop: bool,
    /// A header is there that means: no user.
    pub forbidden: bool,
}

impl<'a> Gathered<'a> {
    /// Looks through the headers.
    pub fn from(layout: &Layout, headers: &Headers<'a>) -> Self {
        let mut gathered = Self {
            values: vec![None; layout.fields.len()],
            attributes: Vec::new(),
            primary_repeated: false,
            repeated: false,
            alias: false,
            hop_by_hop: false,
            forbidden: false,
        };
        for (name, value) in headers.iter() {
            gathered.take(layout, name, value);
        }
        gathered
    }

    /// Whether no header, in whatever spelling, says anything of a user.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none) && self.attributes.is_empty() && !self.alias
    }

    fn take(&mut self, layout: &Layout, name: &'a str, value: &'a [u8]) {
        if name == "connection" {
            self.hop_by_hop |= names_identity(layout, value);
            return;
        }
        let mut is_field = false;
        for (index, ((_, field), place)) in layout.fields.iter().zip(&mut self.values).enumerate() {
            if name == field.as_str() {
                is_field = true;
                if place.replace(value).is_some() {
                    self.repeated = true;
                    self.primary_repeated |= index == 0;
                }
            } else if same_when_folded(name, field) {
                self.alias = true;
            }
        }
        if !is_field && let Some(prefix) = &layout.attributes_under {
            self.take_attribute(prefix, name, value);
        }
        self.forbidden |= layout.refused_with.iter().any(|field| same_when_folded(name, field));
    }

    fn take_attribute(&mut self, prefix: &FieldName, name: &'a str, value: &'a [u8]) {
        if let Some(rest) = name.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty()) {
            self.repeated |= self.attributes.iter().any(|(taken, _)| *taken == rest);
            self.attributes.push((rest, value));
        } else if name.get(..prefix.as_str().len()).is_some_and(|start| same_when_folded(start, prefix)) {
            self.alias = true;
        }
    }
}

/// Whether a `Connection` value (RFC 9110, 7.6.1) names an identity header.
fn names_identity(layout: &Layout, value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').filter_map(|option| std::str::from_utf8(option).ok()).any(|option| {
        let option = option.trim();
        layout.fields.iter().any(|(_, field)| same_when_folded(option, field))
            || layout.attributes_under.as_ref().is_some_and(|prefix| {
                option.get(..prefix.as_str().len()).is_some_and(|start| same_when_folded(start, prefix))
            })
    })
}

/// Whether two names are one to a server that takes `-`, `_` and `.` for the
/// same (CGI variables, many frameworks), whatever the case.
fn same_when_folded(name: &str, field: &FieldName) -> bool {
    let field = field.as_str();
    name.len() == field.len() && name.bytes().map(folded).eq(field.bytes().map(folded))
}

const fn folded(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}
