//! The sessions that were ended before they expired, in memory. The store shares them with all
//! replicas ([`crate::store`]). They are removed when the sessions would have expired anyway.

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
    /// Whether the ended sessions in the store were not read yet.
    is_unread: AtomicBool,
}

/// Identifies sessions that have ended. It is a hash, because it is kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndedKey([u8; HASH_BYTES]);

pub(super) const HASH_BYTES: usize = 32;

impl EndedKey {
    /// The sessions of one sign-in: that of the window, and those of frames.
    pub fn of_sign_in(session: &Session) -> Self {
        Self::new(b"session", &[&session.sign_in.0])
    }

    /// All sessions that belong to this session at the provider, whenever they were created.
    pub fn of_sid(issuer: &str, sid: &str) -> Self {
        Self::new(b"sid", &[issuer.as_bytes(), sid.as_bytes()])
    }

    /// All sessions of this user that exist when they are ended.
    pub fn of_subject(issuer: &str, subject: &str) -> Self {
        Self::new(b"subject", &[issuer.as_bytes(), subject.as_bytes()])
    }

    /// All sessions of this user that exist when they are ended, and whose session at the provider
    /// is not known.
    pub fn of_subject_without_sid(issuer: &str, subject: &str) -> Self {
        Self::new(b"subject without sid", &[issuer.as_bytes(), subject.as_bytes()])
    }

    /// A logout token, which may be used only once.
    pub fn of_logout_token(issuer: &str, jti: &str) -> Self {
        Self::new(b"logout token", &[issuer.as_bytes(), jti.as_bytes()])
    }

    /// A key from the store; `None` if its length is wrong.
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
        // with their lengths, so that different lists never have the same bytes
        context.update(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(value);
    }
    let mut hash = [0; HASH_BYTES];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

impl EndedSessions {
    /// Creates the state of a process that has not read the ended sessions from its store yet.
    pub fn unread() -> Self {
        Self { is_unread: AtomicBool::new(true), ..Self::default() }
    }

    /// Records that the ended sessions were read from the store.
    pub fn set_read(&self) {
        self.is_unread.store(false, Ordering::Release);
    }

    /// Whether the ended sessions were read from the store. Before that, any session may have
    /// ended.
    pub fn is_read(&self) -> bool {
        !self.is_unread.load(Ordering::Acquire)
    }

    /// Ends the sessions with these keys. A later time replaces an earlier one.
    pub fn add(&self, more: impl IntoIterator<Item = (EndedKey, Timestamp)>) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in more {
            let known = ended.entry(key).or_insert(at);
            *known = at.max(*known);
        }
    }

    /// Whether the sessions of this key were ended.
    pub fn contains(&self, key: &EndedKey) -> bool {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Removes the keys that ended before this time.
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
        // only sessions from before that time: the user may sign in again
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
    fn other_sessions_stay_valid() {
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

    /// Each session of a provider has its own id (Back-Channel Logout 1.0, 2.4), so a session that
    /// has ended does not begin again, and a sign-in that was in progress ends with it.
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
