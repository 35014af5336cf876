//! A user in, a signed address out.

use uuid::Uuid;

use super::claims::{Claims, ClaimsError, TimeClaims};
use super::{Account, BaseUrl, Link, LinkRules};
use crate::clock::Timestamp;
use crate::jwt::sign::{SigningError, SigningKey};
use crate::jwt::verify::{Verified, VerifyError, verify_hs256};
use crate::secret::{SharedSecret, SignedAddress};
use crate::user::User;

/// A marketplace to send users to, made once from its settings.
#[derive(Debug)]
pub struct Marketplace {
    origin: String,
    account_url: String,
    key: SigningKey,
    secret: SharedSecret,
    claims: Claims,
    links: LinkRules,
    token_lifetime_s: u64,
    iat_backdate_s: u64,
    max_location_bytes: usize,
}

/// What makes a marketplace.
#[derive(Debug)]
pub struct Settings {
    /// Where marketplaces are.
    pub base_url: BaseUrl,
    /// The account's slug.
    pub account: Account,
    /// What tokens are signed with.
    pub shared_secret: SharedSecret,
    /// What tokens say of the user.
    pub claims: Claims,
    /// Which parameters of a link travel on.
    pub links: LinkRules,
    /// Seconds until a token expires; 0: it has no `exp`.
    pub token_lifetime_s: u64,
    /// Seconds by which `iat` lies before now, for a verifier whose clock is behind.
    pub iat_backdate_s: u64,
    /// The longest address, in bytes.
    pub max_location_bytes: usize,
}

/// A signed address, and what may be known of it.
#[derive(Debug)]
pub struct HandOff {
    /// Where the browser goes.
    pub address: SignedAddress,
    /// The token's id.
    pub jti: Uuid,
    /// The token's subject.
    pub subject: String,
    /// The token's `iat`, in Unix seconds.
    pub issued_at: u64,
    /// The token's `exp`, in Unix seconds, where it has one.
    pub expires_at: Option<u64>,
}

/// Why there is no hand-off.
#[derive(Debug, thiserror::Error)]
pub enum HandOffError {
    /// `sub` comes out empty.
    #[error("claims.sub comes out empty for this user")]
    NoSubject,
    /// An expression fails for this user, or yields something of a wrong type.
    #[error("{0}")]
    Claims(ClaimsError),
    /// The address would be longer than the limit.
    #[error(
        "the address has {length} bytes, the limit is {limit} (pandium.max_location_bytes); largest claims: {largest}"
    )]
    TooLong {
        /// What it would be, in bytes.
        length: usize,
        /// What it may be, in bytes.
        limit: usize,
        /// The largest claims, by name and size.
        largest: String,
    },
    /// The signature could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Why tokens cannot be signed here.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// No token came out.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The token that came out is not believed.
    #[error("a token just signed is refused: {0}")]
    VerifyError(#[from] VerifyError),
    /// The token that came out says something else.
    #[error("a token just signed says something else")]
    Changed,
}

impl Marketplace {
    /// Makes ready what every hand-off shares.
    pub fn new(settings: Settings) -> Self {
        let Settings { base_url, account, shared_secret, claims, links, .. } = settings;
        Self {
            origin: base_url.origin().to_owned(),
            account_url: format!("{base_url}/{account}"),
            key: SigningKey::new(&shared_secret),
            secret: shared_secret,
            claims,
            links,
            token_lifetime_s: settings.token_lifetime_s,
            iat_backdate_s: settings.iat_backdate_s,
            max_location_bytes: settings.max_location_bytes,
        }
    }

    /// Where users go: scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What `sub` reads of a user.
    pub fn subject_names(&self) -> &[String] {
        self.claims.subject_names()
    }

    /// Which parameters of a link travel on.
    pub const fn links(&self) -> &LinkRules {
        &self.links
    }

    /// Who the user is to the marketplace: `sub`.
    pub fn subject(&self, user: &User) -> Option<String> {
        self.claims.of(user).ok()?.subject().map(str::to_owned)
    }

    /// Reads a token that this marketplace would believe.
    pub fn verify(&self, token: &str) -> Result<Verified, VerifyError> {
        verify_hs256(token, &self.secret)
    }

    /// Signs a token and verifies it, as proof that both work here.
    pub fn self_test(&self, jti: Uuid) -> Result<(), SelfTestError> {
        let token = self.key.sign(&serde_json::json!({"jti": jti}))?;
        let verified = self.verify(&token)?;
        let is_same =
            verified.claims.get("jti").and_then(|jti| jti.as_str()) == Some(jti.to_string().as_str());
        if is_same { Ok(()) } else { Err(SelfTestError::Changed) }
    }

    /// Signs the user on at the place that the link names.
    pub fn hand_off(
        &self,
        user: &User,
        link: &Link,
        jti: Uuid,
        now: Timestamp,
    ) -> Result<HandOff, HandOffError> {
        let issued_at = now.unix_seconds().saturating_sub(self.iat_backdate_s);
        let lifetime = Some(self.token_lifetime_s).filter(|seconds| *seconds > 0);
        let expires_at = lifetime.map(|seconds| now.unix_seconds().saturating_add(seconds));

        let claims = self.claims.of(user).map_err(HandOffError::Claims)?;
        let subject = claims.subject().ok_or(HandOffError::NoSubject)?.to_owned();
        let token = self.key.sign(&claims.stamped(TimeClaims { issued_at, jti, expires_at }))?;

        let mut address = String::with_capacity(self.account_url.len() + token.len() + 64);
        address.push_str(&self.account_url);
        link.write_path(&mut address);
        address.push('?');
        address.push_str(LinkRules::TOKEN_PARAMETER);
        address.push('=');
        address.push_str(&token);
        link.write_query(&mut address);

        if address.len() > self.max_location_bytes {
            return Err(HandOffError::TooLong {
                length: address.len(),
                limit: self.max_location_bytes,
                largest: claims.largest(),
            });
        }
        Ok(HandOff { address: SignedAddress::new(address), jti, subject, issued_at, expires_at })
    }
}
