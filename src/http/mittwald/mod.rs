//! mittwald: the webhook by which it reports changes of extension instances, and the paths by which
//! programs list instances and get access tokens of them.

mod instances;
mod tokens;
mod webhook;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::Snapshot;
use super::context::Context;
use super::refused::{Audience, RefusedRequest};
use crate::authn::mittwald::api::{Api, KeyPurpose};
use crate::authn::mittwald::{MittwaldSettings, PublicKeys};
use tokens::TokenCache;

pub(super) use webhook::receive;

/// The settings, and what is fetched and kept.
#[derive(Debug)]
pub struct Mittwald {
    settings: MittwaldSettings,
    /// Shared with the state of earlier and later configurations.
    fetched: Arc<Fetched>,
}

#[derive(Debug)]
struct Fetched {
    keys: PublicKeys,
    tokens: TokenCache,
}

/// The path of all instances, and the prefix of those of one.
pub(super) const INSTANCES: &str = "/v1/mittwald/instances";

impl Mittwald {
    /// The state for these settings. Keys and tokens are kept where they come from the same place.
    pub fn new(settings: MittwaldSettings, earlier: Option<&Self>) -> Self {
        let same = earlier.filter(|earlier| {
            let (own, other) = (&settings, &earlier.settings);
            own.api_url == other.api_url && own.timeout == other.timeout
        });
        let fetched = same.map(|earlier| Arc::clone(&earlier.fetched));
        let fetched = fetched.unwrap_or_else(|| {
            let api = Api::new(settings.api_url.clone(), settings.timeout);
            let keys = PublicKeys::new(Arc::clone(&api), KeyPurpose::Webhook);
            if let Some(earlier) = earlier {
                keys.reuse(&earlier.fetched.keys);
            }
            Arc::new(Fetched { keys, tokens: TokenCache::new(api) })
        });
        Self { settings, fetched }
    }
}

/// Whether the webhook is at this path.
pub(super) fn is_webhook(snapshot: &Snapshot, path: &str) -> bool {
    snapshot.mittwald.as_ref().is_some_and(|mittwald| mittwald.settings.webhook_path == path)
}

/// Whether a path below `/v1` is one of those here.
pub(super) fn is_served(path: &str) -> bool {
    path == INSTANCES || instance_of(path).is_some()
}

/// Handles the paths for programs.
pub(super) async fn api(context: Context, request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let path = request.path();
    let instance = instance_of(path);
    if path != INSTANCES && instance.is_none() {
        return Err(RefusedRequest { audience: Audience::Api, ..RefusedRequest::not_found() });
    }
    if request.method() != Method::GET {
        let refused = RefusedRequest::method_not_allowed("GET", "this path is requested with GET");
        return Err(RefusedRequest { audience: Audience::Api, ..refused });
    }
    match instance {
        None => instances::list(&context, &request).await,
        Some(id) => Box::pin(instances::access_token(&context, &request, id)).await,
    }
}

/// The instance of `…/{id}/access-token`; its id is a UUID with hyphens, in lower case.
fn instance_of(path: &str) -> Option<Uuid> {
    let id = path.strip_prefix(INSTANCES)?.strip_prefix('/')?.strip_suffix("/access-token")?;
    Uuid::try_parse(id).ok().filter(|parsed| parsed.hyphenated().to_string() == id)
}
