//! A page of another origin that frames the app's entrance: the service refuses it, although
//! the user has a session.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::pages::{ContentSecurityPolicy, Pages, nonce};

/// The state of the other site.
pub struct OtherSite {
    pub pages: Pages,
    /// The app's origin, whose entrance this page frames. The app frames this page.
    pub app_origin: String,
    /// Its own origin.
    pub origin: String,
}

/// The context of the template of its page.
#[derive(Serialize)]
struct OtherSitePage<'a> {
    nonce: &'a str,
    app_origin: &'a str,
    origin: &'a str,
}

/// Registers the route; it needs a `web::Data<OtherSite>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.route("/", web::get().to(page));
}

async fn page(site: web::Data<OtherSite>) -> HttpResponse {
    let nonce = nonce();
    let policy = ContentSecurityPolicy {
        frame_src: Some(&site.app_origin),
        frame_ancestors: &site.app_origin,
        ..ContentSecurityPolicy::alone(&nonce)
    };
    let page = OtherSitePage { nonce: &nonce, app_origin: &site.app_origin, origin: &site.origin };
    site.pages.respond(StatusCode::OK, &policy, "other_site.html", &page)
}
