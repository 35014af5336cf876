//! Validates and describes the claims of a token whose signature has been
//! verified, by Pandium's documented rules. [`super::integrations`] applies them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::tier::Tier;

/// The claims that the stand-in marketplace uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedClaims {
    /// The user's id; installs are stored by it.
    pub sub: String,
    /// The user's display name.
    pub name: String,
    /// The company's display name.
    pub organization: String,
    /// Seconds since `iat`; 0 if that is in the future.
    pub age_s: u64,
    /// The plan in `ti.xti.user_tier`; defaults to free.
    pub tier: Tier,
    /// Whether the token names that plan.
    pub is_tier_named: bool,
    /// The install limit, if the token has one.
    pub allowed_installs: Option<u64>,
    /// Ids of integrations hidden from the user.
    pub hidden: BTreeSet<u32>,
    /// Ids of integrations that the token lists as installed.
    pub installed: BTreeSet<u32>,
}

/// Why the stand-in rejects a token with a valid signature; each text completes a
/// sentence that begins with "because".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Pandium documents only this header.
    #[error("its header is not exactly {{\"alg\":\"HS256\",\"typ\":\"JWT\"}}")]
    Header,
    /// `iat` is required.
    #[error("its iat is missing or is not a whole number of seconds")]
    IssuedAt,
    /// `iat` is in the future by more than `MAX_CLOCK_SKEW_S`.
    #[error("it was signed {0} seconds in the future, and clocks may differ by {MAX_CLOCK_SKEW_S}")]
    InFuture(u64),
    /// `iat` is older than `MAX_AGE_S`.
    #[error("it was signed {0} seconds ago, and this marketplace accepts a token for {MAX_AGE_S}")]
    TooOld(u64),
    /// `jti` is required.
    #[error("its jti is missing or is not a UUID")]
    Id,
    /// `sub` is required.
    #[error("its sub is missing, empty or not a string")]
    Subject,
    /// `ti`, the tenant's information, must be an object.
    #[error("its ti is not an object")]
    TenantInformation,
    /// `ti.ili` must be a list of strings.
    #[error("its ti.ili is not a list of strings")]
    InstalledList,
}

/// A claim, its value and its meaning.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClaimDescription {
    /// The path of the claim, such as `ti.uem`.
    pub name: String,
    /// A string without quotes, any other value as JSON.
    pub value: String,
    pub meaning: &'static str,
}

impl ParsedClaims {
    /// Validates a token at `now_s`, in Unix seconds.
    pub fn read(
        header: &Map<String, Value>,
        claims: &Map<String, Value>,
        now_s: u64,
    ) -> Result<Self, ClaimError> {
        if Value::Object(header.clone()) != json!({"alg": "HS256", "typ": "JWT"}) {
            return Err(ClaimError::Header);
        }
        let age_s = age(claims, now_s)?;
        claims
            .get("jti")
            .and_then(Value::as_str)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or(ClaimError::Id)?;
        let sub = claims
            .get("sub")
            .and_then(Value::as_str)
            .filter(|sub| !sub.is_empty())
            .ok_or(ClaimError::Subject)?;
        let empty = Map::new();
        let information = match claims.get("ti") {
            None => &empty,
            Some(Value::Object(information)) => information,
            Some(_) => return Err(ClaimError::TenantInformation),
        };
        let installed = match information.get("ili") {
            None => BTreeSet::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => ids(list),
            Some(_) => return Err(ClaimError::InstalledList),
        };
        let extra = information.get("xti").and_then(Value::as_object).unwrap_or(&empty);
        let tier = extra.get("user_tier").and_then(Value::as_str).and_then(Tier::parse);
        let text = |key: &str| information.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Self {
            sub: sub.to_owned(),
            name: text("udn").or(text("ufn")).unwrap_or(sub).to_owned(),
            organization: text("adn").unwrap_or("your company").to_owned(),
            age_s,
            tier: tier.unwrap_or(Tier::Free),
            is_tier_named: tier.is_some(),
            allowed_installs: extra.get("allowed_installs").and_then(Value::as_u64),
            hidden: extra
                .get("hidden_integrations")
                .and_then(Value::as_array)
                .map(|list| ids(list))
                .unwrap_or_default(),
            installed,
        })
    }
}

/// Describes each claim of a token, including those inside `ti` and `ti.xti`.
pub fn describe_claims(claims: &Map<String, Value>) -> Vec<ClaimDescription> {
    let mut descriptions = Vec::new();
    for (name, value) in claims {
        collect(name.clone(), value, &mut descriptions);
    }
    descriptions
}

fn collect(name: String, value: &Value, descriptions: &mut Vec<ClaimDescription>) {
    match value {
        Value::Object(inner) if name == "ti" || name == "ti.xti" => {
            for (key, value) in inner {
                collect(format!("{name}.{key}"), value, descriptions);
            }
        }
        _ => {
            let meaning = meaning(&name);
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            descriptions.push(ClaimDescription { name, value, meaning });
        }
    }
}

fn meaning(name: &str) -> &'static str {
    match name {
        "iat" => "When the token was signed, in seconds since 1970. A fresh one for every request.",
        "jti" => "The token's own id, never used twice.",
        "exp" => "When the token ends. Pandium does not document it.",
        "sub" => "Identifies the user. Installed tenants belong to it, so it must never change for a user.",
        "external_id" => "The user's own id in the app, where sub is the e-mail address.",
        "meta" => "Free-form data about the user.",
        "ti.udn" => "The name to show for the user.",
        "ti.ufn" => "The user's full name.",
        "ti.uem" => "The user's e-mail address.",
        "ti.ili" => "Integrations that the user has already: they have an Installed badge here.",
        "ti.aid" => "The company's id in the app.",
        "ti.adn" => "The company's name to show.",
        "ti.xti.user_tier" => "The user's plan: integrations of a higher one are locked here.",
        "ti.xti.user_group" => "The user's group, which may decide what is shown.",
        "ti.xti.hidden_integrations" => "Integrations that this user does not see here.",
        "ti.xti.allowed_installs" => "How many integrations may be installed.",
        name if name.starts_with("ti.xti.") => "Extra information, as agreed with Pandium for the account.",
        _ => "Not among the claims that Pandium documents.",
    }
}

fn age(claims: &Map<String, Value>, now_s: u64) -> Result<u64, ClaimError> {
    let issued_at = claims.get("iat").and_then(Value::as_u64).ok_or(ClaimError::IssuedAt)?;
    let ahead = issued_at.saturating_sub(now_s);
    if ahead > MAX_CLOCK_SKEW_S {
        return Err(ClaimError::InFuture(ahead));
    }
    let age = now_s.saturating_sub(issued_at);
    if age > MAX_AGE_S {
        return Err(ClaimError::TooOld(age));
    }
    Ok(age)
}

/// Parses ids, which are numbers or strings of digits; ignores everything else.
fn ids(list: &[Value]) -> BTreeSet<u32> {
    list.iter()
        .filter_map(|value| match value {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|id| u32::try_from(id).ok()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
        .collect()
}

/// How far `iat` may be in the future, in seconds. The stand-in defines this.
const MAX_CLOCK_SKEW_S: u64 = 60;
/// The maximum age of a token, in seconds. The stand-in defines this: Pandium documents none.
pub const MAX_AGE_S: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_790_000_000;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn read(change: impl FnOnce(&mut Map<String, Value>)) -> Result<ParsedClaims, ClaimError> {
        let mut claims = object(json!({
            "iat": NOW_S - 2, "jti": "1cfa7dbf-8110-4237-ad22-410608791b7d", "sub": "ada",
            "ti": {"udn": "Ada", "ili": ["1121", "theirs"],
                   "xti": {"user_tier": "pro", "allowed_installs": 5, "hidden_integrations": ["1129", 1130]}},
        }));
        change(&mut claims);
        ParsedClaims::read(&object(json!({"typ": "JWT", "alg": "HS256"})), &claims, NOW_S)
    }

    #[test]
    fn a_valid_token_is_parsed() {
        let claims = read(|_| ()).unwrap();
        assert_eq!((claims.sub.as_str(), claims.name.as_str(), claims.age_s), ("ada", "Ada", 2));
        assert_eq!((claims.tier, claims.allowed_installs), (Tier::Pro, Some(5)));
        assert_eq!((claims.hidden, claims.installed), (BTreeSet::from([1129, 1130]), BTreeSet::from([1121])));
    }

    #[test]
    fn a_token_that_breaks_a_rule_is_rejected() {
        let check = |key: &str, value: Value, expected: ClaimError| {
            assert_eq!(read(|claims| drop(claims.insert(key.into(), value))).unwrap_err(), expected);
        };
        check("iat", json!(1.5), ClaimError::IssuedAt);
        check("iat", json!("1790000000"), ClaimError::IssuedAt);
        check("iat", json!(NOW_S + 61), ClaimError::InFuture(61));
        check("iat", json!(NOW_S - 301), ClaimError::TooOld(301));
        check("jti", json!("1"), ClaimError::Id);
        check("sub", json!(""), ClaimError::Subject);
        check("sub", json!(7), ClaimError::Subject);
        check("ti", json!("x"), ClaimError::TenantInformation);
        check("ti", json!({"ili": [1121]}), ClaimError::InstalledList);
        check("ti", json!({"ili": "1121"}), ClaimError::InstalledList);
    }

    #[test]
    fn only_the_documented_header_is_accepted() {
        let header = object(json!({"alg": "HS256", "typ": "JWT", "kid": "1"}));
        assert_eq!(ParsedClaims::read(&header, &Map::new(), NOW_S).unwrap_err(), ClaimError::Header);
    }

    #[test]
    fn each_claim_is_described() {
        let names: Vec<String> =
            describe_claims(&object(json!({"sub": "a", "ti": {"uem": "b", "xti": {"c": 1}}, "z": {}})))
                .into_iter()
                .map(|claim| claim.name)
                .collect();
        assert_eq!(names, ["sub", "ti.uem", "ti.xti.c", "z"]);
    }
}
