//! Sessions of users whom this service has signed in itself. A session is a sealed cookie, which
//! any replica with the same key can read. Only the list of ended sessions is kept outside of the
//! cookie ([`EndedSessions`]).
//!
//! This module does not depend on OpenID Connect or actix-web.

mod content;
mod cookie;
mod ended;
mod login;
mod refreshed;

#[cfg(test)]
mod cookie_tests;

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;
use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::seal::{CryptoFailure, KeyRing};
use crate::user::User;

pub use cookie::{NoSession, NotACookie, SessionCookies};
pub use ended::{EndedKey, EndedSessions};
pub use login::{LoginCookies, NoLogin};
pub use refreshed::RefreshKey;

/// The session of a user.
#[derive(Clone)]
pub struct Session {
    /// The session's unique id.
    pub id: SessionId,
    /// The sign-in: the id of the session in the window. The session of a frame has the same
    /// sign-in, so that both end together.
    pub sign_in: SessionId,
    /// When the user signed in.
    pub created: Timestamp,
    /// When the user logged in at the provider, if it says so.
    pub authenticated: Option<Timestamp>,
    /// When the cookie was last set.
    pub used: Timestamp,
    /// When the user's data was last received from the provider.
    pub refreshed: Timestamp,
    /// The provider.
    pub issuer: String,
    /// The user's id at the provider.
    pub subject: String,
    /// The session at the provider, if it has an id.
    pub sid: Option<String>,
    /// The nonce of the sign-in: a later ID token has the same one, or none.
    pub nonce: String,
    /// The token that requests newer data of the user.
    pub refresh_token: Option<SecretString>,
    /// The user.
    pub user: User,
}

/// The provider at which users sign in. Sessions end if it changes, so that no refresh token is
/// sent to another provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider<'a> {
    /// The issuer, a URL.
    pub issuer: &'a str,
    /// This service's id at the provider.
    pub client_id: &'a str,
}

/// The id of a session: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; ID_BYTES]);

/// The section `[session]`.
#[derive(Debug)]
pub struct SessionSettings {
    /// Seals session cookies.
    pub session_keys: KeyRing,
    /// Seals the cookies of sign-ins that have begun.
    pub login_keys: KeyRing,
    /// A session ends after this time without a request.
    pub idle: Duration,
    /// A session ends after this time even if it is in use.
    pub absolute: Duration,
    /// The age at which the user's data is refreshed; `None` for never.
    pub refresh_after: Option<Duration>,
    /// In which pages a frame's requests have the cookie.
    pub same_site: SameSite,
}

/// `SameSite` of the session cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`: sent by frames in pages of the same site.
    Lax,
    /// `None; Partitioned`: also sent by frames in pages of other sites. Browsers keep one cookie
    /// for each of these sites.
    NonePartitioned,
}

const ID_BYTES: usize = 16;

impl SessionId {
    /// A new id.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn random() -> Result<Self, CryptoFailure> {
        let mut bytes = [0; ID_BYTES];
        rand::fill(&mut bytes).map_err(|_| CryptoFailure)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(hidden)")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(hidden)")
    }
}
