//! Routes. A path is compared byte for byte: nothing is decoded, folded or
//! trimmed, and no header field changes it. actix's router matches a partly
//! decoded path, so each route checks the path as received.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_service::apply;
use actix_web::dev::Payload;
use actix_web::guard::{self, fn_guard};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource};

use super::context::RequestContext;
use super::middleware::middleware;
use super::refused::RefusedRequest;
use super::{EntranceRuntime, Shared, Snapshot, SocketKind, assets, embed_page, hand_off, health, verify};
use crate::refusal::Reason;

/// The entrance that a path names: an extractor, whose rejection is a 404.
pub(super) struct EntranceTarget {
    pub runtime: Arc<EntranceRuntime>,
    /// As received: the integration id of `ENTRANCE/install/ID`; or the path behind
    /// `/v1/verify/NAME`, which a proxy adds from the request to its API.
    pub rest: Option<String>,
}

/// The paths of health checks, which are served for any host.
pub(super) const HEALTH: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// The other fixed paths of the public listener.
const FIXED: [&str; 4] = ["/embed", "/embed.js", "/embed.d.ts", "/embed.json"];

/// The prefix of `/v1/verify/NAME`.
const VERIFY: &str = "/v1/verify/";

/// Configures the routes of the public listener. Entrances change at a reload, so
/// they are one resource, which has every path without a route of its own.
pub fn public(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    let component = [
        fixed("/embed", embed_page::page),
        fixed("/embed.js", assets::script),
        fixed("/embed.d.ts", assets::types),
        fixed("/embed.json", embed_page::settings),
    ];
    configure_fixed(config, shared, socket, component);
    let verify = web::scope("/v1/verify").default_service(web::to(verify::verify));
    config.service(verify.wrap(middleware(shared, socket)));
    // a pattern would be a regular expression, which takes longer than the signature
    config.default_service(apply(middleware(shared, socket), web::to(hand_off::entrance)));
}

/// Configures the routes of the admin listener.
pub fn admin(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    configure_fixed(config, shared, socket, [fixed("/metrics", health::metrics)]);
    let not_found = || async { Err::<HttpResponse, _>(nothing_here()) };
    config.default_service(apply(middleware(shared, socket), web::to(not_found)));
}

/// Whether the public listener has something at a path.
pub(super) fn is_served(snapshot: &Snapshot, path: &str) -> bool {
    HEALTH.contains(&path) || FIXED.contains(&path) || EntranceTarget::find(snapshot, path).is_ok()
}

/// Configures health checks and other resources at fixed paths.
fn configure_fixed<const N: usize>(
    config: &mut ServiceConfig,
    shared: &web::Data<Shared>,
    socket: SocketKind,
    others: [Resource; N],
) {
    let [live, ready, health] = HEALTH;
    let health = [fixed(live, health::live), fixed(ready, health::ready), fixed(health, health::ready)];
    for resource in health.into_iter().chain(others) {
        config.service(resource.wrap(middleware(shared, socket)));
    }
}

/// A resource for GET and HEAD: some load balancers check health with HEAD.
fn fixed<H, Args>(path: &'static str, handler: H) -> Resource
where
    H: Handler<Args, Output = Result<HttpResponse, RefusedRequest>>,
    Args: FromRequest + 'static,
{
    let get_or_head = guard::Any(guard::Get()).or(guard::Head());
    let refuse = || async {
        Err::<HttpResponse, _>(method_not_allowed("GET, HEAD", "this path is requested with GET"))
    };
    web::resource(path)
        .guard(fn_guard(move |context| context.head().uri.path() == path))
        .route(web::route().guard(get_or_head).to(handler))
        .default_service(web::to(refuse))
}

/// A 405 with the methods that are allowed.
pub(super) fn method_not_allowed(allow: &'static str, cause: &'static str) -> RefusedRequest {
    RefusedRequest { allow, ..Reason::MethodNotAllowed.because(cause).into() }
}

fn nothing_here() -> RefusedRequest {
    Reason::NotFound.because("there is nothing at this path").into()
}

impl EntranceTarget {
    /// Finds the entrance. Below one, the 404 page may be framed as the entrance may.
    fn find(snapshot: &Snapshot, path: &str) -> Result<Self, RefusedRequest> {
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
        Err(RefusedRequest { runtime: below, ..nothing_here() })
    }

    /// Finds the entrance of `NAME` or `NAME/…`, only one for tokens: a proxy passes
    /// the client's own unsigned header fields on.
    fn find_to_verify(snapshot: &Snapshot, target: &str) -> Result<Self, RefusedRequest> {
        let (name, path) = target.split_at(target.find('/').unwrap_or(target.len()));
        let mut named = snapshot.entrances.iter().filter(|runtime| runtime.entrance.name == name);
        let by_token = named.find(|runtime| runtime.entrance.authenticator.token_location().is_some());
        let runtime = Arc::clone(by_token.ok_or_else(nothing_here)?);
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
