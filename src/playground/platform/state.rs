//! The state of the platform's front end, which its page and its gateway share.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::issuer::Issuer;
use super::kind::Kind;
use crate::playground::pages::Pages;

/// The state of the front end.
pub struct FrontEnd {
    pub kind: &'static Kind,
    pub pages: Pages,
    /// Signs its tokens.
    pub issuer: Issuer,
    /// The HTTP client of the gateway.
    pub client: reqwest::Client,
    /// The front end's origin.
    pub origin: String,
    /// The service's origin.
    pub service_origin: String,
    /// The URL of the service's entrance.
    pub entrance: String,
    /// The marketplace's origin.
    pub marketplace_origin: String,
    /// The service's configuration, with secrets redacted.
    pub config: String,
}

/// The response to a failure of the playground itself.
pub fn internal_error(status: StatusCode, error: &anyhow::Error) -> HttpResponse {
    tracing::warn!(%error, "the stand-in platform failed");
    HttpResponse::build(status).body(format!("The stand-in platform failed: {error}.\n"))
}
