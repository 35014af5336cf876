//! What every server of the playground holds to: it answers under one name, and
//! only its own pages change something.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

/// Where browsers find a server, such as `http://127.0.0.1:8088`.
pub struct OwnOrigin(pub String);

/// Answers under one name only: a page's origin is then the one that the
/// service, the marketplace and the `Origin` checks were told, and a foreign
/// name that resolves to this machine gets nothing.
pub async fn one_name_only(
    own: web::Data<OwnOrigin>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let OwnOrigin(origin) = own.get_ref();
    let mut hosts = request.headers().get_all(header::HOST);
    let host = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok());
    if host.is_some() && host == origin.strip_prefix("http://") {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let answer = if request.method().is_safe() {
        HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, format!("{origin}/"))).finish()
    } else {
        HttpResponse::MisdirectedRequest().finish()
    };
    Ok(request.into_response(answer))
}

/// Whether a request that changes something comes from a page of that origin.
pub fn comes_from(origin: &str, headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|sent| sent.as_bytes() == origin.as_bytes())
}

/// The answer to one that does not.
pub fn cross_site_response() -> HttpResponse {
    HttpResponse::Forbidden().body("This form was sent from another site.\n")
}
