//! Finds the identity headers of a request in one pass, and what makes them
//! ambiguous: repetitions, other spellings, `Connection`. It decides nothing.

use super::layout::Layout;
use crate::request::Headers;

/// What a request's headers hold for a layout.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    /// The value of each field of the layout, in its order.
    pub values: Vec<Option<&'a [u8]>>,
    /// The primary header is repeated.
    pub primary_repeated: bool,
    /// An identity header is repeated.
    pub repeated: bool,
    /// An identity header in another spelling, such as `_` or `.` for `-`.
    pub alias: bool,
    /// `Connection` names an identity header, which tells an intermediary to remove it.
    pub hop_by_hop: bool,
    /// One of [`Layout::refused_with`] is present.
    pub forbidden: bool,
}

impl<'a> Gathered<'a> {
    /// Gathers the headers of a layout.
    pub fn from(layout: &Layout, headers: &Headers<'a>) -> Self {
        let mut gathered = Self {
            values: vec![None; layout.fields.len()],
            primary_repeated: false,
            repeated: false,
            alias: false,
            hop_by_hop: false,
            forbidden: false,
        };
        for (name, value) in headers.iter() {
            gathered.add(layout, name, value);
        }
        gathered
    }

    /// Whether there is no identity header in any spelling.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none) && !self.alias
    }

    fn add(&mut self, layout: &Layout, name: &'a str, value: &'a [u8]) {
        if name == "connection" {
            self.hop_by_hop |= names_identity(layout, value);
            return;
        }
        for (index, ((_, field), slot)) in layout.fields.iter().zip(&mut self.values).enumerate() {
            if name == field.as_str() {
                if slot.replace(value).is_some() {
                    self.repeated = true;
                    self.primary_repeated |= index == 0;
                }
            } else if field.is_equal_when_folded(name) {
                self.alias = true;
            }
        }
        self.forbidden |= layout.refused_with.iter().any(|field| field.is_equal_when_folded(name));
    }
}

/// Whether a `Connection` value (RFC 9110, 7.6.1) names an identity header.
fn names_identity(layout: &Layout, value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').filter_map(|option| std::str::from_utf8(option).ok()).any(|option| {
        let option = option.trim();
        layout.fields.iter().any(|(_, field)| field.is_equal_when_folded(option))
    })
}
