//! One expression, in MiniJinja's expression syntax
//! (<https://docs.rs/minijinja/latest/minijinja/syntax/>). A plain name or
//! dotted path is told apart, so that it can be looked up; only the rest asks
//! the interpreter. What an expression may name is its user's to say.

use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

/// A compiled expression.
pub struct Expression {
    written: String,
    path: Option<Vec<String>>,
    names: Vec<String>,
    compiled: minijinja::Expression<'static, 'static>,
}

/// An expression that cannot be compiled, or fails for a user. It quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

/// What an expression makes of a value that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The expression yields nothing. For what says who somebody is: joined with
    /// an empty text it would be the same for everybody without the value.
    YieldsNothing,
    /// It reads as empty, and equals nothing. For what somebody is shown: a rule
    /// about plans holds for those without a plan too.
    ReadsAsEmpty,
}

/// The expression language, in both its strictnesses. Constants: nothing is
/// added after they are made.
static STRICT: LazyLock<Environment<'static>> = LazyLock::new(|| language(UndefinedBehavior::SemiStrict));
static LENIENT: LazyLock<Environment<'static>> = LazyLock::new(|| language(UndefinedBehavior::Chainable));

fn language(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut language = Environment::new();
    language.set_undefined_behavior(undefined);
    language
}

impl Expression {
    /// Compiles an expression. It must parse, name only what is known, and call
    /// only what the language has, which is tried out on an example.
    pub fn compile(
        written: &str,
        absent: Absent,
        is_known: impl Fn(&str) -> bool,
        example: &minijinja::Value,
    ) -> Result<Self, ExpressionError> {
        let compile = |language: &'static Environment<'static>| {
            language
                .compile_expression_owned(written.to_owned())
                .map_err(|error| ExpressionError(format!("does not parse: {}", detail(&error))))
        };
        let lenient = compile(&LENIENT)?;
        // the strict one would stop at the first value that the example lacks
        try_out(&lenient, example)?;
        let compiled = match absent {
            Absent::YieldsNothing => compile(&STRICT)?,
            Absent::ReadsAsEmpty => lenient,
        };
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.sort();
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            return Err(ExpressionError(format!("names {unknown}, which no user has")));
        }
        Ok(Self { written: written.to_owned(), path: plain_path(written.trim()), names, compiled })
    }

    /// The names of a plain path, if the expression is one.
    pub fn path(&self) -> Option<&[String]> {
        self.path.as_deref()
    }

    /// The names that it reads, dotted where they are within others.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The value; nothing where it needs what is not there.
    pub fn interpret(&self, context: &minijinja::Value) -> Result<Option<Value>, ExpressionError> {
        match self.compiled.eval(context) {
            Ok(value) => serde_json::to_value(&value)
                .map(Some)
                .map_err(|_| ExpressionError("the expression yields something that JSON cannot hold".into())),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            // the error's text may quote the value, its kind does not
            Err(error) => {
                Err(ExpressionError(format!("the expression fails for this user: {}", error.kind())))
            }
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.written).finish()
    }
}

/// The value without anything null or empty in it, however deep.
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

/// Whether a value says nothing.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The names of a dotted path. What is none, `'a.b'` say, only looks like one.
fn plain_path(written: &str) -> Option<Vec<String>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_word = matches!(written, "true" | "false" | "none" | "True" | "False" | "None");
    (!is_word && written.split('.').all(is_name)).then(|| written.split('.').map(str::to_owned).collect())
}

/// A filter, function or test that does not exist shows only when it is called.
fn try_out(
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
            Err(ExpressionError(format!("calls something that does not exist: {}", detail(&error))))
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
    fn a_plain_path_is_told_apart() {
        let compile = |text: &str| {
            Expression::compile(text, Absent::ReadsAsEmpty, |_| true, &minijinja::Value::UNDEFINED).unwrap()
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
        fn any_text_compiles_or_says_why(text in any::<String>()) {
            let _ = Expression::compile(&text, Absent::YieldsNothing, |_| true, &minijinja::Value::UNDEFINED);
        }
    }
}
