//! The page of one request: what happened, and for a refusal the cause and the remedy.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::super::refused::{RefusedRequest, status};
use super::pages::{Current, PageRequest};
use super::view::{EventRow, Span, spans};
use crate::refusal::Reason;
use crate::store::events::{EventFilter, EventOrder, EventQuery, StoredEvent};
use crate::store::{Store, StoreError};

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    is_id: bool,
    has_store: bool,
    is_stored: bool,
    error: Option<String>,
    events: Vec<Details<'a>>,
}

#[derive(Serialize)]
struct Details<'a> {
    row: EventRow,
    refusal: Option<RefusalText<'a>>,
    /// Label and value.
    fields: Vec<(&'static str, String)>,
    /// The data of an operation, as JSON.
    data: Option<String>,
}

#[derive(Serialize)]
struct RefusalText<'a> {
    code: &'static str,
    title: &'static str,
    status: u16,
    cause: Vec<Span<'a>>,
    remedy: Vec<Span<'a>>,
}

/// The maximum number of events that are shown. A request has one event, unless clients have reused
/// an id.
const MAX_EVENTS: i64 = 20;

/// The page.
pub(super) async fn page(page_request: PageRequest<'_>, id: &str) -> Result<HttpResponse, RefusedRequest> {
    let shared = &page_request.context.shared;
    let parsed = Uuid::parse_str(id).ok();
    let found = match (&shared.store, parsed) {
        (Some(store), Some(id)) => events(store, id).await,
        _ => Ok(Vec::new()),
    };
    let (events, error) = match found {
        Ok(events) => (events, None),
        Err(error) => {
            tracing::warn!(%error, "the dashboard cannot read the store");
            (Vec::new(), Some(error.to_string()))
        }
    };
    let status = if events.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let page = Request {
        id,
        is_id: parsed.is_some(),
        has_store: shared.store.is_some(),
        is_stored: shared.audit.stores(),
        error,
        events: events.iter().map(Details::of).collect(),
    };
    page_request.respond(status, Current::Events, "request.html", page)
}

async fn events(store: &Store, id: Uuid) -> Result<Vec<StoredEvent>, StoreError> {
    let filter = EventFilter { request_id: Some(id), ..EventFilter::default() };
    store.events(EventQuery { filter, order: EventOrder::NewestFirst, after: None, limit: MAX_EVENTS }).await
}

impl Details<'_> {
    fn of(stored: &StoredEvent) -> Self {
        let event = &stored.event;
        let personal = &event.personal;
        let refusal = event.reason.as_deref().and_then(Reason::of_code).map(RefusalText::of);
        let texts = [
            ("Entrance", &event.entrance),
            ("Environment", &event.environment),
            ("Account", &event.account),
            ("Identity", &event.identity_kind),
            ("Issuer", &event.issuer),
            ("Key", &event.key_id),
            ("Subject", &personal.subject),
            ("Peer", &personal.peer),
            ("User agent", &personal.user_agent),
            ("Requested for", &event.fetch_dest),
            ("Embed violation", &event.embed_violation),
            ("Link", &event.link),
        ];
        let texts = texts.into_iter().filter_map(|(label, text)| Some((label, text.as_deref()?.to_owned())));
        let others = [
            ("Token id (jti)", event.jti.map(|jti| jti.to_string())),
            ("Decided in", event.took_us.map(|took_us| format!("{took_us} µs"))),
            ("Erased", stored.erasure.is_some().then(|| "what identifies a person".to_owned())),
            ("Chain", Some(format!("writer {}, event {}", stored.writer, stored.seq))),
        ];
        let others = others.into_iter().filter_map(|(label, text)| Some((label, text?)));
        Self {
            row: EventRow::of(stored),
            refusal,
            fields: texts.chain(others).collect(),
            data: event.data.as_deref().map(str::to_owned),
        }
    }
}

impl RefusalText<'_> {
    fn of(reason: Reason) -> Self {
        let advice = reason.advice();
        Self {
            code: reason.code(),
            title: reason.title(),
            status: status(reason).as_u16(),
            cause: spans(advice.cause),
            remedy: spans(advice.remedy),
        }
    }
}
