//! The session cookie: its name, its attributes, and how it is opened.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{EndedSessions, Provider, SameSite, Session, SessionSettings};
use crate::clock::Timestamp;
use crate::request::Headers;
use crate::seal::CryptoFailure;

/// The session cookies of one entrance at one host.
#[derive(Clone, Debug)]
pub struct SessionCookies {
    pub(super) settings: Arc<SessionSettings>,
    pub(super) scope: CookieScope,
    /// The issuer of the provider. Every cookie that can be opened belongs to it.
    pub(super) issuer: Arc<str>,
}

/// The name and the context of a cookie, which bind it to an entrance, a host and a provider.
#[derive(Clone, Debug)]
pub(super) struct CookieScope {
    pub name: String,
    /// Authenticated together with the content, so that a cookie of another entrance, host or
    /// provider cannot be opened.
    pub context: Vec<u8>,
    pub is_secure: bool,
}

/// Why a request has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// The request has no session cookie.
    Absent,
    /// The request has two session cookies.
    Repeated,
    /// The cookie cannot be opened.
    Unreadable,
    /// There was no request for `session.idle_s`.
    Idle,
    /// The session is older than `session.absolute_s`.
    TooOld,
    /// The user signed out, or the provider ended the session or refused to refresh it.
    Ended,
}

/// Why a session cannot be put into a cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACookie {
    /// It is so large that browsers would drop it.
    #[error(
        "the session cookie would have {bytes} bytes, and browsers keep {MAX_BYTES}; the largest part is {part} \
         with {part_bytes} bytes: map fewer claims in identity.user, or have the provider send fewer"
    )]
    TooLarge {
        /// The size of the whole field, in bytes.
        bytes: usize,
        /// The largest part of the content.
        part: &'static str,
        /// The size of that part, in bytes.
        part_bytes: usize,
    },
    /// It cannot be serialized.
    #[error("the session cannot be serialized as JSON")]
    NoJson,
    /// It cannot be sealed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailure),
}

/// The maximum length of `Set-Cookie`, in bytes. Browsers keep cookies whose name and value
/// together have up to 4,096 bytes (RFC 6265bis, 5.6).
pub(super) const MAX_BYTES: usize = 4000;

impl SessionCookies {
    /// The cookies of the entrance of this name. `public_url` is an origin.
    pub fn new(
        settings: Arc<SessionSettings>,
        entrance: &str,
        public_url: &str,
        provider: Provider<'_>,
    ) -> Self {
        // different names, because a browser would keep and send the cookies of both settings
        let suffix = match settings.same_site {
            SameSite::Lax => "",
            SameSite::NonePartitioned => "-partitioned",
        };
        let scope = CookieScope::new("session", entrance, public_url, provider, suffix);
        Self { settings, scope, issuer: provider.issuer.into() }
    }

    /// The settings.
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.scope.name
    }

    /// The `Set-Cookie` of a session.
    ///
    /// # Errors
    ///
    /// The cookie would be too large. Its content is never truncated.
    pub fn set(&self, session: &Session) -> Result<String, NotACookie> {
        let content = session.to_content().ok_or(NotACookie::NoJson)?;
        let sealed = self.settings.session_keys.seal(&self.scope.context, &content)?;
        let value = URL_SAFE_NO_PAD.encode(sealed);
        let field = format!("{}={value}{}", self.scope.name, self.attributes());
        let bytes = field.len();
        if bytes > MAX_BYTES {
            let (part, part_bytes) = session.largest_part();
            return Err(NotACookie::TooLarge { bytes, part, part_bytes });
        }
        Ok(field)
    }

    /// The `Set-Cookie` that deletes the cookie.
    pub fn delete(&self) -> String {
        format!("{}={}; Max-Age=0", self.scope.name, self.attributes())
    }

    /// The session of a request.
    ///
    /// # Errors
    ///
    /// There is none, or it has ended.
    pub fn open(
        &self,
        headers: &Headers<'_>,
        now: Timestamp,
        ended: &EndedSessions,
    ) -> Result<Box<Session>, NoSession> {
        let value = self.scope.find(headers)?;
        let session = Box::new(self.parse(value).ok_or(NoSession::Unreadable)?);
        let SessionSettings { idle, absolute, .. } = *self.settings;
        if !session.created.is_within(absolute.as_secs(), now) {
            return Err(NoSession::TooOld);
        }
        if !session.used.is_within(idle.as_secs(), now) {
            return Err(NoSession::Idle);
        }
        if ended.has(&session) {
            return Err(NoSession::Ended);
        }
        Ok(session)
    }

    /// Whether the cookie has to be set again, so that the session does not end while it is in use.
    pub fn is_to_extend(&self, session: &Session, now: Timestamp) -> bool {
        now.seconds_since(session.used) > self.settings.idle.as_secs() / 10
    }

    /// Whether the user's data should be refreshed, and can be.
    pub fn is_to_refresh(&self, session: &Session, now: Timestamp) -> bool {
        let after = self.settings.refresh_after.filter(|_| session.refresh_token.is_some());
        after.is_some_and(|after| now.seconds_since(session.refreshed) >= after.as_secs())
    }

    fn parse(&self, value: &[u8]) -> Option<Session> {
        let mut sealed = decode(value)?;
        let content = self.settings.session_keys.open_in_place(&self.scope.context, &mut sealed)?;
        Session::from_content(content, &self.issuer)
    }

    fn attributes(&self) -> &'static str {
        match (self.settings.same_site, self.scope.is_secure) {
            (SameSite::Lax, true) => "; Path=/; HttpOnly; Secure; SameSite=Lax",
            (SameSite::Lax, false) => "; Path=/; HttpOnly; SameSite=Lax",
            // browsers keep such a cookie only with Secure, which they accept from localhost even
            // over http
            (SameSite::NonePartitioned, true | false) => {
                "; Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
            }
        }
    }
}

impl CookieScope {
    /// The scope of a kind of cookie. `suffix` follows the name.
    pub fn new(kind: &str, entrance: &str, public_url: &str, provider: Provider<'_>, suffix: &str) -> Self {
        let is_secure = public_url.starts_with("https://");
        let prefix = if is_secure { "__Host-" } else { "" };
        let Provider { issuer, client_id } = provider;
        // an entrance's name is a token (RFC 6265, 4.1.1); only the last value could contain a NUL,
        // so the concatenation is unambiguous
        let context = [kind, public_url, entrance, issuer, client_id].join("\0").into_bytes();
        Self { name: format!("{prefix}sso-{entrance}{suffix}"), context, is_secure }
    }

    /// The value of the request's only cookie of this name.
    fn find<'a>(&self, headers: &Headers<'a>) -> Result<&'a [u8], NoSession> {
        let mut found = headers.cookies().filter(|(name, _)| *name == self.name.as_bytes());
        match (found.next(), found.next()) {
            (None, _) => Err(NoSession::Absent),
            (Some((_, value)), None) => Ok(value),
            (Some(_), Some(_)) => Err(NoSession::Repeated),
        }
    }
}

/// Decodes the sealed content from a cookie's value.
pub(super) fn decode(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() > MAX_BYTES { None } else { URL_SAFE_NO_PAD.decode(value).ok() }
}

impl NoSession {
    /// The cause for the operator's log.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Absent => "the request has no session cookie",
            Self::Repeated => "the request has two session cookies of this entrance",
            Self::Unreadable => {
                "the session cookie cannot be opened: its key is no longer in session.key, it is of another provider or client_id, or it was changed"
            }
            Self::Idle => "the session has ended: there was no request for session.idle_s",
            Self::TooOld => "the session has ended: it is older than session.absolute_s",
            Self::Ended => {
                "the session has ended: the user signed out, or the provider ended it, or refused to refresh it"
            }
        }
    }
}
