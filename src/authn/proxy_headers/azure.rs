//! `X-MS-CLIENT-PRINCIPAL`: base64 of JSON in one of two forms: that of App Service (`claims`) or
//! that of Static Web Apps (`userId`, `userDetails`).
//! <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::values::{email, identifier, label};
use crate::refusal::{Reason, Refusal};
use crate::user::User;

/// The members of both forms.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Principal {
    #[serde(default)]
    claims: Vec<Claim>,
    #[serde(rename = "role_typ")]
    role_type: Option<String>,
    user_id: Option<String>,
    user_details: Option<String>,
    #[serde(default)]
    user_roles: Vec<String>,
}

#[derive(Deserialize)]
struct Claim {
    #[serde(rename = "typ")]
    kind: String,
    #[serde(rename = "val")]
    value: String,
}

/// Equivalent claim types, the preferred ones first. A tenant's administrator can
/// set any e-mail claim; a principal name has a domain that the tenant owns.
const EMAIL: &[&str] = &[
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "preferred_username",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "email",
];
const ID: &[&str] = &[
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "sub",
];
const NAME: &[&str] = &["name"];
const ROLE: &[&str] = &["roles", "groups"];

/// Adds the principal's claims to the user.
pub(super) fn read_principal(text: &str, user: &mut User) -> Result<(), Refusal> {
    let json = STANDARD.decode(text.trim()).map_err(|_| broken("is not base64"))?;
    let principal: Principal =
        serde_json::from_slice(&json).map_err(|_| broken("does not hold the JSON expected"))?;

    if let Some(address) =
        principal.claim(EMAIL)?.or(principal.user_details.as_deref()).filter(|text| text.contains('@'))
    {
        user.email = Some(email(address)?);
    }
    if let Some(id) = principal.claim(ID)?.or(principal.user_id.as_deref()) {
        user.id = Some(identifier(id)?);
    }
    if let Some(name) = principal.claim(NAME)? {
        user.name = Some(label("name", name)?);
    }
    user.groups = principal.roles().map(|role| label("role", role)).collect::<Result<_, _>>()?;
    Ok(())
}

impl Principal {
    /// The value of the first claim type that is present; different values of one type are refused.
    fn claim(&self, kinds: &[&str]) -> Result<Option<&str>, Refusal> {
        for kind in kinds {
            let mut values =
                self.claims.iter().filter(|claim| claim.kind == *kind).map(|claim| claim.value.as_str());
            if let Some(first) = values.find(|value| !value.trim().is_empty()) {
                if values.any(|other| other != first) {
                    return Err(Reason::AmbiguousIdentity
                        .because("X-MS-CLIENT-PRINCIPAL has a claim twice, with different values"));
                }
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    fn roles(&self) -> impl Iterator<Item = &str> {
        let is_role = |claim: &&Claim| {
            ROLE.contains(&claim.kind.as_str()) || self.role_type.as_deref() == Some(claim.kind.as_str())
        };
        let in_claims = self.claims.iter().filter(is_role).map(|claim| claim.value.as_str());
        in_claims.chain(self.user_roles.iter().map(String::as_str))
    }
}

fn broken(what: &str) -> Refusal {
    Reason::BadIdentity.because(format!("the X-MS-CLIENT-PRINCIPAL header {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(principal: serde_json::Value) -> User {
        let mut user = User::default();
        read_principal(&STANDARD.encode(principal.to_string()), &mut user).unwrap();
        user
    }

    #[test]
    fn an_app_service_principal_is_read() {
        let user = read(json!({"auth_typ": "aad", "name_typ": "n", "role_typ": "r", "claims": [
            {"typ": "name", "val": "Alice"},
            {"typ": "preferred_username", "val": "alice@example.com"},
            {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "42"},
            {"typ": "r", "val": "admin"},
        ]}));
        assert_eq!(user.email.unwrap().as_str(), "alice@example.com");
        assert_eq!(user.id.unwrap().as_str(), "42");
        assert_eq!(user.name.unwrap().as_str(), "Alice");
        assert_eq!(user.groups.len(), 1);
    }

    #[test]
    fn a_static_web_apps_principal_is_read() {
        let user = read(json!({"identityProvider": "github", "userId": "42",
            "userDetails": "alice@example.com", "userRoles": ["anonymous", "authenticated"]}));
        assert_eq!(user.email.unwrap().as_str(), "alice@example.com");
        assert_eq!(user.id.unwrap().as_str(), "42");
        assert_eq!(user.groups.len(), 2);
    }
}
