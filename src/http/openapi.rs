//! `GET /v1/openapi.json`: the description of the API, `docs/openapi.json`.
//! `tests/it/openapi.rs` compares it with the code.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};

use super::refused::RefusedRequest;

const DESCRIPTION: &str = include_str!("../../docs/openapi.json");

/// Responds with the description.
pub(super) async fn openapi() -> Result<HttpResponse, RefusedRequest> {
    let nosniff = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(HttpResponse::Ok().insert_header(nosniff).content_type("application/json").body(DESCRIPTION))
}
