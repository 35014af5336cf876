//! The keys of a set that cannot be used, and why.

use std::fmt::Write as _;

use super::public_key::BadKey;

/// A key of a set that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {number}: {why}")]
pub struct SkippedKey {
    /// Its position in the set, from 1.
    pub number: usize,
    /// The cause.
    pub why: UnusableKey,
}

/// Why a key was skipped. Never quotes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// A required member is missing.
    #[error("its {0} is missing")]
    Missing(&'static str),
    /// A member has the wrong JSON type.
    #[error("its {0} has the wrong type")]
    WrongType(&'static str),
    /// A value that is valid elsewhere, but not supported here.
    #[error("its {0} is not supported")]
    Unknown(&'static str),
    /// A component is not base64url, or has the wrong length.
    #[error("its {0} is not base64url of the right length")]
    Malformed(&'static str),
    /// The key itself is unsafe.
    #[error(transparent)]
    Bad(#[from] BadKey),
}

/// The maximum number of skipped keys that [`list`] describes.
const MAX_LISTED: usize = 8;

/// Describes skipped keys in one line.
pub fn list(skipped: &[SkippedKey]) -> String {
    let named: Vec<String> = skipped.iter().take(MAX_LISTED).map(SkippedKey::to_string).collect();
    let mut text = named.join("; ");
    if let Some(more) = skipped.len().checked_sub(MAX_LISTED).filter(|more| *more > 0) {
        // writing to a String cannot fail
        let _ = write!(text, "; and {more} more");
    }
    text
}

impl SkippedKey {
    /// Whether the key is a malformed or unsafe verification key, rather than an
    /// unsupported one.
    pub const fn is_invalid(&self) -> bool {
        match self.why {
            UnusableKey::Bad(_) | UnusableKey::Malformed(_) => true,
            UnusableKey::Missing(_) | UnusableKey::WrongType(_) | UnusableKey::Unknown(_) => false,
        }
    }
}
