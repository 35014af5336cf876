//! The rules for ID tokens (OpenID Connect Core, 3.1.3.7 and 12.2). The signature, `iss`,
//! `aud`, `exp`, `iat` and the JOSE header are checked by [`crate::jwt::verify`]; the rest
//! is here.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::error::{OidcError, TokenKind};
use crate::authn::deciding::with_needs;
use crate::clock::Timestamp;
use crate::jwt::compact::Compact;
use crate::jwt::jwks::{KeySource, NeedsKeys, NotVerified};
use crate::jwt::key_set::{MissingKid, parse_algorithm};
use crate::jwt::numeric_date::NumericDate;
use crate::jwt::token_type::TokenType;
use crate::jwt::verify::{Audience, IssuedAt, Validation, Verified};

/// How the tokens of a provider are verified.
#[derive(Debug)]
pub struct TokenRules {
    /// The issuer, compared exactly.
    pub issuer: String,
    /// This client, which must be in `aud`.
    pub client_id: String,
    /// The accepted algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The tolerated clock difference, in seconds.
    pub leeway_s: u64,
    /// The longest time since the user logged in at the provider, in seconds.
    pub max_age_s: Option<u64>,
    /// The provider's keys.
    pub keys: KeySource,
}

/// What an ID token is compared with.
#[derive(Clone, Copy)]
pub(super) enum IssuedFor<'a> {
    /// A login.
    Login {
        /// The nonce of the request.
        nonce: &'a str,
        /// The authorization code.
        code: &'a str,
    },
    /// A refresh of an earlier ID token (section 12.2).
    Refresh {
        /// The `sub` of that token.
        subject: &'a str,
        /// The `nonce` of that token.
        nonce: &'a str,
        /// The `auth_time` of that token.
        authenticated_at: Option<u64>,
    },
}

/// A verified ID token.
pub(super) struct IdToken {
    pub claims: Map<String, Value>,
    pub subject: String,
    pub sid: Option<String>,
    pub key_id: Option<String>,
    pub authenticated_at: Option<u64>,
}

/// The longest `sub` and `sid`, in characters (section 2).
const MAX_SUBJECT: usize = 255;

impl TokenRules {
    /// Verifies an ID token that the token endpoint sent along with an access token.
    pub(super) async fn id_token(
        &self,
        token: &str,
        access_token: &str,
        issued_for: IssuedFor<'_>,
        clock: fn() -> Timestamp,
    ) -> Result<IdToken, OidcError> {
        const KIND: TokenKind = TokenKind::Id;
        let types = vec![TokenType::Absent, jwt_type()];
        let Verified { header, claims } = self.verify(KIND, token, types, clock).await?;
        let now = clock();
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(parse_algorithm);
        self.check_authorized_party(&claims)?;
        let hashes = [("at_hash", Some(access_token)), ("c_hash", issued_for.code())];
        for (name, hashed) in hashes {
            if let (Some(value), Some(hashed)) = (claims.get(name), hashed)
                && algorithm.and_then(|algorithm| half_hash(algorithm, hashed)).as_deref() != value.as_str()
            {
                return Err(KIND.breaks(match name {
                    "at_hash" => "its at_hash is not that of the access token",
                    _ => "its c_hash is not that of the code",
                }));
            }
        }
        let subject =
            identifier(KIND, &claims, "sub", "its sub is not a string of 1 to 255 ASCII characters")?
                .ok_or_else(|| KIND.breaks("it has no sub"))?;
        let sid = identifier(KIND, &claims, "sid", "its sid is not a string of 1 to 255 ASCII characters")?;
        let authenticated_at = self.authenticated_at(&claims, issued_for, now)?;
        issued_for.check(&claims, &subject, authenticated_at)?;
        let key_id = header.get("kid").and_then(Value::as_str).map(str::to_owned);
        Ok(IdToken { claims, subject, sid, key_id, authenticated_at })
    }

    /// Verifies the rules that ID tokens and logout tokens share. Keys that are not cached are
    /// fetched.
    pub(super) async fn verify(
        &self,
        kind: TokenKind,
        token: &str,
        types: Vec<TokenType>,
        clock: fn() -> Timestamp,
    ) -> Result<Verified, OidcError> {
        let validation = Validation {
            algorithms: self.algorithms.clone(),
            types,
            missing_kid: MissingKid::OnlyKey,
            issuer: Some(self.issuer.clone()),
            audience: Audience::OneOf(vec![self.client_id.clone()]),
            issued_at: IssuedAt::Required,
            leeway_s: self.leeway_s,
            required_claims: Vec::new(),
            person_claim: None,
            // a logout token may have none; an ID token's is checked by the caller
            subject: None,
        };
        let received = clock();
        let decide = |now, _: Option<&()>| {
            let token = match Compact::parse(token) {
                Ok(token) => token,
                Err(why) => return (Err(kind.not_compact(why)), None),
            };
            match self.keys.verify(token, &validation, received, now) {
                Ok(verified) => (Ok(verified), None),
                Err(NotVerified::Rejected(why)) => (Err(OidcError::Token { token: kind, why }), None),
                Err(NotVerified::Needs(keys)) => {
                    (Err(OidcError::Keys { token: kind, why: keys.to_string() }), Some(keys))
                }
            }
        };
        let fetch = |keys: NeedsKeys, clock: fn() -> Timestamp| async move {
            keys.fetch(clock()).await.then_some(())
        };
        with_needs(received, clock, decide, fetch).await
    }

    /// `azp` is this client where it is present, and it is required where the token is for several
    /// audiences.
    fn check_authorized_party(&self, claims: &Map<String, Value>) -> Result<(), OidcError> {
        let has_several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        match claims.get("azp") {
            None if has_several => Err(TokenKind::Id.breaks("it is for several audiences, and has no azp")),
            Some(azp) if azp.as_str() != Some(&self.client_id) => {
                Err(TokenKind::Id.breaks("its azp is not identity.client_id"))
            }
            None | Some(_) => Ok(()),
        }
    }

    /// `auth_time`: when the user logged in at the provider. At a login it is required and its age
    /// is checked if `max_age_s` is set; at a refresh it must equal that of the login, whatever its
    /// age (section 12.2).
    fn authenticated_at(
        &self,
        claims: &Map<String, Value>,
        issued_for: IssuedFor<'_>,
        now: Timestamp,
    ) -> Result<Option<u64>, OidcError> {
        let broken = |why| Err(TokenKind::Id.breaks(why));
        let max_age_s = match issued_for {
            IssuedFor::Login { .. } => self.max_age_s,
            IssuedFor::Refresh { .. } => None,
        };
        let Some(value) = claims.get("auth_time") else {
            return match max_age_s {
                Some(_) => broken("it has no auth_time, which identity.max_age_s requires"),
                None => Ok(None),
            };
        };
        let Some(time) = NumericDate::read(value).map(NumericDate::floor) else {
            return broken("its auth_time is not a number of seconds");
        };
        if time > now.unix_seconds().saturating_add(self.leeway_s) {
            return broken("its auth_time is in the future");
        }
        let age_s = now.unix_seconds().saturating_sub(time);
        if max_age_s.is_some_and(|max_age_s| age_s > max_age_s.saturating_add(self.leeway_s)) {
            return broken("its auth_time is longer ago than identity.max_age_s");
        }
        Ok(Some(time))
    }
}

impl IdToken {
    /// What is known about a user without an ID token.
    pub(super) fn without_token(subject: &str) -> Self {
        Self {
            claims: Map::from_iter([("sub".to_owned(), subject.into())]),
            subject: subject.to_owned(),
            sid: None,
            key_id: None,
            authenticated_at: None,
        }
    }
}

impl<'a> IssuedFor<'a> {
    /// The nonce of the login.
    pub(super) const fn nonce(self) -> &'a str {
        match self {
            Self::Login { nonce, .. } | Self::Refresh { nonce, .. } => nonce,
        }
    }

    /// Checks the subject that the user info endpoint returned, at a provider without ID tokens.
    pub(super) fn check_look_up(self, subject: &str) -> Result<(), OidcError> {
        match self {
            Self::Refresh { subject: expected, .. } if subject != expected => Err(OidcError::AnotherSubject),
            Self::Login { .. } | Self::Refresh { .. } => Ok(()),
        }
    }

    const fn code(self) -> Option<&'a str> {
        match self {
            Self::Login { code, .. } => Some(code),
            Self::Refresh { .. } => None,
        }
    }

    fn check(
        self,
        claims: &Map<String, Value>,
        subject: &str,
        authenticated_at: Option<u64>,
    ) -> Result<(), OidcError> {
        let broken = |why| Err(TokenKind::Id.breaks(why));
        let nonce = claims.get("nonce");
        match self {
            Self::Login { nonce: expected, .. } => {
                if nonce.and_then(Value::as_str) != Some(expected) {
                    return broken("its nonce is not that of this login");
                }
            }
            Self::Refresh { subject: expected, nonce: earlier_nonce, authenticated_at: earlier } => {
                if subject != expected {
                    return broken("its sub is not that of the session");
                }
                if nonce.is_some_and(|nonce| nonce.as_str() != Some(earlier_nonce)) {
                    return broken("its nonce is not that of the session");
                }
                if authenticated_at.is_some() && earlier.is_some() && authenticated_at != earlier {
                    return broken("its auth_time is not that of the session");
                }
            }
        }
        Ok(())
    }
}

/// The type of a JWT (RFC 7519, 5.1).
fn jwt_type() -> TokenType {
    TokenType::Named("application/jwt".into())
}

/// A claim that identifies a user or a session; `None` if it is absent.
pub(super) fn identifier(
    kind: TokenKind,
    claims: &Map<String, Value>,
    name: &str,
    why: &'static str,
) -> Result<Option<String>, OidcError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_identifier(text) => Ok(Some(text.clone())),
        Some(_) => Err(kind.breaks(why)),
    }
}

/// Whether a text can be a `sub`: 1 to 255 visible ASCII characters, and not a placeholder such as
/// `null`, which all users without a `sub` would share.
pub(super) fn is_identifier(text: &str) -> bool {
    text.len() <= MAX_SUBJECT
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !crate::user::is_no_value(text.trim())
}

/// The left half of a hash, in base64url (section 3.1.3.6). The token's algorithm determines the
/// hash; for Ed25519 it is SHA-512, which the signature uses, too.
fn half_hash(algorithm: Algorithm, text: &str) -> Option<String> {
    let hash = match algorithm {
        Algorithm::HS256 | Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &digest::SHA256,
        Algorithm::HS384 | Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &digest::SHA384,
        Algorithm::HS512 | Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => &digest::SHA512,
        // jsonwebtoken's enum is not exhaustive
        _ => return None,
    };
    let hash = digest::digest(hash, text.as_bytes());
    hash.as_ref().get(..hash.as_ref().len() / 2).map(|half| URL_SAFE_NO_PAD.encode(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of OpenID Connect Core, A.3 and A.4.
    #[test]
    fn hashes_are_those_of_the_specification() {
        let at_hash = half_hash(Algorithm::RS256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(at_hash.as_deref(), Some("77QmUPtjPfzWtF2AnpK9RQ"));
        let c_hash =
            half_hash(Algorithm::RS256, "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk");
        assert_eq!(c_hash.as_deref(), Some("LDktKdoQak3Pk0cnXxCltA"));
    }

    #[test]
    fn a_subject_has_1_to_255_visible_characters() {
        let longest = "a".repeat(255);
        assert!(["a", "u 1", &longest].into_iter().all(is_identifier));
        let longer = format!("{longest}a");
        assert!(!["", " ", "null", "a\n", "é", &longer].into_iter().any(is_identifier));
    }
}
