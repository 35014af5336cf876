//! Routes. A path is compared byte for byte: nothing is decoded, folded or trimmed, and no header
//! field changes it. actix's router matches a partly decoded path, so each route also checks the
//! path as received.

use actix_service::apply;
use actix_web::guard::{self, Guard, fn_guard};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Route};

use super::context::Context;
use super::middleware::middleware;
use super::refused::{Recipient, RefusedRequest};
use super::target::EntranceTarget;
use super::{
    Shared, Snapshot, SocketKind, assets, audit_api, auth, dashboard, embed_page, hand_off, health, links,
    mittwald, openapi, redeem, verify,
};
use crate::ticket::Ticket;

/// The other fixed paths of the public listener.
const FIXED: [&str; 8] = [
    "/embed",
    "/embed.js",
    assets::HASHED_SCRIPT,
    "/embed.d.ts",
    "/embed.json",
    "/v1/audit",
    "/v1/openapi.json",
    links::PATH,
];

/// The prefix of paths that verify a request for the entrance that they name.
const VERIFY: &str = "/v1/verify";

/// The prefix of single-use addresses.
const TICKETS: &str = "/l";

/// The prefix of sign-ins.
const AUTH: &str = "/auth";

/// Configures the routes of the public listener. Configured paths change at a reload, so one service
/// handles all paths without a route. All other routes are in one scope, so that a hand-off is
/// checked against one guard instead of many.
pub fn public(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    let others = [
        fixed("/embed", embed_page::page),
        fixed("/embed.js", assets::script),
        fixed(assets::HASHED_SCRIPT, assets::hashed_script),
        fixed("/embed.d.ts", assets::types),
        fixed("/embed.json", embed_page::settings),
        fixed("/v1/audit", audit_api::audit),
        fixed("/v1/openapi.json", openapi::openapi),
    ];
    let verify = web::scope(VERIFY).default_service(web::to(verify::verify));
    let links = web::resource(links::PATH)
        .guard(is_path(links::PATH))
        .route(web::post().to(links::create))
        .default_service(refuse_method(Recipient::Api, "POST", "an address is requested with POST"));
    let instances = web::scope(mittwald::INSTANCES).default_service(web::to(mittwald::api));
    let tickets = web::scope(TICKETS).default_service(web::to(redeem::redeem));
    let auth = web::scope(AUTH).default_service(web::to(auth::serve));
    let has_route = fn_guard(|context| {
        let path = context.head().uri.path();
        is_fixed(path)
            || is_at_or_below(path, VERIFY)
            || path.starts_with(redeem::TICKET_PATH)
            || is_at_or_below(path, mittwald::INSTANCES)
            || path.starts_with(auth::AUTH_PATH)
    });
    let scope = web::scope("").guard(has_route).configure(|config| {
        configure_fixed(config, shared, socket, others);
        config.service(verify.wrap(middleware(shared, socket)));
        config.service(links.wrap(middleware(shared, socket)));
        config.service(instances.wrap(middleware(shared, socket)));
        config.service(tickets.wrap(middleware(shared, socket)));
        config.service(auth.wrap(middleware(shared, socket)));
    });
    config.service(scope);
    // no pattern: actix would compile it to a regular expression, which takes longer than signing
    // the token
    config.default_service(apply(middleware(shared, socket), web::to(configured)));
}

/// Handles a request to a path that is configured, and so may change at a reload: the webhook's or
/// an entrance's.
pub(super) async fn configured(
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    let path = request.path();
    if mittwald::is_webhook(&context.snapshot, path) {
        // boxed, so that the future of a hand-off does not contain the data of a webhook
        return Box::pin(mittwald::receive(context, request, payload)).await;
    }
    let target = EntranceTarget::find(&context.snapshot, path)?;
    hand_off::entrance(&context, target, &request).await
}

/// Configures the routes of the admin listener.
pub fn admin(config: &mut ServiceConfig, shared: &web::Data<Shared>, socket: SocketKind) {
    let others = [fixed("/metrics", health::metrics), fixed("/", dashboard::redirect)];
    configure_fixed(config, shared, socket, others);
    let dashboard = web::scope("/dashboard").default_service(web::to(dashboard::serve));
    config.service(dashboard.wrap(middleware(shared, socket)));
    let not_found = || async { Err::<HttpResponse, _>(RefusedRequest::not_found()) };
    config.default_service(apply(middleware(shared, socket), web::to(not_found)));
}

/// Whether the public listener serves a path.
pub(super) fn is_served(snapshot: &Snapshot, path: &str) -> bool {
    let is_ticket =
        || path.strip_prefix(redeem::TICKET_PATH).is_some_and(|text| Ticket::parse(text).is_some());
    is_fixed(path)
        || is_ticket()
        || mittwald::is_webhook(snapshot, path)
        || mittwald::is_served(path)
        || auth::is_served(snapshot, path)
        || EntranceTarget::find(snapshot, path).is_ok()
}

/// Whether the public listener serves a path in every configuration.
fn is_fixed(path: &str) -> bool {
    health::PATHS.contains(&path) || FIXED.contains(&path)
}

/// Whether a path is `prefix` or begins with its segments, as actix's scopes compare paths.
fn is_at_or_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Configures health checks and other resources at fixed paths.
fn configure_fixed<const N: usize>(
    config: &mut ServiceConfig,
    shared: &web::Data<Shared>,
    socket: SocketKind,
    others: [Resource; N],
) {
    let [live, ready, health] = health::PATHS;
    let health = [fixed(live, health::live), fixed(ready, health::ready), fixed(health, health::ready)];
    for resource in health.into_iter().chain(others) {
        config.service(resource.wrap(middleware(shared, socket)));
    }
}

/// Whether the path is exactly this one.
fn is_path(path: &'static str) -> impl Guard {
    fn_guard(move |context| context.head().uri.path() == path)
}

/// A resource for GET and HEAD: some load balancers check health with HEAD.
fn fixed<H, Args>(path: &'static str, handler: H) -> Resource
where
    H: Handler<Args, Output = Result<HttpResponse, RefusedRequest>>,
    Args: FromRequest + 'static,
{
    let get_or_head = guard::Any(guard::Get()).or(guard::Head());
    let recipient = if path.starts_with("/v1/") { Recipient::Api } else { Recipient::Browser };
    web::resource(path)
        .guard(is_path(path))
        .route(web::route().guard(get_or_head).to(handler))
        .default_service(refuse_method(recipient, "GET, HEAD", "this path is requested with GET"))
}

/// The route of all methods but those that a resource allows.
fn refuse_method(recipient: Recipient, allow: &'static str, cause: &'static str) -> Route {
    web::to(move || async move {
        let refused = RefusedRequest::method_not_allowed(allow, cause);
        Err::<HttpResponse, _>(RefusedRequest { recipient, ..refused })
    })
}
