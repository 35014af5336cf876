//! Compiles claims from the configuration. Reports all problems, each with the path
//! of its claim.

use serde_json::{Map, Value};

use super::subject::UserExpression;
use super::{ClaimType, Claims, Node};
use crate::expression::MissingValue;

/// A problem with a configured claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimProblem {
    /// The claim's path, such as `ti.xti.user_tier`.
    pub claim: String,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub help: String,
}

/// Claims that cannot be configured, and what sets them.
pub const RESERVED: [(&str, &str); 4] = [
    ("iat", "the time of signing; see pandium.iat_backdate_s"),
    ("jti", "a new id for each token"),
    ("exp", "pandium.token_lifetime_s"),
    ("nbf", "nothing: Pandium does not use it"),
];

/// The documented claims in the order of serialization.
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
            self.problem(&path, "this claim cannot be set", &format!("remove it; it is set by: {instead}"));
            return None;
        }
        self.node(&path, value).map(|node| (name.to_owned(), node))
    }

    fn node(&mut self, path: &str, value: &Value) -> Option<Node> {
        let claim_type = type_of(path);
        match value {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => self.expression(path, text, claim_type),
            Value::Object(table) => match claim_type {
                ClaimType::Table | ClaimType::Any => Some(Node::Table(self.table(path, table))),
                ClaimType::Identity | ClaimType::Text | ClaimType::Texts => {
                    self.wrong_type(path, "a table", claim_type)
                }
            },
            Value::Array(items) => match claim_type {
                ClaimType::Identity | ClaimType::Text | ClaimType::Table => {
                    self.wrong_type(path, "a list", claim_type)
                }
                ClaimType::Texts | ClaimType::Any => Some(Node::List(
                    items.iter().filter_map(|item| self.item(path, item, claim_type)).collect(),
                )),
            },
            Value::Bool(_) | Value::Number(_) => match claim_type {
                ClaimType::Any => Some(Node::Constant(value.clone())),
                ClaimType::Identity | ClaimType::Text | ClaimType::Texts | ClaimType::Table => {
                    self.wrong_type(path, "a number or a boolean", claim_type)
                }
            },
        }
    }

    /// Compiles an item of a list whose type is `list`.
    fn item(&mut self, path: &str, item: &Value, list: ClaimType) -> Option<Node> {
        match (item, list) {
            (Value::String(text), ClaimType::Texts) => self.expression(path, text, ClaimType::Text),
            (Value::String(text), _) => self.expression(path, text, ClaimType::Any),
            (_, ClaimType::Texts) => self.wrong_type(path, "a list with items other than expressions", list),
            (Value::Object(table), _) => Some(Node::Table(self.table(&format!("{path}[]"), table))),
            (Value::Array(items), _) => {
                Some(Node::List(items.iter().filter_map(|item| self.item(path, item, list)).collect()))
            }
            (Value::Null, _) => None,
            (Value::Bool(_) | Value::Number(_), _) => Some(Node::Constant(item.clone())),
        }
    }

    fn expression(&mut self, path: &str, text: &str, claim_type: ClaimType) -> Option<Node> {
        let missing = match path {
            "sub" | "external_id" => MissingValue::Undefined,
            _ => MissingValue::Empty,
        };
        match UserExpression::compile(text, missing) {
            Ok(expression) => Some(Node::Expression(expression, claim_type)),
            Err(error) => {
                self.problem(
                    path,
                    &format!("the expression {text:?} {error}"),
                    "expressions read id, email, name, username, groups, organization.id, organization.name, \
                     attributes.*, token.*; a literal needs inner quotes: \"'gold'\"",
                );
                None
            }
        }
    }

    fn wrong_type(&mut self, path: &str, found: &str, claim_type: ClaimType) -> Option<Node> {
        let wanted = match claim_type {
            ClaimType::Identity | ClaimType::Text => "an expression that yields a string",
            ClaimType::Texts => "a list of expressions, or an expression that yields a list of strings",
            ClaimType::Table | ClaimType::Any => "a table",
        };
        self.problem(
            path,
            &format!("it is {found}"),
            &format!("Pandium expects another type: write {wanted}"),
        );
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

/// The type that Pandium documents for a claim.
fn type_of(path: &str) -> ClaimType {
    match path {
        "sub" | "external_id" => ClaimType::Identity,
        "ti.udn" | "ti.ufn" | "ti.uem" | "ti.aid" | "ti.adn" => ClaimType::Text,
        "ti.ili" => ClaimType::Texts,
        "ti" | "ti.xti" => ClaimType::Table,
        _ => ClaimType::Any,
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
    #[case(json!({"ti": {"ili": [1]}}), "ti.ili", "items other than expressions")]
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
    fn all_problems_are_reported_at_once() {
        assert_eq!(
            claims(&json!({"sub": "emial", "ti": {"uem": "e.mail", "xti": {"a": "("}}})).unwrap_err().len(),
            3
        );
    }
}
