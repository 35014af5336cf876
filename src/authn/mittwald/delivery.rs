//! What a webhook says, parsed from a verified body, and whether it is meant for this service.
//! Pure. No error quotes the body: it may hold a secret.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::form_urlencoded;
use uuid::Uuid;

use super::signature::VerifiedBody;
use super::values::InstanceSecret;
use crate::clock::Timestamp;

/// A delivered webhook.
#[derive(Debug)]
pub struct Delivery {
    /// The id of the delivery: a repeated delivery has a new id, a replayed one has the same id.
    pub request_id: Uuid,
    /// When mittwald created it, which gives the order of an instance's changes.
    pub created_at: Timestamp,
    /// The extension instance.
    pub instance_id: Uuid,
    /// Its extension.
    pub extension_id: Uuid,
    /// The contributor who offers the extension.
    pub contributor_id: Uuid,
    /// What it is installed in.
    pub context: ExtensionContext,
    /// What changes.
    pub change: Change,
    method: String,
    url: String,
}

/// What an extension is installed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionContext {
    /// The id of the customer or the project.
    pub id: Uuid,
    /// `customer` or `project`; other kinds are kept as they are.
    pub kind: String,
}

/// What a webhook changes.
#[derive(Debug)]
pub enum Change {
    /// The extension is installed.
    Added {
        /// The instance.
        state: InstanceState,
        /// Its first secret.
        secret: InstanceSecret,
    },
    /// Scopes, state or variant have changed.
    Updated {
        /// The instance.
        state: InstanceState,
    },
    /// The secret is replaced as soon as this service has responded.
    SecretRotated {
        /// The new secret.
        secret: InstanceSecret,
    },
    /// The extension is removed.
    Removed,
}

/// The part of an instance that its owner changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceState {
    /// The scopes that its owner has consented to.
    pub scopes: Vec<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its variant.
    pub variant: Option<String>,
}

/// What a webhook must contain to be meant for this service.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The URL of the webhook, without a query.
    pub url: &'a str,
    /// The query of the request, as received, without the `?`.
    pub query: &'a str,
    /// The extensions.
    pub extension_ids: &'a [Uuid],
    /// The maximum age of a webhook.
    pub max_age: Duration,
    /// How far its time may be ahead of this service's clock.
    pub max_ahead: Duration,
}

/// What to do with a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Store the change.
    Store,
    /// Respond as usual, but store nothing.
    DryRun,
}

/// Why a verified body is not a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDelivery {
    /// Not JSON of the documented form.
    #[error("the body is not JSON of the documented form, at line {line}, column {column}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The body is of another version of the API.
    #[error("apiVersion is not v1")]
    Version,
    /// The kind is not documented.
    #[error("kind is not one that this version knows")]
    Kind,
    /// A field that this kind has is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that cannot be stored.
    #[error("{0} is empty, too long, or holds control characters")]
    Value(&'static str),
    /// `createdAt` is not a time.
    #[error("request.createdAt is not a time in the format of RFC 3339")]
    Time,
}

/// Why a webhook is not meant for this service, or not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForUs {
    /// Another method.
    #[error("request.target.method is not POST")]
    Method,
    /// Another URL.
    #[error("request.target.url is not server.public_url with mittwald.webhook_path")]
    Url,
    /// Another extension.
    #[error("meta.extensionId is not in mittwald.extension_ids")]
    Extension,
    /// Too old, such as a replayed one.
    #[error("request.createdAt is {0} s ago, more than mittwald.webhook_max_age_s")]
    Stale(u64),
    /// Too far in the future.
    #[error("request.createdAt is {0} s in the future; compare the clocks")]
    Ahead(u64),
}

/// The maximum length of a text that is kept, in bytes, and the maximum number of scopes.
const MAX_TEXT: usize = 256;
const MAX_SCOPES: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
    id: Uuid,
    context: BodyContext,
    meta: Meta,
    request: Request,
    consented_scopes: Option<Vec<String>>,
    state: Option<State>,
    secret: Option<String>,
    variant_key: Option<String>,
}

#[derive(Deserialize)]
struct BodyContext {
    id: Uuid,
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    extension_id: Uuid,
    contributor_id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    id: Uuid,
    created_at: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct State {
    enabled: bool,
}

impl Delivery {
    /// Parses a body whose signature was verified.
    ///
    /// # Errors
    ///
    /// It is not a webhook of the documented form.
    pub fn parse(body: VerifiedBody<'_>) -> Result<Self, BadDelivery> {
        let body: Body = serde_json::from_slice(body.as_bytes())
            .map_err(|error| BadDelivery::Form { line: error.line(), column: error.column() })?;
        if body.api_version != "v1" {
            return Err(BadDelivery::Version);
        }
        let state = (body.consented_scopes, body.state, body.variant_key);
        let change = match body.kind.as_str() {
            "ExtensionAddedToContext" => {
                Change::Added { state: instance_state(state)?, secret: secret(body.secret)? }
            }
            "InstanceUpdated" | "ExtensionInstanceUpdated" => {
                Change::Updated { state: instance_state(state)? }
            }
            "SecretRotated" | "ExtensionInstanceSecretRotated" | "ExtensionsInstanceSecretRotated" => {
                Change::SecretRotated { secret: secret(body.secret)? }
            }
            "InstanceRemovedFromContext" | "ExtensionInstanceRemovedFromContext" => Change::Removed,
            _ => return Err(BadDelivery::Kind),
        };
        Ok(Self {
            request_id: body.request.id,
            created_at: time(&body.request.created_at)?,
            instance_id: body.id,
            extension_id: body.meta.extension_id,
            contributor_id: body.meta.contributor_id,
            context: ExtensionContext { id: body.context.id, kind: text("context.kind", body.context.kind)? },
            change,
            method: body.request.target.method,
            url: body.request.target.url,
        })
    }

    /// Checks that it is meant for this service, and is not too old. It is a dry run if its signed
    /// URL says so, or if only the unsigned query does: a forged query can prevent a change from
    /// being stored, but cannot store one.
    ///
    /// # Errors
    ///
    /// It is for another service or extension, or too old, or too far ahead.
    pub fn check(&self, expected: &Expected<'_>, now: Timestamp) -> Result<Handling, NotForUs> {
        if self.method != "POST" {
            return Err(NotForUs::Method);
        }
        let (url, signed_query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        if url != expected.url || (!signed_query.is_empty() && signed_query != expected.query) {
            return Err(NotForUs::Url);
        }
        if !expected.extension_ids.contains(&self.extension_id) {
            return Err(NotForUs::Extension);
        }
        if now.time_since(self.created_at) > expected.max_age {
            return Err(NotForUs::Stale(now.seconds_since(self.created_at)));
        }
        if self.created_at.time_since(now) > expected.max_ahead {
            return Err(NotForUs::Ahead(self.created_at.seconds_since(now)));
        }
        let mut parameters = form_urlencoded::parse(expected.query.as_bytes());
        let is_dry_run = parameters.any(|(name, value)| name == "dry-run" && value == "true");
        Ok(if is_dry_run { Handling::DryRun } else { Handling::Store })
    }
}

type WrittenState = (Option<Vec<String>>, Option<State>, Option<String>);

fn instance_state((scopes, state, variant): WrittenState) -> Result<InstanceState, BadDelivery> {
    let scopes = scopes.ok_or(BadDelivery::Missing("consentedScopes"))?;
    if scopes.len() > MAX_SCOPES {
        return Err(BadDelivery::Value("consentedScopes"));
    }
    let scopes = scopes.into_iter().map(|scope| text("consentedScopes", scope)).collect::<Result<_, _>>()?;
    let State { enabled } = state.ok_or(BadDelivery::Missing("state"))?;
    let variant = variant.map(|variant| text("variantKey", variant)).transpose()?;
    Ok(InstanceState { scopes, enabled, variant })
}

fn secret(secret: Option<String>) -> Result<InstanceSecret, BadDelivery> {
    let secret = secret.ok_or(BadDelivery::Missing("secret"))?;
    InstanceSecret::parse(secret).map_err(|_| BadDelivery::Value("secret"))
}

fn text(name: &'static str, text: String) -> Result<String, BadDelivery> {
    let is_text = (1..=MAX_TEXT).contains(&text.len()) && !text.contains(char::is_control);
    if is_text { Ok(text) } else { Err(BadDelivery::Value(name)) }
}

fn time(text: &str) -> Result<Timestamp, BadDelivery> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| BadDelivery::Time)?;
    let microseconds = i64::try_from(time.unix_timestamp_nanos() / 1_000).map_err(|_| BadDelivery::Time)?;
    Ok(Timestamp::from_unix_microseconds(microseconds))
}
