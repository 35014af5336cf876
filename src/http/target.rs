//! The entrance that a path names.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::context::RequestContext;
use super::refused::RefusedRequest;
use super::{EntranceRuntime, Snapshot};

/// The entrance that a path names: an extractor, whose rejection is a 404.
pub(super) struct EntranceTarget {
    pub runtime: Arc<EntranceRuntime>,
    /// The rest of the path, as received: the integration id of `ENTRANCE/install/ID`; or the path
    /// after `/v1/verify/NAME`, which a proxy copies from the request to its API.
    pub rest: Option<String>,
}

/// The prefix of `/v1/verify/NAME`.
const VERIFY: &str = "/v1/verify/";

impl EntranceTarget {
    /// Finds the entrance. For an unknown path below an entrance, the 404 page may be framed by the
    /// same parents as the entrance.
    pub fn find(snapshot: &Snapshot, path: &str) -> Result<Self, RefusedRequest> {
        if let Some(target) = path.strip_prefix(VERIFY) {
            return Self::find_to_verify(snapshot, target);
        }
        let mut below = None;
        for runtime in &snapshot.entrances {
            let Some(rest) = path.strip_prefix(runtime.entrance.path.as_str()) else { continue };
            let install = rest.strip_prefix("/install/").filter(|id| !id.is_empty() && !id.contains('/'));
            if rest.is_empty() || install.is_some() {
                return Ok(Self { runtime: Arc::clone(runtime), rest: install.map(str::to_owned) });
            }
            if rest.starts_with('/') {
                below = Some(Arc::clone(runtime));
            }
        }
        Err(RefusedRequest { runtime: below, ..RefusedRequest::not_found() })
    }

    /// Finds the entrance of `NAME` or `NAME/…`. Only entrances for tokens are found, because a
    /// proxy also passes on unsigned header fields that the client sent.
    fn find_to_verify(snapshot: &Snapshot, target: &str) -> Result<Self, RefusedRequest> {
        let (name, path) = target.split_at(target.find('/').unwrap_or(target.len()));
        let mut named = snapshot.entrances.iter().filter(|runtime| runtime.entrance.name == name);
        let by_token = named.find(|runtime| runtime.entrance.authenticator.token_location().is_some());
        let runtime = Arc::clone(by_token.ok_or_else(RefusedRequest::not_found)?);
        Ok(Self { runtime, rest: Some(path.to_owned()).filter(|path| !path.is_empty()) })
    }
}

impl FromRequest for EntranceTarget {
    type Error = RefusedRequest;
    type Future = Ready<Result<Self, RefusedRequest>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::of(request).and_then(|context| Self::find(&context.snapshot, request.path())))
    }
}
