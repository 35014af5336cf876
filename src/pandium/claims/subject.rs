//! Expressions over a user: the names they may use, and direct lookup of plain paths
//! without the interpreter.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::resolved::Resolved;
use crate::expression::{Expression, ExpressionError, MissingValue, without_empty};
use crate::user::{Email, Identifier, Label, User};

/// An expression over a user.
#[derive(Debug)]
pub struct UserExpression {
    expression: Expression,
    look_up: Option<LookUp>,
}

/// A plain path, resolved without the interpreter.
#[derive(Debug)]
enum LookUp {
    Id,
    Email,
    Name,
    Username,
    Groups,
    OrganizationId,
    OrganizationName,
    Attribute(Vec<String>),
    Token(Vec<String>),
}

/// A user as the context of expressions; converted for the interpreter on demand.
pub(super) struct EvalContext<'a> {
    user: &'a User,
    for_interpreter: OnceCell<minijinja::Value>,
}

impl UserExpression {
    /// Compiles an expression; it may name only fields of a user.
    pub fn compile(written: &str, missing: MissingValue) -> Result<Self, ExpressionError> {
        let example = example();
        let expression =
            Expression::compile(written, missing, is_known, EvalContext::new(&example).for_interpreter())?;
        let look_up = expression.path().and_then(LookUp::of);
        Ok(Self { expression, look_up })
    }

    /// The user fields that it reads.
    pub(super) fn names(&self) -> &[String] {
        self.expression.names()
    }

    pub(super) fn evaluate<'a>(&'a self, context: &EvalContext<'a>) -> Result<Resolved<'a>, ExpressionError> {
        match &self.look_up {
            Some(look_up) => Ok(look_up.value(context.user)),
            None => {
                let value = self.expression.interpret(context.for_interpreter())?;
                Ok(value.map_or(Resolved::Nothing, Resolved::owned))
            }
        }
    }
}

impl<'a> EvalContext<'a> {
    pub const fn new(user: &'a User) -> Self {
        Self { user, for_interpreter: OnceCell::new() }
    }

    fn for_interpreter(&self) -> &minijinja::Value {
        self.for_interpreter.get_or_init(|| {
            let Ok(Value::Object(user)) = serde_json::to_value(self.user) else {
                return minijinja::Value::UNDEFINED;
            };
            // missing fields are undefined; containers are present, even if empty, so that
            // a lookup within them is not an error
            let context: Map<String, Value> =
                user.into_iter().map(|(name, value)| (name, without_empty(value))).collect();
            minijinja::Value::from_serialize(context)
        })
    }
}

impl LookUp {
    fn of(path: &[String]) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        match (first.as_str(), rest) {
            ("id", []) => Some(Self::Id),
            ("email", []) => Some(Self::Email),
            ("name", []) => Some(Self::Name),
            ("username", []) => Some(Self::Username),
            ("groups", []) => Some(Self::Groups),
            ("organization", [name]) if name == "id" => Some(Self::OrganizationId),
            ("organization", [name]) if name == "name" => Some(Self::OrganizationName),
            ("attributes", [_, ..]) => Some(Self::Attribute(rest.to_vec())),
            ("token", [_, ..]) => Some(Self::Token(rest.to_vec())),
            _ => None,
        }
    }

    fn value<'a>(&self, user: &'a User) -> Resolved<'a> {
        match self {
            Self::Id => Resolved::text(user.id.as_ref().map(Identifier::as_str)),
            Self::Email => Resolved::text(user.email.as_ref().map(Email::as_str)),
            Self::Name => Resolved::text(user.name.as_ref().map(Label::as_str)),
            Self::Username => Resolved::text(user.username.as_ref().map(Identifier::as_str)),
            Self::Groups => Resolved::Labels(&user.groups),
            Self::OrganizationId => Resolved::text(user.organization.id.as_ref().map(Identifier::as_str)),
            Self::OrganizationName => Resolved::text(user.organization.name.as_ref().map(Label::as_str)),
            Self::Attribute(path) => within(&user.attributes, path),
            Self::Token(path) => within(user.token.all(), path),
        }
    }
}

fn within<'a>(table: &'a BTreeMap<String, Value>, path: &[String]) -> Resolved<'a> {
    let mut names = path.iter();
    let first = names.next().and_then(|name| table.get(name));
    let value = names.fold(first, |value, name| value.and_then(|value| value.get(name)));
    value.map_or(Resolved::Nothing, Resolved::json)
}

fn is_known(name: &str) -> bool {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    match first {
        "id" | "email" | "name" | "username" | "groups" => rest.is_none(),
        "organization" => matches!(rest, None | Some("id" | "name")),
        "attributes" | "token" => true,
        _ => false,
    }
}

/// A sample user, with which expressions are evaluated once when compiled.
fn example() -> User {
    User {
        id: Identifier::parse("1").ok(),
        email: Email::parse("user@example.com").ok(),
        name: Label::parse("User Name").ok(),
        username: Identifier::parse("user").ok(),
        groups: Label::parse("group").into_iter().collect(),
        ..User::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_skip_the_interpreter() {
        for path in ["id", "organization.id", "attributes.plan", "token.a.b", " email "] {
            assert!(UserExpression::compile(path, MissingValue::Empty).unwrap().look_up.is_some(), "{path}");
        }
        for expression in ["email|lower", "attributes['plan']", "organization", "'x'", "attributes"] {
            assert!(
                UserExpression::compile(expression, MissingValue::Empty).unwrap().look_up.is_none(),
                "{expression}"
            );
        }
    }
}
