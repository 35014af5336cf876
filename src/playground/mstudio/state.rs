//! The state of the stand-in.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use uuid::Uuid;

use super::webhook::{Kind, Webhook};
use super::{Behaviour, InstanceView, User};
use crate::clock::Timestamp;

pub(super) struct State {
    pub extension_id: Uuid,
    pub contributor_id: Uuid,
    pub behaviour: Behaviour,
    pub token_life_s: i64,
    pub requests: Vec<String>,
    /// The key that signs, and its serial.
    pub key: Ed25519KeyPair,
    pub serial: Uuid,
    /// The published keys, raw.
    pub keys: HashMap<Uuid, Vec<u8>>,
    pub instances: HashMap<Uuid, Instance>,
    /// The ids of the instances, in the order of their installation.
    pub installed: Vec<Uuid>,
    /// Retrieval keys that are not used yet.
    pub retrieval_keys: HashMap<String, Visit>,
    /// Access tokens of users.
    pub user_tokens: HashMap<String, Visit>,
    /// The time of the last webhook. Each webhook has a later time than the one before.
    last_webhook: Timestamp,
}

pub(super) struct Instance {
    pub context_id: Uuid,
    pub secret: String,
    pub next_secret: Option<String>,
    pub enabled: bool,
    pub variant: &'static str,
    pub is_removed: bool,
}

/// A user who opens an instance, and may see no other.
#[derive(Clone)]
pub(super) struct Visit {
    pub user: User,
    pub instance: Uuid,
}

impl State {
    pub fn new() -> Result<Self, Unspecified> {
        let key = Ed25519KeyPair::generate()?;
        let serial = Uuid::new_v4();
        Ok(Self {
            extension_id: Uuid::new_v4(),
            contributor_id: Uuid::new_v4(),
            behaviour: Behaviour::Works,
            token_life_s: 600,
            requests: Vec::new(),
            keys: HashMap::from([(serial, key.public_key().as_ref().to_vec())]),
            key,
            serial,
            instances: HashMap::new(),
            installed: Vec::new(),
            retrieval_keys: HashMap::new(),
            user_tokens: HashMap::new(),
            last_webhook: Timestamp::from_unix_seconds(0),
        })
    }

    pub fn renew_key(&mut self) -> Result<(), Unspecified> {
        self.key = Ed25519KeyPair::generate()?;
        self.serial = Uuid::new_v4();
        self.keys.insert(self.serial, self.key.public_key().as_ref().to_vec());
        Ok(())
    }

    pub fn install(&mut self) -> Uuid {
        let id = Uuid::new_v4();
        let instance = Instance {
            context_id: Uuid::new_v4(),
            secret: new_secret(),
            next_secret: None,
            enabled: true,
            variant: "pro",
            is_removed: false,
        };
        self.instances.insert(id, instance);
        self.installed.push(id);
        id
    }

    pub fn rotate(&mut self, id: Uuid) {
        self.with(id, |instance| instance.next_secret = Some(new_secret()));
    }

    pub fn with<T>(&mut self, id: Uuid, change: impl FnOnce(&mut Instance) -> T) -> Option<T> {
        self.instances.get_mut(&id).map(change)
    }

    pub fn open(&mut self, instance: Uuid, user: User) -> String {
        let key = format!("u{}", Uuid::new_v4().hyphenated());
        self.retrieval_keys.insert(key.clone(), Visit { user, instance });
        key
    }

    pub fn webhook(&mut self, kind: Kind, id: Uuid, url: &str) -> Webhook {
        let now = Timestamp::now().max(self.last_webhook.later_by(Duration::from_micros(1)));
        self.last_webhook = now;
        let (extension_id, contributor_id) = (self.extension_id, self.contributor_id);
        let instance = self.instances.get(&id);
        let context = instance.map_or_else(Uuid::new_v4, |instance| instance.context_id);
        let mut body = json!({
            "apiVersion": "v1",
            "kind": kind.name(),
            "id": id,
            "context": {"id": context, "kind": "project"},
            "meta": {"extensionId": extension_id, "contributorId": contributor_id},
            "request": {
                "id": Uuid::new_v4(),
                "createdAt": crate::audit::timestamp(now.unix_microseconds()),
                "target": {"method": "POST", "url": url},
            },
            "aFieldOfLater": {"is": "ignored"},
        });
        let Some(members) = body.as_object_mut() else { return Webhook(body) };
        if kind != Kind::SecretRotated {
            members.insert("consentedScopes".to_owned(), json!(["project:read", "app:write"]));
            let enabled = instance.is_none_or(|instance| instance.enabled);
            members.insert("state".to_owned(), json!({"enabled": enabled}));
            let variant = instance.map_or("pro", |instance| instance.variant);
            members.insert("variantKey".to_owned(), json!(variant));
        }
        if matches!(kind, Kind::Added | Kind::SecretRotated) {
            let secret = instance.map(|instance| instance.next_secret.as_ref().unwrap_or(&instance.secret));
            members.insert("secret".to_owned(), json!(secret.map_or("unknown", String::as_str)));
        }
        Webhook(body)
    }

    pub fn session_claims(&self, id: Uuid, now_s: u64) -> Value {
        let context = self.instances.get(&id).map(|instance| instance.context_id);
        json!({
            "sub": Uuid::new_v4(),
            "sessionId": Uuid::new_v4(),
            "extensionId": self.extension_id,
            "extensionInstanceId": id,
            "contextId": context,
            "context": "project",
            "scopes": ["project:read"],
            "publicKeySerial": self.serial,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + 60,
        })
    }
}

impl Instance {
    pub fn view(&self, id: Uuid) -> InstanceView {
        let Self { context_id, enabled, variant, is_removed, .. } = *self;
        InstanceView { id, context_id, enabled, variant, is_removed }
    }
}

fn new_secret() -> String {
    format!("mstudio-secret-{}", Uuid::new_v4().simple())
}
