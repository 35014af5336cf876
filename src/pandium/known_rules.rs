//! Descriptions and checks of Pandium's documented claims, for `inspect` and the
//! playground. Not used for signing.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;

/// The result of checking one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFinding {
    /// The claim that it concerns.
    pub claim: &'static str,
    /// Whether the rule holds.
    pub holds: bool,
    /// The rule, or how it is violated.
    pub what: String,
}

/// A token that is older, in seconds, is reported. Pandium documents no limit, but a hand-off is
/// used immediately.
const FRESH_S: u64 = 300;

/// The meaning of a claim, by its path; `None` for claims that Pandium does not
/// document.
pub fn meaning(path: &str) -> Option<&'static str> {
    Some(match path {
        "iat" => "when the token was issued",
        "jti" => "the token's id, new for each token",
        "exp" => "when the token expires",
        "sub" => "the user; Pandium ties installed integrations to it, so it must never change",
        "external_id" => "the user's id, if it is not the e-mail",
        "meta" => "free-form data tied to the user",
        "ti" => "tenant information",
        "ti.udn" => "the user's display name",
        "ti.ufn" => "the user's full name",
        "ti.uem" => "the user's e-mail",
        "ti.ili" => "ids of the integrations that are installed already",
        "ti.aid" => "the account's id",
        "ti.adn" => "the account's display name",
        "ti.xti" => "extra tenant information; its effect is agreed with Pandium for each account",
        "ti.xti.hidden_integrations" => "integrations that are hidden from this user",
        "ti.xti.user_group" => "decides which integrations the user sees",
        "ti.xti.user_tier" => "decides which integrations the user sees",
        "ti.xti.allowed_installs" => "how many integrations the user may install",
        _ => return None,
    })
}

/// Checks a token's claims against each rule.
pub fn check(claims: &Map<String, Value>, now: Timestamp) -> Vec<RuleFinding> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_u64);
    let rule = |claim, holds, what: &str| RuleFinding { claim, holds, what: what.to_owned() };

    let mut findings = vec![
        age(seconds("iat"), now.unix_seconds()),
        rule("jti", text("jti").is_some_and(|jti| Uuid::parse_str(jti).is_ok()), "is a UUID"),
        rule("sub", text("sub").is_some_and(|sub| !sub.trim().is_empty()), "is a non-empty string"),
    ];
    if let Some(exp) = claims.get("exp") {
        let holds = exp.as_u64().is_some_and(|exp| exp > now.unix_seconds());
        findings.push(rule(
            "exp",
            holds,
            if holds { "is in the future" } else { "has passed, or is not a number of seconds" },
        ));
    }
    if let Some(external_id) = claims.get("external_id") {
        findings.push(rule("external_id", external_id.is_string(), "is a string"));
    }
    if let Some(ti) = claims.get("ti") {
        findings.push(rule("ti", ti.is_object(), "is an object"));
        if let Some(ili) = ti.get("ili") {
            let holds = ili.as_array().is_some_and(|ids| ids.iter().all(Value::is_string));
            findings.push(rule("ti.ili", holds, "is an array of strings"));
        }
        if let Some(xti) = ti.get("xti") {
            findings.push(rule("ti.xti", xti.is_object(), "is an object"));
        }
    }
    findings
}

fn age(iat: Option<u64>, now: u64) -> RuleFinding {
    let (holds, what) = match iat {
        None => (false, "is a whole number of Unix seconds".to_owned()),
        Some(iat) if iat > now => (false, format!("is {} s ahead of this machine's clock", iat - now)),
        Some(iat) if now - iat > FRESH_S => {
            (true, format!("is {} s old; hand-offs are meant to be used immediately", now - iat))
        }
        Some(iat) => (true, format!("is {} s old", now - iat)),
    };
    RuleFinding { claim: "iat", holds, what }
}
