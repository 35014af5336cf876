//! From claims as they are written to claims that can be filled in. All
//! problems at once, each with the path of its claim.

use serde_json::{Map, Value};

use super::subject::UserExpression;
use super::{Claims, Form, Node};
use crate::expression::Absent;

/// Something wrong with a claim as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimProblem {
    /// The claim's path, such as `ti.xti.user_tier`.
    pub claim: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

/// Claims that nobody sets by an expression, and what decides them.
pub const RESERVED: [(&str, &str); 4] = [
    ("iat", "the time of signing; see pandium.iat_backdate_s"),
    ("jti", "new for every token"),
    ("exp", "pandium.token_lifetime_s"),
    ("nbf", "not known to Pandium"),
];

/// The documented claims, in the order in which they are written.
const TOP_ORDER: [&str; 4] = ["sub", "external_id", "meta", "ti"];
const TI_ORDER: [&str; 7] = ["udn", "ufn", "uem", "ili", "aid", "adn", "xti"];

pub(super) fn claims(written: &Value) -> Result<Claims, Vec<ClaimProblem>> {
    let mut compiler = Compiler::default();
    let entries = match written {
        Value::Object(table) => compiler.table("", table),
        _ => {
            compiler.problem("", "it is not a table", "write [claims]");
            Vec::new()
        }
    };
    if compiler.problems.is_empty() { Ok(Claims { entries }) } else { Err(compiler.problems) }
}

#[derive(Default)]
struct Compiler {
    problems: Vec<ClaimProblem>,
}

impl Compiler {
    fn table(&mut self, path: &str, table: &Map<String, Value>) -> Vec<(String, Node)> {
        let order: &[&str] = match path {
            "" => &TOP_ORDER,
            "ti" => &TI_ORDER,
            _ => &[],
        };
        let mut names: Vec<&String> = table.keys().collect();
        names.sort_by_key(|name| {
            (order.iter().position(|known| known == name).unwrap_or(usize::MAX), (*name).clone())
        });
        let entries = names.into_iter().filter_map(|name| Some((name, table.get(name)?)));
        entries.filter_map(|(name, value)| self.entry(path, name, value)).collect()
    }

    fn entry(&mut self, path: &str, name: &str, value: &Value) -> Option<(String, Node)> {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == path) {
            self.problem(
                &path,
                "this claim cannot be set",
                &format!("take it out; it is decided by: {instead}"),
            );
            return None;
        }
        self.node(&path, value).map(|node| (name.to_owned(), node))
    }

    fn node(&mut self, path: &str, value: &Value) -> Option<Node> {
        let form = form_of(path);
        match value {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => self.expression(path, text, form),
            Value::Object(table) => match form {
                Form::Table | Form::Any => Some(Node::Table(self.table(path, table))),
                Form::Identity | Form::Text | Form::Texts => self.wrong_form(path, "a table", form),
            },
            Value::Array(items) => match form {
                Form::Identity | Form::Text | Form::Table => self.wrong_form(path, "a list", form),
                Form::Texts | Form::Any => {
                    Some(Node::List(items.iter().filter_map(|item| self.item(path, item, form)).collect()))
                }
            },
            Value::Bool(_) | Value::Number(_) => match form {
                Form::Any => Some(Node::Constant(value.clone())),
                Form::Identity | Form::Text | Form::Texts | Form::Table => {
                    self.wrong_form(path, "a number or a boolean", form)
                }
            },
        }
    }

    /// An item of a list: in a list of texts, a text.
    fn item(&mut self, path: &str, item: &Value, list: Form) -> Option<Node> {
        match (item, list) {
            (Value::String(text), Form::Texts) => self.expression(path, text, Form::Text),
            (Value::String(text), _) => self.expression(path, text, Form::Any),
            (_, Form::Texts) => self.wrong_form(path, "a list with other things than expressions", list),
            (Value::Object(table), _) => Some(Node::Table(self.table(&format!("{path}[]"), table))),
            (Value::Array(items), _) => {
                Some(Node::List(items.iter().filter_map(|item| self.item(path, item, list)).collect()))
            }
            (Value::Null, _) => None,
            (Value::Bool(_) | Value::Number(_), _) => Some(Node::Constant(item.clone())),
        }
    }

    fn expression(&mut self, path: &str, text: &str, form: Form) -> Option<Node> {
        let absent = match path {
            "sub" | "external_id" => Absent::YieldsNothing,
            _ => Absent::ReadsAsEmpty,
        };
        match UserExpression::compile(text, absent) {
            Ok(expression) => Some(Node::Expression(expression, form)),
            Err(error) => {
                self.problem(
                    path,
                    &format!("the expression {text:?} {error}"),
                    "expressions read id, email, name, username, groups, organization.id, organization.name, \
                     attributes.*, token.*; a fixed text is written in quotes of its own: \"'gold'\"",
                );
                None
            }
        }
    }

    fn wrong_form(&mut self, path: &str, found: &str, form: Form) -> Option<Node> {
        let wanted = match form {
            Form::Identity | Form::Text => "an expression that yields a text",
            Form::Texts => "a list of expressions, or an expression that yields a list of texts",
            Form::Table | Form::Any => "a table",
        };
        self.problem(path, &format!("it is {found}"), &format!("Pandium expects otherwise: write {wanted}"));
        None
    }

    fn problem(&mut self, claim: &str, what: &str, help: &str) {
        self.problems.push(ClaimProblem {
            claim: claim.to_owned(),
            what: what.to_owned(),
            help: help.to_owned(),
        });
    }
}

/// What Pandium documents for a claim.
fn form_of(path: &str) -> Form {
    match path {
        "sub" | "external_id" => Form::Identity,
        "ti.udn" | "ti.ufn" | "ti.uem" | "ti.aid" | "ti.adn" => Form::Text,
        "ti.ili" => Form::Texts,
        "ti" | "ti.xti" => Form::Table,
        _ => Form::Any,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"iat": "id"}), "iat", "cannot be set")]
    #[case(json!({"jti": "id"}), "jti", "cannot be set")]
    #[case(json!({"sub": 5}), "sub", "it is a number or a boolean")]
    #[case(json!({"sub": {"a": "id"}}), "sub", "it is a table")]
    #[case(json!({"ti": {"ili": [1]}}), "ti.ili", "other things than expressions")]
    #[case(json!({"ti": 5}), "ti", "it is a number or a boolean")]
    #[case(json!({"sub": "emial"}), "sub", "names emial")]
    #[case(json!({"sub": "organization.plan"}), "sub", "names organization.plan")]
    #[case(json!({"sub": "email|lwoer"}), "sub", "unknown filter")]
    #[case(json!({"sub": "email +"}), "sub", "does not parse")]
    fn a_problem_names_its_claim(#[case] written: Value, #[case] claim: &str, #[case] what: &str) {
        let problems = claims(&written).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].claim, claim);
        assert!(problems[0].what.contains(what), "{problems:?}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        assert_eq!(
            claims(&json!({"sub": "emial", "ti": {"uem": "e.mail", "xti": {"a": "("}}})).unwrap_err().len(),
            3
        );
    }
}
