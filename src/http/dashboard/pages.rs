//! The dashboard's templates, and responses rendered from them. Values are escaped, because the
//! templates' names end in `.html`.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::super::context::RequestContext;
use super::super::refusal_response::nonce;
use super::super::refused::RefusedRequest;
use super::access::Viewer;
use super::view::number;

/// The request for a page, and who sees the page.
#[derive(Clone, Copy)]
pub(super) struct PageRequest<'a> {
    pub context: &'a RequestContext,
    pub viewer: &'a Viewer,
}

/// The entry of the navigation that is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Current {
    Overview,
    Events,
    Configuration,
    Token,
    Login,
}

/// A rendered page.
pub(super) struct Rendered {
    pub body: String,
    pub policy: HeaderValue,
}

/// The variables of every template.
#[derive(Serialize)]
struct Layout<'a, P: Serialize> {
    nonce: &'a str,
    brand: &'a str,
    version: &'static str,
    current: Current,
    /// Whether the navigation is shown.
    is_open: bool,
    /// The name of the session's API token.
    session: Option<&'a str>,
    #[serde(flatten)]
    page: P,
}

const TEMPLATES: [(&str, &str); 11] = [
    ("layout.html", include_str!("../../../templates/dashboard/layout.html")),
    ("style.css", include_str!("../../../templates/dashboard/style.css")),
    ("macros.html", include_str!("../../../templates/dashboard/macros.html")),
    ("plot.html", include_str!("../../../templates/dashboard/plot.html")),
    ("overview.html", include_str!("../../../templates/dashboard/overview.html")),
    ("events.html", include_str!("../../../templates/dashboard/events.html")),
    ("request.html", include_str!("../../../templates/dashboard/request.html")),
    ("configuration.html", include_str!("../../../templates/dashboard/configuration.html")),
    ("token.html", include_str!("../../../templates/dashboard/token.html")),
    ("token.js", include_str!("../../../templates/dashboard/token.js")),
    ("login.html", include_str!("../../../templates/dashboard/login.html")),
];

static COMPILED: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_filter("number", number);
    for (name, source) in TEMPLATES {
        templates.add_template(name, source)?;
    }
    Ok(templates)
});

impl PageRequest<'_> {
    /// Responds with a page.
    pub fn respond(
        self,
        status: StatusCode,
        current: Current,
        template: &'static str,
        page: impl Serialize,
    ) -> Result<HttpResponse, RefusedRequest> {
        Ok(render(self.context, Some(self.viewer), current, template, page)?.response(status))
    }
}

/// Renders a page.
pub(super) fn render(
    context: &RequestContext,
    viewer: Option<&Viewer>,
    current: Current,
    template: &'static str,
    page: impl Serialize,
) -> Result<Rendered, RefusedRequest> {
    let nonce = nonce();
    let session = match viewer {
        Some(Viewer::Token { name }) => Some(name.as_str()),
        Some(Viewer::Local) | None => None,
    };
    let layout = Layout {
        nonce: &nonce,
        brand: context.snapshot.pages.brand_name(),
        version: env!("CARGO_PKG_VERSION"),
        current,
        is_open: viewer.is_some(),
        session,
        page,
    };
    let failed = |error: &minijinja::Error| {
        tracing::error!(template, error = format!("{error:#}"), "a page could not be rendered");
        RefusedRequest::internal("a page could not be rendered; the log has the cause")
    };
    let templates = COMPILED.as_ref().map_err(failed)?;
    let rendered = templates.get_template(template).and_then(|template| template.render(layout));
    let policy = HeaderValue::try_from(format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ));
    let policy = policy
        .map_err(|_| RefusedRequest::internal("the page's policy is not a valid header field value"))?;
    Ok(Rendered { body: rendered.map_err(|error| failed(&error))?, policy })
}

impl Rendered {
    /// The page as a response.
    pub fn response(self, status: StatusCode) -> HttpResponse {
        let same_origin = HeaderValue::from_static("same-origin");
        HttpResponse::build(status)
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy))
            // `no-referrer` would make the `Origin` of the page's own forms `null`
            .insert_header((header::REFERRER_POLICY, same_origin.clone()))
            .insert_header((HeaderName::from_static("cross-origin-opener-policy"), same_origin.clone()))
            .insert_header((HeaderName::from_static("cross-origin-resource-policy"), same_origin))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
            .content_type("text/html; charset=utf-8")
            .body(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_compile() {
        assert!(COMPILED.is_ok(), "{:?}", COMPILED.as_ref().err());
    }
}
