//! The bodies of webhooks.

use serde_json::{Value, json};
use uuid::Uuid;

/// What a webhook reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The extension is installed.
    Added,
    /// Scopes, state or variant have changed.
    Updated,
    /// The secret was replaced.
    SecretRotated,
    /// The extension is removed.
    Removed,
}

/// A webhook, whose members tests change.
#[derive(Clone, Debug)]
pub struct Webhook(pub Value);

impl Kind {
    /// Each spelling in the documentation, the newest first.
    pub const fn spellings(self) -> &'static [&'static str] {
        match self {
            Self::Added => &["ExtensionAddedToContext"],
            Self::Updated => &["InstanceUpdated", "ExtensionInstanceUpdated"],
            Self::SecretRotated => {
                &["SecretRotated", "ExtensionInstanceSecretRotated", "ExtensionsInstanceSecretRotated"]
            }
            Self::Removed => &["InstanceRemovedFromContext", "ExtensionInstanceRemovedFromContext"],
        }
    }

    /// The newest spelling.
    pub fn name(self) -> &'static str {
        self.spellings().first().copied().unwrap_or_default()
    }
}

impl Webhook {
    /// Sets a member, which a JSON pointer names.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(Value::Object(parent)) = self.0.pointer_mut(parent) {
            parent.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Removes a member.
    #[must_use]
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(Value::Object(parent)) = self.0.pointer_mut(parent) {
            parent.remove(name);
        }
        self
    }

    /// The same webhook in a repeated delivery, which has another id.
    #[must_use]
    pub fn again(self) -> Self {
        self.with("/request/id", json!(Uuid::new_v4()))
    }

    /// The body, as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }
}
