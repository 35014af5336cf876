//! The claims of the token that authenticated a user.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Verified claims, by name. Claims that were stored, such as in a session, are parsed only when
/// one is read: most configurations read none, and claims are the largest part of a session.
#[derive(Clone, Debug, Default)]
pub struct TokenClaims {
    stored: Option<Box<RawValue>>,
    parsed: OnceLock<BTreeMap<String, Value>>,
}

impl TokenClaims {
    /// All claims.
    pub fn all(&self) -> &BTreeMap<String, Value> {
        self.parsed.get_or_init(|| {
            let stored = self.stored.as_deref().map(RawValue::get);
            stored.and_then(|stored| serde_json::from_str(stored).ok()).unwrap_or_default()
        })
    }

    /// Adds a claim, or replaces one.
    pub fn insert(&mut self, name: String, value: Value) {
        let mut claims = self.all().clone();
        claims.insert(name, value);
        *self = claims.into_iter().collect();
    }
}

impl FromIterator<(String, Value)> for TokenClaims {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(claims: I) -> Self {
        Self { stored: None, parsed: OnceLock::from(claims.into_iter().collect::<BTreeMap<_, _>>()) }
    }
}

impl PartialEq for TokenClaims {
    fn eq(&self, other: &Self) -> bool {
        self.all() == other.all()
    }
}

impl Serialize for TokenClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all().serialize(serializer)
    }
}

/// Deserializes from JSON, whose syntax alone is checked.
impl<'de> Deserialize<'de> for TokenClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self { stored: Some(stored), parsed: OnceLock::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_claims_are_read_unchanged() {
        let claims: TokenClaims =
            [("sub".to_owned(), json!("u-1")), ("n".to_owned(), json!([1.5, null, {"a": true}]))]
                .into_iter()
                .collect();
        let stored: TokenClaims = serde_json::from_str(&serde_json::to_string(&claims).unwrap()).unwrap();
        assert_eq!(stored, claims);
        assert_eq!(stored.all().len(), 2);
    }

    #[test]
    fn invalid_json_is_an_error_and_other_values_have_no_claims() {
        assert!(serde_json::from_str::<TokenClaims>("{\"a\":}").is_err());
        assert!(serde_json::from_str::<TokenClaims>("[1]").unwrap().all().is_empty());
    }

    #[test]
    fn a_claim_is_added_to_stored_ones() {
        let mut claims: TokenClaims = serde_json::from_str("{\"sub\":\"u-1\",\"plan\":\"free\"}").unwrap();
        claims.insert("plan".to_owned(), json!("pro"));
        assert_eq!(serde_json::to_value(&claims).unwrap(), json!({"sub": "u-1", "plan": "pro"}));
    }
}
