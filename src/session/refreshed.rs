//! A refreshed session for other replicas: the key of the refresh, and the sealed session. A reader
//! of the store can use neither: the key is a hash, and data that is sealed for the store cannot be
//! opened as a cookie.

use secrecy::ExposeSecret;

use super::ended::{HASH_BYTES, hash};
use super::{NotACookie, Session, SessionCookies};

/// Identifies one refresh of a session: a hash of the session's id, the refresh token, and the time
/// of the data, because providers may issue the same refresh token again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshKey([u8; HASH_BYTES]);

impl RefreshKey {
    /// The key of the next refresh of this session.
    pub fn of(session: &Session) -> Self {
        let token = session.refresh_token.as_ref().map_or("", |token| token.expose_secret());
        // in seconds, as in a cookie
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

    /// Opens the result of this refresh; `None` if it belongs to another entrance, host, provider,
    /// key or refresh.
    pub fn open_refreshed(&self, key: RefreshKey, sealed: &[u8]) -> Option<Box<Session>> {
        let content = self.settings.session_keys.open(&self.refreshed_context(key), sealed)?;
        Session::from_content(&content, &self.issuer).map(Box::new)
    }

    /// The context of a sealed result. It differs from that of any cookie.
    fn refreshed_context(&self, key: RefreshKey) -> Vec<u8> {
        [b"refreshed\0", key.as_bytes(), &self.scope.context].concat()
    }
}
