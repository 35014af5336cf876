//! A sample user, with which the configuration tests whether an expression can be evaluated.

use serde_json::{Value, json};

use crate::user::{Email, Identifier, Label, User};

/// A user with a value in each of these fields, such as `email` or `attributes.plan`, and in no
/// other.
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
            Some(("attributes", path)) => user.attributes.extend([at_path(path)]),
            Some(("token", path)) => {
                let (name, value) = at_path(path);
                user.token.insert(name, value);
            }
            _ => {}
        }
    }
    user
}

/// The first name of a dotted path, and a value that has a string at the rest of it.
fn at_path(path: &str) -> (String, Value) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let nested = rest.into_iter().flat_map(|rest| rest.rsplit('.'));
    let value = nested.fold(Value::from("value"), |value, name| json!({ name: value }));
    (first.to_owned(), value)
}
