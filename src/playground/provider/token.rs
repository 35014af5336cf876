//! The stand-in provider's token endpoint and user info endpoint.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::authorize::Grant;
use super::{Provider, RegisteredAuthentication, claims_of};
use crate::clock::Timestamp;
use crate::jwt::key_set::{KeySet, MissingKid};
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation, verify};

/// The `error` of a token response.
pub(super) type TokenError = &'static str;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Provider {
    /// Exchanges a code or a refresh token.
    pub(super) fn tokens(
        &self,
        authorization: Option<&str>,
        form: &BTreeMap<String, String>,
    ) -> Result<Map<String, Value>, TokenError> {
        self.authenticate(authorization, form)?;
        let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let grant = match text("grant_type") {
            "authorization_code" => {
                let grant = self.redeem(text("code"))?;
                let challenge = digest::digest(&digest::SHA256, text("code_verifier").as_bytes());
                let is_same = URL_SAFE_NO_PAD.encode(challenge) == grant.code_challenge;
                if !is_same || text("redirect_uri") != self.client.redirect_uri {
                    return Err("invalid_grant");
                }
                grant
            }
            "refresh_token" => {
                self.state().refresh_tokens.remove(text("refresh_token")).ok_or("invalid_grant")?
            }
            _ => return Err("unsupported_grant_type"),
        };
        self.issue(grant, text("code")).map_err(|_| "server_error")
    }

    /// The claims of the user for whom an access token was issued.
    pub(super) fn user_info(&self, access_token: &str) -> Option<Map<String, Value>> {
        let state = self.state();
        let grant = state.access_tokens.get(access_token)?;
        let mut claims = claims_of(grant.person, &grant.scopes);
        state.lies.user_info.apply(&mut claims);
        Some(claims)
    }

    /// The response of mittwald's API for the user of an access token.
    pub(super) fn mittwald_user(&self, access_token: &str) -> Option<Map<String, Value>> {
        let state = self.state();
        let person = state.access_tokens.get(access_token)?.person;
        let (first, last) = person.name.split_once(' ').unwrap_or((person.name, ""));
        let mut user = Map::new();
        user.insert("userId".to_owned(), json!(person.uuid));
        user.insert("email".to_owned(), json!(person.email));
        user.insert("person".to_owned(), json!({"firstName": first, "lastName": last}));
        state.lies.user_info.apply(&mut user);
        Some(user)
    }

    fn authenticate(
        &self,
        authorization: Option<&str>,
        form: &BTreeMap<String, String>,
    ) -> Result<(), TokenError> {
        let id = self.client.client_id.as_str();
        let sent = |name: &str, value: &str| form.get(name).is_some_and(|own| own == value);
        let has_secret = form.contains_key("client_secret");
        let is_authentic = match &self.client.authentication {
            RegisteredAuthentication::None => authorization.is_none() && !has_secret && sent("client_id", id),
            RegisteredAuthentication::SecretBasic(secret) => {
                let encode =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let basic =
                    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))));
                authorization == Some(basic.as_str()) && !has_secret
            }
            RegisteredAuthentication::SecretPost(secret) => {
                authorization.is_none() && sent("client_id", id) && sent("client_secret", secret)
            }
            RegisteredAuthentication::PrivateKey(keys) => {
                authorization.is_none()
                    && !has_secret
                    && sent("client_assertion_type", ASSERTION_TYPE)
                    && form.get("client_assertion").is_some_and(|assertion| self.verifies(assertion, keys))
            }
        };
        if is_authentic { Ok(()) } else { Err("invalid_client") }
    }

    /// Whether an assertion is one of the client, for this provider (RFC 7523, 3).
    fn verifies(&self, assertion: &str, keys: &KeySet) -> bool {
        let validation = Validation {
            algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA],
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            issuer: Some(self.client.client_id.clone()),
            audience: Audience::OneOf(vec![self.origin.clone()]),
            issued_at: IssuedAt::Required,
            leeway_s: 1,
            required_claims: vec![("sub".to_owned(), json!(self.client.client_id))],
            person_claim: None,
            subject: Some("sub"),
        };
        let verified = verify(assertion, &validation, keys, Timestamp::now());
        verified.is_ok_and(|verified| verified.claims.contains_key("jti"))
    }

    fn redeem(&self, code: &str) -> Result<Grant, TokenError> {
        let mut state = self.state();
        if let Some(grant) = state.codes.remove(code) {
            state.used_codes.insert(code.to_owned(), grant.clone());
            return Ok(grant);
        }
        let again = state.used_codes.get(code).filter(|_| state.lies.accepts_codes_again);
        again.cloned().ok_or("invalid_grant")
    }

    fn issue(&self, grant: Grant, code: &str) -> anyhow::Result<Map<String, Value>> {
        let [access_token, refresh_token] = [(); 2].map(|()| Uuid::new_v4().simple().to_string());
        let mut response = Map::new();
        response.insert("access_token".to_owned(), json!(access_token));
        response.insert("refresh_token".to_owned(), json!(refresh_token));
        response.insert("token_type".to_owned(), json!("Bearer"));
        response.insert("expires_in".to_owned(), json!(300));
        if grant.scopes.split(' ').any(|scope| scope == "openid") {
            response.insert("id_token".to_owned(), json!(self.id_token(&grant, &access_token, code)?));
        }
        let mut state = self.state();
        state.access_tokens.insert(access_token, grant.clone());
        // a refreshed token has no nonce (OpenID Connect Core, 12.2)
        state.refresh_tokens.insert(refresh_token, Grant { nonce: None, ..grant });
        state.lies.token_response.apply(&mut response);
        Ok(response)
    }

    fn id_token(&self, grant: &Grant, access_token: &str, code: &str) -> anyhow::Result<String> {
        let mut state = self.state();
        if state.lies.rotates_before_signing {
            state.keys.rotate()?;
        }
        let now = Timestamp::now().unix_seconds();
        let mut claims = claims_of(grant.person, &grant.scopes);
        let more = [
            ("iss", json!(self.origin)),
            ("aud", json!(self.client.client_id)),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("auth_time", json!(grant.authenticated_at)),
            ("sid", json!(grant.sid)),
            ("at_hash", json!(half_hash(access_token))),
        ];
        claims.extend(more.map(|(name, value)| (name.to_owned(), value)));
        if let Some(nonce) = &grant.nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        if !code.is_empty() {
            claims.insert("c_hash".to_owned(), json!(half_hash(code)));
        }
        state.lies.id_token.apply(&mut claims);
        let secret = self.client.authentication.secret();
        state.keys.sign("JWT", &claims, secret, &state.lies)
    }
}

/// `at_hash` and `c_hash` for RS256.
fn half_hash(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default())
}
