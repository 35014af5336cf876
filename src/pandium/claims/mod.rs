//! A token's claims about a user: expressions over the user, compiled at start.
//!
//! A string is an expression ([`crate::expression`]), also within a list; numbers and
//! booleans are constants; tables nest. Undefined, null and empty values are omitted
//! from the token.

mod compile;
mod resolved;
mod subject;

pub use compile::{ClaimProblem, RESERVED};
pub use resolved::{TimeClaims, UserClaims};

use resolved::Resolved;
use serde_json::Value;
use subject::{EvalContext, UserExpression};

use crate::expression::ExpressionError;
use crate::user::User;

/// The compiled claims of a marketplace's tokens.
#[derive(Debug)]
pub struct Claims {
    entries: Vec<(String, Node)>,
}

/// One claim, or a part of one.
#[derive(Debug)]
enum Node {
    Table(Vec<(String, Node)>),
    List(Vec<Node>),
    Constant(Value),
    Expression(UserExpression, ClaimType),
}

/// The type of value that Pandium documents for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimType {
    /// A string that is a [`crate::user::Identifier`].
    Identity,
    Text,
    Texts,
    Table,
    Any,
}

/// A claim cannot be evaluated for a user. Quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("claims.{claim}: {why}")]
pub struct ClaimsError {
    /// The claim, by its path.
    pub claim: String,
    /// What went wrong.
    pub why: String,
    /// Whether the user's value is invalid, rather than the expression.
    pub is_bad_identity: bool,
}

impl Claims {
    /// Compiles claims from the configuration, or returns all problems.
    pub fn compile(written: &Value) -> Result<Self, Vec<ClaimProblem>> {
        compile::claims(written)
    }

    /// The user fields that `sub` reads.
    pub fn subject_names(&self) -> &[String] {
        let subject = self.entries.iter().find_map(|(name, node)| match node {
            Node::Expression(expression, _) if name == "sub" => Some(expression.names()),
            _ => None,
        });
        subject.unwrap_or_default()
    }

    /// Evaluates the claims for a user.
    pub fn evaluate<'a>(&'a self, user: &'a User) -> Result<UserClaims<'a>, ClaimsError> {
        let context = EvalContext::new(user);
        table(&self.entries, &context).map(UserClaims::new).map_err(|(mut path, error)| {
            path.reverse();
            ClaimsError { claim: path.join("."), why: error.why, is_bad_identity: error.is_bad_identity }
        })
    }
}

/// The path to the claim that failed, innermost first, and why.
type Failure = (Vec<String>, ValueError);

/// Why a value is not valid for its claim.
#[derive(Debug)]
struct ValueError {
    why: String,
    is_bad_identity: bool,
}

impl From<String> for ValueError {
    fn from(why: String) -> Self {
        Self { why, is_bad_identity: false }
    }
}

fn table<'a>(
    entries: &'a [(String, Node)],
    context: &EvalContext<'a>,
) -> Result<Vec<(&'a str, Resolved<'a>)>, Failure> {
    let mut values = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        match node.evaluate(context) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => values.push((name.as_str(), value)),
            Err((mut path, why)) => {
                path.push(name.clone());
                return Err((path, why));
            }
        }
    }
    Ok(values)
}

impl Node {
    fn evaluate<'a>(&'a self, context: &EvalContext<'a>) -> Result<Resolved<'a>, Failure> {
        match self {
            Self::Table(entries) => table(entries, context).map(Resolved::Table),
            Self::List(nodes) => {
                let mut values = Vec::with_capacity(nodes.len());
                for node in nodes {
                    values.push(node.evaluate(context)?);
                }
                values.retain(|value| !value.is_empty());
                Ok(Resolved::List(values))
            }
            Self::Constant(value) => Ok(Resolved::json(value)),
            Self::Expression(expression, claim_type) => expression
                .evaluate(context)
                .map_err(|ExpressionError(why)| ValueError::from(why))
                .and_then(|value| value.into_type(*claim_type))
                .map_err(|why| (Vec::new(), why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::user::{Email, Identifier, Label};

    fn alice() -> User {
        let mut user = User {
            id: Identifier::parse("42").ok(),
            email: Email::parse("Alice@example.com").ok(),
            name: Label::parse("Alice \"A\" Ämter").ok(),
            groups: ["staff", "admins"].iter().flat_map(|group| Label::parse(group)).collect(),
            ..User::default()
        };
        user.organization.id = Identifier::parse("org-1").ok();
        user.attributes.insert("plan".into(), json!("pro"));
        user.attributes.insert("seats".into(), json!({"used": 3, "names": []}));
        user
    }

    fn evaluated(claims: Value) -> Result<Value, String> {
        let claims = Claims::compile(&claims).map_err(|problems| format!("{problems:?}"))?;
        let user = alice();
        let evaluated = claims.evaluate(&user).map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(&evaluated).unwrap())
    }

    #[rstest]
    #[case::name(json!({"sub": "email"}), json!({"sub": "Alice@example.com"}))]
    #[case::path(json!({"sub": "organization.id"}), json!({"sub": "org-1"}))]
    #[case::attribute(json!({"x": "attributes.plan"}), json!({"x": "pro"}))]
    #[case::attribute_within(json!({"x": "attributes.seats.used"}), json!({"x": 3}))]
    #[case::groups(json!({"x": "groups"}), json!({"x": ["staff", "admins"]}))]
    #[case::filter(json!({"sub": "email|lower"}), json!({"sub": "alice@example.com"}))]
    #[case::join(json!({"sub": "organization.id ~ ':' ~ id"}), json!({"sub": "org-1:42"}))]
    #[case::condition(json!({"x": "5 if attributes.plan == 'pro' else 2"}), json!({"x": 5}))]
    #[case::membership(json!({"x": "'admins' in groups"}), json!({"x": true}))]
    #[case::text(json!({"x": "'gold'"}), json!({"x": "gold"}))]
    #[case::constants(json!({"x": 5, "y": false, "z": 0.5}), json!({"x": 5, "y": false, "z": 0.5}))]
    #[case::list(json!({"x": ["id", 7, "username", "'a'"]}), json!({"x": ["42", 7, "a"]}))]
    #[case::tables(json!({"ti": {"uem": "email", "xti": {"tier": "attributes.plan"}}}),
        json!({"ti": {"uem": "Alice@example.com", "xti": {"tier": "pro"}}}))]
    #[case::nothing(json!({"a": "username", "b": "attributes.none", "c": "attributes.seats.names",
        "d": "", "e": {}, "f": {"g": "username"}, "h": [], "i": "token.deep.down", "j": "none"}), json!({}))]
    #[case::integer_as_text(json!({"external_id": "attributes.seats.used"}), json!({"external_id": "3"}))]
    fn claims_are_evaluated(#[case] written: Value, #[case] expected: Value) {
        assert_eq!(evaluated(written), Ok(expected));
    }

    #[rstest]
    #[case(json!({"sub": "groups"}), "claims.sub: it yields a list, expected a string")]
    #[case(json!({"ti": {"xti": "attributes.plan"}}), "claims.ti.xti: it yields a string, expected a table")]
    #[case(json!({"ti": {"ili": "attributes.plan"}}), "claims.ti.ili: it yields a string, expected a list of strings")]
    fn a_wrong_type_is_reported_without_the_value(#[case] written: Value, #[case] message: &str) {
        assert_eq!(evaluated(written), Err(message.to_owned()));
    }

    #[rstest]
    #[case("email | lower")]
    #[case("organization.id ~ ':' ~ id")]
    #[case("username ~ ''")]
    #[case("[username, attributes.none]|join('-')")]
    #[case("attributes.deep.down.there")]
    fn a_missing_value_never_becomes_a_subject(#[case] expression: &str) {
        let claims = Claims::compile(&json!({"sub": expression})).unwrap();
        let user = User::default();
        assert_eq!(claims.evaluate(&user).unwrap().subject(), None, "{expression}");
    }

    /// The examples of docs/claims.md, for a user with nothing but an e-mail.
    #[rstest]
    #[case("attributes.plan or 'free'", json!("free"))]
    #[case("'enterprise' if 'enterprise-customers' in groups else 'free'", json!("free"))]
    #[case("25 if attributes.plan == 'enterprise' else 3", json!(3))]
    #[case("[] if attributes.plan == 'enterprise' else ['1121', '1122']", json!(["1121", "1122"]))]
    #[case("attributes.installed | split(',') if attributes.installed else []", Value::Null)]
    #[case("email | split('@') | last if email", json!("example.com"))]
    #[case("organization.name or 'none'", json!("none"))]
    #[case("token.plan == 'x'", json!(false))]
    fn a_fallback_applies_where_a_value_is_missing(#[case] expression: &str, #[case] expected: Value) {
        let claims = Claims::compile(&json!({"x": expression})).unwrap();
        let user = User { email: Email::parse("a@example.com").ok(), ..User::default() };
        let evaluated = serde_json::to_value(claims.evaluate(&user).unwrap()).unwrap();
        assert_eq!(evaluated.get("x").cloned().unwrap_or_default(), expected, "{expression}");
    }

    #[rstest]
    #[case("token.sub", "\u{202e}moc", true)]
    #[case("token.sub", "a\nb", true)]
    #[case("token.sub", "null", false)]
    fn sub_is_validated_as_an_id_whatever_its_source(
        #[case] expression: &str,
        #[case] value: &str,
        #[case] is_bad: bool,
    ) {
        let claims = Claims::compile(&json!({"sub": expression})).unwrap();
        let user =
            User { token: [("sub".to_owned(), json!(value))].into_iter().collect(), ..User::default() };
        match claims.evaluate(&user) {
            Ok(claims) => assert!(!is_bad && claims.subject().is_none()),
            Err(error) => assert!(is_bad && error.is_bad_identity, "{error}"),
        }
    }

    #[test]
    fn empty_values_are_omitted_at_any_depth() {
        let written = json!({"meta": "{'plan': attributes.none, 'e': '', 'l': [''], 'x': 1}"});
        assert_eq!(evaluated(written), Ok(json!({"meta": {"x": 1}})));
    }

    #[test]
    fn known_claims_keep_their_order_and_others_follow() {
        let claims = Claims::compile(&json!({"zz": "id", "ti": {"xti": {"b": 1, "a": 1}, "udn": "name"},
            "external_id": "id", "sub": "email"}))
        .unwrap();
        let user = alice();
        let json = serde_json::to_string(&claims.evaluate(&user).unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"sub":"Alice@example.com","external_id":"42","ti":{"udn":"Alice \"A\" Ämter","xti":{"a":1,"b":1}},"zz":"42"}"#
        );
    }
}
