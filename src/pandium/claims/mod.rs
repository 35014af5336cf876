//! What a token says of a user: expressions over the user, compiled at start.
//!
//! A string is an expression (see [`crate::expression`]); numbers, booleans and lists
//! stand for themselves, a list's strings being expressions too; tables nest.
//! What comes out undefined, null or empty is left out of the token.

mod compile;
mod resolved;
mod subject;

pub use compile::{ClaimProblem, RESERVED};
pub use resolved::{TimeClaims, UserClaims};

use resolved::Resolved;
use serde_json::Value;
use subject::{Subject, UserExpression};

use crate::expression::ExpressionError;
use crate::user::User;

/// The claims of a marketplace's tokens, ready to be filled in for a user.
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
    Expression(UserExpression, Form),
}

/// What kind of value Pandium documents for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Who somebody is: a text that is an [`crate::user::Identifier`].
    Identity,
    Text,
    Texts,
    Table,
    Any,
}

/// A claim cannot be filled in for a user. Neither part quotes a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("claims.{claim}: {why}")]
pub struct ClaimsError {
    /// The claim, by its path.
    pub claim: String,
    /// What went wrong.
    pub why: String,
    /// Whether it is the user's value that cannot be, and not the expression.
    pub is_bad_identity: bool,
}

impl Claims {
    /// Compiles claims as they are written, or says everything that is wrong with them.
    pub fn compile(written: &Value) -> Result<Self, Vec<ClaimProblem>> {
        compile::claims(written)
    }

    /// What `sub` reads of a user.
    pub fn subject_names(&self) -> &[String] {
        let subject = self.entries.iter().find_map(|(name, node)| match node {
            Node::Expression(expression, _) if name == "sub" => Some(expression.names()),
            _ => None,
        });
        subject.unwrap_or_default()
    }

    /// The claims of this user.
    pub fn of<'a>(&'a self, user: &'a User) -> Result<UserClaims<'a>, ClaimsError> {
        let subject = Subject::new(user);
        table(&self.entries, &subject).map(UserClaims::new).map_err(|(mut path, unfit)| {
            path.reverse();
            ClaimsError { claim: path.join("."), why: unfit.why, is_bad_identity: unfit.is_bad_identity }
        })
    }
}

/// The path to the claim that failed, innermost first, and why.
type Failure = (Vec<String>, Unfit);

/// Why a value is not one for its claim.
#[derive(Debug)]
struct Unfit {
    why: String,
    is_bad_identity: bool,
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self { why, is_bad_identity: false }
    }
}

fn table<'a>(
    entries: &'a [(String, Node)],
    subject: &Subject<'a>,
) -> Result<Vec<(&'a str, Resolved<'a>)>, Failure> {
    let mut filled = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        match node.fill(subject) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => filled.push((name.as_str(), value)),
            Err((mut path, why)) => {
                path.push(name.clone());
                return Err((path, why));
            }
        }
    }
    Ok(filled)
}

impl Node {
    fn fill<'a>(&'a self, subject: &Subject<'a>) -> Result<Resolved<'a>, Failure> {
        match self {
            Self::Table(entries) => table(entries, subject).map(Resolved::Table),
            Self::List(nodes) => {
                let mut filled = Vec::with_capacity(nodes.len());
                for node in nodes {
                    filled.push(node.fill(subject)?);
                }
                filled.retain(|value| !value.is_empty());
                Ok(Resolved::List(filled))
            }
            Self::Constant(value) => Ok(Resolved::json(value)),
            Self::Expression(expression, form) => expression
                .evaluate(subject)
                .map_err(|ExpressionError(why)| Unfit::from(why))
                .and_then(|value| value.in_form(*form))
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

    fn filled(claims: Value) -> Result<Value, String> {
        let claims = Claims::compile(&claims).map_err(|problems| format!("{problems:?}"))?;
        let user = alice();
        let filled = claims.of(&user).map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(&filled).unwrap())
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
    fn claims_are_filled_in(#[case] written: Value, #[case] meant: Value) {
        assert_eq!(filled(written), Ok(meant));
    }

    #[rstest]
    #[case(json!({"sub": "groups"}), "claims.sub: it yields a list, a text is meant")]
    #[case(json!({"ti": {"xti": "attributes.plan"}}), "claims.ti.xti: it yields a text, a table is meant")]
    #[case(json!({"ti": {"ili": "attributes.plan"}}), "claims.ti.ili: it yields a text, a list of texts is meant")]
    fn a_value_of_a_wrong_type_is_named_without_quoting_it(#[case] written: Value, #[case] message: &str) {
        assert_eq!(filled(written), Err(message.to_owned()));
    }

    #[rstest]
    #[case("email | lower")]
    #[case("organization.id ~ ':' ~ id")]
    #[case("username ~ ''")]
    #[case("[username, attributes.none]|join('-')")]
    #[case("attributes.deep.down.there")]
    fn what_a_user_does_not_have_never_becomes_a_text(#[case] expression: &str) {
        let claims = Claims::compile(&json!({"sub": expression})).unwrap();
        let nobody = User::default();
        assert_eq!(claims.of(&nobody).unwrap().subject(), None, "{expression}");
    }

    /// The examples of docs/claims.md, for a user of whom only the e-mail is known.
    #[rstest]
    #[case("attributes.plan or 'free'", json!("free"))]
    #[case("'enterprise' if 'enterprise-customers' in groups else 'free'", json!("free"))]
    #[case("25 if attributes.plan == 'enterprise' else 3", json!(3))]
    #[case("[] if attributes.plan == 'enterprise' else ['1121', '1122']", json!(["1121", "1122"]))]
    #[case("attributes.installed | split(',') if attributes.installed else []", Value::Null)]
    #[case("email | split('@') | last if email", json!("example.com"))]
    #[case("organization.name or 'none'", json!("none"))]
    #[case("token.plan == 'x'", json!(false))]
    fn a_fallback_holds_for_a_user_of_whom_little_is_known(#[case] expression: &str, #[case] meant: Value) {
        let claims = Claims::compile(&json!({"x": expression})).unwrap();
        let user = User { email: Email::parse("a@example.com").ok(), ..User::default() };
        let filled = serde_json::to_value(claims.of(&user).unwrap()).unwrap();
        assert_eq!(filled.get("x").cloned().unwrap_or_default(), meant, "{expression}");
    }

    #[rstest]
    #[case("token.sub", "\u{202e}moc", true)]
    #[case("token.sub", "a\nb", true)]
    #[case("token.sub", "null", false)]
    fn who_somebody_is_is_read_as_an_id_wherever_it_comes_from(
        #[case] expression: &str,
        #[case] value: &str,
        #[case] is_bad: bool,
    ) {
        let claims = Claims::compile(&json!({"sub": expression})).unwrap();
        let user = User { token: [("sub".to_owned(), json!(value))].into(), ..User::default() };
        match claims.of(&user) {
            Ok(claims) => assert!(!is_bad && claims.subject().is_none()),
            Err(error) => assert!(is_bad && error.is_bad_identity, "{error}"),
        }
    }

    #[test]
    fn nothing_empty_is_left_within_a_value_either() {
        let written = json!({"meta": "{'plan': attributes.none, 'e': '', 'l': [''], 'x': 1}"});
        assert_eq!(filled(written), Ok(json!({"meta": {"x": 1}})));
    }

    #[test]
    fn known_claims_keep_their_order_and_others_follow() {
        let claims = Claims::compile(&json!({"zz": "id", "ti": {"xti": {"b": 1, "a": 1}, "udn": "name"},
            "external_id": "id", "sub": "email"}))
        .unwrap();
        let user = alice();
        let json = serde_json::to_string(&claims.of(&user).unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"sub":"Alice@example.com","external_id":"42","ti":{"udn":"Alice \"A\" Ämter","xti":{"a":1,"b":1}},"zz":"42"}"#
        );
    }
}
