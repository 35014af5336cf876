//! A stand-in for mittwald's mStudio: extension instances, signed webhooks, public keys by serial,
//! exchanges, and users. For the tests and the playground; it can be made to fail.

mod server;
mod state;
mod webhook;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub use webhook::{Kind, Webhook};

use state::State;

/// A stand-in that runs until the process ends. Clones refer to the same one.
#[derive(Clone)]
pub struct Mstudio {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A user of mStudio.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: Uuid,
    /// The e-mail address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
}

/// An instance, as mStudio knows it.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceView {
    /// The id.
    pub id: Uuid,
    /// The project.
    pub context_id: Uuid,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The variant that was bought.
    pub variant: &'static str,
    /// Whether it was removed.
    pub is_removed: bool,
}

/// How the API responds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As documented.
    #[default]
    Works,
    /// With this status, and an error's body.
    Status(u16),
    /// As documented, as soon as another behaviour is set.
    Held,
    /// As documented, after this time.
    Slow(Duration),
    /// With values whose types are not the documented ones.
    WrongTypes,
    /// With a body that is too large.
    Large,
    /// With a redirect to another of its paths.
    Redirects,
    /// Not at all: it closes connections.
    Down,
}

/// The header fields of a signed webhook, in order: signature, serial, algorithm.
pub type SignatureFields = [(&'static str, String); 3];

impl Mstudio {
    /// Binds a port and starts to serve.
    ///
    /// # Errors
    ///
    /// No port can be bound, or no key generated.
    pub fn start() -> io::Result<Self> {
        let state = State::new().map_err(|_| io::Error::other("no key can be generated"))?;
        let state = Arc::new(Mutex::new(state));
        let address = server::start(&state)?;
        Ok(Self { address, state })
    }

    /// Its origin, such as `http://127.0.0.1:8081`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The extension.
    pub fn extension_id(&self) -> Uuid {
        self.state().extension_id
    }

    /// Sets how it responds to later requests.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// Sets for how many seconds new access tokens are valid.
    pub fn set_token_life_s(&self, seconds: i64) {
        self.state().token_life_s = seconds;
    }

    /// Method and target of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// How many secrets were exchanged, successfully or not.
    pub fn exchanges(&self) -> usize {
        self.requests().iter().filter(|request| request.ends_with("/tokens")).count()
    }

    /// Installs the extension in a new project.
    pub fn install(&self) -> Uuid {
        self.state().install()
    }

    /// Creates another secret for an instance. It becomes valid when its webhook is delivered.
    pub fn rotate(&self, instance: Uuid) {
        self.state().rotate(instance);
    }

    /// Enables or disables an instance.
    pub fn set_enabled(&self, instance: Uuid, enabled: bool) {
        self.state().with(instance, |instance| instance.enabled = enabled);
    }

    /// Changes the variant of an instance.
    pub fn set_variant(&self, instance: Uuid, variant: &'static str) {
        self.state().with(instance, |instance| instance.variant = variant);
    }

    /// An instance.
    pub fn instance(&self, id: Uuid) -> Option<InstanceView> {
        self.state().instances.get(&id).map(|instance| instance.view(id))
    }

    /// All instances, including removed ones, in the order of their installation.
    pub fn instances(&self) -> Vec<InstanceView> {
        let state = self.state();
        state.installed.iter().filter_map(|id| Some(state.instances.get(id)?.view(*id))).collect()
    }

    /// Removes an instance: its secret is refused.
    pub fn remove(&self, instance: Uuid) {
        self.state().with(instance, |instance| instance.is_removed = true);
    }

    /// The valid secret of an instance.
    pub fn secret(&self, instance: Uuid) -> String {
        self.state().with(instance, |instance| instance.secret.clone()).unwrap_or_default()
    }

    /// A webhook about an instance as it is now, for this URL.
    pub fn webhook(&self, kind: Kind, instance: Uuid, url: &str) -> Webhook {
        self.state().webhook(kind, instance, url)
    }

    /// Records a delivery with a 2xx response: the secret in the webhook is now the valid one.
    pub fn delivered(&self, instance: Uuid) {
        self.state().with(instance, |instance| {
            if let Some(next) = instance.next_secret.take() {
                instance.secret = next;
            }
        });
    }

    /// Signs with a new key, which has a new serial, from now on.
    ///
    /// # Errors
    ///
    /// No key can be generated.
    pub fn renew_key(&self) -> Result<(), aws_lc_rs::error::Unspecified> {
        self.state().renew_key()
    }

    /// The header fields for a body.
    pub fn sign(&self, body: &[u8]) -> SignatureFields {
        let state = self.state();
        let signature = STANDARD.encode(state.key.sign(body));
        signature_fields(signature, state.serial.to_string())
    }

    /// The header fields for a body, signed with a key that is not published.
    ///
    /// # Errors
    ///
    /// No key can be generated.
    pub fn forge(&self, body: &[u8]) -> Result<SignatureFields, aws_lc_rs::error::Unspecified> {
        let key = Ed25519KeyPair::generate()?;
        Ok(signature_fields(STANDARD.encode(key.sign(body)), self.state().serial.to_string()))
    }

    /// Opens an instance as a new user, who may see no other instance. Returns the retrieval key
    /// and the user's id.
    pub fn open(&self, instance: Uuid, email: &str) -> (String, Uuid) {
        let (id, email) = (Uuid::new_v4(), email.to_owned());
        let user = User { id, email, first_name: "Alice".to_owned(), last_name: "Example".to_owned() };
        (self.open_as(instance, user), id)
    }

    /// Opens an instance as this user, who may see no other instance with it. Returns the retrieval
    /// key.
    pub fn open_as(&self, instance: Uuid, user: User) -> String {
        self.state().open(instance, user)
    }

    /// A session token for an instance, with members changed; `null` removes one.
    pub fn session_token(&self, instance: Uuid, now_s: u64, changes: &Value) -> String {
        let state = self.state();
        let mut claims = state.session_claims(instance, now_s);
        if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
            for (name, value) in changes {
                if value.is_null() {
                    claims.remove(name)
                } else {
                    claims.insert(name.clone(), value.clone())
                };
            }
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT"})), part(&claims));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(state.key.sign(text.as_bytes())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signature_fields(signature: String, serial: String) -> SignatureFields {
    [
        ("X-Marketplace-Signature", signature),
        ("X-Marketplace-Signature-Serial", serial),
        ("X-Marketplace-Signature-Algorithm", "Ed25519".to_owned()),
    ]
}
