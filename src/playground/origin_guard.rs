//! Host and origin checks of every playground server: against DNS rebinding and
//! cross-site requests.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

/// The origin of a server, such as `http://127.0.0.1:8088`.
pub struct OwnOrigin(pub String);

/// Middleware that accepts only the `Host` of the server's own origin. This
/// prevents DNS rebinding, and every page has the origin that the service, the
/// marketplace and the `Origin` checks are configured with. Other hosts are
/// redirected, or get 421 if the method is not safe.
pub async fn require_own_host(
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
    let response = if request.method().is_safe() {
        HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, format!("{origin}/"))).finish()
    } else {
        HttpResponse::MisdirectedRequest().finish()
    };
    Ok(request.into_response(response))
}

/// Whether the `Origin` of a request is this one.
pub fn is_from_origin(origin: &str, headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|sent| sent.as_bytes() == origin.as_bytes())
}

/// The response to a cross-site request.
pub fn cross_site_response() -> HttpResponse {
    HttpResponse::Forbidden().body("This form was sent from another site.\n")
}
