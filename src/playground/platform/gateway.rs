//! The gateway of the Merchant Center in small: signs an exchange token for the
//! person who is logged in, forwards the request to the address that the page
//! names, and passes the answer back.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::issuer_preset::{IssuerPreset, internal_error};
use super::tokens::Wanted;
use crate::clock::Timestamp;
use crate::playground::origin_guard::cross_site_response;
use crate::playground::people::PEOPLE;
use crate::playground::reverse_proxy::{NotPassed, passed_back};

/// Where pages ask it.
pub const PATH: &str = "/proxy/forward-to";

/// The header by which a page names the address; the gateway's own.
const FORWARD_TO: &str = "X-Forward-To";

/// The header by which a page names the project.
const PROJECT_KEY: &str = "X-Project-Key";

/// Shows the page what was signed. The gateway keeps that to itself.
const SHOWN_TOKEN: HeaderName = HeaderName::from_static("x-stand-in-token");

/// Forwards a request of a page.
pub async fn forward(front: web::Data<IssuerPreset>, request: HttpRequest) -> HttpResponse {
    let said = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    // a page from elsewhere cannot send this header: its browser would ask first, and hear nothing
    let Some(address) = said(FORWARD_TO) else { return cross_site_response() };
    if address != front.entrance {
        return HttpResponse::BadRequest().body("This application may forward to its own service alone.\n");
    }
    let person = PEOPLE.iter().find(|person| Some(person.project_key) == said(PROJECT_KEY));
    let Some(person) = person else {
        return HttpResponse::BadRequest().body("There is no such project.\n");
    };
    let now_s = Timestamp::now().unix_seconds();
    let token = match front.issuer.token(&Wanted { person, is_authorized: true, address, now_s }) {
        Ok(token) => token,
        Err(error) => return internal_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    };
    let outgoing = front
        .client
        .get(address)
        .header("Accept", "application/json")
        .header("Authorization", format!("Bearer {token}"))
        .header("X-MC-API-Cloud-Identifier", "playground")
        .header("X-MC-API-Forward-To-Version", "v2");
    let answer = match outgoing.send().await.map_err(NotPassed::from_client) {
        Ok(answer) => passed_back(answer).await,
        Err(error) => Err(error),
    };
    match (answer, HeaderValue::from_str(&token)) {
        (Ok(mut answer), Ok(token)) => {
            answer.headers_mut().insert(SHOWN_TOKEN, token);
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        (Ok(answer), Err(_)) => answer,
        (Err(error), _) => internal_error(error.status(), &error.into()),
    }
}
