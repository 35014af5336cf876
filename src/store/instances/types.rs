//! What the store keeps of an extension instance, and what changes it.

use std::fmt;

use uuid::Uuid;

/// An extension instance, as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInstance {
    /// Its id.
    pub id: Uuid,
    /// Its extension.
    pub extension_id: Uuid,
    /// Who contributes the extension.
    pub contributor_id: Uuid,
    /// What it is installed in.
    pub context_id: Uuid,
    /// The kind of that.
    pub context_kind: String,
    /// What its owner changes.
    pub state: StoredState,
    /// Its secret; `None` until a webhook brings one.
    pub secret: Option<SealedSecret>,
    /// Another number after each change.
    pub revision: i64,
    /// When the first webhook about it was received.
    pub created_at_us: i64,
    /// When the last one that changed it was received.
    pub updated_at_us: i64,
}

/// What the owner of an instance changes. The default is what holds while nothing is known: disabled.
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
    /// When the webhook was made, which orders the changes of an instance.
    pub created_at_us: i64,
    /// When it was received.
    pub received_at_us: i64,
    /// The instance.
    pub id: Uuid,
    /// Its extension.
    pub extension_id: Uuid,
    /// Who contributes the extension.
    pub contributor_id: Uuid,
    /// What it is installed in.
    pub context_id: Uuid,
    /// The kind of that.
    pub context_kind: String,
    /// The state, where it changes.
    pub state: Option<StoredState>,
    /// The secret, where it changes.
    pub secret: Option<SealedSecret>,
    /// Whether the instance is removed.
    pub is_removed: bool,
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is stored.
    Applied,
    /// A newer change was received before; nothing is stored but the id of the webhook.
    Outdated,
    /// A webhook with this id was received before; nothing is stored.
    Replayed,
    /// The instance is known as one of another extension; nothing is stored but the id.
    OtherExtension,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(hidden)")
    }
}
