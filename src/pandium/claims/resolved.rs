//! Claims filled in for a user, borrowed where they can be, and how they are
//! written as JSON.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::{Form, Unfit};
use crate::expression::{is_empty, without_empty};
use crate::user::{BadText, Identifier, Label};

/// What a token says of one user, without the time and the token's id.
#[derive(Debug)]
pub struct UserClaims<'a> {
    entries: Vec<(&'a str, Resolved<'a>)>,
}

/// What every token says of itself.
#[derive(Clone, Copy, Debug)]
pub struct TimeClaims {
    /// `iat`, in Unix seconds.
    pub issued_at: u64,
    /// `jti`.
    pub jti: Uuid,
    /// `exp`, in Unix seconds, where the token is to have one.
    pub expires_at: Option<u64>,
}

/// A whole token's claims.
#[derive(Debug)]
pub struct Stamped<'a> {
    claims: &'a UserClaims<'a>,
    time: TimeClaims,
}

/// A value for a claim.
#[derive(Debug)]
pub(super) enum Resolved<'a> {
    Nothing,
    Text(Cow<'a, str>),
    Labels(&'a [Label]),
    Json(Cow<'a, Value>),
    Table(Vec<(&'a str, Resolved<'a>)>),
    List(Vec<Resolved<'a>>),
}

impl<'a> UserClaims<'a> {
    pub(super) const fn new(entries: Vec<(&'a str, Resolved<'a>)>) -> Self {
        Self { entries }
    }

    /// `sub`, if it says somebody.
    pub fn subject(&self) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(name, _)| *name == "sub")?;
        match value {
            Resolved::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The claims with what the token says of itself.
    pub const fn stamped(&'a self, time: TimeClaims) -> Stamped<'a> {
        Stamped { claims: self, time }
    }

    /// The five largest claims, by path and size in bytes; no values.
    pub fn largest(&self) -> String {
        let mut sizes = Vec::new();
        for (name, value) in &self.entries {
            value.sizes(name, &mut sizes);
        }
        sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let named: Vec<String> =
            sizes.into_iter().take(5).map(|(name, size)| format!("{name} {size} bytes")).collect();
        named.join(", ")
    }
}

impl<'a> Resolved<'a> {
    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(Cow::Borrowed(text)))
    }

    pub(super) fn json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Bool(_) | Value::Number(_) => Self::Json(Cow::Borrowed(value)),
            Value::Array(_) | Value::Object(_) => Self::owned(value.clone()),
        }
    }

    pub(super) fn owned(value: Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::String(text) => Self::Text(Cow::Owned(text)),
            other => Self::Json(Cow::Owned(without_empty(other))),
        }
    }

    /// Undefined, null or empty: left out.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Text(text) => text.is_empty(),
            Self::Labels(labels) => labels.is_empty(),
            Self::Json(value) => is_empty(value),
            Self::Table(entries) => entries.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }

    /// The value as Pandium documents it, or what is wrong with it.
    pub(super) fn in_form(self, form: Form) -> Result<Self, Unfit> {
        Ok(match form {
            Form::Any => self,
            Form::Identity => self.into_text()?.into_identity()?,
            Form::Text => self.into_text()?,
            Form::Texts => self.into_texts()?,
            Form::Table => self.into_table()?,
        })
    }

    /// Who somebody is, read as an id: a text from a token's claims has not been
    /// looked at before.
    fn into_identity(self) -> Result<Self, Unfit> {
        let Self::Text(text) = &self else { return Ok(self) };
        match Identifier::within(text) {
            Ok(id) if id == text => Ok(self),
            Ok(id) => Ok(Self::Text(Cow::Owned(id.to_owned()))),
            Err(BadText::Empty | BadText::NoValue) => Ok(Self::Nothing),
            Err(why) => Err(Unfit { why: format!("it cannot be used: {why}"), is_bad_identity: true }),
        }
    }

    fn into_table(self) -> Result<Self, String> {
        match &self {
            Self::Nothing | Self::Table(_) => Ok(self),
            Self::Json(value) if value.is_object() => Ok(self),
            Self::Text(text) if text.is_empty() => Ok(self),
            Self::Json(value) => Err(format!("it yields {}, a table is meant", kind(value))),
            Self::Text(_) => Err("it yields a text, a table is meant".into()),
            Self::Labels(_) | Self::List(_) => Err("it yields a list, a table is meant".into()),
        }
    }

    fn into_text(self) -> Result<Self, String> {
        match self {
            Self::Nothing | Self::Text(_) => Ok(self),
            Self::Json(value) => match &*value {
                Value::Number(number) if is_integer(number) => Ok(Self::Text(Cow::Owned(number.to_string()))),
                other => Err(format!("it yields {}, a text is meant", kind(other))),
            },
            Self::Labels(_) | Self::List(_) => Err("it yields a list, a text is meant".into()),
            Self::Table(_) => Err("it yields a table, a text is meant".into()),
        }
    }

    fn into_texts(self) -> Result<Self, String> {
        match self {
            Self::Nothing | Self::Labels(_) => Ok(self),
            Self::Json(value) => match value.into_owned() {
                Value::Array(items) => {
                    let texts = items.into_iter().map(|item| Resolved::owned(item).into_text());
                    let mut texts = texts.collect::<Result<Vec<_>, _>>()?;
                    texts.retain(|text| !text.is_empty());
                    Ok(Self::List(texts))
                }
                other => Err(format!("it yields {}, a list of texts is meant", kind(&other))),
            },
            Self::Text(text) if text.is_empty() => Ok(Self::Nothing),
            Self::Text(_) => Err("it yields a text, a list of texts is meant".into()),
            Self::List(_) | Self::Table(_) => Err("it yields a table, a list of texts is meant".into()),
        }
    }

    fn sizes(&self, path: &str, sizes: &mut Vec<(String, usize)>) {
        match self {
            Self::Table(entries) => {
                for (name, value) in entries {
                    value.sizes(&format!("{path}.{name}"), sizes);
                }
            }
            value => {
                let size = serde_json::to_vec(value).map_or(0, |json| json.len());
                sizes.push((path.to_owned(), size));
            }
        }
    }
}

fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

impl Serialize for Stamped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iat", &self.time.issued_at)?;
        map.serialize_entry("jti", &self.time.jti)?;
        if let Some(expires_at) = self.time.expires_at {
            map.serialize_entry("exp", &expires_at)?;
        }
        for (name, value) in &self.claims.entries {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for UserClaims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Resolved<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Labels(labels) => labels.serialize(serializer),
            Self::Json(value) => value.serialize(serializer),
            Self::Table(entries) => serializer.collect_map(entries.iter().map(|(name, value)| (name, value))),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
        }
    }
}
