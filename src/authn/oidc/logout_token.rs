//! Logout tokens (OpenID Connect Back-Channel Logout 1.0, 2.4 and 2.6). The caller detects by its
//! `jti` whether a token was used before.

use serde_json::Value;

use super::error::{OidcError, TokenKind};
use super::id_token::{TokenRules, identifier};
use crate::clock::Timestamp;
use crate::jwt::numeric_date::NumericDate;
use crate::jwt::token_type::TokenType;

/// A verified logout token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The issuer.
    pub issuer: String,
    /// Which sessions end.
    pub sessions: LoggedOut,
    /// The token's id; a token with the same one was used before.
    pub jti: String,
    /// Until when the `jti` has to be remembered, in seconds since the Unix epoch: the token's `exp`, and
    /// the leeway.
    pub remember_until: u64,
    /// When the token was issued, in seconds since the Unix epoch.
    pub issued_at: u64,
}

/// Which sessions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// Every session of a user.
    Subject(String),
    /// One session, by its `sid`.
    Session {
        /// The session.
        sid: String,
        /// The user, if the token names one.
        subject: Option<String>,
    },
}

/// The member of `events`.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The maximum length of a `jti`, in bytes, because it is stored.
const MAX_JTI_BYTES: usize = 255;

impl TokenRules {
    /// Verifies a logout token.
    pub(super) async fn logout_token(
        &self,
        token: &str,
        clock: fn() -> Timestamp,
    ) -> Result<LogoutToken, OidcError> {
        const KIND: TokenKind = TokenKind::Logout;
        // section 2.4 recommends logout+jwt; providers that predate it send none, or JWT
        let types = ["", "logout+jwt", "JWT"].into_iter().filter_map(TokenType::parse).collect();
        let claims = self.verify(KIND, token, types, clock).await?.claims;
        if claims.contains_key("nonce") {
            return Err(KIND.breaks("it has a nonce, as ID tokens have and logout tokens must not"));
        }
        let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err(
                KIND.breaks("its events does not contain the event of a back-channel logout, an object")
            );
        }
        let subject =
            identifier(KIND, &claims, "sub", "its sub is not a string of 1 to 255 ASCII characters")?;
        let sid = identifier(KIND, &claims, "sid", "its sid is not a string of 1 to 255 ASCII characters")?;
        let sessions = match (sid, subject) {
            (Some(sid), subject) => LoggedOut::Session { sid, subject },
            (None, Some(subject)) => LoggedOut::Subject(subject),
            (None, None) => return Err(KIND.breaks("it has neither a sub nor a sid")),
        };
        let jti = claims.get("jti").and_then(Value::as_str);
        let jti = jti.filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI_BYTES);
        let jti = jti.ok_or_else(|| KIND.breaks("its jti is not a string of 1 to 255 bytes"))?;
        let seconds = |name: &str| claims.get(name).and_then(NumericDate::read).map(NumericDate::ceil);
        // both claims were verified above
        let (Some(expires_at), Some(issued_at)) = (seconds("exp"), seconds("iat")) else {
            return Err(KIND.breaks("it has no exp or no iat"));
        };
        Ok(LogoutToken {
            issuer: self.issuer.clone(),
            sessions,
            jti: jti.to_owned(),
            remember_until: expires_at.saturating_add(self.leeway_s),
            issued_at,
        })
    }
}
