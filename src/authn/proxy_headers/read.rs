//! Parses the gathered header values into a [`User`]. Invalid values are refused.

use std::borrow::Cow;

use serde_json::Value;

use super::gather::Gathered;
use super::layout::{Encoding, Field, Layout};
use super::values::{bad, email, identifier, label};
use super::{azure, encoded_word};
use crate::refusal::{Reason, Refusal};
use crate::user::{self, BadText, Label, User};

/// The maximum number of groups of a user.
const MAX_GROUPS: usize = 1000;

/// Whether a value stands for no user: blank, or a placeholder such as `null`.
pub(super) fn means_no_user(value: &[u8]) -> bool {
    value.len() <= "undefined".len() + 8
        && std::str::from_utf8(value).is_ok_and(|text| user::is_no_value(text.trim()))
        || value.trim_ascii().is_empty()
}

/// The user that the headers describe.
pub(super) fn user(layout: &Layout, gathered: &Gathered<'_>) -> Result<User, Refusal> {
    let mut user = User::default();
    for ((field, _), value) in layout.fields.iter().zip(&gathered.values) {
        if let Some(value) = value.filter(|value| !means_no_user(value)) {
            read_field(layout, field, value, &mut user)?;
        }
    }
    Ok(user)
}

fn read_field(layout: &Layout, field: &Field, value: &[u8], user: &mut User) -> Result<(), Refusal> {
    let text = text(layout, value)?;
    match field {
        Field::Id => {
            let id = identifier(&text)?;
            check_agreement("ids", user.id.as_ref(), &id)?;
            user.id = Some(id);
        }
        Field::Username => user.username = Some(identifier(&text)?),
        Field::Email => {
            let email = email(&text)?;
            check_agreement("e-mails", user.email.as_ref(), &email)?;
            user.email = Some(email);
        }
        Field::Login => {
            let login = identifier(&text)?;
            if user.email.is_none() && login.as_str().contains('@') {
                user.email = Some(email(&text)?);
            }
            user.username = Some(login);
        }
        Field::Name => user.name = Some(label("name", &text)?),
        Field::Groups => user.groups = groups(&text, layout.list_separator)?,
        Field::OrganizationId => user.organization.id = Some(identifier(&text)?),
        Field::OrganizationName => user.organization.name = Some(label("organization's name", &text)?),
        Field::AzurePrincipal => azure::read_principal(&text, user)?,
        Field::Attribute(name) => set_attribute(user, name, &text)?,
    }
    Ok(())
}

fn text<'a>(layout: &Layout, value: &'a [u8]) -> Result<Cow<'a, str>, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| bad("identity header", BadText::NotUtf8))?;
    match layout.encoding {
        Encoding::Utf8 => Ok(Cow::Borrowed(text)),
        Encoding::EncodedWords => encoded_word::decode(text).ok_or_else(|| {
            Reason::BadIdentity.because("an identity header has an invalid encoded word (RFC 2047)")
        }),
    }
}

fn groups(text: &str, separator: char) -> Result<Vec<Label>, Refusal> {
    let groups: Vec<_> = text
        .split(separator)
        .filter(|group| !group.trim().is_empty())
        .take(MAX_GROUPS + 1)
        .map(|group| label("group", group))
        .collect::<Result<_, _>>()?;
    if groups.len() > MAX_GROUPS {
        return Err(Reason::BadIdentity.because(format!("the user is in more than {MAX_GROUPS} groups")));
    }
    Ok(groups)
}

fn set_attribute(user: &mut User, name: &str, text: &str) -> Result<(), Refusal> {
    let value = label("attribute", text)?;
    user.attributes.insert(name.to_owned(), Value::String(value.as_str().to_owned()));
    Ok(())
}

/// Rejects two headers with different values for one field.
fn check_agreement<T: PartialEq>(what: &str, known: Option<&T>, other: &T) -> Result<(), Refusal> {
    match known {
        Some(known) if known != other => {
            Err(Reason::AmbiguousIdentity.because(format!("two headers give different {what}")))
        }
        _ => Ok(()),
    }
}
