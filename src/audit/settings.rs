//! The settings in the section `[audit]`.

use std::time::Duration;

use super::{ChainKey, PseudonymKey};

/// How events are stored.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// When a response may be sent.
    pub durability: Durability,
    /// What happens to a request whose event cannot be stored.
    pub on_failure: OnFailure,
    /// The maximum number of events that wait for the store.
    pub queue_length: usize,
    /// How long events are kept; `None` if they are not deleted.
    pub retention: Option<Duration>,
    /// The key of the chains.
    pub chain_key: ChainKey,
    /// The keys of hashed subjects, one for each entrance.
    pub pseudonym_keys: Vec<PseudonymKey>,
}

/// When a response may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When its event is logged; it is not stored.
    Log,
    /// When its event is queued for the store.
    Queued,
    /// When its event is on the store's disk.
    Commit,
}

/// What happens to a request whose event cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused.
    Refuse,
    /// It is served; the event is stored later, if it fits into the queue.
    Allow,
}

impl Durability {
    /// Every durability.
    pub const ALL: [Self; 3] = [Self::Log, Self::Queued, Self::Commit];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Queued => "queued",
            Self::Commit => "commit",
        }
    }
}

impl AuditSettings {
    /// The forms that stored events may have of a subject.
    pub fn subject_forms(&self, subject: &str) -> Vec<String> {
        subject_forms(subject, &self.pseudonym_keys)
    }
}

/// The forms in which stored events may contain a subject: plain, and hashed with the key of each
/// entrance.
pub fn subject_forms(subject: &str, keys: &[PseudonymKey]) -> Vec<String> {
    let mut forms = vec![subject.to_owned()];
    for form in keys.iter().map(|key| key.pseudonym(subject)) {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

impl AuditSettings {
    /// Whether a setting differs that only a restart applies. The chain key does not count: a new
    /// one is used from the next start on, and until then events verify with the old one.
    pub fn needs_restart_after(&self, earlier: &Self) -> bool {
        let of = |settings: &Self| {
            let Self { durability, on_failure, queue_length, retention, .. } = *settings;
            (durability, on_failure, queue_length, retention)
        };
        of(self) != of(earlier)
    }
}
