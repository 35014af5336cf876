//! Cross-origin requests by scripts of allowed parents (Fetch Standard, 3.2).
//! `Access-Control-Allow-Origin` names one origin; it is never `*`.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::embed::Embed;

/// Seconds for which a browser may cache a preflight's response.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// Whether a request is a CORS preflight.
pub(super) fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets the script read the response, if its origin is allowed.
pub(super) fn allow_origin(response: &mut HttpResponseBuilder, headers: &HeaderMap, embed: &Embed) -> bool {
    response.insert_header((header::VARY, HeaderValue::from_static("Origin, Accept")));
    let mut origins = headers.get_all(header::ORIGIN);
    let Some(origin) = origins.next() else { return false };
    // no browser sends two origins, so neither is allowed
    let is_only = origins.next().is_none();
    let is_allowed = is_only && origin.to_str().is_ok_and(|origin| embed.allows_script(origin));
    if is_allowed {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        response
            .insert_header((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-Request-Id")));
    }
    is_allowed
}

/// Lets a script read a refusal, if any of several entrances allows its origin.
pub(super) fn allow_error_read<'a>(
    response: &mut HttpResponseBuilder,
    headers: &HeaderMap,
    mut embeds: impl Iterator<Item = &'a Embed>,
) {
    response.insert_header((header::VARY, HeaderValue::from_static("Origin, Accept")));
    let Some(origin) = headers.get(header::ORIGIN) else { return };
    if origin.to_str().is_ok_and(|origin| embeds.any(|embed| embed.allows_script(origin))) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
    }
}

/// Adds what the response to an allowed preflight permits: the method, and the header fields of a
/// script's credentials.
pub(super) fn allow_request(response: &mut HttpResponseBuilder, credentials: &[&str]) {
    let headers = [&["accept"], credentials].concat().join(", ");
    response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET")));
    response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers));
    response.insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S));
}
