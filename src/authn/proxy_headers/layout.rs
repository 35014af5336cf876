//! Which header carries which field of the user.

use std::borrow::Cow;

use crate::request::FieldName;

/// Which header carries which field of the user, and how it is encoded. The
/// first is the primary one: without it a request has no credentials.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The preset's name, or `custom`.
    pub(super) name: &'static str,
    pub(super) fields: Vec<(Field, FieldName)>,
    pub(super) encoding: Encoding,
    pub(super) list_separator: char,
    /// Headers whose presence means that the request must be refused.
    pub(super) refused_with: Vec<FieldName>,
}

/// The field of the user that a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The user's id.
    Id,
    /// The e-mail address.
    Email,
    /// The login name, which is also the e-mail address if it contains `@`.
    Login,
    /// The display name.
    Name,
    /// The login name.
    Username,
    /// The groups, in one header, separated.
    Groups,
    /// The id of the user's organization.
    OrganizationId,
    /// The name of the user's organization.
    OrganizationName,
    /// Azure's principal: base64 of JSON.
    AzurePrincipal,
    /// An attribute of this name.
    Attribute(Cow<'static, str>),
}

/// The name of a layout without a preset.
const CUSTOM: &str = "custom";

/// How a proxy encodes text that is not ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As UTF-8.
    Utf8,
    /// As encoded words (RFC 2047).
    EncodedWords,
}

/// Why fields cannot be a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLayout {
    /// No e-mail, id or username.
    #[error("none of the headers identifies the user")]
    NoIdentifier,
    /// Two headers differ only in `-`, `_` and `.`, so that each would make the
    /// other ambiguous.
    #[error("two of the headers differ only in '-', '_' and '.'")]
    AmbiguousNames,
}

impl Layout {
    /// The same layout with additional headers.
    pub fn with(mut self, more: Vec<(Field, FieldName)>) -> Self {
        self.fields.extend(more);
        self
    }

    /// A layout of configured headers. The primary header is the one for the e-mail address, else
    /// for the id, else for the username.
    pub fn custom(mut fields: Vec<(Field, FieldName)>, list_separator: char) -> Result<Self, BadLayout> {
        let primary = [Field::Email, Field::Id, Field::Username]
            .iter()
            .find_map(|wanted| fields.iter().position(|(field, _)| field == wanted))
            .ok_or(BadLayout::NoIdentifier)?;
        fields.swap(0, primary);
        let alike = |(index, (_, one)): (usize, &(Field, FieldName))| {
            fields
                .iter()
                .skip(index + 1)
                .any(|(_, other)| one != other && one.is_equal_when_folded(other.as_str()))
        };
        if fields.iter().enumerate().any(alike) {
            return Err(BadLayout::AmbiguousNames);
        }
        Ok(Self { name: CUSTOM, fields, encoding: Encoding::Utf8, list_separator, refused_with: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_header_names_are_rejected() {
        let name = |text: &str| FieldName::parse(text).unwrap();
        let fields = vec![(Field::Email, name("X-User")), (Field::Name, name("X_User"))];
        assert_eq!(Layout::custom(fields, ',').unwrap_err(), BadLayout::AmbiguousNames);
    }
}
