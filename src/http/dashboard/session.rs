//! Sessions of the dashboard: a cookie has a random id, and this process keeps the API token that
//! opened the session in memory. The token is verified again for each page, so that a session ends
//! when its token is revoked or expires.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::clock::Timestamp;

/// The open sessions.
#[derive(Default)]
pub(in crate::http) struct Sessions(Mutex<HashMap<IdHash, Session>>);

/// The hash of a session's id. Hashes are compared in place of ids, so that the time of a
/// comparison reveals nothing about an id.
type IdHash = Vec<u8>;

struct Session {
    token: SecretString,
    opened: Timestamp,
    used: Timestamp,
}

/// The name of the cookie.
const COOKIE: &str = "sso_dashboard";

/// Seconds without a request after which a session ends.
const IDLE_S: u64 = 15 * 60;

/// Seconds after which a session ends even if it is in use; equal to `Max-Age` below.
const ABSOLUTE_S: u64 = 60 * 60;

/// The maximum number of open sessions. A further session ends the least recently used one.
const MAX_SESSIONS: usize = 100;

/// The length of an id, in bytes.
const ID_BYTES: usize = 32;

impl Sessions {
    /// Opens a session, and returns its `Set-Cookie`; `None` if the system has no random numbers.
    pub fn open(&self, token: SecretString, now: Timestamp) -> Option<HeaderValue> {
        let mut bytes = [0; ID_BYTES];
        rand::fill(&mut bytes).ok()?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let mut sessions = self.0.lock().ok()?;
        sessions.retain(|_, session| session.is_open(now));
        if sessions.len() >= MAX_SESSIONS {
            let oldest =
                sessions.iter().min_by_key(|(_, session)| session.used).map(|(hash, _)| hash.clone());
            oldest.map(|hash| sessions.remove(&hash));
        }
        sessions.insert(hash(&id), Session { token, opened: now, used: now });
        HeaderValue::try_from(format!(
            "{COOKIE}={id}; Path=/dashboard; Max-Age=3600; HttpOnly; SameSite=Strict"
        ))
        .ok()
    }

    /// The API token of the request's session, which counts as used now.
    pub fn token(&self, request: &HttpRequest, now: Timestamp) -> Option<SecretString> {
        let id = id_of(request)?;
        let mut sessions = self.0.lock().ok()?;
        let session = sessions.get_mut(&hash(id)).filter(|session| session.is_open(now))?;
        session.used = now;
        Some(session.token.clone())
    }

    /// Ends the request's session, and returns the `Set-Cookie` that deletes its cookie.
    pub fn close(&self, request: &HttpRequest) -> HeaderValue {
        if let (Some(id), Ok(mut sessions)) = (id_of(request), self.0.lock()) {
            sessions.remove(&hash(id));
        }
        HeaderValue::from_static("sso_dashboard=; Path=/dashboard; Max-Age=0; HttpOnly; SameSite=Strict")
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(hidden)")
    }
}

impl Session {
    const fn is_open(&self, now: Timestamp) -> bool {
        self.used.is_within(IDLE_S, now) && self.opened.is_within(ABSOLUTE_S, now)
    }
}

/// The id in the request's only cookie of that name.
fn id_of(request: &HttpRequest) -> Option<&str> {
    let fields = request.headers().get_all(header::COOKIE).filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ids = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, id)| id);
    ids.next().filter(|_| ids.next().is_none())
}

fn hash(id: &str) -> IdHash {
    digest::digest(&digest::SHA256, id.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::test::TestRequest;
    use secrecy::ExposeSecret;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.later_by(Duration::from_secs(seconds))
    }

    fn open(sessions: &Sessions, token: &str, now: Timestamp) -> HttpRequest {
        let cookie = sessions.open(token.into(), now).unwrap();
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        TestRequest::default().insert_header((header::COOKIE, format!("a=b; {cookie}"))).to_http_request()
    }

    #[test]
    fn a_session_ends_after_fifteen_idle_minutes() {
        let sessions = Sessions::default();
        let request = open(&sessions, "token", START);
        assert_eq!(sessions.token(&request, after(899)).unwrap().expose_secret(), "token");
        assert!(sessions.token(&request, after(899 + 899)).is_some());
        assert!(sessions.token(&request, after(899 + 899 + 900)).is_none());
    }

    #[test]
    fn a_session_ends_after_an_hour_of_use() {
        let sessions = Sessions::default();
        let request = open(&sessions, "token", START);
        assert!((0..3599).step_by(600).all(|seconds| sessions.token(&request, after(seconds)).is_some()));
        assert!(sessions.token(&request, after(3600)).is_none());
    }

    #[test]
    fn a_closed_session_is_not_found() {
        let sessions = Sessions::default();
        let (request, other) = (open(&sessions, "token", START), open(&sessions, "other", START));
        sessions.close(&request);
        assert!(sessions.token(&request, START).is_none());
        assert_eq!(sessions.token(&other, START).unwrap().expose_secret(), "other");
    }

    #[test]
    fn the_number_of_sessions_is_limited() {
        let sessions = Sessions::default();
        let first = open(&sessions, "first", START);
        let second = open(&sessions, "second", after(1));
        for _ in 2..=MAX_SESSIONS {
            open(&sessions, "more", after(2));
        }
        assert!(sessions.token(&first, after(3)).is_none());
        assert!(sessions.token(&second, after(3)).is_some());
        assert_eq!(sessions.0.lock().unwrap().len(), MAX_SESSIONS);
    }

    #[test]
    fn two_cookies_are_not_a_session() {
        let sessions = Sessions::default();
        let request = open(&sessions, "token", START);
        let cookie = request.headers().get(header::COOKIE).unwrap().to_str().unwrap();
        let twice =
            TestRequest::default().insert_header((header::COOKIE, format!("{cookie}; sso_dashboard=x")));
        assert!(sessions.token(&twice.to_http_request(), START).is_none());
    }
}
