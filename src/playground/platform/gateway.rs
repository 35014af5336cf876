//! A minimal Merchant Center gateway: signs an exchange token for the user, forwards
//! the request to the URL in `X-Forward-To`, and returns the response.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::kind::TokenRequest;
use super::state::{FrontEnd, internal_error};
use crate::clock::Timestamp;
use crate::playground::origin_guard::cross_site_response;
use crate::playground::people::PEOPLE;
use crate::playground::reverse_proxy::{ProxyError, to_client_response};

/// The path of the gateway.
pub const PATH: &str = "/proxy/forward-to";

/// The request field with the target URL.
const FORWARD_TO: &str = "X-Forward-To";

/// The request field with the project key.
const PROJECT_KEY: &str = "X-Project-Key";

/// The response field with the signed token, for display. The real gateway does not reveal it.
const SIGNED_TOKEN: HeaderName = HeaderName::from_static("x-stand-in-token");

/// Forwards a request from a page.
pub async fn forward(front_end: web::Data<FrontEnd>, request: HttpRequest) -> HttpResponse {
    let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    // a cross-origin page cannot send this field: its CORS preflight fails
    let Some(url) = field(FORWARD_TO) else { return cross_site_response() };
    if url != front_end.entrance {
        return HttpResponse::BadRequest()
            .body("This application may forward requests only to its own service.\n");
    }
    let person = PEOPLE.iter().find(|person| Some(person.project_key) == field(PROJECT_KEY));
    let Some(person) = person else {
        return HttpResponse::BadRequest().body("There is no such project.\n");
    };
    let now_s = Timestamp::now().unix_seconds();
    let token = match front_end.issuer.token(&TokenRequest { person, is_authorized: true, url, now_s }) {
        Ok(token) => token,
        Err(error) => return internal_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    };
    let outgoing = front_end
        .client
        .get(url)
        .header("Accept", "application/json")
        .header("Authorization", format!("Bearer {token}"))
        .header("X-MC-API-Cloud-Identifier", "playground")
        .header("X-MC-API-Forward-To-Version", "v2");
    let response = match outgoing.send().await.map_err(ProxyError::from_reqwest) {
        Ok(response) => to_client_response(response).await,
        Err(error) => Err(error),
    };
    match (response, HeaderValue::from_str(&token)) {
        (Ok(mut response), Ok(token)) => {
            response.headers_mut().insert(SIGNED_TOKEN, token);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        (Ok(response), Err(_)) => response,
        (Err(error), _) => internal_error(error.status(), &error.into()),
    }
}
