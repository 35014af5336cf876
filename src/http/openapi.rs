//! `GET /v1/openapi.json`: the description of the API, `docs/openapi.json`.
//! `tests/it/openapi.rs` compares it with the code.

use actix_web::HttpResponse;

use super::refused::RefusedRequest;
use super::verify::json_response;

const DESCRIPTION: &str = include_str!("../../docs/openapi.json");

/// Responds with the description.
pub(super) async fn openapi() -> Result<HttpResponse, RefusedRequest> {
    Ok(json_response().content_type("application/json").body(DESCRIPTION))
}
