//! Which sessions have ended before their time, in memory. The store has them for all replicas
//! ([`crate::store`]); they are forgotten once the sessions would have ended anyway.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::digest;

use super::Session;
use crate::clock::Timestamp;

/// Sessions that have ended.
#[derive(Debug, Default)]
pub struct EndedSessions {
    ended: RwLock<HashMap<EndedKey, Timestamp>>,
    /// Whether those in a store are still to be read.
    is_unread: AtomicBool,
}

/// What a session is ended by: a hash, since the store holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndedKey([u8; HASH_BYTES]);

pub(super) const HASH_BYTES: usize = 32;

impl EndedKey {
    /// The sessions of one sign-in: of the window, and of frames.
    pub fn of_sign_in(session: &Session) -> Self {
        Self::new(b"session", &[&session.sign_in.0])
    }

    /// Each session that belongs to this session of the provider, at any time.
    pub fn of_sid(issuer: &str, sid: &str) -> Self {
        Self::new(b"sid", &[issuer.as_bytes(), sid.as_bytes()])
    }

    /// Each session that this user has at the time.
    pub fn of_subject(issuer: &str, subject: &str) -> Self {
        Self::new(b"subject", &[issuer.as_bytes(), subject.as_bytes()])
    }

    /// Each session that this user has at the time and that belongs to no known session of the provider.
    pub fn of_subject_without_sid(issuer: &str, subject: &str) -> Self {
        Self::new(b"subject without sid", &[issuer.as_bytes(), subject.as_bytes()])
    }

    /// A logout token, which is used once.
    pub fn of_logout_token(issuer: &str, jti: &str) -> Self {
        Self::new(b"logout token", &[issuer.as_bytes(), jti.as_bytes()])
    }

    /// A key, as the store has it; `None` if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn new(kind: &[u8], values: &[&[u8]]) -> Self {
        Self(hash(kind, values))
    }
}

/// A hash of values of one kind.
pub(super) fn hash(kind: &[u8], values: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(kind);
    for value in values {
        // with their lengths, so that no two lists have the same bytes
        context.update(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(value);
    }
    let mut hash = [0; HASH_BYTES];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

impl EndedSessions {
    /// Those of a process that has yet to read them from its store.
    pub fn unread() -> Self {
        Self { is_unread: AtomicBool::new(true), ..Self::default() }
    }

    /// From now on they are known as the store has them.
    pub fn set_read(&self) {
        self.is_unread.store(false, Ordering::Release);
    }

    /// Whether they are known: until then any session may have ended.
    pub fn is_read(&self) -> bool {
        !self.is_unread.load(Ordering::Acquire)
    }

    /// Ends what has these keys. A later time replaces an earlier one.
    pub fn add(&self, more: impl IntoIterator<Item = (EndedKey, Timestamp)>) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in more {
            let known = ended.entry(key).or_insert(at);
            *known = at.max(*known);
        }
    }

    /// Whether this key has ended.
    pub fn contains(&self, key: &EndedKey) -> bool {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Forgets what ended before this time.
    pub fn forget_before(&self, time: Timestamp) {
        self.ended.write().unwrap_or_else(PoisonError::into_inner).retain(|_, at| *at >= time);
    }

    /// Whether a session has ended.
    pub fn has(&self, session: &Session) -> bool {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        if ended.is_empty() {
            return false;
        }
        let has = |key: EndedKey| ended.contains_key(&key);
        // a user may sign in again after all sessions of the user were ended
        let had = |key: EndedKey| ended.get(&key).is_some_and(|at| session.created <= *at);
        let (issuer, subject) = (session.issuer.as_str(), session.subject.as_str());
        has(EndedKey::of_sign_in(session))
            || had(EndedKey::of_subject(issuer, subject))
            || match session.sid.as_deref() {
                Some(sid) => has(EndedKey::of_sid(issuer, sid)),
                None => had(EndedKey::of_subject_without_sid(issuer, subject)),
            }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::content::{START, session};
    use super::*;

    #[test]
    fn a_session_is_ended_by_its_sign_in_sid_or_subject() {
        let (session, issuer) = (session(), "https://id.example.com");
        for key in [
            EndedKey::of_sign_in(&session),
            EndedKey::of_sid(issuer, "s-1"),
            EndedKey::of_subject(issuer, "u-1"),
        ] {
            let ended = EndedSessions::default();
            assert!(!ended.has(&session));
            ended.add([(key, START)]);
            assert!(ended.has(&session), "{key:?}");
            ended.forget_before(START.later_by(Duration::from_secs(1)));
            assert!(!ended.has(&session));
        }
    }

    #[test]
    fn a_session_without_a_sid_is_ended_with_those_of_its_user() {
        let ended = EndedSessions::default();
        ended.add([(EndedKey::of_subject_without_sid("https://id.example.com", "u-1"), START)]);
        let without_sid = Session { sid: None, ..session() };
        assert!(ended.has(&without_sid) && !ended.has(&session()));
    }

    #[test]
    fn other_sessions_go_on() {
        let ended = EndedSessions::default();
        let issuer = "https://id.example.com";
        for key in [
            EndedKey::of_sid(issuer, "s-2"),
            EndedKey::of_sid("https://id.example.co", "ms-1"),
            EndedKey::of_sid(issuer, "u-1"),
            EndedKey::of_subject(issuer, "u-2"),
            EndedKey::of_subject("https://other.example.com", "u-1"),
            EndedKey::of_logout_token(issuer, "s-1"),
        ] {
            ended.add([(key, START)]);
        }
        assert!(!ended.has(&session()));
    }

    /// A provider's sessions have ids of their own (Back-Channel Logout 1.0, 2.4), so one that has ended
    /// does not begin again; a sign-in that was under way meanwhile ends with it.
    #[test]
    fn a_sid_that_was_ended_stays_ended() {
        let ended = EndedSessions::default();
        ended.add([(EndedKey::of_sid("https://id.example.com", "s-1"), START)]);
        let later = Session { created: START.later_by(Duration::from_secs(60)), ..session() };
        assert!(ended.has(&later));
    }

    #[test]
    fn a_user_whose_sessions_were_ended_may_sign_in_again() {
        let ended = EndedSessions::default();
        ended.add([(EndedKey::of_subject("https://id.example.com", "u-1"), START)]);
        let later = Session { created: START.later_by(Duration::from_micros(1)), ..session() };
        assert!(ended.has(&session()) && !ended.has(&later));
    }
}
