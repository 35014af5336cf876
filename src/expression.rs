//! A compiled expression in MiniJinja's expression syntax
//! (<https://docs.rs/minijinja/latest/minijinja/syntax/>). Callers decide which names are allowed,
//! and can resolve plain names and dotted paths without the interpreter.

use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

/// A compiled expression.
pub struct Expression {
    source: String,
    path: Option<Vec<String>>,
    names: Vec<String>,
    compiled: minijinja::Expression<'static, 'static>,
}

/// An expression cannot be compiled, or fails for a user. Quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

/// How an expression treats a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingValue {
    /// The whole expression is undefined. Used for identifiers: if the value were an empty string,
    /// an expression such as `'user-' ~ id` would give all users without it the same identifier.
    Undefined,
    /// The value is empty, and equals no other value. Used for other claims: a condition such as
    /// `plan == 'pro'` is then false for users without a plan.
    Empty,
}

/// The interpreters for both treatments of missing values. Immutable.
static STRICT: LazyLock<Environment<'static>> = LazyLock::new(|| language(UndefinedBehavior::SemiStrict));
static LENIENT: LazyLock<Environment<'static>> = LazyLock::new(|| language(UndefinedBehavior::Chainable));

fn language(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut language = Environment::new();
    language.set_undefined_behavior(undefined);
    language
}

impl Expression {
    /// Compiles an expression. It may name only known values, and is evaluated once with
    /// `example` to find calls of unknown functions.
    pub fn compile(
        written: &str,
        missing: MissingValue,
        is_known: impl Fn(&str) -> bool,
        example: &minijinja::Value,
    ) -> Result<Self, ExpressionError> {
        let compile = |language: &'static Environment<'static>| {
            language
                .compile_expression_owned(written.to_owned())
                .map_err(|error| ExpressionError(format!("does not parse: {}", detail(&error))))
        };
        let lenient = compile(&LENIENT)?;
        // the strict interpreter would stop at the first value that the example lacks
        check_calls(&lenient, example)?;
        let compiled = match missing {
            MissingValue::Undefined => compile(&STRICT)?,
            MissingValue::Empty => lenient,
        };
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.sort();
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            return Err(ExpressionError(format!("names {unknown}, which users do not have")));
        }
        Ok(Self { source: written.to_owned(), path: plain_path(written.trim()), names, compiled })
    }

    /// The segments, if the expression is only a dotted path.
    pub fn path(&self) -> Option<&[String]> {
        self.path.as_deref()
    }

    /// The names that it reads, as dotted paths.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Evaluates the expression; `None` if it is undefined.
    pub fn interpret(&self, context: &minijinja::Value) -> Result<Option<Value>, ExpressionError> {
        match self.compiled.eval(context) {
            Ok(value) => serde_json::to_value(&value)
                .map(Some)
                .map_err(|_| ExpressionError("the result cannot be represented in JSON".into())),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            // quotes only the kind, because the error's text may contain a value
            Err(error) => {
                Err(ExpressionError(format!("the expression fails for this user: {}", error.kind())))
            }
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

/// Removes null and empty values at any depth.
pub fn without_empty(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_empty).filter(|item| !is_empty(item)).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, without_empty(value)));
            Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
        }
        single => single,
    }
}

/// Whether a value is null or empty.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The segments of a dotted path; `None` for any other expression, such as `'a.b'`.
fn plain_path(written: &str) -> Option<Vec<String>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_literal = matches!(written, "true" | "false" | "none" | "True" | "False" | "None");
    (!is_literal && written.split('.').all(is_name)).then(|| written.split('.').map(str::to_owned).collect())
}

/// Evaluates the expression, since MiniJinja reports unknown filters, functions, tests
/// and methods only when they are called.
fn check_calls(
    expression: &minijinja::Expression<'static, 'static>,
    example: &minijinja::Value,
) -> Result<(), ExpressionError> {
    match expression.eval(example) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter
                    | ErrorKind::UnknownFunction
                    | ErrorKind::UnknownTest
                    | ErrorKind::UnknownMethod
            ) =>
        {
            Err(ExpressionError(format!("calls an unknown function: {}", detail(&error))))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn detail(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_path_is_recognized() {
        let compile = |text: &str| {
            Expression::compile(text, MissingValue::Empty, |_| true, &minijinja::Value::UNDEFINED).unwrap()
        };
        for path in ["id", "organization.id", "token.a.b", " email "] {
            assert!(compile(path).path().is_some(), "{path}");
        }
        for expression in ["email|lower", "attributes['plan']", "'x'", "5", "none", "true", "a.0"] {
            assert!(compile(expression).path().is_none(), "{expression}");
        }
    }

    proptest! {
        #[test]
        fn compiling_never_panics(text in any::<String>()) {
            let _ = Expression::compile(&text, MissingValue::Undefined, |_| true, &minijinja::Value::UNDEFINED);
        }
    }
}
