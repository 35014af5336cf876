//! The user info endpoint (OpenID Connect Core, 5.3), and the user look-up of a provider
//! that has no ID tokens.

use oauth2::http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use oauth2::http::{Request, StatusCode};
use serde_json::{Map, Value};

use super::error::{Endpoint, OidcError};
use super::http_client::{HttpClient, json_object};
use super::id_token::is_identifier;
use crate::jwt::jwks::fetch::KeyUrl;

/// Claims about the token itself, which are taken only from the ID token.
const PROTOCOL: [&str; 14] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "azp",
    "auth_time",
    "at_hash",
    "c_hash",
    "sid",
    "acr",
];

/// How the access token is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenHeader {
    /// `Authorization: Bearer` (RFC 6750, 2.1).
    Bearer,
    /// A header field with this name, whose value is the token.
    Named(&'static str),
}

/// Fetches the claims about the user to whom an access token belongs.
pub(super) async fn fetch(
    http: &HttpClient,
    url: &KeyUrl,
    header: AccessTokenHeader,
    access_token: &str,
) -> Result<Map<String, Value>, OidcError> {
    const ENDPOINT: Endpoint = Endpoint::UserInfo;
    let (name, text) = match header {
        AccessTokenHeader::Bearer => (AUTHORIZATION, format!("Bearer {access_token}")),
        AccessTokenHeader::Named(name) => (HeaderName::from_static(name), access_token.to_owned()),
    };
    let not_a_field =
        || OidcError::malformed(Endpoint::Token, "its access_token cannot be sent in a header field");
    let mut value = HeaderValue::from_str(&text).map_err(|_| not_a_field())?;
    value.set_sensitive(true);
    let request = Request::get(url.as_str()).header(name, value).header(ACCEPT, "application/json");
    let request = request.body(Vec::new()).map_err(|_| not_a_field())?;
    let response = http.send(ENDPOINT, request).await?;
    if response.status() != StatusCode::OK {
        return Err(OidcError::malformed(ENDPOINT, format!("the status is {}", response.status())));
    }
    json_object(ENDPOINT, &response)
}

/// The `sub` of the user, from the claim `name` of the provider's response.
pub(super) fn subject(claims: &Map<String, Value>, name: &str) -> Result<String, OidcError> {
    let text = claims.get(name).and_then(Value::as_str).filter(|text| is_identifier(text));
    let missing =
        || OidcError::malformed(Endpoint::UserInfo, format!("it has no {name} of 1 to 255 ASCII characters"));
    text.map(str::to_owned).ok_or_else(missing)
}

/// Adds the claims of the user info endpoint to those of the ID token. They are newer than those of
/// the ID token, and replace them, except for claims about the token. An e-mail address counts as
/// verified only if both sources say so.
pub(super) fn merge(
    mut claims: Map<String, Value>,
    user_info: Map<String, Value>,
    subject: &str,
) -> Result<Map<String, Value>, OidcError> {
    if user_info.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(OidcError::AnotherSubject);
    }
    if let Some(email) = user_info.get("email") {
        let is_same = claims.get("email") == Some(email);
        let is_verified =
            claims.get("email_verified").is_none_or(|verified| verified == true || verified == "true");
        // what the ID token says about another address does not count
        if !is_same || is_verified {
            claims.remove("email_verified");
        }
    }
    for (name, value) in user_info {
        let is_kept = PROTOCOL.contains(&name.as_str())
            || (name == "email_verified"
                && claims.get("email_verified").is_some_and(|verified| verified != true));
        if !is_kept {
            claims.insert(name, value);
        }
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn merged(id_token: Value, user_info: Value) -> Result<Value, String> {
        let (Value::Object(id_token), Value::Object(user_info)) = (id_token, user_info) else {
            unreachable!()
        };
        merge(id_token, user_info, "u-1").map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn claims_are_merged() {
        let id_token = json!({"sub": "u-1", "iss": "https://id.example", "name": "A"});
        let user_info = json!({"sub": "u-1", "iss": "https://evil.example", "name": "Ada", "groups": ["x"]});
        let all = json!({"sub": "u-1", "iss": "https://id.example", "name": "Ada", "groups": ["x"]});
        assert_eq!(merged(id_token, user_info), Ok(all));
    }

    #[rstest]
    #[case::another(json!({"sub": "u-2"}))]
    #[case::missing(json!({"name": "A"}))]
    #[case::number(json!({"sub": 1}))]
    fn user_info_of_another_user_is_rejected(#[case] user_info: Value) {
        assert!(merged(json!({"sub": "u-1"}), user_info).is_err());
    }

    #[rstest]
    #[case::id_token_alone(json!({"email": "a@x", "email_verified": false}), json!({}), Some(json!(false)))]
    #[case::both(json!({"email": "a@x", "email_verified": true}), json!({"email": "a@x", "email_verified": true}), Some(json!(true)))]
    #[case::id_token_denies(json!({"email": "a@x", "email_verified": false}), json!({"email": "a@x", "email_verified": true}), Some(json!(false)))]
    #[case::id_token_denies_alone(json!({"email": "a@x", "email_verified": false}), json!({"email": "a@x"}), Some(json!(false)))]
    #[case::user_info_denies(json!({"email": "a@x", "email_verified": true}), json!({"email": "a@x", "email_verified": false}), Some(json!(false)))]
    #[case::another_address(json!({"email": "a@x", "email_verified": true}), json!({"email": "b@x"}), None)]
    #[case::another_address_denied(json!({"email": "a@x", "email_verified": true}), json!({"email": "b@x", "email_verified": false}), Some(json!(false)))]
    fn an_address_is_verified_if_both_say_so(
        #[case] mut id_token: Value,
        #[case] mut user_info: Value,
        #[case] verified: Option<Value>,
    ) {
        id_token["sub"] = json!("u-1");
        user_info["sub"] = json!("u-1");
        assert_eq!(merged(id_token, user_info).unwrap().get("email_verified"), verified.as_ref());
    }
}
