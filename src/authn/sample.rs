//! A user with a value in each of some fields, with which the configuration finds
//! out whether an expression can be evaluated.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::user::{Email, Identifier, Label, User};

/// A user with a value in each of these fields, such as `email` or
/// `attributes.plan`.
pub(super) fn user<'a>(names: impl Iterator<Item = &'a str>) -> User {
    let mut user = User::default();
    for name in names {
        match name.split_once('.') {
            None if name == "id" => user.id = Identifier::parse("id").ok(),
            None if name == "email" => user.email = Email::parse("user@example.com").ok(),
            None if name == "name" => user.name = Label::parse("Name").ok(),
            None if name == "username" => user.username = Identifier::parse("username").ok(),
            Some(("organization", "id")) => user.organization.id = Identifier::parse("org").ok(),
            Some(("organization", "name")) => user.organization.name = Label::parse("Org").ok(),
            Some(("attributes", path)) => insert(&mut user.attributes, path),
            Some(("token", path)) => insert(&mut user.token, path),
            _ => {}
        }
    }
    user
}

/// Inserts a string at a dotted path.
fn insert(table: &mut BTreeMap<String, Value>, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let nested = rest.into_iter().flat_map(|rest| rest.rsplit('.'));
    let value = nested.fold(Value::from("value"), |value, name| json!({ name: value }));
    table.insert(first.to_owned(), value);
}
