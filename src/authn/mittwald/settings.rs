//! The section `[mittwald]`.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::transport::ApiUrl;
use crate::seal::KeyRing;
use crate::settings::{Reported, Section};

/// The section `[mittwald]`, with the values that it needs from other sections.
#[derive(Clone, Debug)]
pub struct MittwaldSettings {
    /// The API.
    pub api_url: ApiUrl,
    /// The time limit for each attempt of an API call.
    pub timeout: Duration,
    /// The extensions whose webhooks are accepted; never empty.
    pub extension_ids: Vec<Uuid>,
    /// The path of the webhook.
    pub webhook_path: String,
    /// Its whole URL, as webhooks name it.
    pub webhook_url: String,
    /// How old a webhook may be.
    pub webhook_max_age: Duration,
    /// How far a webhook's time may be ahead of this service's clock.
    pub webhook_max_ahead: Duration,
    /// The keys that encrypt the secrets of instances.
    pub secrets: Arc<KeyRing>,
}

/// The values that the section needs from other sections.
pub(crate) struct MittwaldDeployment<'a> {
    /// `server.public_url`; `None` if it is not set.
    pub public_url: Option<&'a str>,
    /// Whether `store.url` is set; `true` if that is not known.
    pub has_store: bool,
    /// The key ring of `store.encryption_key`; `None` if it is not set.
    pub secrets: Result<Option<KeyRing>, Reported>,
}

/// How long the store remembers received webhooks and removed instances.
pub(crate) const WEBHOOKS_KNOWN_FOR: Duration = Duration::from_secs(48 * 60 * 60);

/// The maximum of `webhook_max_age_s`, in seconds. Together with the tolerated future it is less
/// than [`WEBHOOKS_KNOWN_FOR`], so that a received webhook is remembered for as long as it would be
/// accepted.
const MAX_AGE_S: u64 = 46 * 60 * 60;
const MAX_AHEAD_S: u64 = 60 * 60;
const _: () = assert!(MAX_AGE_S + MAX_AHEAD_S < WEBHOOKS_KNOWN_FOR.as_secs());

/// Reads the section; `None` if no extension is named.
pub(crate) fn read(
    section: &Section<'_>,
    deployment: MittwaldDeployment<'_>,
) -> Result<Option<MittwaldSettings>, Reported> {
    let api_url =
        section.parsed("api_url", "write an origin, such as \"https://api.mittwald.de\"", ApiUrl::parse);
    let timeout = section.seconds("timeout_s", 1, 30);
    let extension_ids = section.all_parsed("extension_ids", "write the UUIDs of your extensions", |text| {
        Uuid::try_parse(text).map_err(|_| "it is not a UUID")
    });
    let webhook_path = section.text("webhook_path").and_then(|path| read_path(section, path));
    let webhook_max_age = section.seconds("webhook_max_age_s", 10, MAX_AGE_S);
    let webhook_max_ahead = section.seconds("webhook_max_ahead_s", 0, MAX_AHEAD_S);
    section.finish();
    let extension_ids = extension_ids?;
    if extension_ids.is_empty() {
        return Ok(None);
    }
    let needs = |is_there: bool, what: &str, help: &str| match is_there {
        true => Ok(()),
        false => Err(section.report("extension_ids", what, help)),
    };
    let url = needs(
        deployment.public_url.is_some(),
        "server.public_url is not set, and the URL in each webhook is compared with it",
        "set server.public_url to the origin by which mittwald reaches this service",
    );
    let store = needs(
        deployment.has_store,
        "there is no store for the extension instances",
        "set store.url, such as \"sqlite:data/marketplace-sso.db\"",
    );
    let secrets = deployment.secrets.and_then(|secrets| {
        let is_there = needs(
            secrets.is_some(),
            "store.encryption_key is not set; it encrypts the secrets of extension instances",
            "set store.encryption_key_file; generate a key: openssl rand -hex 32",
        );
        is_there.map(|()| secrets)
    });
    let webhook_path = webhook_path?;
    url?;
    store?;
    let public_url = deployment.public_url.unwrap_or_default();
    let Some(secrets) = secrets? else { return Ok(None) };
    Ok(Some(MittwaldSettings {
        webhook_url: format!("{public_url}{webhook_path}"),
        api_url: api_url?,
        timeout: timeout?,
        extension_ids,
        webhook_path,
        webhook_max_age: webhook_max_age?,
        webhook_max_ahead: webhook_max_ahead?,
        secrets: Arc::new(secrets),
    }))
}

fn read_path(section: &Section<'_>, path: String) -> Result<String, Reported> {
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    if path.starts_with('/') && path.split('/').skip(1).all(is_segment) {
        return Ok(path);
    }
    let help = "begin with '/', and use letters, digits, '-', '_', '.' and '~'";
    Err(section.report("webhook_path", format!("{path:?} is not a plain path"), help))
}
