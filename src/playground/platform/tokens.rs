//! What each platform says of a person, as its documentation has it: a pure
//! function of the person and the time. Signing is in [`super::issuer`].

use serde_json::{Value, json};
use uuid::Uuid;

use super::entrance::{AUDIENCE, POLICY, TENANT};
use super::kind::Kind;
use crate::playground::people::Person;

/// What a token is to be about.
pub struct Wanted<'a> {
    /// The person.
    pub person: &'a Person,
    /// Whether the person passed the check; only CAF says so.
    pub is_authorized: bool,
    /// For which address it is; only commercetools says so.
    pub address: &'a str,
    /// When it is signed, in Unix seconds.
    pub now_s: u64,
}

/// The claims of the platform that calls itself `issuer`.
pub fn claims(kind: Kind, issuer: &str, wanted: &Wanted<'_>) -> Value {
    let Wanted { person, is_authorized, address, now_s } = wanted;
    let ends_after = |seconds: u64| now_s.saturating_add(seconds);
    match kind {
        Kind::AppDirect => json!({
            "sub": person.uuid,
            "name": person.email,
            "tenant": TENANT,
            "iat": now_s,
            "exp": ends_after(300),
        }),
        Kind::Commercetools => json!({
            "iss": issuer,
            "aud": address,
            "sub": person.uuid,
            "type": "exchange",
            format!("{issuer}/claims/project_key"): person.project_key,
            format!("{issuer}/claims/user_permissions"): permissions(person),
            "iat": now_s,
            "exp": ends_after(60),
        }),
        Kind::Caf => json!({
            "attemptId": Uuid::new_v4(),
            "peopleId": person.uuid,
            "policyId": POLICY,
            "isAuthorized": is_authorized,
            "isNewContext": false,
            "iat": now_s,
            "exp": ends_after(120),
        }),
        Kind::Bearer => json!({
            "iss": issuer,
            "aud": AUDIENCE,
            "sub": person.id,
            "email": person.email,
            "email_verified": true,
            "name": person.name,
            "preferred_username": person.username,
            "groups": person.groups,
            "org_id": person.organization_id,
            "org_name": person.organization_name,
            "plan": person.plan.word(),
            "iat": now_s,
            "exp": ends_after(300),
        }),
    }
}

/// What a person may do in the Merchant Center.
fn permissions(person: &Person) -> Vec<&'static str> {
    let of_group = |group: &&str| match *group {
        "admins" => "ManageProjectSettings",
        "buyers" => "ManageProducts",
        _ => "ViewOrders",
    };
    person.groups.iter().map(of_group).collect()
}
