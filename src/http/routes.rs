//! Routes. A path is compared byte for byte: nothing is decoded, folded or
//! trimmed, and no header field changes it. actix's router matches a partly
//! decoded path, so each route has a guard on the path as received.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_service::apply;
use actix_web::dev::{Payload, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{self, fn_guard};
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, FromRequest, Handler, HttpRequest, HttpResponse, Resource};

use super::context::RequestContext;
use super::middleware::{HostCheck, middleware};
use super::refused::RefusedRequest;
use super::{
    EntranceRuntime, Shared, Snapshot, SocketKind, assets, cors, embed_page, hand_off, health, verify,
};
use crate::refusal::Reason;

/// The entrance at a path: an extractor, whose rejection is a 404.
pub(super) struct EntranceTarget {
    pub runtime: Arc<EntranceRuntime>,
    /// The integration id of `/install/<id>`, as received.
    pub install: Option<String>,
}

/// The entrance of `/v1/verify/NAME`: an extractor, whose rejection is a 404.
pub(super) struct VerifyTarget {
    pub runtime: Arc<EntranceRuntime>,
    /// The path of the API's request, where the proxy adds it.
    pub path: Option<String>,
}

/// The fixed paths of the public listener.
const FIXED: [&str; 7] =
    ["/livez", "/readyz", "/healthz", "/embed", "/embed.js", "/embed.d.ts", "/embed.json"];

/// The prefix of `/v1/verify/NAME`.
const VERIFY: &str = "/v1/verify/";

/// Configures the routes of the public listener.
pub fn public(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    let checked = |resource| with_middleware(resource, shared, socket, HostCheck::Own);
    configure_health(config, shared, socket);
    config
        .service(checked(fixed("/embed.js", assets::script)))
        .service(checked(fixed("/embed.d.ts", assets::types)))
        .service(checked(fixed("/embed.json", embed_page::settings)))
        .service(checked(fixed("/embed", embed_page::page)))
        .service(checked(
            web::resource("/v1/verify/{target:.*}")
                .guard(fn_guard(|context| context.head().uri.path().starts_with(VERIFY)))
                .to(verify::verify),
        ))
        .service(checked(
            web::resource("/{path:.*}")
                .route(web::get().to(hand_off::sign_on))
                .route(
                    web::method(Method::OPTIONS).guard(fn_guard(cors::is_preflight)).to(hand_off::preflight),
                )
                .default_service(web::to(hand_off::method_not_allowed)),
        ))
        .default_service(apply(middleware(shared, socket, HostCheck::Own), web::to(not_found)));
}

/// Configures the routes of the admin listener.
pub fn admin(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    configure_health(config, shared, socket);
    let metrics = fixed("/metrics", health::metrics);
    config
        .service(with_middleware(metrics, shared, socket, HostCheck::Own))
        .default_service(apply(middleware(shared, socket, HostCheck::Own), web::to(not_found)));
}

/// Whether the public listener has something at a path.
pub(super) fn is_served(snapshot: &Snapshot, path: &str) -> bool {
    FIXED.contains(&path)
        || VerifyTarget::find(snapshot, path).is_ok()
        || EntranceTarget::find(snapshot, path).is_ok()
}

fn configure_health(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    let unchecked = |resource| with_middleware(resource, shared, socket, HostCheck::Any);
    config
        .service(unchecked(fixed("/livez", health::live)))
        .service(unchecked(fixed("/readyz", health::ready)))
        .service(unchecked(fixed("/healthz", health::ready)));
}

fn with_middleware(
    resource: Resource,
    shared: &web::Data<Shared>,
    socket: SocketKind,
    host_check: HostCheck,
) -> Resource<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
    + use<>,
> {
    resource.wrap(middleware(shared, socket, host_check))
}

/// A resource for GET and HEAD: some load balancers check health with HEAD.
fn fixed<H, Args>(path: &'static str, handler: H) -> Resource
where
    H: Handler<Args, Output = Result<HttpResponse, RefusedRequest>>,
    Args: FromRequest + 'static,
{
    let get_or_head = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path)
        .guard(fn_guard(move |context| context.head().uri.path() == path))
        .route(web::route().guard(get_or_head).to(handler))
        .default_service(web::to(|| async {
            Err::<HttpResponse, _>(RefusedRequest::method_not_allowed(
                "GET, HEAD",
                "this path is requested with GET",
            ))
        }))
}

async fn not_found() -> Result<HttpResponse, RefusedRequest> {
    Err(nothing_here())
}

fn nothing_here() -> RefusedRequest {
    Reason::NotFound.because("there is nothing at this path").into()
}

impl EntranceTarget {
    /// Finds the entrance. Below one, the 404 page may be framed as the entrance may.
    fn find(snapshot: &Snapshot, path: &str) -> Result<Self, RefusedRequest> {
        let mut below = None;
        for runtime in &snapshot.entrances {
            let Some(rest) = path.strip_prefix(runtime.entrance.path.as_str()) else { continue };
            if rest.is_empty() {
                return Ok(Self { runtime: Arc::clone(runtime), install: None });
            }
            if let Some(id) = rest.strip_prefix("/install/").filter(|id| !id.is_empty() && !id.contains('/'))
            {
                return Ok(Self { runtime: Arc::clone(runtime), install: Some(id.to_owned()) });
            }
            if rest.starts_with('/') {
                below = Some(Arc::clone(runtime));
            }
        }
        Err(RefusedRequest { runtime: below, ..nothing_here() })
    }
}

impl VerifyTarget {
    /// Finds the entrance, only one for tokens: a proxy passes the client's own
    /// unsigned header fields on.
    fn find(snapshot: &Snapshot, path: &str) -> Result<Self, RefusedRequest> {
        let rest = path.strip_prefix(VERIFY).ok_or_else(nothing_here)?;
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut named = snapshot.entrances.iter().filter(|runtime| runtime.entrance.name == name);
        let by_token = named.find(|runtime| runtime.entrance.identity.token_location().is_some());
        let runtime = Arc::clone(by_token.ok_or_else(nothing_here)?);
        Ok(Self { runtime, path: Some(path.to_owned()).filter(|path| !path.is_empty()) })
    }
}

impl FromRequest for EntranceTarget {
    type Error = RefusedRequest;
    type Future = Ready<Result<Self, RefusedRequest>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::of(request).and_then(|context| Self::find(&context.snapshot, request.path())))
    }
}

impl FromRequest for VerifyTarget {
    type Error = RefusedRequest;
    type Future = Ready<Result<Self, RefusedRequest>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::of(request).and_then(|context| Self::find(&context.snapshot, request.path())))
    }
}
