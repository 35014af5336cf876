//! Services that are the backend of an extension at a stand-in mStudio.

use marketplace_sso::playground::mstudio::{Kind, Mstudio, SignatureFields, Webhook};
use uuid::Uuid;

use super::api::{create_token, settings};
use super::store::{Engine, TestStore};
use super::{App, Connection, Field, Response, Settings, wire};

/// Services that share a store, and a token with the scope `mittwald:tokens`.
pub struct MittwaldService {
    pub app: App,
    pub others: Vec<App>,
    pub mstudio: Mstudio,
    pub token: String,
    pub store: TestStore,
    pub settings: Settings,
}

/// The path of the webhook.
pub const PATH: &str = "/mittwald/webhooks";

/// The URL of the webhook.
pub const URL: &str = "https://app.example.com/mittwald/webhooks";

/// The key that encrypts secrets.
pub const KEY: &str = "a-key-of-the-store-that-is-32-bytes-long";

impl MittwaldService {
    /// Starts one service.
    pub fn start(engine: Engine) -> Self {
        Self::start_with(engine, 1, |settings| settings)
    }

    /// Starts several services, with changed settings.
    pub fn start_with(engine: Engine, count: usize, change: impl Fn(Settings) -> Settings) -> Self {
        let (store, mstudio) = (TestStore::new(engine), Mstudio::start().unwrap());
        let settings = change(
            settings(&store)
                .set("store.encryption_key", KEY)
                .set("mittwald.api_url", mstudio.origin())
                .set("mittwald.timeout_s", 10)
                .set("mittwald.extension_ids", [mstudio.extension_id().to_string()]),
        );
        let token = create_token(&settings.file(), "shop", &["mittwald:tokens"]);
        let mut apps = (0..count).map(|_| App::start(settings.clone()));
        Self { app: apps.next().unwrap(), others: apps.collect(), mstudio, token, store, settings }
    }

    /// Delivers a signed webhook. If it is accepted, mStudio records the delivery.
    pub fn deliver(&self, webhook: &Webhook) -> Response {
        self.deliver_to(&self.app, webhook)
    }

    /// Delivers a signed webhook to one of several services.
    pub fn deliver_to(&self, app: &App, webhook: &Webhook) -> Response {
        let body = webhook.bytes();
        let response = post(app, PATH, &self.mstudio.sign(&body), &body);
        if response.status == 204 {
            let id = webhook.0["id"].as_str().unwrap_or_default();
            self.mstudio.delivered(id.parse().unwrap_or_default());
        }
        response
    }

    /// Delivers a webhook with the current state of an instance, and asserts that it is accepted.
    #[track_caller]
    pub fn tell(&self, kind: Kind, instance: Uuid) {
        let response = self.deliver(&self.mstudio.webhook(kind, instance, URL));
        assert_eq!(response.status, 204, "{response:?}");
    }

    /// Installs an instance, and delivers its webhook.
    #[track_caller]
    pub fn installed(&self) -> Uuid {
        let instance = self.mstudio.install();
        self.tell(Kind::Added, instance);
        instance
    }

    /// The instances that the API lists.
    pub fn instances(&self) -> Vec<serde_json::Value> {
        let response = self.app.api("/v1/mittwald/instances", &self.token);
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["instances"].as_array().unwrap().clone()
    }

    /// Asks a service for an access token.
    pub fn access_token(&self, app: &App, instance: Uuid) -> Response {
        app.api(&format!("/v1/mittwald/instances/{instance}/access-token"), &self.token)
    }
}

/// Posts a body with these header fields.
pub fn post(app: &App, target: &str, signature: &SignatureFields, body: &[u8]) -> Response {
    send(app, &request(target, signature, body))
}

/// Posts a webhook like a proxy on this machine that forwards it for a client.
pub fn post_for(app: &App, client: &str, signature: &SignatureFields, body: &[u8]) -> Response {
    send(app, &request_with(&[("X-Forwarded-For", client)], PATH, signature, body))
}

/// The bytes of a request with these header fields.
pub fn request(target: &str, signature: &SignatureFields, body: &[u8]) -> Vec<u8> {
    request_with(&[], target, signature, body)
}

fn send(app: &App, request: &[u8]) -> Response {
    let mut connection = Connection::open(app.address()).unwrap();
    connection.write(request).unwrap();
    connection.read("POST").unwrap()
}

fn request_with(fields: &[Field<'_>], target: &str, signature: &SignatureFields, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut headers = vec![("Content-Type", "application/json"), ("Content-Length", length.as_str())];
    headers.extend(fields);
    headers.extend(signature.iter().map(|(name, value)| (*name, value.as_str())));
    let mut bytes = wire::request_bytes("POST", target, &headers);
    bytes.extend(body);
    bytes
}
