//! Creates the signed URL for a user.

use uuid::Uuid;

use super::claims::{Claims, ClaimsError, TimeClaims};
use super::{Account, BaseUrl, Link, LinkRules};
use crate::clock::Timestamp;
use crate::jwt::sign::{SigningError, SigningKey};
use crate::jwt::verify::{Verified, VerifyError, verify_hs256};
use crate::secret::{SharedSecret, SignedUrl};
use crate::ticket::TicketKey;
use crate::user::User;

/// A marketplace to which users are redirected, prepared from its settings.
#[derive(Debug)]
pub struct Marketplace {
    origin: String,
    account: Account,
    account_url: String,
    key: SigningKey,
    secret: SharedSecret,
    claims: Claims,
    links: LinkRules,
    token_lifetime_s: u64,
    iat_backdate_s: u64,
    max_location_bytes: usize,
}

/// The settings of a marketplace.
#[derive(Debug)]
pub struct MarketplaceSettings {
    /// The base URL of marketplaces.
    pub base_url: BaseUrl,
    /// The account's slug.
    pub account: Account,
    /// The secret that signs tokens.
    pub shared_secret: SharedSecret,
    /// The claims about the user.
    pub claims: Claims,
    /// Which link parameters are passed on.
    pub links: LinkRules,
    /// Token lifetime in seconds; 0: no `exp`.
    pub token_lifetime_s: u64,
    /// How many seconds `iat` is before the current time, in case the clock of the marketplace is
    /// behind.
    pub iat_backdate_s: u64,
    /// The maximum length of the signed URL, in bytes.
    pub max_location_bytes: usize,
}

/// A signed URL and what may be disclosed about it.
#[derive(Debug)]
pub struct HandOff {
    /// The URL for the browser.
    pub url: SignedUrl,
    /// The token's id.
    pub jti: Uuid,
    /// The token's subject.
    pub subject: String,
    /// The token's `iat`, in Unix seconds.
    pub issued_at: u64,
    /// The token's `exp`, in Unix seconds, if it has one.
    pub expires_at: Option<u64>,
}

/// Why a hand-off failed.
#[derive(Debug, thiserror::Error)]
pub enum HandOffError {
    /// `sub` evaluates to nothing.
    #[error("claims.sub is empty for this user")]
    NoSubject,
    /// An expression fails for this user, or yields the wrong type.
    #[error("{0}")]
    Claims(ClaimsError),
    /// The URL would exceed the limit.
    #[error(
        "the URL has {length} bytes, the limit is {limit} (pandium.max_location_bytes); largest claims: {largest}"
    )]
    TooLong {
        /// The length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
        /// The largest claims, by name and size.
        largest: String,
    },
    /// Signing failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Why the signing self-test failed.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// Signing failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The signed token does not verify.
    #[error("a newly signed token does not verify: {0}")]
    VerifyError(#[from] VerifyError),
    /// The claims of the verified token differ from those that were signed.
    #[error("a newly signed token has other claims")]
    Changed,
}

impl Marketplace {
    /// Prepares the data that all hand-offs share.
    pub fn new(settings: MarketplaceSettings) -> Self {
        let MarketplaceSettings { base_url, account, shared_secret, claims, links, .. } = settings;
        Self {
            origin: base_url.origin().to_owned(),
            account_url: format!("{base_url}/{account}"),
            account,
            key: SigningKey::new(&shared_secret),
            secret: shared_secret,
            claims,
            links,
            token_lifetime_s: settings.token_lifetime_s,
            iat_backdate_s: settings.iat_backdate_s,
            max_location_bytes: settings.max_location_bytes,
        }
    }

    /// The account.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The key of single-use addresses.
    pub fn ticket_key(&self) -> TicketKey {
        TicketKey::derive(&self.secret)
    }

    /// Whether the same secret signs the other marketplace's tokens.
    pub fn has_secret_of(&self, other: &Self) -> bool {
        self.secret.expose_bytes() == other.secret.expose_bytes()
    }

    /// The origin to which users are redirected.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The user fields that `sub` reads.
    pub fn subject_names(&self) -> &[String] {
        self.claims.subject_names()
    }

    /// Which link parameters are passed on.
    pub const fn links(&self) -> &LinkRules {
        &self.links
    }

    /// The user's `sub`.
    pub fn subject(&self, user: &User) -> Option<String> {
        self.claims.evaluate(user).ok()?.subject().map(str::to_owned)
    }

    /// Verifies the signature of a token of this marketplace.
    pub fn verify(&self, token: &str) -> Result<Verified, VerifyError> {
        verify_hs256(token, &self.secret)
    }

    /// Signs a token and verifies it.
    pub fn self_test(&self, jti: Uuid) -> Result<(), SelfTestError> {
        let token = self.key.sign(&serde_json::json!({"jti": jti}))?;
        let verified = self.verify(&token)?;
        let is_same =
            verified.claims.get("jti").and_then(|jti| jti.as_str()) == Some(jti.to_string().as_str());
        if is_same { Ok(()) } else { Err(SelfTestError::Changed) }
    }

    /// Creates the signed URL for a user and a link.
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

        let claims = self.claims.evaluate(user).map_err(HandOffError::Claims)?;
        let subject = claims.subject().ok_or(HandOffError::NoSubject)?.to_owned();
        let token = self.key.sign(&claims.with_time(TimeClaims { issued_at, jti, expires_at }))?;

        let mut url = String::with_capacity(self.account_url.len() + token.len() + 64);
        url.push_str(&self.account_url);
        link.write_path(&mut url);
        url.push('?');
        url.push_str(LinkRules::TOKEN_PARAMETER);
        url.push('=');
        url.push_str(&token);
        link.write_query(&mut url);

        if url.len() > self.max_location_bytes {
            return Err(HandOffError::TooLong {
                length: url.len(),
                limit: self.max_location_bytes,
                largest: claims.largest(),
            });
        }
        Ok(HandOff { url: SignedUrl::new(url), jti, subject, issued_at, expires_at })
    }
}
