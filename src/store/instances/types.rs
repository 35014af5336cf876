//! An extension instance in the store, and changes of it.

use std::fmt;

use uuid::Uuid;

/// An extension instance, as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInstance {
    /// Its id.
    pub id: Uuid,
    /// Its extension.
    pub extension_id: Uuid,
    /// The contributor who offers the extension.
    pub contributor_id: Uuid,
    /// What it is installed in.
    pub context_id: Uuid,
    /// The kind of that.
    pub context_kind: String,
    /// The part that its owner changes.
    pub state: StoredState,
    /// Its secret; `None` until a webhook with one was received.
    pub secret: Option<SealedSecret>,
    /// A number that differs after each change.
    pub revision: i64,
    /// When the first webhook about it was received.
    pub created_at_us: i64,
    /// When the last one that changed it was received.
    pub updated_at_us: i64,
}

/// The part of an instance that its owner changes. The default, before any state was received, is
/// disabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredState {
    /// The scopes.
    pub scopes: Vec<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its variant.
    pub variant: Option<String>,
}

/// An encrypted secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
    /// The id of the key that encrypted it.
    pub key_id: Vec<u8>,
}

/// A change of an instance, by one webhook.
#[derive(Clone, Debug)]
pub struct InstanceChange {
    /// The id of the webhook.
    pub request_id: Uuid,
    /// When mittwald created the webhook, which gives the order of an instance's changes.
    pub created_at_us: i64,
    /// When it was received.
    pub received_at_us: i64,
    /// The instance.
    pub id: Uuid,
    /// Its extension.
    pub extension_id: Uuid,
    /// The contributor who offers the extension.
    pub contributor_id: Uuid,
    /// What it is installed in.
    pub context_id: Uuid,
    /// The kind of that.
    pub context_kind: String,
    /// The new state, if it changes.
    pub state: Option<StoredState>,
    /// The new secret, if it changes.
    pub secret: Option<SealedSecret>,
    /// Whether the instance is removed.
    pub is_removed: bool,
}

/// The result of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is stored.
    Applied,
    /// A newer change was received before; only the id of the webhook is stored.
    Outdated,
    /// A webhook with this id was received before; nothing is stored.
    Replayed,
    /// The stored instance belongs to another extension; only the id of the webhook is stored.
    OtherExtension,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(hidden)")
    }
}
