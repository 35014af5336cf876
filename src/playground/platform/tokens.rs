//! The claims of each platform's tokens, as its documentation has them: a pure
//! function of the user and the time. Signing is in [`super::issuer`].

use serde_json::{Value, json};
use uuid::Uuid;

use super::kind::Kind;
use super::sections::{AUDIENCE, POLICY, TENANT};
use crate::playground::people::Person;

/// A request for a token.
pub struct TokenRequest<'a> {
    pub person: &'a Person,
    /// Whether the identity check succeeded; CAF only.
    pub is_authorized: bool,
    /// The audience; commercetools only.
    pub url: &'a str,
    /// `iat`, in Unix seconds.
    pub now_s: u64,
}

/// The claims of a platform's token.
pub fn claims(kind: Kind, issuer: &str, request: &TokenRequest<'_>) -> Value {
    let TokenRequest { person, is_authorized, url, now_s } = request;
    let expires_after = |seconds: u64| now_s.saturating_add(seconds);
    match kind {
        Kind::AppDirect => json!({
            "sub": person.uuid,
            "name": person.email,
            "tenant": TENANT,
            "iat": now_s,
            "exp": expires_after(300),
        }),
        Kind::Commercetools => json!({
            "iss": issuer,
            "aud": url,
            "sub": person.uuid,
            "type": "exchange",
            format!("{issuer}/claims/project_key"): person.project_key,
            format!("{issuer}/claims/user_permissions"): permissions(person),
            "iat": now_s,
            "exp": expires_after(60),
        }),
        Kind::Caf => json!({
            "attemptId": Uuid::new_v4(),
            "peopleId": person.uuid,
            "policyId": POLICY,
            "isAuthorized": is_authorized,
            "isNewContext": false,
            "iat": now_s,
            "exp": expires_after(120),
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
            "plan": person.plan.as_str(),
            "iat": now_s,
            "exp": expires_after(300),
        }),
    }
}

/// The user's Merchant Center permissions.
fn permissions(person: &Person) -> Vec<&'static str> {
    let of_group = |group: &&str| match *group {
        "admins" => "ManageProjectSettings",
        "buyers" => "ManageProducts",
        _ => "ViewOrders",
    };
    person.groups.iter().map(of_group).collect()
}
