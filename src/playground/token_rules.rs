//! What the stand-in marketplace makes of a token whose signature is right:
//! Pandium's known rules, and what the claims mean. The signature is checked
//! before; what follows from the claims is in [`super::integrations`].

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::tier::Tier;

/// What a token told the marketplace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who the user is; tenants hang on it.
    pub sub: String,
    /// What to call the user.
    pub name: String,
    /// What to call the user's company.
    pub organization: String,
    /// Seconds since the token was signed; 0 where its clock is ahead of ours.
    pub age_s: u64,
    /// The plan in `ti.xti.user_tier`; free where none is given.
    pub tier: Tier,
    /// How many integrations may be installed, where the token says so.
    pub allowed_installs: Option<u64>,
    /// Ids of integrations that the user shall not see.
    pub hidden: BTreeSet<u32>,
    /// Ids of integrations that are installed already.
    pub installed: BTreeSet<u32>,
}

/// Why the stand-in refuses a token with a good signature; each reads on from "because".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// Pandium documents this one header and no other.
    #[error("its header is not exactly {{\"alg\":\"HS256\",\"typ\":\"JWT\"}}")]
    Header,
    /// `iat` is required.
    #[error("its iat is missing or is not a whole number of seconds")]
    IssuedAt,
    /// Signed later than now, by more than clocks may differ.
    #[error("it was signed {0} seconds in the future, and clocks may differ by {MOST_AHEAD_S}")]
    Ahead(u64),
    /// Signed too long ago.
    #[error("it was signed {0} seconds ago, and this marketplace takes a token for {MOST_AGE_S}")]
    Old(u64),
    /// `jti` is required.
    #[error("its jti is missing or is not a UUID")]
    Id,
    /// `sub` is required.
    #[error("its sub is missing, empty or not a string")]
    Subject,
    /// `ti` holds the tenant's information.
    #[error("its ti is not an object")]
    TenantInformation,
    /// `ti.ili` lists integrations.
    #[error("its ti.ili is not a list of strings")]
    InstalledList,
}

/// A claim and a sentence on it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Explained {
    /// The claim with its path, such as `ti.uem`.
    pub name: String,
    /// What it is for.
    pub meaning: &'static str,
}

impl Told {
    /// Applies the rules at that time, in Unix seconds.
    pub fn read(
        header: &Map<String, Value>,
        claims: &Map<String, Value>,
        now_s: u64,
    ) -> Result<Self, BrokenRule> {
        if Value::Object(header.clone()) != json!({"alg": "HS256", "typ": "JWT"}) {
            return Err(BrokenRule::Header);
        }
        let age_s = age(claims, now_s)?;
        claims
            .get("jti")
            .and_then(Value::as_str)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or(BrokenRule::Id)?;
        let sub = claims
            .get("sub")
            .and_then(Value::as_str)
            .filter(|sub| !sub.is_empty())
            .ok_or(BrokenRule::Subject)?;
        let nothing = Map::new();
        let information = match claims.get("ti") {
            None => &nothing,
            Some(Value::Object(information)) => information,
            Some(_) => return Err(BrokenRule::TenantInformation),
        };
        let installed = match information.get("ili") {
            None => BTreeSet::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => ids(list),
            Some(_) => return Err(BrokenRule::InstalledList),
        };
        let extra = information.get("xti").and_then(Value::as_object).unwrap_or(&nothing);
        let text = |key: &str| information.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Self {
            sub: sub.to_owned(),
            name: text("udn").or(text("ufn")).unwrap_or(sub).to_owned(),
            organization: text("adn").unwrap_or("your company").to_owned(),
            age_s,
            tier: extra.get("user_tier").and_then(Value::as_str).and_then(Tier::parse).unwrap_or(Tier::Free),
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

/// A sentence on each claim of a token, those inside `ti` and `xti` by their path.
pub fn explain(claims: &Map<String, Value>) -> Vec<Explained> {
    let mut explained = Vec::new();
    for (name, value) in claims {
        walk(name.clone(), value, &mut explained);
    }
    explained
}

fn walk(name: String, value: &Value, explained: &mut Vec<Explained>) {
    match value {
        Value::Object(inner) if name == "ti" || name == "ti.xti" => {
            for (key, value) in inner {
                walk(format!("{name}.{key}"), value, explained);
            }
        }
        _ => {
            let meaning = meaning(&name);
            explained.push(Explained { name, meaning });
        }
    }
}

fn meaning(name: &str) -> &'static str {
    match name {
        "iat" => "When the token was signed, in seconds since 1970. A fresh one for every request.",
        "jti" => "The token's own id, never used twice.",
        "exp" => "When the token ends. Pandium does not document it.",
        "sub" => "Who the user is. Installed tenants hang on it, so it must never change for a user.",
        "external_id" => "The user's own id in the app, where sub is the e-mail address.",
        "meta" => "Free-form data that travels with the user.",
        "ti.udn" => "The name to show for the user.",
        "ti.ufn" => "The user's full name.",
        "ti.uem" => "The user's e-mail address.",
        "ti.ili" => "Integrations that the user has already: they carry an Installed badge here.",
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

fn age(claims: &Map<String, Value>, now_s: u64) -> Result<u64, BrokenRule> {
    let issued_at = claims.get("iat").and_then(Value::as_u64).ok_or(BrokenRule::IssuedAt)?;
    let ahead = issued_at.saturating_sub(now_s);
    if ahead > MOST_AHEAD_S {
        return Err(BrokenRule::Ahead(ahead));
    }
    let age = now_s.saturating_sub(issued_at);
    if age > MOST_AGE_S {
        return Err(BrokenRule::Old(age));
    }
    Ok(age)
}

/// Ids may be numbers or strings of digits; whatever else is listed is none of ours.
fn ids(list: &[Value]) -> BTreeSet<u32> {
    list.iter()
        .filter_map(|value| match value {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|id| u32::try_from(id).ok()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
        .collect()
}

/// How far the signer's clock may be ahead. The stand-in's choice.
const MOST_AHEAD_S: u64 = 60;
/// How long a token is taken. The stand-in's choice: Pandium documents none.
const MOST_AGE_S: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_790_000_000;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn read(change: impl FnOnce(&mut Map<String, Value>)) -> Result<Told, BrokenRule> {
        let mut claims = object(json!({
            "iat": NOW_S - 2, "jti": "1cfa7dbf-8110-4237-ad22-410608791b7d", "sub": "ada",
            "ti": {"udn": "Ada", "ili": ["1121", "theirs"],
                   "xti": {"user_tier": "pro", "allowed_installs": 5, "hidden_integrations": ["1129", 1130]}},
        }));
        change(&mut claims);
        Told::read(&object(json!({"typ": "JWT", "alg": "HS256"})), &claims, NOW_S)
    }

    #[test]
    fn a_good_token_is_read() {
        let told = read(|_| ()).unwrap();
        assert_eq!((told.sub.as_str(), told.name.as_str(), told.age_s), ("ada", "Ada", 2));
        assert_eq!((told.tier, told.allowed_installs), (Tier::Pro, Some(5)));
        assert_eq!((told.hidden, told.installed), (BTreeSet::from([1129, 1130]), BTreeSet::from([1121])));
    }

    #[test]
    fn a_token_that_breaks_a_rule_is_refused() {
        let check = |key: &str, value: Value, expected: BrokenRule| {
            assert_eq!(read(|claims| drop(claims.insert(key.into(), value))).unwrap_err(), expected);
        };
        check("iat", json!(1.5), BrokenRule::IssuedAt);
        check("iat", json!("1790000000"), BrokenRule::IssuedAt);
        check("iat", json!(NOW_S + 61), BrokenRule::Ahead(61));
        check("iat", json!(NOW_S - 301), BrokenRule::Old(301));
        check("jti", json!("1"), BrokenRule::Id);
        check("sub", json!(""), BrokenRule::Subject);
        check("sub", json!(7), BrokenRule::Subject);
        check("ti", json!("x"), BrokenRule::TenantInformation);
        check("ti", json!({"ili": [1121]}), BrokenRule::InstalledList);
        check("ti", json!({"ili": "1121"}), BrokenRule::InstalledList);
    }

    #[test]
    fn only_the_documented_header_will_do() {
        let header = object(json!({"alg": "HS256", "typ": "JWT", "kid": "1"}));
        assert_eq!(Told::read(&header, &Map::new(), NOW_S).unwrap_err(), BrokenRule::Header);
    }

    #[test]
    fn each_claim_has_a_sentence() {
        let names: Vec<String> =
            explain(&object(json!({"sub": "a", "ti": {"uem": "b", "xti": {"c": 1}}, "z": {}})))
                .into_iter()
                .map(|claim| claim.name)
                .collect();
        assert_eq!(names, ["sub", "ti.uem", "ti.xti.c", "z"]);
    }
}
