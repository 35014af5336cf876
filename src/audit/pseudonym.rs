//! How the audit log identifies users: not at all, by a keyed hash, or by their `sub`.

use siphasher::sip128::SipHasher24;
use uuid::Uuid;

use crate::secret::SharedSecret;

/// How the audit log identifies subjects (`log.subject`, `audit.subject`).
#[derive(Clone)]
pub enum SubjectLog {
    /// Not at all.
    None,
    /// By a keyed hash, which is the same in each event of a user, and cannot be computed without
    /// the shared secret.
    Hashed(PseudonymKey),
    /// By `sub`.
    Plain,
}

/// How the log and the store identify subjects.
#[derive(Clone, Debug)]
pub struct SubjectForms {
    /// `log.subject`.
    pub log: SubjectLog,
    /// `audit.subject`; [`SubjectLog::None`] where events are not stored.
    pub record: SubjectLog,
}

/// A subject, as the log and the store identify it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectNames {
    /// In the log.
    pub logged: Option<String>,
    /// In the store.
    pub recorded: Option<String>,
}

/// A key for hashing subjects.
#[derive(Clone)]
pub struct PseudonymKey(SipHasher24);

impl SubjectLog {
    /// The logged form of a subject.
    pub fn write(&self, subject: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Hashed(key) => Some(key.pseudonym(subject)),
            Self::Plain => Some(subject.to_owned()),
        }
    }
}

impl SubjectForms {
    /// Both forms of a subject.
    pub fn write(&self, subject: &str) -> SubjectNames {
        let logged = self.log.write(subject);
        let recorded = match (&self.log, &self.record) {
            // both are hashed with the same key
            (SubjectLog::Hashed(_), SubjectLog::Hashed(_)) => logged.clone(),
            (_, record) => record.write(subject),
        };
        SubjectNames { logged, recorded }
    }
}

impl PseudonymKey {
    /// Derives the key from the shared secret, so that it is stable across restarts.
    pub fn derive(secret: &SharedSecret) -> Self {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.expose_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, b"marketplace-sso log.subject 1");
        let mut half = [0; 16];
        half.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Self(SipHasher24::new_with_key(&half))
    }

    /// The form of a subject in [`SubjectLog::Hashed`].
    pub fn pseudonym(&self, subject: &str) -> String {
        let hash = self.0.hash(subject.as_bytes()).as_u128();
        Uuid::from_u128(hash).simple().encode_lower(&mut Uuid::encode_buffer()).to_owned()
    }
}

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PseudonymKey(hidden)")
    }
}

impl std::fmt::Debug for SubjectLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Hashed(_) => "Hashed",
            Self::Plain => "Plain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_pseudonym_per_secret() {
        let key = |text: &str| PseudonymKey::derive(&SharedSecret::parse(text).unwrap());
        let (one, other) = (key(&"a".repeat(32)), key(&"b".repeat(32)));
        assert_eq!(one.pseudonym("alice@example.com"), one.pseudonym("alice@example.com"));
        assert_ne!(one.pseudonym("alice@example.com"), one.pseudonym("bob@example.com"));
        assert_ne!(one.pseudonym("alice@example.com"), other.pseudonym("alice@example.com"));
    }
}
