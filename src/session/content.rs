//! The content of a session cookie: compact JSON. The user in it is parsed again through the same
//! types.

use std::borrow::Cow;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Session, SessionId};
use crate::clock::Timestamp;
use crate::user::{Credentials, User};

/// The members of the JSON. Names are short, because a cookie is sent with each request.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    /// [`VERSION`].
    v: u8,
    id: SessionId,
    /// The sign-in, if it is not `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<SessionId>,
    /// When the session was created, in microseconds. Ending all sessions of a user compares this
    /// time.
    c: i64,
    /// When the user was authenticated, the cookie set and the data refreshed, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<u64>,
    u: u64,
    r: u64,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    sid: Option<Cow<'a, str>>,
    /// The nonce and the refresh token, for a refresh.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    n: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    rt: Option<Cow<'a, str>>,
    user: Cow<'a, User>,
}

/// The version of the content, which changes with its form.
const VERSION: u8 = 2;

impl Session {
    /// The content of the session's cookie; `None` if a value cannot be serialized as JSON.
    pub(super) fn to_content(&self) -> Option<Vec<u8>> {
        let content = Content {
            v: VERSION,
            id: self.id,
            w: (self.sign_in != self.id).then_some(self.sign_in),
            c: self.created.unix_microseconds(),
            a: self.authenticated.map(Timestamp::unix_seconds),
            u: self.used.unix_seconds(),
            r: self.refreshed.unix_seconds(),
            sub: Cow::Borrowed(&self.subject),
            sid: self.sid.as_deref().map(Cow::Borrowed),
            n: Cow::Borrowed(if self.refresh_token.is_some() { &self.nonce } else { "" }),
            rt: self.refresh_token.as_ref().map(|token| Cow::Borrowed(token.expose_secret())),
            user: Cow::Borrowed(&self.user),
        };
        serde_json::to_vec(&content).ok()
    }

    /// The session in a cookie's content, at this provider; `None` if the content has another form,
    /// such as that of another version.
    pub(super) fn from_content(content: &[u8], issuer: &str) -> Option<Self> {
        let content: Content<'_> = serde_json::from_slice(content).ok()?;
        if content.v != VERSION {
            return None;
        }
        let mut user = content.user.into_owned();
        user.credentials = Credentials { issuer: Some(issuer.to_owned()), ..Credentials::default() };
        Some(Self {
            id: content.id,
            sign_in: content.w.unwrap_or(content.id),
            created: Timestamp::from_unix_microseconds(content.c),
            authenticated: content.a.map(Timestamp::from_unix_seconds),
            used: Timestamp::from_unix_seconds(content.u),
            refreshed: Timestamp::from_unix_seconds(content.r),
            issuer: issuer.to_owned(),
            subject: content.sub.into_owned(),
            sid: content.sid.map(Cow::into_owned),
            nonce: content.n.into_owned(),
            refresh_token: content.rt.map(|token| SecretString::from(token.into_owned())),
            user,
        })
    }

    /// The largest part of the content, and its size in bytes.
    pub(super) fn largest_part(&self) -> (&'static str, usize) {
        let size = |json: Result<String, serde_json::Error>| json.map_or(0, |text| text.len());
        let user = &self.user;
        let parts = [
            ("token (every claim that the provider signed)", size(serde_json::to_string(&user.token))),
            ("attributes", size(serde_json::to_string(&user.attributes))),
            ("groups", size(serde_json::to_string(&user.groups))),
            ("the refresh token", self.refresh_token.as_ref().map_or(0, |token| token.expose_secret().len())),
            (
                "the user's names and ids",
                size(serde_json::to_string(&(&user.id, &user.name, &user.organization))),
            ),
        ];
        parts.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or(("nothing", 0))
    }
}

/// As base64url: a list of numbers would be three times as long.
impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &URL_SAFE_NO_PAD))
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = URL_SAFE_NO_PAD.decode(<&str>::deserialize(deserializer)?).ok();
        let id = id.and_then(|id| id.try_into().ok());
        id.map(Self).ok_or_else(|| D::Error::custom("not the id of a session"))
    }
}

#[cfg(test)]
pub(super) use tests::{START, session};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::user::{Email, Identifier, Label, Organization};

    const ISSUER: &str = "https://id.example.com";

    pub const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    /// A session with a value in each field.
    pub fn session() -> Session {
        let text = |text: &str| Label::parse(text).unwrap();
        let user = User {
            id: Some(Identifier::parse("u-1").unwrap()),
            email: Some(Email::parse("alice@example.com").unwrap()),
            name: Some(text("Alice \"Ä\" \\ /")),
            username: Some(Identifier::parse("alice").unwrap()),
            groups: vec![text("staff"), text("ops")],
            organization: Organization {
                id: Some(Identifier::parse("o-1").unwrap()),
                name: Some(text("Acme")),
            },
            attributes: [("plan".to_owned(), json!({"tier": ["pro", 1, null]}))].into(),
            token: [("sub".to_owned(), json!("u-1"))].into_iter().collect(),
            credentials: Credentials { issuer: Some(ISSUER.into()), ..Credentials::default() },
        };
        Session {
            id: SessionId([7; 16]),
            sign_in: SessionId([6; 16]),
            created: START,
            authenticated: Some(START),
            used: START,
            refreshed: START,
            issuer: ISSUER.into(),
            subject: "u-1".into(),
            sid: Some("s-1".into()),
            nonce: "nonce".into(),
            refresh_token: Some("refresh".into()),
            user,
        }
    }

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let content = session().to_content().unwrap();
        let read = Session::from_content(&content, ISSUER).unwrap();
        assert_eq!(read.user, session().user);
        assert_eq!(read.to_content().unwrap(), content);
        let empty = Session { sid: None, refresh_token: None, user: User::default(), ..session() };
        let read = Session::from_content(&empty.to_content().unwrap(), ISSUER).unwrap();
        assert_eq!((read.sid, read.user.groups.len()), (None, 0));
    }

    #[test]
    fn a_user_in_a_session_is_parsed_again() {
        let content = String::from_utf8(session().to_content().unwrap()).unwrap();
        for (good, bad) in [
            ("\"alice@example.com\"", "\"alice@evil.com@example.com\""),
            ("\"id\":\"u-1\"", "\"id\":\"null\""),
            ("\"staff\"", "\"st\\u202eaff\""),
            ("\"v\":2", "\"v\":1"),
            ("\"v\":2", "\"v\":2,\"x\":1"),
            ("\"id\":\"B", "\"id\":\""),
            ("\"id\":\"B", "\"id\":\"BBBBB"),
        ] {
            assert!(content.contains(good), "{good}");
            let changed = content.replacen(good, bad, 1);
            assert!(Session::from_content(changed.as_bytes(), ISSUER).is_none(), "{bad}");
        }
    }
}
