//! The only rooms that know actix-web: which address is whose, what a request
//! offers, and how an answer is written as status, headers and body.

mod accept;
mod cors;
mod hand_off;
mod health;
mod refused;
mod routes;
mod span;
mod state;

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};

use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::{Method, header};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, Scope, guard, web};
use tracing_actix_web::RequestId;
use uuid::Uuid;

use crate::arrival::{Headers, Peer};
use crate::clock::Stopwatch;
use crate::refusal::Reason;
use refused::Refused;
use routes::Route;

pub use span::{RootSpan, TARGET as SPAN_TARGET};
pub use state::{Doorway, Live, Shared};

/// Which listener a request came by.
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

/// Our addresses as a part of another actix application: requests to other
/// addresses are left to it.
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
            Route::find(&owner.live(), Listener::PUBLIC, context.head().uri.path()),
            Route::Nothing { .. }
        )
    });
    web::scope("").guard(is_ours).default_service(answering(shared.clone(), Listener::PUBLIC))
}

/// A service that answers any request which came by this listener.
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
        let response = answer(request.request(), &shared, listener);
        ready(Ok::<_, Error>(request.into_response(response)))
    })
}

/// Answers any request. Nothing in it waits.
pub fn answer(request: &HttpRequest, shared: &Shared, listener: Listener) -> HttpResponse {
    let stopwatch = Stopwatch::start();
    shared.metrics.in_flight.inc();
    let visit = Visit { request, shared, listener, request_id: request_id(request), stopwatch };
    let answer = catch_unwind(AssertUnwindSafe(|| visit.answer())).unwrap_or_else(|_| {
        let internal = Reason::Internal.because("the handler panicked; the log says where");
        visit.refuse(Refused::nowhere(&internal))
    });
    shared.metrics.in_flight.dec();
    shared.metrics.observe_duration(stopwatch.elapsed());
    answer
}

/// One request, and what is needed to answer it.
struct Visit<'a> {
    request: &'a HttpRequest,
    shared: &'a Shared,
    listener: Listener,
    request_id: Uuid,
    stopwatch: Stopwatch,
}

impl Visit<'_> {
    fn answer(&self) -> HttpResponse {
        let live = self.shared.live();
        match Route::find(&live, self.listener, self.request.path()) {
            Route::Entrance { doorway, install } => self.enter(doorway, install),
            Route::Health(kind) => match *self.request.method() {
                Method::GET | Method::HEAD => self.health(kind),
                _ => self.refuse(Refused::nowhere(
                    &Reason::MethodNotAllowed.because("health is asked for with GET"),
                )),
            },
            Route::Metrics => match *self.request.method() {
                Method::GET | Method::HEAD => self.metrics(),
                _ => self.refuse(Refused::nowhere(
                    &Reason::MethodNotAllowed.because("metrics are asked for with GET"),
                )),
            },
            Route::Nothing { below } => {
                let refusal = Reason::NotFound.because("there is nothing at this path");
                self.refuse(Refused { doorway: below, ..Refused::nowhere(&refusal) })
            }
        }
    }

    /// The headers, free of actix.
    fn headers(&self) -> Headers<'_> {
        self.request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    /// Who is at the other end of the socket. No header has a say in it.
    fn peer(&self) -> Peer {
        match self.request.peer_addr() {
            Some(address) => Peer::from_ip(address.ip()),
            None if self.listener.is_unix => Peer::UnixSocket,
            None => Peer::Unknown,
        }
    }

    /// Headers that every answer has.
    fn dress(&self, answer: &mut actix_web::HttpResponseBuilder) {
        answer.insert_header((header::CACHE_CONTROL, header::HeaderValue::from_static("no-store")));
        let mut buffer = Uuid::encode_buffer();
        let id = self.request_id.hyphenated().encode_lower(&mut buffer);
        if let Ok(id) = header::HeaderValue::from_str(id) {
            answer.insert_header((header::HeaderName::from_static("x-request-id"), id));
        }
        // a wish to switch protocols is not granted, and the connection not kept in doubt
        if self.shared.is_draining() || self.request.head().upgrade() {
            answer.force_close();
        }
    }
}

/// The id that the logging middleware gave the request; a new one, where there
/// is no such middleware.
fn request_id(request: &HttpRequest) -> Uuid {
    request.extensions().get::<RequestId>().map_or_else(Uuid::now_v7, |id| **id)
}
