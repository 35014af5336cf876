//! The token explainer. It runs in the browser: a pasted token is neither sent nor stored.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::super::refused::RefusedRequest;
use super::pages::{Current, PageRequest};
use crate::pandium::known_rules::meaning;

#[derive(Serialize)]
struct Explainer {
    /// Path and meaning.
    claims: Vec<(&'static str, &'static str)>,
}

/// Registered claims (RFC 7519, 4.1) in tokens of issuers.
const REGISTERED: [(&str, &str); 3] = [
    ("iss", "who issued the token; compared with the configured issuer"),
    ("aud", "the audience of the token; compared with the configured audience"),
    ("nbf", "before this time the token is not valid"),
];

/// Claims that Pandium documents.
const CLAIMS: [&str; 18] = [
    "iat",
    "exp",
    "jti",
    "sub",
    "external_id",
    "meta",
    "ti",
    "ti.udn",
    "ti.ufn",
    "ti.uem",
    "ti.ili",
    "ti.aid",
    "ti.adn",
    "ti.xti",
    "ti.xti.hidden_integrations",
    "ti.xti.user_group",
    "ti.xti.user_tier",
    "ti.xti.allowed_installs",
];

/// The page.
pub(super) fn page(page_request: PageRequest<'_>) -> Result<HttpResponse, RefusedRequest> {
    let documented = CLAIMS.into_iter().filter_map(|path| Some((path, meaning(path)?)));
    let claims = REGISTERED.into_iter().chain(documented).collect();
    page_request.respond(StatusCode::OK, Current::Token, "token.html", Explainer { claims })
}
