//! A login that has begun, and what has to be kept until the provider responds. The caller keeps it
//! encrypted, in a cookie of the browser that began the login.

use std::fmt;

use aws_lc_rs::{constant_time, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::error::OidcError;
use super::response::AuthorizationResponse;
use crate::clock::Timestamp;

/// A login that has begun.
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingLogin {
    /// Binds the authorization response to the browser that began the login (RFC 6749, 10.12).
    pub state: String,
    /// Binds the ID token to the login (OpenID Connect Core, 15.5.2).
    pub nonce: String,
    /// The secret behind the code challenge (RFC 7636).
    pub code_verifier: String,
    /// The issuer to which the user was redirected.
    pub issuer: String,
    /// When the login began, in seconds since the Unix epoch.
    pub begun_at: u64,
}

/// A login that has begun, and the URL to which the browser is redirected.
pub struct Begun {
    /// The URL of the authorization request.
    pub url: String,
    /// What to keep until the provider responds.
    pub pending: PendingLogin,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun(hidden)")
    }
}

impl PendingLogin {
    /// The maximum duration of a login, in seconds.
    pub const MAX_AGE_S: u64 = 15 * 60;

    pub(super) fn new(issuer: &str, now: Timestamp) -> Result<Self, OidcError> {
        Ok(Self {
            state: random_text()?,
            nonce: random_text()?,
            code_verifier: random_text()?,
            issuer: issuer.to_owned(),
            begun_at: now.unix_seconds(),
        })
    }

    /// Checks that a response belongs to this login, and that it is recent.
    pub(super) fn check(
        &self,
        response: &AuthorizationResponse,
        issuer: &str,
        now: Timestamp,
    ) -> Result<(), OidcError> {
        let state = response.state.as_deref().unwrap_or_default();
        if self.state.is_empty()
            || constant_time::verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_err()
        {
            return Err(OidcError::State);
        }
        let begun_at = Timestamp::from_unix_seconds(self.begun_at);
        if !begun_at.is_within(Self::MAX_AGE_S, now) {
            return Err(OidcError::LoginExpired { max_age_s: Self::MAX_AGE_S });
        }
        if self.issuer != issuer {
            return Err(OidcError::AnotherIssuer("the login was begun at another issuer"));
        }
        Ok(())
    }
}

/// 256 random bits in base64url: 43 characters, as RFC 7636 recommends for the code verifier.
pub(super) fn random_text() -> Result<String, OidcError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| OidcError::Crypto("the system has no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Hides everything that a browser must not learn.
impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("issuer", &self.issuer)
            .field("begun_at", &self.begun_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn check(state: Option<&str>, pending: &PendingLogin, issuer: &str, now: u64) -> Result<(), String> {
        let response =
            AuthorizationResponse { state: state.map(str::to_owned), ..AuthorizationResponse::default() };
        pending.check(&response, issuer, at(now)).map_err(|why| why.reason().code().to_owned())
    }

    #[test]
    fn a_response_belongs_to_one_login() {
        let (one, other) =
            (PendingLogin::new(ISSUER, at(1000)).unwrap(), PendingLogin::new(ISSUER, at(1000)).unwrap());
        assert_eq!(check(Some(&one.state), &one, ISSUER, 1000), Ok(()));
        assert_eq!(check(Some(&one.state), &one, ISSUER, 1000 + PendingLogin::MAX_AGE_S - 1), Ok(()));
        let refused = |reason: &str| Err(reason.to_owned());
        assert_eq!(check(Some(&other.state), &one, ISSUER, 1000), refused("invalid_token"));
        assert_eq!(check(Some(""), &one, ISSUER, 1000), refused("invalid_token"));
        assert_eq!(check(None, &one, ISSUER, 1000), refused("invalid_token"));
        assert_eq!(check(Some(&one.state), &one, "https://other.example", 1000), refused("invalid_token"));
        let too_late = 1000 + PendingLogin::MAX_AGE_S;
        assert_eq!(check(Some(&one.state), &one, ISSUER, too_late), refused("expired_token"));
    }

    #[test]
    fn its_secrets_are_random_and_not_printed() {
        let one = PendingLogin::new(ISSUER, at(0)).unwrap();
        let all = [&one.state, &one.nonce, &one.code_verifier];
        assert!(all.iter().all(|text| text.len() == 43));
        assert!(one.state != one.nonce && one.nonce != one.code_verifier);
        assert!(all.iter().all(|text| !format!("{one:?}").contains(text.as_str())));
    }
}
