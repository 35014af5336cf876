//! The bodies of webhooks.

use serde_json::{Value, json};
use uuid::Uuid;

/// What a webhook is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The extension is installed.
    Added,
    /// Scopes, state or variant are others.
    Updated,
    /// The secret is another one.
    SecretRotated,
    /// The extension is removed.
    Removed,
}

/// A webhook, whose members tests change.
#[derive(Clone, Debug)]
pub struct Webhook(pub Value);

impl Kind {
    /// Every spelling, the newest first.
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
    /// With a member, by its JSON pointer, as it is to be.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(Value::Object(parent)) = self.0.pointer_mut(parent) {
            parent.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Without a member.
    #[must_use]
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(Value::Object(parent)) = self.0.pointer_mut(parent) {
            parent.remove(name);
        }
        self
    }

    /// Delivered again: with another id.
    #[must_use]
    pub fn again(self) -> Self {
        self.with("/request/id", json!(Uuid::new_v4()))
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }
}
