//! One expression over a user, in MiniJinja's expression syntax
//! (<https://docs.rs/minijinja/latest/minijinja/syntax/>). A plain name or
//! dotted path is a look-up; only the rest asks the interpreter.

use std::cell::OnceCell;
use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

use super::resolved::{Resolved, without_empty};
use crate::user::{Email, Identifier, Label, User};

/// A compiled expression.
pub struct Expression {
    written: String,
    plan: Plan,
}

enum Plan {
    LookUp(LookUp),
    Interpret(minijinja::Expression<'static, 'static>),
}

/// The values that can be had without an interpreter.
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

/// A user as expressions see it.
pub struct Subject<'a> {
    user: &'a User,
    for_interpreter: OnceCell<minijinja::Value>,
}

/// An expression that cannot be compiled, or fails for a user. It quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

/// The expression language. A constant: nothing is added after it is made.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    // an expression that needs what a user does not have yields nothing, and not
    // a text that is the same for everybody without it
    language.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    language
});

impl Expression {
    /// Compiles an expression. It must parse, name only what a user has, and
    /// call only what the language has.
    pub fn compile(written: &str) -> Result<Self, ExpressionError> {
        let compiled = LANGUAGE
            .compile_expression_owned(written.to_owned())
            .map_err(|error| ExpressionError(format!("does not parse: {}", detail(&error))))?;
        for name in sorted(compiled.undeclared_variables(true)) {
            if !is_known(&name) {
                return Err(ExpressionError(format!("names {name}, which no user has")));
            }
        }
        let plan = match LookUp::parse(written.trim()) {
            Some(look_up) => Plan::LookUp(look_up),
            None => {
                try_out(&compiled)?;
                Plan::Interpret(compiled)
            }
        };
        Ok(Self { written: written.to_owned(), plan })
    }

    pub(super) fn evaluate<'a>(&'a self, subject: &Subject<'a>) -> Result<Resolved<'a>, ExpressionError> {
        match &self.plan {
            Plan::LookUp(look_up) => Ok(look_up.value(subject.user)),
            Plan::Interpret(expression) => match expression.eval(subject.for_interpreter()) {
                Ok(value) => serde_json::to_value(&value).map(Resolved::owned).map_err(|_| {
                    ExpressionError("the expression yields something that JSON cannot hold".into())
                }),
                Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(Resolved::Nothing),
                // the error's text may quote the value, its kind does not
                Err(error) => {
                    Err(ExpressionError(format!("the expression fails for this user: {}", error.kind())))
                }
            },
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.written).finish()
    }
}

impl<'a> Subject<'a> {
    /// A user, to be looked at by expressions.
    pub const fn new(user: &'a User) -> Self {
        Self { user, for_interpreter: OnceCell::new() }
    }

    fn for_interpreter(&self) -> &minijinja::Value {
        self.for_interpreter.get_or_init(|| {
            let user = serde_json::to_value(self.user).unwrap_or_default();
            minijinja::Value::from_serialize(without_empty(user))
        })
    }
}

impl LookUp {
    fn parse(written: &str) -> Option<Self> {
        let mut names = written.split('.');
        let first = names.next()?;
        let rest: Vec<&str> = names.collect();
        let owned = || rest.iter().map(|name| (*name).to_owned()).collect();
        if !rest.iter().all(|name| is_plain_name(name)) {
            return None;
        }
        match (first, rest.as_slice()) {
            ("id", []) => Some(Self::Id),
            ("email", []) => Some(Self::Email),
            ("name", []) => Some(Self::Name),
            ("username", []) => Some(Self::Username),
            ("groups", []) => Some(Self::Groups),
            ("organization", ["id"]) => Some(Self::OrganizationId),
            ("organization", ["name"]) => Some(Self::OrganizationName),
            ("attributes", [_, ..]) => Some(Self::Attribute(owned())),
            ("token", [_, ..]) => Some(Self::Token(owned())),
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
            Self::Token(path) => within(&user.token, path),
        }
    }
}

fn within<'a>(table: &'a std::collections::BTreeMap<String, Value>, path: &[String]) -> Resolved<'a> {
    let mut names = path.iter();
    let first = names.next().and_then(|name| table.get(name));
    let value = names.fold(first, |value, name| value.and_then(|value| value.get(name)));
    value.map_or(Resolved::Nothing, Resolved::json)
}

/// A name as the language has them. What is not one, `'a.b'` say, only looks
/// like a path.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
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

/// Runs the expression once for an invented user: a filter, function or test
/// that does not exist shows only then.
fn try_out(expression: &minijinja::Expression<'static, 'static>) -> Result<(), ExpressionError> {
    let user = User {
        id: Identifier::parse("1").ok(),
        email: Email::parse("user@example.com").ok(),
        name: Label::parse("User Name").ok(),
        username: Identifier::parse("user").ok(),
        groups: Label::parse("group").into_iter().collect(),
        ..User::default()
    };
    match expression.eval(Subject::new(&user).for_interpreter()) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter
                    | ErrorKind::UnknownFunction
                    | ErrorKind::UnknownTest
                    | ErrorKind::UnknownMethod
            ) =>
        {
            Err(ExpressionError(format!("calls something that does not exist: {}", detail(&error))))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn detail(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"))
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_path_is_looked_up_and_the_rest_is_interpreted() {
        for path in ["id", "organization.id", "attributes.plan", "token.a.b", " email "] {
            assert!(matches!(Expression::compile(path).unwrap().plan, Plan::LookUp(_)), "{path}");
        }
        for expression in ["email|lower", "attributes['plan']", "organization", "'x'", "attributes"] {
            assert!(
                matches!(Expression::compile(expression).unwrap().plan, Plan::Interpret(_)),
                "{expression}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_compiles_or_says_why(text in any::<String>()) {
            let _ = Expression::compile(&text);
        }
    }
}
