//! The playground's templates, and responses rendered from them. The templates'
//! contexts are in [`super::views`].

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use uuid::Uuid;

use super::views::NotFoundPage;

/// The compiled templates.
pub struct Pages {
    templates: Environment<'static>,
}

/// The parts of the Content-Security-Policy that differ between pages.
pub struct ContentSecurityPolicy<'a> {
    /// The nonce of the page's style and script elements.
    pub nonce: &'a str,
    /// A source for `connect-src` in addition to `'self'`.
    pub connect_src: Option<&'a str>,
    /// A source for `frame-src` in addition to `'self'`; `None` forbids frames.
    pub frame_src: Option<&'a str>,
    /// The source for `frame-ancestors`: `'none'` or an origin.
    pub frame_ancestors: &'a str,
    /// Whether the response to a form redirects to other origins. `form-action` is left out then,
    /// because it would apply to the redirects.
    pub redirects_forms: bool,
}

impl<'a> ContentSecurityPolicy<'a> {
    /// The policy of a page that has no frames, is not framed, and sends requests only to its own
    /// origin.
    pub const fn alone(nonce: &'a str) -> Self {
        Self { nonce, connect_src: None, frame_src: None, frame_ancestors: "'none'", redirects_forms: false }
    }
}

impl Pages {
    /// Compiles all templates.
    pub fn compile() -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            templates.add_template(name, source)?;
        }
        Ok(Self { templates })
    }

    /// Renders a template; values are escaped because template names end in `.html`.
    pub fn render(&self, template: &str, values: &impl Serialize) -> Result<String, minijinja::Error> {
        self.templates.get_template(template)?.render(values)
    }

    /// Responds to a request for an unknown address.
    pub fn not_found(&self) -> HttpResponse {
        let nonce = nonce();
        let policy = ContentSecurityPolicy::alone(&nonce);
        self.respond(StatusCode::NOT_FOUND, &policy, "not_found.html", &NotFoundPage { nonce: &nonce })
    }

    /// Responds with a rendered template.
    pub fn respond(
        &self,
        status: StatusCode,
        policy: &ContentSecurityPolicy<'_>,
        template: &'static str,
        values: &impl Serialize,
    ) -> HttpResponse {
        match self.render(template, values) {
            Ok(body) => HttpResponse::build(status)
                .content_type(ContentType::html())
                .insert_header((header::CONTENT_SECURITY_POLICY, policy.to_header()))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                // `no-referrer` would make the `Origin` of the page's own forms `null`.
                .insert_header((header::REFERRER_POLICY, "same-origin"))
                .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .body(body),
            Err(error) => {
                tracing::error!(template, %error, "cannot render a playground page");
                HttpResponse::InternalServerError().body("This page could not be shown.\n")
            }
        }
    }
}

impl ContentSecurityPolicy<'_> {
    fn to_header(&self) -> String {
        let nonce = self.nonce;
        let connect_src = self.connect_src.unwrap_or_default();
        let frame_src =
            self.frame_src.map(|source| format!("frame-src 'self' {source}; ")).unwrap_or_default();
        let form_action = if self.redirects_forms { "" } else { "form-action 'self'; " };
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; \
             connect-src 'self' {connect_src}; {form_action}base-uri 'none'; {frame_src}frame-ancestors {}",
            self.frame_ancestors
        )
    }
}

/// A new nonce, for one response.
pub fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Styles and scripts contain no values, so no escaping applies to them.
const TEMPLATES: [(&str, &str); 31] = [
    ("page.html", include_str!("../../templates/playground/page.html")),
    ("shell.html", include_str!("../../templates/playground/shell.html")),
    ("parts.html", include_str!("../../templates/playground/parts.html")),
    ("provider_login.html", include_str!("../../templates/playground/provider_login.html")),
    ("tokens.css", include_str!("../../templates/playground/tokens.css")),
    ("icons.html", include_str!("../../templates/playground/icons.html")),
    ("frame.js", include_str!("../../templates/playground/frame.js")),
    ("sample.css", include_str!("../../templates/playground/sample.css")),
    ("sample.js", include_str!("../../templates/playground/sample.js")),
    ("story.css", include_str!("../../templates/playground/story.css")),
    ("story.js", include_str!("../../templates/playground/story.js")),
    ("signed_in.html", include_str!("../../templates/playground/signed_in.html")),
    ("other_site.html", include_str!("../../templates/playground/other_site.html")),
    ("not_found.html", include_str!("../../templates/playground/not_found.html")),
    ("sample_login.html", include_str!("../../templates/playground/sample_login.html")),
    ("sample_app.html", include_str!("../../templates/playground/sample_app.html")),
    ("platform.css", include_str!("../../templates/playground/platform.css")),
    ("platform.js", include_str!("../../templates/playground/platform.js")),
    ("platform.html", include_str!("../../templates/playground/platform.html")),
    ("openid_app.js", include_str!("../../templates/playground/openid_app.js")),
    ("openid_app.html", include_str!("../../templates/playground/openid_app.html")),
    ("mstudio_app.js", include_str!("../../templates/playground/mstudio_app.js")),
    ("mstudio_app.html", include_str!("../../templates/playground/mstudio_app.html")),
    ("market.css", include_str!("../../templates/playground/market.css")),
    ("market.js", include_str!("../../templates/playground/market.js")),
    ("market_layout.html", include_str!("../../templates/playground/market_layout.html")),
    ("market_list.html", include_str!("../../templates/playground/market_list.html")),
    ("market_settings.html", include_str!("../../templates/playground/market_settings.html")),
    ("market_tenants.html", include_str!("../../templates/playground/market_tenants.html")),
    ("market_install.html", include_str!("../../templates/playground/market_install.html")),
    ("market_refused.html", include_str!("../../templates/playground/market_refused.html")),
];
