//! Maps a token's claims to a [`User`]: one expression for each field.

use std::cell::OnceCell;

use serde_json::{Map, Value};

use crate::expression::{Expression, ExpressionError, MissingValue, is_empty, without_empty};
use crate::refusal::{Reason, Refusal};
use crate::user::{BadText, Email, Identifier, Label, User};

/// The expression of each field. Fields without one stay empty.
#[derive(Debug, Default)]
pub struct UserMapping {
    /// The user's id.
    pub id: Option<ClaimExpression>,
    /// The e-mail address.
    pub email: Option<ClaimExpression>,
    /// The display name.
    pub name: Option<ClaimExpression>,
    /// The login name.
    pub username: Option<ClaimExpression>,
    /// The groups: a list of strings.
    pub groups: Option<ClaimExpression>,
    /// The id of the user's organization.
    pub organization_id: Option<ClaimExpression>,
    /// The name of the user's organization.
    pub organization_name: Option<ClaimExpression>,
    /// Attributes by name.
    pub attributes: Vec<(String, ClaimExpression)>,
}

/// An expression over a token's claims.
#[derive(Debug)]
pub struct ClaimExpression(Expression);

/// Evaluates expressions over claims.
struct Evaluator<'a> {
    claims: &'a Map<String, Value>,
    for_interpreter: OnceCell<minijinja::Value>,
}

impl ClaimExpression {
    /// Compiles an expression. It may use any name, since the issuer decides which claims a token
    /// has.
    pub fn compile(written: &str, missing: MissingValue) -> Result<Self, ExpressionError> {
        Expression::compile(written, missing, |_| true, &minijinja::Value::UNDEFINED).map(Self)
    }
}

impl UserMapping {
    /// Whether users can have this field.
    pub fn can_yield(&self, name: &str) -> bool {
        match name.split_once('.') {
            None => match name {
                "id" => self.id.is_some(),
                "email" => self.email.is_some(),
                "name" => self.name.is_some(),
                "username" => self.username.is_some(),
                "organization" => self.organization_id.is_some() || self.organization_name.is_some(),
                "attributes" => !self.attributes.is_empty(),
                // groups is a list, and the claims of a token are not known here
                _ => true,
            },
            Some(("organization", "id")) => self.organization_id.is_some(),
            Some(("organization", "name")) => self.organization_name.is_some(),
            Some(("attributes", rest)) => {
                let first = rest.split('.').next().unwrap_or(rest);
                self.attributes.iter().any(|(name, _)| name == first)
            }
            Some(_) => true,
        }
    }

    /// The user that verified claims describe.
    pub fn user(&self, mut claims: Map<String, Value>) -> Result<User, Refusal> {
        // computed first, because the expressions for other fields may use the address, too
        let is_verified = is_verified(claims.get("email_verified"));
        if !is_verified {
            claims.remove("email");
        }
        let evaluator = Evaluator { claims: &claims, for_interpreter: OnceCell::new() };
        let mut user = User {
            id: evaluator.text(self.id.as_ref(), "id", Identifier::parse)?,
            email: evaluator.text(self.email.as_ref(), "email", Email::parse)?,
            name: evaluator.text(self.name.as_ref(), "name", Label::parse)?,
            username: evaluator.text(self.username.as_ref(), "username", Identifier::parse)?,
            groups: evaluator.groups(self.groups.as_ref())?,
            ..User::default()
        };
        user.organization.id =
            evaluator.text(self.organization_id.as_ref(), "organization.id", Identifier::parse)?;
        user.organization.name =
            evaluator.text(self.organization_name.as_ref(), "organization.name", Label::parse)?;
        for (name, expression) in &self.attributes {
            if let Some(value) = evaluator.value(Some(expression), &format!("attributes.{name}"))? {
                user.attributes.insert(name.clone(), value);
            }
        }
        user.token = claims.into_iter().collect();
        if !is_verified {
            user.email = None;
        }
        Ok(user)
    }
}

impl Evaluator<'_> {
    fn text<T>(
        &self,
        expression: Option<&ClaimExpression>,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, BadText>,
    ) -> Result<Option<T>, Refusal> {
        let text = match self.value(expression, what)? {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            Some(_) => return Err(bad(what, "it is not a string")),
        };
        match parse(&text) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(BadText::Empty | BadText::NoValue) => Ok(None),
            Err(why) => Err(bad(what, &why.to_string())),
        }
    }

    fn groups(&self, expression: Option<&ClaimExpression>) -> Result<Vec<Label>, Refusal> {
        let groups = match self.value(expression, "groups")? {
            None => Vec::new(),
            Some(Value::Array(groups)) => groups,
            Some(one) => vec![one],
        };
        let label = |group: &Value| {
            let text = group.as_str().ok_or_else(|| bad("groups", "an item is not a string"))?;
            Label::parse(text).map_err(|why| bad("groups", &why.to_string()))
        };
        groups.iter().map(label).collect()
    }

    /// The value; `None` if it is undefined, null or empty.
    fn value(&self, expression: Option<&ClaimExpression>, what: &str) -> Result<Option<Value>, Refusal> {
        let Some(ClaimExpression(expression)) = expression else { return Ok(None) };
        let value = match expression.path() {
            Some(path) => self.look_up(path),
            None => expression.interpret(self.for_interpreter()).map_err(|ExpressionError(why)| {
                Reason::Internal.because(format!("identity.user.{what}: {why}"))
            })?,
        };
        Ok(value.map(without_empty).filter(|value| !is_empty(value)))
    }

    fn look_up(&self, path: &[String]) -> Option<Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.claims.get(first)?, |value, name| value.get(name)).cloned()
    }

    fn for_interpreter(&self) -> &minijinja::Value {
        self.for_interpreter.get_or_init(|| {
            minijinja::Value::from_serialize(without_empty(Value::Object(self.claims.clone())))
        })
    }
}

/// Whether the e-mail address is verified (OpenID Connect Core, 5.1). Some issuers
/// send a string. An absent claim counts as verified: many issuers never send it.
fn is_verified(email_verified: Option<&Value>) -> bool {
    match email_verified {
        None | Some(Value::Bool(true)) => true,
        Some(Value::String(text)) => text == "true",
        Some(_) => false,
    }
}

fn bad(what: &str, why: &str) -> Refusal {
    Reason::BadIdentity.because(format!("identity.user.{what} cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping() -> UserMapping {
        let expression = |text: &str| Some(ClaimExpression::compile(text, MissingValue::Undefined).unwrap());
        UserMapping {
            id: expression("sub"),
            email: expression("email"),
            name: expression("given_name ~ ' ' ~ family_name"),
            username: expression("preferred_username"),
            groups: expression("realm_access.roles"),
            attributes: vec![(
                "plan".into(),
                ClaimExpression::compile("custom['https://x/plan']", MissingValue::Empty).unwrap(),
            )],
            ..UserMapping::default()
        }
    }

    fn user(claims: Value) -> Result<User, Reason> {
        let Value::Object(claims) = claims else { unreachable!() };
        mapping().user(claims).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn claims_describe_a_user() {
        let user = user(json!({"sub": 42, "email": "a@example.com", "given_name": "A", "family_name": "B",
            "realm_access": {"roles": ["x", "y"]}, "custom": {"https://x/plan": "pro"}}))
        .unwrap();
        assert_eq!(user.id.unwrap().as_str(), "42");
        assert_eq!(user.name.unwrap().as_str(), "A B");
        assert_eq!(user.groups.len(), 2);
        assert_eq!(user.attributes["plan"], "pro");
        assert_eq!(user.token.all()["sub"], 42);
        assert_eq!(user.username, None);
    }

    #[test]
    fn missing_claims_leave_fields_empty() {
        let user = user(json!({"sub": "a", "given_name": "A", "email": null})).unwrap();
        assert_eq!((user.name, user.email), (None, None));
    }

    #[test]
    fn an_unverified_email_is_dropped() {
        let claims =
            |verified: Value| json!({"sub": "a", "email": "a@example.com", "email_verified": verified});
        for verified_value in [json!(true), json!("true")] {
            assert!(user(claims(verified_value)).unwrap().email.is_some());
        }
        for unverified_value in [json!(false), json!("false"), json!(0), json!(1), json!(null)] {
            let user = user(claims(unverified_value)).unwrap();
            assert!(user.email.is_none() && !user.token.all().contains_key("email"));
        }
    }

    #[test]
    fn invalid_values_are_refused() {
        for claims in [
            json!({"email": "a@b@c"}),
            json!({"email": ["a@b"]}),
            json!({"sub": "a\u{0}"}),
            json!({"realm_access": {"roles": [1]}}),
        ] {
            assert_eq!(user(claims.clone()), Err(Reason::BadIdentity), "{claims}");
        }
    }
}
