//! Evaluated claims, borrowed from the user where possible, and their JSON
//! serialization.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::{ClaimType, ValueError};
use crate::expression::{is_empty, without_empty};
use crate::user::{BadText, Identifier, Label};

/// The claims about one user, without `iat`, `jti` and `exp`.
#[derive(Debug)]
pub struct UserClaims<'a> {
    entries: Vec<(&'a str, Resolved<'a>)>,
}

/// The claims about the token itself.
#[derive(Clone, Copy, Debug)]
pub struct TimeClaims {
    /// `iat`, in Unix seconds.
    pub issued_at: u64,
    /// `jti`.
    pub jti: Uuid,
    /// `exp`, in Unix seconds, if the token has one.
    pub expires_at: Option<u64>,
}

/// All claims of a token.
#[derive(Debug)]
pub struct SignedClaims<'a> {
    claims: &'a UserClaims<'a>,
    time: TimeClaims,
}

/// An evaluated value.
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

    /// `sub`, if present.
    pub fn subject(&self) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(name, _)| *name == "sub")?;
        match value {
            Resolved::Text(text) => Some(text),
            _ => None,
        }
    }

    /// All claims of the token.
    pub const fn with_time(&'a self, time: TimeClaims) -> SignedClaims<'a> {
        SignedClaims { claims: self, time }
    }

    /// The paths and sizes in bytes of the five largest claims; no values.
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

    /// Whether the value is omitted: undefined, null or empty.
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

    /// Converts the value to the documented type.
    pub(super) fn into_type(self, claim_type: ClaimType) -> Result<Self, ValueError> {
        Ok(match claim_type {
            ClaimType::Any => self,
            ClaimType::Identity => self.into_text()?.into_identity()?,
            ClaimType::Text => self.into_text()?,
            ClaimType::Texts => self.into_texts()?,
            ClaimType::Table => self.into_table()?,
        })
    }

    /// Parses a string as an [`Identifier`], because values from token claims and interpreted
    /// expressions were not parsed before.
    fn into_identity(self) -> Result<Self, ValueError> {
        let Self::Text(text) = &self else { return Ok(self) };
        match Identifier::parse_borrowed(text) {
            Ok(id) if id == text => Ok(self),
            Ok(id) => Ok(Self::Text(Cow::Owned(id.to_owned()))),
            Err(BadText::Empty | BadText::NoValue) => Ok(Self::Nothing),
            Err(why) => Err(ValueError { why: format!("it cannot be used: {why}"), is_bad_identity: true }),
        }
    }

    fn into_table(self) -> Result<Self, String> {
        match &self {
            Self::Nothing | Self::Table(_) => Ok(self),
            Self::Json(value) if value.is_object() => Ok(self),
            Self::Text(text) if text.is_empty() => Ok(self),
            Self::Json(value) => Err(format!("it yields {}, expected a table", kind(value))),
            Self::Text(_) => Err("it yields a string, expected a table".into()),
            Self::Labels(_) | Self::List(_) => Err("it yields a list, expected a table".into()),
        }
    }

    fn into_text(self) -> Result<Self, String> {
        match self {
            Self::Nothing | Self::Text(_) => Ok(self),
            Self::Json(value) => match &*value {
                Value::Number(number) if is_integer(number) => Ok(Self::Text(Cow::Owned(number.to_string()))),
                other => Err(format!("it yields {}, expected a string", kind(other))),
            },
            Self::Labels(_) | Self::List(_) => Err("it yields a list, expected a string".into()),
            Self::Table(_) => Err("it yields a table, expected a string".into()),
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
                other => Err(format!("it yields {}, expected a list of strings", kind(&other))),
            },
            Self::Text(text) if text.is_empty() => Ok(Self::Nothing),
            Self::Text(_) => Err("it yields a string, expected a list of strings".into()),
            Self::List(_) | Self::Table(_) => Err("it yields a table, expected a list of strings".into()),
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
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

impl Serialize for SignedClaims<'_> {
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
