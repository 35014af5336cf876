//! `GET /v1/audit`: the stored audit events for programs, page by page.

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::api_auth::authorize;
use super::audit_query::{AuditQuery, Cursor};
use super::context::Context;
use super::refused::{ForProgram, RefusedRequest};
use super::verify::json_response;
use crate::api_token::Scope;
use crate::audit::JsonEvent;
use crate::store::events::{EventQuery, StoredEvent};

/// A page of events. The field names are a public interface.
#[derive(Serialize)]
struct Page<'a> {
    events: Vec<JsonEvent<'a>>,
    /// Whether there are more events now.
    has_more: bool,
    /// The cursor after the last event; also present if there are no more events now, to continue
    /// with later ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Responds with a page of events.
pub(super) async fn audit(context: Context, request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let caller = authorize(&context, &request, Scope::AuditRead).await?;
    let query = request.uri().query().unwrap_or_default();
    let AuditQuery { query, limit } = AuditQuery::parse(query, &context.snapshot.pseudonym_keys)?;
    let (order, after) = (query.order, query.after);
    // one event more than requested shows whether there are more
    let mut events = read(&context, EventQuery { limit: limit + 1, ..query }).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = events.len() > limit;
    events.truncate(limit);
    tracing::info!(api_token = caller.token_name, events = events.len(), "audit events were read");
    let position = events.last().map(StoredEvent::position).or(after);
    let page = Page {
        events: events.iter().map(JsonEvent::of).collect(),
        has_more,
        next_cursor: position.map(|position| Cursor { order, position }.to_text()),
    };
    Ok(json_response().json(page))
}

async fn read(context: &Context, query: EventQuery) -> Result<Vec<StoredEvent>, RefusedRequest> {
    // not reached: without a store there are no API tokens, so the program was refused already
    let Some(store) = &context.shared.store else {
        return Err(RefusedRequest::internal("there is no store"));
    };
    store
        .events(query)
        .await
        .map_err(|error| RefusedRequest::for_program(error.into(), ForProgram::default()))
}
