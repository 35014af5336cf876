//! The only module below `server` that knows actix-web: routes, what a request
//! holds, and responses with their status, header fields and body.

mod accept;
mod component;
mod cors;
mod hand_off;
mod health;
mod refused;
mod routes;
mod span;
mod state;
mod verify;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, Scope, guard, web};
use arc_swap::Guard;
use futures_util::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
use tracing_actix_web::RequestId;
use uuid::Uuid;

use crate::authn::AuthRequest;
use crate::clock::{Stopwatch, Timestamp};
use crate::refusal::{Reason, Refusal};
use crate::request::{Headers, Peer};
use refused::Refused;
use routes::Route;

pub use span::{RootSpan, TARGET as SPAN_TARGET};
pub use state::{EntranceRuntime, Served, Shared, Snapshot};

/// The listener that received a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// For operators: metrics, no entrances.
    pub is_admin: bool,
    /// A Unix socket, whose file mode says who may connect.
    pub is_unix: bool,
}

impl Listener {
    /// The listener for browsers, by TCP.
    pub const PUBLIC: Self = Self { is_admin: false, is_unix: false };
}

/// The service's routes as a part of another actix application. Requests to
/// other paths are left to that application.
///
/// ```no_run
/// use actix_web::{App, HttpServer};
/// use marketplace_sso::{config::Config, http, server};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_toml(&std::fs::read_to_string("marketplace-sso.toml")?)?;
/// let shared = server::share(config)?;
/// HttpServer::new(move || App::new().service(http::scope(&shared))).bind("127.0.0.1:8080")?.run().await?;
/// # Ok(())
/// # }
/// ```
pub fn scope(shared: &web::Data<Shared>) -> Scope {
    let owner = shared.clone();
    let is_ours = guard::fn_guard(move |context| {
        !matches!(
            Route::find(&owner.snapshot(), Listener::PUBLIC, context.head().uri.path()),
            Route::Nothing { .. }
        )
    });
    web::scope("").guard(is_ours).default_service(answering(shared.clone(), Listener::PUBLIC))
}

/// A service that handles every request to a listener.
pub fn answering(
    shared: web::Data<Shared>,
    listener: Listener,
) -> impl ServiceFactory<
    ServiceRequest,
    Config = (),
    Response = ServiceResponse,
    Error = Error,
    InitError = (),
    Service = impl Service<ServiceRequest>,
> {
    fn_service(move |request: ServiceRequest| {
        let shared = shared.clone();
        async move {
            let response = answer(request.request(), &shared, listener).await;
            Ok::<_, Error>(request.into_response(response))
        }
    })
}

/// Handles any request. A panic of a handler becomes a 500.
pub async fn answer(request: &HttpRequest, shared: &Shared, listener: Listener) -> HttpResponse {
    let stopwatch = Stopwatch::start();
    let _in_flight = InFlight::begin(&shared.metrics.in_flight);
    let context = RequestContext {
        request,
        shared,
        snapshot: shared.snapshot(),
        listener,
        request_id: request_id(request),
        stopwatch,
        received: Timestamp::now(),
    };
    // what a panic unwinds through is only read
    let handled = AssertUnwindSafe(context.handle()).catch_unwind().await;
    let response =
        handled.unwrap_or_else(|_| context.internal_error("the handler panicked; the log says where"));
    shared.metrics.observe_duration(stopwatch.elapsed());
    response
}

/// Counts a request as in flight until it is dropped.
struct InFlight<'a>(&'a Gauge<i64, AtomicI64>);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One request, and what it is handled with.
struct RequestContext<'a> {
    request: &'a HttpRequest,
    shared: &'a Shared,
    /// Taken once: a reload meanwhile changes nothing for this request.
    snapshot: Guard<Arc<Snapshot>>,
    listener: Listener,
    request_id: Uuid,
    stopwatch: Stopwatch,
    received: Timestamp,
}

impl RequestContext<'_> {
    async fn handle(&self) -> HttpResponse {
        let route = Route::find(&self.snapshot, self.listener, self.request.path());
        if !matches!(route, Route::Health(_))
            && let Err(refusal) = self.check_host()
        {
            return self.refuse(Refused::nowhere(&refusal));
        }
        match route {
            Route::Entrance { runtime, install } => self.entrance(runtime, install).await,
            Route::Verify { runtime, path } => self.verify(runtime, path).await,
            Route::Component(component) => self.component(component),
            Route::Health(kind) => match *self.request.method() {
                Method::GET | Method::HEAD => self.health(kind),
                _ => self.refuse(Refused::nowhere(
                    &Reason::MethodNotAllowed.because("health is requested with GET"),
                )),
            },
            Route::Metrics => match *self.request.method() {
                Method::GET | Method::HEAD => self.metrics(),
                _ => self.refuse(Refused::nowhere(
                    &Reason::MethodNotAllowed.because("metrics are requested with GET"),
                )),
            },
            Route::Nothing { below } => {
                let refusal = Reason::NotFound.because("there is nothing at this path");
                self.refuse(Refused { runtime: below, ..Refused::nowhere(&refusal) })
            }
        }
    }

    /// Refuses a request for a host that is not the service's: a foreign name may
    /// resolve to this address. The host of an absolute target replaces that of
    /// the field (RFC 9112, 3.2.2); both have to be right.
    fn check_host(&self) -> Result<(), Refusal> {
        let fields = self.request.headers().get_all(header::HOST).map(HeaderValue::as_bytes);
        let target = self.request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let mut hosts = fields.chain(target).peekable();
        let is_answered = |authority: &[u8]| {
            std::str::from_utf8(authority).is_ok_and(|authority| self.snapshot.hosts.accepts(authority))
        };
        if hosts.peek().is_some() && hosts.all(is_answered) {
            return Ok(());
        }
        Err(Reason::MisdirectedRequest.because(
            "Host is neither that of server.public_url nor in server.hosts; name it there if it is this service's",
        ))
    }

    fn internal_error(&self, cause: &'static str) -> HttpResponse {
        self.refuse(Refused::nowhere(&Reason::Internal.because(cause)))
    }

    /// What the user of this request is authenticated by.
    fn auth_request<'a>(&self, path: Option<&'a str>, headers: &'a Headers<'a>) -> AuthRequest<'a> {
        AuthRequest { peer: self.peer(), path, headers, received: self.received }
    }

    /// The header fields without actix's types.
    fn headers(&self) -> Headers<'_> {
        self.request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    /// The socket's peer. No header field changes it.
    fn peer(&self) -> Peer {
        match self.request.peer_addr() {
            Some(address) => Peer::from_ip(address.ip()),
            None if self.listener.is_unix => Peer::UnixSocket,
            None => Peer::Unknown,
        }
    }

    /// Header fields of JSON about a user: pages of other origins can neither
    /// include it nor have it read as another media type.
    fn protect_json(answer: &mut actix_web::HttpResponseBuilder) {
        answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        answer.insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")));
    }

    /// Header fields of every response.
    fn common_headers(&self, answer: &mut actix_web::HttpResponseBuilder) {
        answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        let mut buffer = Uuid::encode_buffer();
        let id = self.request_id.hyphenated().encode_lower(&mut buffer);
        if let Ok(id) = HeaderValue::from_str(id) {
            answer.insert_header((header::HeaderName::from_static("x-request-id"), id));
        }
        // protocols are not switched: after such a request the connection is closed
        if self.shared.is_draining() || self.request.head().upgrade() {
            answer.force_close();
        }
    }
}

/// The request id of the logging middleware, or a new one without that middleware.
fn request_id(request: &HttpRequest) -> Uuid {
    request.extensions().get::<RequestId>().map_or_else(Uuid::now_v7, |id| **id)
}
