//! The cookie of a sign-in that has begun. It binds the provider's response to the browser in which
//! the sign-in began. Each sign-in has its own cookie, so that several tabs can sign in at the same
//! time.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cookie::{CookieScope, MAX_BYTES, NotACookie, decode};
use super::{Provider, SessionSettings};
use crate::clock::Timestamp;
use crate::request::Headers;

/// The login cookies of one entrance at one host.
#[derive(Clone, Debug)]
pub struct LoginCookies {
    settings: Arc<SessionSettings>,
    scope: CookieScope,
}

/// Why a response of the provider does not belong to a sign-in of this browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLogin {
    /// There is no cookie for its `state`.
    Absent,
    /// The cookie cannot be opened.
    Unreadable,
    /// The sign-in began longer ago than [`LoginCookies::LIFETIME`].
    TooOld,
}

/// The maximum number of sign-ins in progress in one browser, at all entrances together.
const MAX_AT_ONCE: usize = 4;

/// The number of characters of the hash of `state` in the cookie's name.
const TAG: usize = 8;

const ATTRIBUTES: &str = "; Path=/; HttpOnly; SameSite=Lax; Max-Age=";

impl LoginCookies {
    /// The maximum duration of a sign-in.
    pub const LIFETIME: Duration = Duration::from_secs(15 * 60);

    /// The cookies of the entrance of this name. `public_url` is an origin.
    pub fn new(
        settings: Arc<SessionSettings>,
        entrance: &str,
        public_url: &str,
        provider: Provider<'_>,
    ) -> Self {
        let mut scope = CookieScope::new("login", entrance, public_url, provider, "");
        let prefix = if scope.is_secure { "__Host-" } else { "" };
        scope.name = format!("{prefix}sso-login-");
        Self { settings, scope }
    }

    /// The `Set-Cookie` of a sign-in that begins now, with the data for its end.
    ///
    /// # Errors
    ///
    /// The cookie would be too large.
    pub fn set(&self, state: &str, now: Timestamp, data: &[u8]) -> Result<String, NotACookie> {
        let sealed = self.settings.login_keys.seal(&self.context(state, now), data)?;
        // the time is not encrypted, so that the oldest cookie can be found without the others'
        // `state`
        let value = format!("{}.{}", now.unix_seconds(), URL_SAFE_NO_PAD.encode(sealed));
        let field = format!("{}={value}{}{}", self.name(state), self.attributes(), Self::LIFETIME.as_secs());
        match field.len() {
            bytes if bytes > MAX_BYTES => {
                Err(NotACookie::TooLarge { bytes, part: "the return address", part_bytes: data.len() })
            }
            _ => Ok(field),
        }
    }

    /// The data with which the sign-in with this `state` began.
    ///
    /// # Errors
    ///
    /// This browser has not begun such a sign-in, or too long ago.
    pub fn open(&self, headers: &Headers<'_>, state: &str, now: Timestamp) -> Result<Vec<u8>, NoLogin> {
        let name = self.name(state);
        let mut found = headers.cookies().filter(|(own, _)| *own == name.as_bytes()).map(|(_, value)| value);
        let (Some(value), None) = (found.next(), found.next()) else { return Err(NoLogin::Absent) };
        let (begun, sealed) = parse(value).ok_or(NoLogin::Unreadable)?;
        let keys = &self.settings.login_keys;
        let data = decode(sealed).and_then(|sealed| keys.open(&self.context(state, begun), &sealed));
        let data = data.ok_or(NoLogin::Unreadable)?;
        if begun.is_within(Self::LIFETIME.as_secs(), now) { Ok(data) } else { Err(NoLogin::TooOld) }
    }

    /// The `Set-Cookie` that deletes the cookie of this sign-in.
    pub fn delete(&self, state: &str) -> String {
        self.delete_named(&self.name(state))
    }

    /// The `Set-Cookie` values that delete the oldest cookies, so that another sign-in can begin.
    pub fn make_place(&self, headers: &Headers<'_>) -> Vec<String> {
        let own = headers.cookies().filter_map(|(name, value)| {
            let name = std::str::from_utf8(name).ok()?;
            let tag = name.strip_prefix(&self.scope.name)?;
            let is_tag = tag.len() == TAG && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_tag.then(|| (parse(value).map(|(begun, _)| begun), name))
        });
        let mut begun: Vec<_> = own.collect();
        // unreadable cookies are sorted first, and deleted first
        begun.sort();
        let surplus = (begun.len() + 1).saturating_sub(MAX_AT_ONCE);
        begun.into_iter().take(surplus).map(|(_, name)| self.delete_named(name)).collect()
    }

    fn delete_named(&self, name: &str) -> String {
        format!("{name}={}0", self.attributes())
    }

    fn name(&self, state: &str) -> String {
        let tag = digest::digest(&digest::SHA256, state.as_bytes());
        let tag: String = tag.as_ref().iter().take(TAG / 2).map(|byte| format!("{byte:02x}")).collect();
        format!("{}{tag}", self.scope.name)
    }

    fn context(&self, state: &str, begun: Timestamp) -> Vec<u8> {
        let state = digest::digest(&digest::SHA256, state.as_bytes());
        [&self.scope.context, &begun.unix_seconds().to_be_bytes()[..], state.as_ref()].concat()
    }

    fn attributes(&self) -> String {
        if self.scope.is_secure { format!("; Secure{ATTRIBUTES}") } else { ATTRIBUTES.to_owned() }
    }
}

/// Splits a value into the time at which the sign-in began, and the sealed data.
fn parse(value: &[u8]) -> Option<(Timestamp, &[u8])> {
    let dot = value.iter().position(|byte| *byte == b'.')?;
    let (begun, sealed) = value.split_at_checked(dot)?;
    let begun = std::str::from_utf8(begun).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    Some((Timestamp::from_unix_seconds(begun.parse().ok()?), sealed.get(1..)?))
}

impl NoLogin {
    /// The cause for the operator's log.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Absent => {
                "this browser has no login cookie for the state: the sign-in began in another browser or at \
                 another entrance, has ended, or began more than 15 minutes ago"
            }
            Self::Unreadable => {
                "the login cookie cannot be opened: its key is no longer in session.key, or it was changed"
            }
            Self::TooOld => "the sign-in began more than 15 minutes ago",
        }
    }
}
