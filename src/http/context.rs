//! The context of a request, which is taken once, before its handler runs.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use arc_swap::Guard;
use tracing_actix_web::RequestId;
use uuid::Uuid;

use super::refused::RefusedRequest;
use super::served::ServedRequest;
use super::{Shared, Snapshot, SocketKind};
use crate::authn::AuthRequest;
use crate::clock::{Stopwatch, Timestamp};
use crate::request::{Headers, Peer};

/// The context of a request.
pub(super) struct RequestContext {
    pub shared: web::Data<Shared>,
    /// Loaded once: a reload during the request does not affect it.
    pub snapshot: Guard<Arc<Snapshot>>,
    pub request_id: Uuid,
    /// The peer of the socket. No header field can change it.
    pub peer: Peer,
    pub received: Timestamp,
    pub stopwatch: Stopwatch,
    /// What a handler did, for the middleware.
    pub served: Cell<Option<ServedRequest>>,
}

/// Extracts the context.
pub(super) type Context = web::ReqData<Rc<RequestContext>>;

impl RequestContext {
    /// The context of a request that was just received, also for its extractors.
    pub fn begin(shared: &web::Data<Shared>, socket: SocketKind, request: &HttpRequest) -> Rc<Self> {
        let (received, stopwatch) = (Timestamp::now(), Stopwatch::start());
        let mut extensions = request.extensions_mut();
        let context = Rc::new(Self {
            // a scope in another application has already matched the path with a snapshot
            snapshot: extensions.remove().unwrap_or_else(|| shared.snapshot()),
            shared: shared.clone(),
            // without the tracing middleware the request has no id yet
            request_id: extensions.get::<RequestId>().map_or_else(|| received.new_uuid(), |id| **id),
            peer: socket.peer(request.peer_addr()),
            received,
            stopwatch,
            served: Cell::default(),
        });
        extensions.insert(Rc::clone(&context));
        context
    }

    /// The context that [`Self::begin`] created, for other extractors.
    pub fn of(request: &HttpRequest) -> Result<Rc<Self>, RefusedRequest> {
        let context = request.extensions().get::<Rc<Self>>().cloned();
        context.ok_or_else(|| RefusedRequest::internal("the route lacks the middleware"))
    }

    /// Keeps what the middleware records if this response is sent.
    pub fn served(&self, served: ServedRequest, response: HttpResponse) -> HttpResponse {
        self.served.set(Some(served));
        response
    }

    /// The part of this request that authenticators see.
    pub fn auth_request<'a>(
        &self,
        path: Option<&'a str>,
        query: &'a str,
        headers: &'a Headers<'a>,
    ) -> AuthRequest<'a> {
        let Self { peer, received, .. } = *self;
        AuthRequest { peer, path, headers, query, received, fetched: None }
    }
}

/// The header fields without actix's types.
pub(super) fn headers(request: &HttpRequest) -> Headers<'_> {
    request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}
