//! The requests to the service: webhooks and users' requests from mStudio, and API requests of
//! another program of the extension's team.

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::api_token::ApiToken;
use crate::playground::mstudio::{InstanceView, Kind, Mstudio, User};
use crate::playground::people::Person;
use crate::playground::reverse_proxy;
use crate::sign_on::Entrance;

/// mStudio, and the service to which it sends requests.
pub struct Backend {
    mstudio: Mstudio,
    client: reqwest::Client,
    service_origin: String,
    api_token: ApiToken,
}

/// A change of the extension.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do", content = "instance")]
pub enum Change {
    /// It is installed in a new project.
    Install,
    /// An instance gets another variant.
    Update(Uuid),
    /// An instance is disabled, or enabled again.
    Toggle(Uuid),
    /// An instance gets another secret.
    Rotate(Uuid),
    /// An instance is removed.
    Remove(Uuid),
    /// No change: a webhook about a removal is sent, signed with a key that is not mStudio's.
    Forge(Uuid),
}

/// The path of webhooks, which the service has by default.
const WEBHOOK_PATH: &str = "/mittwald/webhooks";

/// The maximum number of instances, including removed ones.
const MAX_INSTANCES: usize = 50;

impl Backend {
    /// Creates the backend for this mStudio and this service, with an API token of the service.
    pub fn new(mstudio: Mstudio, service_origin: &str, api_token: ApiToken) -> reqwest::Result<Self> {
        let client = reverse_proxy::client()?;
        Ok(Self { mstudio, client, service_origin: service_origin.to_owned(), api_token })
    }

    /// The instances, in order.
    pub fn instances(&self) -> Vec<InstanceView> {
        self.mstudio.instances()
    }

    /// Applies a change and delivers its webhook. Returns the webhook's kind, and the status and the
    /// body of the response.
    pub async fn change(&self, change: Change) -> anyhow::Result<Value> {
        let mstudio = &self.mstudio;
        let find = |id| mstudio.instance(id).context("there is no such instance");
        let (kind, id) = match change {
            Change::Install => {
                anyhow::ensure!(
                    mstudio.instances().len() < MAX_INSTANCES,
                    "there are {MAX_INSTANCES} instances"
                );
                (Kind::Added, mstudio.install())
            }
            Change::Update(id) => {
                let next = if find(id)?.variant == "pro" { "max" } else { "pro" };
                mstudio.set_variant(id, next);
                (Kind::Updated, id)
            }
            Change::Toggle(id) => {
                mstudio.set_enabled(id, !find(id)?.enabled);
                (Kind::Updated, id)
            }
            Change::Rotate(id) => {
                mstudio.rotate(id);
                (Kind::SecretRotated, id)
            }
            Change::Remove(id) => {
                mstudio.remove(id);
                (Kind::Removed, id)
            }
            Change::Forge(id) => (Kind::Removed, id),
        };
        let url = format!("{}{WEBHOOK_PATH}", self.service_origin);
        let body = mstudio.webhook(kind, find(id)?.id, &url).bytes();
        let signature = match change {
            Change::Forge(_) => mstudio.forge(&body).context("no key can be generated")?,
            Change::Install
            | Change::Update(_)
            | Change::Toggle(_)
            | Change::Rotate(_)
            | Change::Remove(_) => mstudio.sign(&body),
        };
        let mut request = self.client.post(&url).header("Content-Type", "application/json").body(body);
        for (name, value) in signature {
            request = request.header(name, value);
        }
        let (status, body) = send(request).await?;
        if status == 204 {
            mstudio.delivered(id);
        }
        Ok(json!({"kind": kind.name(), "status": status, "body": body}))
    }

    /// The URL that a user's browser opens in the frame of the extension.
    pub fn open(&self, instance: Uuid, person: &Person) -> anyhow::Result<String> {
        let (first_name, last_name) = person.name.split_once(' ').unwrap_or((person.name, ""));
        let user = User {
            id: person.uuid.parse()?,
            email: person.email.to_owned(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("userId", person.uuid).append_pair("instanceId", &instance.to_string());
        query.append_pair("atrek", &self.mstudio.open_as(instance, user));
        Ok(format!("{}{}?{}", self.service_origin, Entrance::MAIN_PATH, query.finish()))
    }

    /// Asks the service for the instances that it knows.
    pub async fn known(&self) -> anyhow::Result<Value> {
        Ok(self.ask("").await?.1)
    }

    /// Asks the service for an access token of an instance. Returns the status and the body.
    pub async fn access_token(&self, instance: Uuid) -> anyhow::Result<Value> {
        let (status, body) = self.ask(&format!("/{instance}/access-token")).await?;
        Ok(json!({"status": status, "body": body}))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/v1/mittwald/instances{path}", self.service_origin);
        send(self.client.get(url).bearer_auth(self.api_token.expose())).await
    }
}

/// The status and the JSON of a response; `null` if the body is not JSON.
async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<(u16, Value)> {
    let response = request.send().await.context("the service does not respond")?;
    let status = response.status().as_u16();
    let body = response.bytes().await.context("the service does not respond")?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}
