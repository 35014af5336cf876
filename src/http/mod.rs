//! The only rooms that know actix-web: which address is whose, what a request
//! offers, and how an answer is written as status, headers and body.

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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicI64;

use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, Scope, guard, web};
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
            Route::find(&owner.snapshot(), Listener::PUBLIC, context.head().uri.path()),
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
        let shared = shared.clone();
        async move {
            let response = answer(request.request(), &shared, listener).await;
            Ok::<_, Error>(request.into_response(response))
        }
    })
}

/// Answers any request. It waits for one thing only: for keys that a token
/// needs and that are not there.
pub async fn answer(request: &HttpRequest, shared: &Shared, listener: Listener) -> HttpResponse {
    let stopwatch = Stopwatch::start();
    let _in_flight = InFlight::begin(&shared.metrics.in_flight);
    let request_id = request_id(request);
    let (received, keys) = (Timestamp::now(), KeysAre::PerhapsOld);
    let mut visit = RequestContext { request, shared, listener, request_id, stopwatch, received, keys };
    let mut answer = visit.answer();
    for _ in 0..MAX_RENEWALS {
        if answer.is_ok() || !visit.renew_keys().await {
            break;
        }
        answer = visit.answer();
    }
    let answer = answer.unwrap_or_else(|KeysFirst| {
        visit.keys = KeysAre::AsNewAsCanBe;
        visit.answer().unwrap_or_else(|KeysFirst| visit.fail("keys were renewed, and are wanted again"))
    });
    shared.metrics.observe_duration(stopwatch.elapsed());
    answer
}

/// How often keys are renewed for one request: the fetch that is under way may
/// have begun before the request was received, so that another one has to follow.
const MAX_RENEWALS: usize = 2;

/// Newer keys may change the answer, and are to be fetched first.
struct KeysFirst;

/// Whether an answer may be put off until keys are renewed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeysAre {
    PerhapsOld,
    AsNewAsCanBe,
}

/// Counts a request as being answered, until it is or its client has gone.
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

/// One request, and what is needed to answer it.
struct RequestContext<'a> {
    request: &'a HttpRequest,
    shared: &'a Shared,
    listener: Listener,
    request_id: Uuid,
    stopwatch: Stopwatch,
    received: Timestamp,
    keys: KeysAre,
}

impl RequestContext<'_> {
    /// The answer. A panic is one, too: what it unwinds through is read-only.
    fn answer(&self) -> Result<HttpResponse, KeysFirst> {
        catch_unwind(AssertUnwindSafe(|| self.find_answer()))
            .unwrap_or_else(|_| Ok(self.fail("the handler panicked; the log says where")))
    }

    fn find_answer(&self) -> Result<HttpResponse, KeysFirst> {
        let snapshot = self.shared.snapshot();
        let route = Route::find(&snapshot, self.listener, self.request.path());
        if !matches!(route, Route::Health(_))
            && let Err(refusal) = self.check_host(&snapshot)
        {
            return Ok(self.refuse(Refused::nowhere(&refusal)));
        }
        let answer = match route {
            Route::Entrance { runtime, install } => self.enter(runtime, install)?,
            Route::Verify { runtime, path } => self.verify(runtime, path)?,
            Route::Component(component) => self.component(component),
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
                self.refuse(Refused { runtime: below, ..Refused::nowhere(&refusal) })
            }
        };
        Ok(answer)
    }

    /// Refuses a request for a host that is not the service's: a foreign name may
    /// resolve to this address. The host of an absolute target replaces that of
    /// the field (RFC 9112, 3.2.2); both have to be right.
    fn check_host(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        let fields = self.request.headers().get_all(header::HOST).map(HeaderValue::as_bytes);
        let target = self.request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let mut hosts = fields.chain(target).peekable();
        let is_answered = |authority: &[u8]| {
            std::str::from_utf8(authority).is_ok_and(|authority| snapshot.hosts.accepts(authority))
        };
        if hosts.peek().is_some() && hosts.all(is_answered) {
            return Ok(());
        }
        Err(Reason::MisdirectedRequest.because(
            "Host is neither that of server.public_url nor in server.hosts; name it there if it is this service's",
        ))
    }

    fn fail(&self, cause: &'static str) -> HttpResponse {
        self.refuse(Refused::nowhere(&Reason::Internal.because(cause)))
    }

    /// Whether a refusal is put off until keys are renewed.
    fn keys_first(&self, refusal: Option<&Refusal>) -> Result<(), KeysFirst> {
        let wants_keys = refusal.is_some_and(|refusal| refusal.reason == Reason::KeysUnavailable);
        if wants_keys && self.keys == KeysAre::PerhapsOld { Err(KeysFirst) } else { Ok(()) }
    }

    /// Fetches the keys that this request needs, and waits for them. `false`:
    /// nothing was fetched.
    async fn renew_keys(&self) -> bool {
        let snapshot = self.shared.owned_snapshot();
        let runtime = match Route::find(&snapshot, self.listener, self.request.path()) {
            Route::Entrance { runtime, .. } | Route::Verify { runtime, .. } => runtime,
            Route::Component(_) | Route::Health(_) | Route::Metrics | Route::Nothing { .. } => return false,
        };
        let headers = self.headers();
        // which keys it needs does not depend on the path
        runtime.entrance.identity.renew_keys(self.offer(None, &headers), Timestamp::now()).await
    }

    /// What this request offers as proof.
    fn offer<'a>(&self, path: Option<&'a str>, headers: &'a Headers<'a>) -> AuthRequest<'a> {
        AuthRequest { peer: self.peer(), path, headers, received: self.received }
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

    /// Headers of JSON about a user: a page of another origin can neither include
    /// it nor have it taken for something else.
    fn protect_json(answer: &mut actix_web::HttpResponseBuilder) {
        answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        answer.insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")));
    }

    /// Headers that every answer has.
    fn common_headers(&self, answer: &mut actix_web::HttpResponseBuilder) {
        answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        let mut buffer = Uuid::encode_buffer();
        let id = self.request_id.hyphenated().encode_lower(&mut buffer);
        if let Ok(id) = HeaderValue::from_str(id) {
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
