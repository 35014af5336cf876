//! The middleware around every handler. It creates the request's context, checks the host, handles
//! panics, renders refusals, adds common header fields, and records the audit event and metrics.

use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicI64;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
use uuid::Uuid;

use super::context::RequestContext;
use super::record::{record_refused, record_served};
use super::refused::RefusedRequest;
use super::{Shared, SocketKind, health, limiting};
use crate::refusal::{Reason, Refusal};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware for one resource. It keeps the request for the response to a panic, which actix
/// allows only after routing.
pub(super) fn middleware<S>(
    shared: &web::Data<Shared>,
    socket: SocketKind,
) -> impl Transform<S, ServiceRequest, Response = ServiceResponse, Error = Error, InitError = ()> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
{
    let shared = shared.clone();
    Around(move |service_request: ServiceRequest, service: &S| {
        let request = service_request.request().clone();
        let context = RequestContext::begin(&shared, socket, &request);
        let called = check_host(&context, &request).map(|()| service.call(service_request));
        async move {
            let _in_flight = InFlight::begin(&context.shared.metrics.in_flight);
            // safe: the values that are used after a panic are only read
            let responded = AssertUnwindSafe(respond(&context, &request, called));
            let mut response = match responded.catch_unwind().await {
                Ok(response) => response,
                Err(_) => {
                    let refused = RefusedRequest::internal("the handler panicked; the log has the location");
                    refuse(&context, &request, refused).await
                }
            };
            add_common_headers(&context, &request, &mut response);
            context.shared.metrics.observe_duration(context.stopwatch.elapsed());
            Ok(ServiceResponse::new(request, response))
        }
    })
}

/// Waits for the handler, and records the outcome of the request.
async fn respond(
    context: &RequestContext,
    request: &HttpRequest,
    called: Result<impl Future<Output = Result<ServiceResponse, Error>>, Refusal>,
) -> HttpResponse {
    let handled = match called {
        Ok(called) => handled(called.await),
        Err(refusal) => Err(refusal.into()),
    };
    let served = match handled {
        Ok(response) => record_served(context, request, response.status()).await.map(|()| response),
        Err(refused) => Err(refused),
    };
    match served {
        Ok(response) => response,
        Err(refused) => refuse(context, request, refused).await,
    }
}

/// What a handler responded. Any error of actix becomes a refusal.
fn handled(called: Result<ServiceResponse, Error>) -> Result<HttpResponse, RefusedRequest> {
    let response = called.map_or_else(HttpResponse::from_error, |response| response.into_parts().1);
    let Some(error) = response.error() else { return Ok(response) };
    let refused = error.as_error::<RefusedRequest>().cloned();
    Err(refused.unwrap_or_else(|| RefusedRequest::internal("actix-web refused the request")))
}

async fn refuse(context: &RequestContext, request: &HttpRequest, refused: RefusedRequest) -> HttpResponse {
    let refused = limiting::limit_refusals(context, refused);
    // boxed, so that the future of a hand-off does not contain the data that only refusals need
    Box::pin(record_refused(context, request, refused)).await.response(context, request)
}

/// Refuses a request for a host that is not the service's: an attacker's DNS name may resolve to
/// this address. The host of an absolute request target replaces that of the `Host` field (RFC
/// 9112, 3.2.2); both have to be accepted.
fn check_host(context: &RequestContext, request: &HttpRequest) -> Result<(), Refusal> {
    let fields = request.headers().get_all(header::HOST).map(HeaderValue::as_bytes);
    let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = fields.chain(target).peekable();
    let is_accepted = |authority: &[u8]| {
        std::str::from_utf8(authority).is_ok_and(|authority| context.snapshot.hosts.accepts(authority))
    };
    if hosts.peek().is_some() && hosts.all(is_accepted) || health::PATHS.contains(&request.path()) {
        return Ok(());
    }
    Err(Reason::MisdirectedRequest.because(
        "Host is neither that of server.public_url nor in server.hosts; name it there if it is this service's",
    ))
}

/// Header fields of every response. A handler may have allowed caching.
fn add_common_headers(context: &RequestContext, request: &HttpRequest, response: &mut HttpResponse) {
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let mut buffer = Uuid::encode_buffer();
    let id = context.request_id.hyphenated().encode_lower(&mut buffer);
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    // upgrades are not supported, so the connection is closed after such a request
    if context.shared.is_draining() || request.head().upgrade() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
}

/// A middleware made of a function, as by `actix_web::middleware::from_fn`, which in addition boxes
/// the service and its future.
struct Around<F>(F);

impl<S, F, Response> Transform<S, ServiceRequest> for Around<F>
where
    S: Service<ServiceRequest, Error = Error>,
    F: Fn(ServiceRequest, &S) -> Response + Clone,
    Response: Future<Output = Result<ServiceResponse, Error>>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = AroundService<S, F>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AroundService { service, around: self.0.clone() }))
    }
}

/// A service with [`Around`].
struct AroundService<S, F> {
    service: S,
    around: F,
}

impl<S, F, Response> Service<ServiceRequest> for AroundService<S, F>
where
    S: Service<ServiceRequest, Error = Error>,
    F: Fn(ServiceRequest, &S) -> Response,
    Response: Future<Output = Result<ServiceResponse, Error>>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Response;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        (self.around)(request, &self.service)
    }
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
