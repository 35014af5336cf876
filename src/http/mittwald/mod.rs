//! mittwald: the webhook that reports changes of extension instances, and the paths for programs
//! that list instances and get their access tokens.

mod instances;
mod state;
mod tokens;
mod webhook;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::Snapshot;
use super::context::Context;
use super::refused::{Recipient, RefusedRequest};

pub use state::Mittwald;
pub(super) use webhook::receive;

/// The path of all instances, and the prefix of the paths of one instance.
pub(super) const INSTANCES: &str = "/v1/mittwald/instances";

/// Whether the webhook is at this path.
pub(super) fn is_webhook(snapshot: &Snapshot, path: &str) -> bool {
    snapshot.mittwald.as_ref().is_some_and(|mittwald| mittwald.settings.webhook_path == path)
}

/// Whether this module serves a path below `/v1`.
pub(super) fn is_served(path: &str) -> bool {
    path == INSTANCES || instance_of(path).is_some()
}

/// Handles the paths for programs.
pub(super) async fn api(context: Context, request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let path = request.path();
    let instance = instance_of(path);
    if path != INSTANCES && instance.is_none() {
        return Err(RefusedRequest { recipient: Recipient::Api, ..RefusedRequest::not_found() });
    }
    if request.method() != Method::GET {
        let refused = RefusedRequest::method_not_allowed("GET", "this path is requested with GET");
        return Err(RefusedRequest { recipient: Recipient::Api, ..refused });
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
