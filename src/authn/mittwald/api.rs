//! The calls of mittwald's API: what is sent, and what the responses mean.
//!
//! <https://developer.mittwald.de/docs/v2/reference>

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::transport::{ApiError, ApiUrl, Repeatable, Sent, Transport};
use super::values::{AccessToken, InstanceSecret, RetrievalKey, Serial};
use crate::clock::Timestamp;

/// Calls the API.
#[derive(Debug)]
pub struct Api {
    transport: Transport,
}

/// What a public key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// It signs webhooks.
    Webhook,
    /// It signs session tokens.
    SessionToken,
}

/// An access token, and when it expires.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: AccessToken,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A user.
#[derive(Clone, Debug)]
pub struct MstudioUser {
    /// The id.
    pub id: Uuid,
    /// The e-mail address, not parsed.
    pub email: Option<String>,
    /// First and last name, not parsed.
    pub name: String,
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Api {
    /// Creates a client for this base URL. `timeout` limits each attempt of a call.
    pub fn new(base: ApiUrl, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { transport: Transport::new(base, timeout) })
    }

    /// Whether both have the same base URL.
    pub fn is_at_same_place(&self, other: &Self) -> bool {
        self.transport.is_to_same_place(&other.transport)
    }

    /// The raw public key with this serial; `None` if there is none.
    ///
    /// # Errors
    ///
    /// No usable response.
    pub async fn public_key(&self, serial: Serial, purpose: KeyPurpose) -> Result<Option<Vec<u8>>, ApiError> {
        #[derive(Deserialize)]
        struct Key {
            serial: String,
            algorithm: String,
            key: String,
        }
        let mut url = self.transport.url(&["v2", "public-keys", &serial.to_string()])?;
        url.query_pairs_mut().append_pair("purpose", purpose.name()).append_pair("format", "raw");
        let key: Key =
            match self.transport.call(Method::GET, url, Sent::Nothing, StatusCode::OK, Repeatable::Yes).await
            {
                Err(ApiError::Refused(400 | 404 | 410)) => return Ok(None),
                other => other?,
            };
        if Serial::parse(&key.serial) != Some(serial) {
            return Err(ApiError::Unreadable("the key has another serial"));
        }
        if !key.algorithm.eq_ignore_ascii_case("ed25519") {
            return Err(ApiError::Unreadable("the key is not for Ed25519"));
        }
        let raw = BASE64.decode(key.key).map_err(|_| ApiError::Unreadable("the key is not base64"))?;
        Ok(Some(raw))
    }

    /// Exchanges an instance's secret for an access token. The call may be repeated: each call
    /// issues a token.
    ///
    /// # Errors
    ///
    /// No usable response; the secret is refused.
    pub async fn instance_token(
        &self,
        instance: Uuid,
        secret: &InstanceSecret,
    ) -> Result<IssuedToken, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Token {
            public_token: String,
            expiry: String,
        }
        let url = self.transport.url(&["v2", "extension-instances", &instance.to_string(), "tokens"])?;
        let body = serde_json::json!({"extensionInstanceSecret": secret.expose()}).to_string();
        let body = Sent::Body(body.into());
        let token: Token =
            self.transport.call(Method::POST, url, body, StatusCode::CREATED, Repeatable::Yes).await?;
        issued(token.public_token, &token.expiry)
    }

    /// Exchanges a retrieval key for an access token of its user. A key is exchanged once, so the call
    /// is never repeated.
    ///
    /// # Errors
    ///
    /// No usable response; the key is refused.
    pub async fn user_token(&self, key: &RetrievalKey, user: Uuid) -> Result<AccessToken, ApiError> {
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        let url = self.transport.url(&["v2", "authenticate-token-retrieval-key"])?;
        let body = serde_json::json!({"accessTokenRetrievalKey": key.expose(), "userId": user}).to_string();
        let body = Sent::Body(body.into());
        let token: Token =
            self.transport.call(Method::POST, url, body, StatusCode::OK, Repeatable::No).await?;
        AccessToken::parse(token.token).map_err(|_| ApiError::Unreadable("its token is no token"))
    }

    /// The user to whom an access token belongs.
    ///
    /// # Errors
    ///
    /// No usable response.
    pub async fn user(&self, token: &AccessToken) -> Result<MstudioUser, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct User {
            user_id: Uuid,
            email: Option<String>,
            person: Option<Person>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Person {
            first_name: String,
            last_name: String,
        }
        let url = self.transport.url(&["v2", "users", "self"])?;
        let sent = Sent::Token(token);
        let user: User = self.transport.call(Method::GET, url, sent, StatusCode::OK, Repeatable::Yes).await?;
        let name = user
            .person
            .map_or_else(String::new, |Person { first_name, last_name }| format!("{first_name} {last_name}"));
        Ok(MstudioUser { id: user.user_id, email: user.email, name })
    }

    /// Whether the user of an access token may see an instance.
    ///
    /// # Errors
    ///
    /// No usable response.
    pub async fn sees_instance(&self, token: &AccessToken, instance: Uuid) -> Result<bool, ApiError> {
        #[derive(Deserialize)]
        struct Instance {
            id: Uuid,
        }
        let url = self.transport.url(&["v2", "extension-instances", &instance.to_string()])?;
        let sent = Sent::Token(token);
        match self.transport.call::<Instance>(Method::GET, url, sent, StatusCode::OK, Repeatable::Yes).await {
            Ok(seen) => Ok(seen.id == instance),
            Err(ApiError::Refused(403 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl KeyPurpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::SessionToken => "session_token",
        }
    }
}

fn issued(token: String, expiry: &str) -> Result<IssuedToken, ApiError> {
    let token = AccessToken::parse(token).map_err(|_| ApiError::Unreadable("its token is no token"))?;
    let at = OffsetDateTime::parse(expiry, &Rfc3339)
        .map_err(|_| ApiError::Unreadable("its expiry is not a time in the format of RFC 3339"))?;
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or_default();
    Ok(IssuedToken { token, expires_at: Timestamp::from_unix_seconds(seconds) })
}
