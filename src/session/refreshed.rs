//! A refreshed session for other replicas: what names the refresh, and the session, sealed. Who reads the
//! store can use neither: the name is a hash, and what is sealed for the store does not open as a cookie.

use secrecy::ExposeSecret;

use super::ended::{HASH_BYTES, hash};
use super::{NotACookie, Session, SessionCookies};

/// Names one refresh of a session: a hash of the session, of the refresh token that it uses, and of when its
/// data is from, since providers may send the same refresh token again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshKey([u8; HASH_BYTES]);

impl RefreshKey {
    /// The next refresh of this session.
    pub fn of(session: &Session) -> Self {
        let token = session.refresh_token.as_ref().map_or("", |token| token.expose_secret());
        // in seconds, as a cookie has it
        let refreshed = session.refreshed.unix_seconds().to_be_bytes();
        Self(hash(b"refresh", &[&session.id.0, token.as_bytes(), &refreshed]))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SessionCookies {
    /// Seals the result of this refresh.
    ///
    /// # Errors
    ///
    /// It cannot be serialized or sealed.
    pub fn seal_refreshed(&self, key: RefreshKey, session: &Session) -> Result<Vec<u8>, NotACookie> {
        let content = session.to_content().ok_or(NotACookie::NoJson)?;
        Ok(self.settings.session_keys.seal(&self.refreshed_context(key), &content)?)
    }

    /// The result of this refresh; `None` where it is of another entrance, host, provider, key or refresh.
    pub fn open_refreshed(&self, key: RefreshKey, sealed: &[u8]) -> Option<Box<Session>> {
        let content = self.settings.session_keys.open(&self.refreshed_context(key), sealed)?;
        Session::from_content(&content, &self.issuer).map(Box::new)
    }

    /// No cookie's context begins so.
    fn refreshed_context(&self, key: RefreshKey) -> Vec<u8> {
        [b"refreshed\0", key.as_bytes(), &self.scope.context].concat()
    }
}
