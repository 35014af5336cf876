//! The paths for programs: `GET /v1/mittwald/instances`, and the access token of an instance.

use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use super::tokens::{NoToken, TokenRequest};
use crate::api_token::Scope;
use crate::audit::{InstanceEvent, Outcome, timestamp};
use crate::clock::Timestamp;
use crate::http::api_auth::authorize;
use crate::http::context::RequestContext;
use crate::http::page_query;
use crate::http::record::record_outcome;
use crate::http::refused::{ForProgram, RefusedRequest};
use crate::http::verify::json_response;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::EventDetails;
use crate::store::instances::StoredInstance;

/// A page of instances. The field names are a public interface.
#[derive(Serialize)]
struct Page {
    instances: Vec<InstanceJson>,
    /// Whether there are more instances now.
    has_more: bool,
    /// The cursor after the last instance; absent if there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// An instance, without its secret.
#[derive(Serialize)]
struct InstanceJson {
    id: Uuid,
    extension_id: Uuid,
    contributor_id: Uuid,
    context: ContextJson,
    scopes: Vec<String>,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    has_secret: bool,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct ContextJson {
    id: Uuid,
    kind: String,
}

/// An access token. The time is in Unix seconds.
#[derive(Serialize)]
struct TokenJson<'a> {
    access_token: &'a str,
    expires_at: u64,
}

/// Responds with a page of instances.
pub(super) async fn list(
    context: &RequestContext,
    request: &HttpRequest,
) -> Result<HttpResponse, RefusedRequest> {
    let caller = authorize(context, request, Scope::MittwaldTokens).await?;
    let (after, limit) = parse(request.uri().query().unwrap_or_default())?;
    let (Some(store), Some(mittwald)) = (&context.shared.store, &context.snapshot.mittwald) else {
        return Err(no_extension());
    };
    // one instance more than requested shows whether there are more
    let read = store.instances(after, limit + 1).await;
    let mut instances = read.map_err(|error| {
        let refusal = Reason::StoreUnavailable.because(format!("instances cannot be read: {error}"));
        RefusedRequest::for_program(refusal, ForProgram::default())
    })?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = instances.len() > limit;
    instances.truncate(limit);
    let extension_ids = &mittwald.settings.extension_ids;
    let last = instances.last().filter(|_| has_more).map(|last| URL_SAFE_NO_PAD.encode(last.id));
    // filtered within the page, so that a page may have fewer instances although more follow
    instances.retain(|instance| extension_ids.contains(&instance.extension_id));
    tracing::info!(api_token = caller.token_name, instances = instances.len(), "instances were read");
    let page = Page { instances: instances.into_iter().map(json_of).collect(), has_more, next_cursor: last };
    Ok(json_response().json(page))
}

/// Responds with an access token of an instance.
pub(super) async fn access_token(
    context: &RequestContext,
    request: &HttpRequest,
    id: Uuid,
) -> Result<HttpResponse, RefusedRequest> {
    let caller = authorize(context, request, Scope::MittwaldTokens).await?;
    let api_token = Some(caller.token_name);
    let details = EventDetails { api_token, instance_id: Some(id), ..EventDetails::default() };
    let responded = exchange(context, request, id, &details).await;
    responded.map_err(|mut refused| {
        refused.details = Box::new(details);
        refused
    })
}

async fn exchange(
    context: &RequestContext,
    request: &HttpRequest,
    id: Uuid,
    details: &EventDetails,
) -> Result<HttpResponse, RefusedRequest> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        let refusal = Reason::BadRequest.because("this path has no parameters");
        return Err(RefusedRequest::for_program(refusal, ForProgram::default()));
    }
    let (Some(store), Some(mittwald)) = (&context.shared.store, &context.snapshot.mittwald) else {
        return Err(no_extension());
    };
    let tokens = &mittwald.fetched.tokens;
    let request_of = TokenRequest { store, settings: &mittwald.settings, id, clock: Timestamp::now };
    let issued = tokens.get(request_of).await;
    let issued = issued.map_err(|why| refused(&why))?;
    let outcome = Outcome::Instance(InstanceEvent::AccessTokenIssued);
    let recorded = record_outcome(context, request, outcome, details).await;
    recorded.map_err(|refusal| RefusedRequest::for_program(refusal, ForProgram::default()))?;
    Ok(json_response().json(TokenJson {
        access_token: issued.token.expose(),
        expires_at: issued.expires_at.unix_seconds(),
    }))
}

fn refused(why: &NoToken) -> RefusedRequest {
    let (reason, retry_after) = match why {
        NoToken::Unknown => (Reason::NotFound, None),
        NoToken::Disabled | NoToken::NoSecret => (Reason::NotAllowed, None),
        NoToken::Sealed => (Reason::Internal, None),
        NoToken::Store(_) | NoToken::Changing => (Reason::StoreUnavailable, None),
        NoToken::Upstream(error) => (Reason::UpstreamUnavailable, Some(error.retry_after())),
    };
    let cause = why.to_string();
    // the operator's own program gets the cause, except for internal errors
    let detail = (reason != Reason::Internal).then(|| cause.clone().into());
    let refusal: Refusal = reason.because(cause);
    let members = ForProgram { detail, ..ForProgram::default() };
    RefusedRequest { retry_after, ..RefusedRequest::for_program(refusal, members) }
}

fn no_extension() -> RefusedRequest {
    let refusal = Reason::NotFound.because("mittwald.extension_ids is empty");
    RefusedRequest::for_program(refusal, ForProgram::default())
}

fn json_of(instance: StoredInstance) -> InstanceJson {
    InstanceJson {
        id: instance.id,
        extension_id: instance.extension_id,
        contributor_id: instance.contributor_id,
        context: ContextJson { id: instance.context_id, kind: instance.context_kind },
        scopes: instance.state.scopes,
        enabled: instance.state.enabled,
        variant: instance.state.variant,
        has_secret: instance.secret.is_some(),
        created_at: timestamp(instance.created_at_us),
        updated_at: timestamp(instance.updated_at_us),
    }
}

/// The cursor and the limit of a query. An unknown, repeated or invalid parameter is refused.
fn parse(query: &str) -> Result<(Option<Uuid>, i64), RefusedRequest> {
    let [cursor, limit] = page_query::values(query, ["cursor", "limit"])?;
    let id = |text: String| {
        let id = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
        id.ok_or_else(|| page_query::refuse(("cursor", "pass next_cursor unchanged")))
    };
    Ok((cursor.map(id).transpose()?, page_query::limit(limit).map_err(page_query::refuse)?))
}
