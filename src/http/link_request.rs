//! The body of `POST /v1/links`, parsed strictly, because it names the user. No error message
//! quotes it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::expression::{is_empty, without_empty};
use crate::refusal::{Reason, Refusal};
use crate::sign_on::Entrance;
use crate::user::{BadText, Email, Identifier, Label, Organization, User};

/// A request for an address.
pub(super) struct LinkRequest {
    pub user: User,
    /// The name of the entrance.
    pub entrance: String,
    pub form: Form,
    pub terms: Terms,
}

/// The data of a hand-off that is stored, encrypted, with a ticket.
#[derive(Deserialize, Serialize)]
pub(super) struct Terms {
    user: Box<RawValue>,
    /// The link parameters, as the query of a request to the entrance.
    pub query: String,
    /// The integration whose install page is linked to.
    pub install: Option<String>,
    /// The name of the API token with which a server requested it.
    pub api_token: Option<String>,
    /// The user who has signed in, if the ticket is for a frame and was not requested by a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<SignedInUser>,
}

/// A user for whom a ticket was created after a sign-in, for a frame whose requests have no cookie.
#[derive(Deserialize, Serialize)]
pub(super) struct SignedInUser {
    pub user: User,
    /// The provider.
    pub issuer: Option<String>,
    /// The `Set-Cookie` for the frame.
    pub set_cookie: Option<String>,
}

/// The kind of address that is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// A single-use address of this service.
    #[default]
    Once,
    /// The signed URL.
    Direct,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user: Box<RawValue>,
    entrance: Option<String>,
    #[serde(default)]
    link: Map<String, Value>,
    #[serde(default)]
    form: Form,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    id: Option<Value>,
    email: Option<Value>,
    name: Option<Value>,
    username: Option<Value>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    organization: OrganizationBody,
    #[serde(default)]
    attributes: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationBody {
    id: Option<Value>,
    name: Option<Value>,
}

/// The member of `link` that becomes a part of the path.
const INSTALL: &str = "install";

impl fmt::Debug for LinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkRequest(hidden)")
    }
}

impl LinkRequest {
    /// Parses a body, which a server sent with this API token.
    pub fn parse(body: &[u8], api_token: String) -> Result<Self, Refusal> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| Reason::BadRequest.because(describe("the body", &error)))?;
        let (query, install) = link(body.link)?;
        let api_token = Some(api_token);
        let terms = Terms { user: body.user, query, install, api_token, signed_in: None };
        Ok(Self {
            user: terms.user()?,
            entrance: body.entrance.unwrap_or_else(|| Entrance::MAIN_NAME.to_owned()),
            form: body.form,
            terms,
        })
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Terms(hidden)")
    }
}

impl fmt::Debug for SignedInUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedInUser(hidden)")
    }
}

impl Terms {
    /// The data of a hand-off for a user who has signed in.
    pub fn of_signed_in(
        signed_in: SignedInUser,
        query: &str,
        install: Option<&str>,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            user: serde_json::value::to_raw_value(&())?,
            query: query.to_owned(),
            install: install.map(str::to_owned),
            api_token: None,
            signed_in: Some(signed_in),
        })
    }

    /// The user.
    pub fn user(&self) -> Result<User, Refusal> {
        if let Some(signed_in) = &self.signed_in {
            return Ok(signed_in.user.clone());
        }
        let body: UserBody = serde_json::from_str(self.user.get())
            .map_err(|error| Reason::BadIdentity.because(describe("user", &error)))?;
        let attributes =
            body.attributes.into_iter().map(|(name, value)| (name, without_empty(value))).filter(not_empty);
        Ok(User {
            id: text(body.id, "user.id", Identifier::parse)?,
            email: text(body.email, "user.email", Email::parse)?,
            name: text(body.name, "user.name", Label::parse)?,
            username: text(body.username, "user.username", Identifier::parse)?,
            groups: body.groups.iter().map(String::as_str).map(group_label).collect::<Result<_, _>>()?,
            organization: Organization {
                id: text(body.organization.id, "user.organization.id", Identifier::parse)?,
                name: text(body.organization.name, "user.organization.name", Label::parse)?,
            },
            attributes: attributes.collect(),
            ..User::default()
        })
    }
}

fn not_empty((_, value): &(String, Value)) -> bool {
    !is_empty(value)
}

fn group_label(group: &str) -> Result<Label, Refusal> {
    let bad = |why| Reason::BadIdentity.because(format!("an item of user.groups cannot be used: {why}"));
    Label::parse(group).map_err(bad)
}

/// A text, or a whole number, since ids may be numbers; `None` for null.
fn text<T>(
    value: Option<Value>,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, BadText>,
) -> Result<Option<T>, Refusal> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        Some(Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Reason::BadIdentity.because(format!("{what} is not a string")));
        }
    };
    parse(&text).map(Some).map_err(|why| Reason::BadIdentity.because(format!("{what} cannot be used: {why}")))
}

/// The link parameters as a query, and the integration whose install page is linked.
fn link(members: Map<String, Value>) -> Result<(String, Option<String>), Refusal> {
    let (mut query, mut install) = (form_urlencoded::Serializer::new(String::new()), None);
    for (name, value) in members {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(number) if !number.is_f64() => number.to_string(),
            Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(
                    Reason::BadLink.because("a member of link is neither a string nor a whole number")
                );
            }
        };
        if name == INSTALL {
            install = Some(text);
        } else {
            query.append_pair(&name, &text);
        }
    }
    Ok((query.finish(), install))
}

/// What is wrong with JSON. The text quotes no part of it.
fn describe(what: &str, error: &serde_json::Error) -> String {
    let wrong = match error.classify() {
        serde_json::error::Category::Data => {
            "has a member that is unknown, missing, repeated or of another type"
        }
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => "is not JSON",
    };
    format!("{what} {wrong} (line {}, column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<LinkRequest, Refusal> {
        LinkRequest::parse(body.to_string().as_bytes(), "app".into())
    }

    #[test]
    fn a_full_request_is_parsed() {
        let request = parse(&json!({
            "user": {"id": 17, "email": "alice@example.com", "name": "Alice", "username": "alice",
                     "groups": ["staff"], "organization": {"id": "o-1", "name": "Acme"},
                     "attributes": {"plan": "pro", "seats": 3, "none": null}},
            "entrance": "partners", "form": "direct",
            "link": {"integration_id": 1121, "display": "settings", "install": "7"}
        }))
        .unwrap();
        assert_eq!((request.entrance.as_str(), request.form), ("partners", Form::Direct));
        assert_eq!(request.terms.query, "display=settings&integration_id=1121");
        assert_eq!(request.terms.install.as_deref(), Some("7"));
        let user = serde_json::to_value(&request.user).unwrap();
        assert_eq!(
            user,
            json!({"id": "17", "email": "alice@example.com", "name": "Alice", "username": "alice",
                   "groups": ["staff"], "organization": {"id": "o-1", "name": "Acme"},
                   "attributes": {"plan": "pro", "seats": 3}, "token": {}})
        );
        let stored = serde_json::to_vec(&request.terms).unwrap();
        let terms: Terms = serde_json::from_slice(&stored).unwrap();
        assert_eq!(terms.user().unwrap(), request.user);
    }

    #[rstest]
    #[case::no_user(json!({}), Reason::BadRequest, "unknown, missing")]
    #[case::unknown_member(json!({"user": {}, "canary": 1}), Reason::BadRequest, "unknown")]
    #[case::no_object(json!("canary"), Reason::BadRequest, "another type")]
    #[case::form(json!({"user": {}, "form": "canary"}), Reason::BadRequest, "unknown")]
    #[case::link(json!({"user": {}, "link": {"display": ["canary"]}}), Reason::BadLink, "link")]
    #[case::unknown_field(json!({"user": {"canary": 1}}), Reason::BadIdentity, "user has a member")]
    #[case::token(json!({"user": {"token": {"canary": 1}}}), Reason::BadIdentity, "user has a member")]
    #[case::email(json!({"user": {"email": "canary"}}), Reason::BadIdentity, "user.email cannot be used")]
    #[case::empty(json!({"user": {"id": ""}}), Reason::BadIdentity, "user.id cannot be used: it is empty")]
    #[case::placeholder(json!({"user": {"id": "null"}}), Reason::BadIdentity, "user.id")]
    #[case::list(json!({"user": {"name": ["canary"]}}), Reason::BadIdentity, "user.name is not a string")]
    #[case::group(json!({"user": {"groups": ["canary\u{202e}"]}}), Reason::BadIdentity, "user.groups")]
    #[case::organization(
        json!({"user": {"organization": {"id": true}}}),
        Reason::BadIdentity,
        "user.organization.id is not a string"
    )]
    fn a_wrong_request_is_refused(#[case] body: Value, #[case] reason: Reason, #[case] cause: &str) {
        let refusal = parse(&body).unwrap_err();
        assert_eq!(refusal.reason, reason);
        assert!(refusal.cause.contains(cause) && !refusal.cause.contains("canary"), "{}", refusal.cause);
    }

    #[test]
    fn a_repeated_member_is_refused() {
        let twice = br#"{"user": {"email": "a@example.com", "email": "b@example.com"}}"#;
        assert_eq!(LinkRequest::parse(twice, "app".into()).unwrap_err().reason, Reason::BadIdentity);
    }
}
