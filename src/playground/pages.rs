//! The playground's templates, compiled at the start, and the answers made of
//! them. What each page needs is in [`super::views`]; nothing here decides what
//! is shown.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use uuid::Uuid;

/// The templates.
pub struct Pages {
    templates: Environment<'static>,
}

/// Something that fills a template.
pub trait Page: Serialize {
    /// The template it fills.
    const TEMPLATE: &'static str;
}

/// What the browser may do with a page.
pub struct Policy<'a> {
    /// The one word that makes the page's own style and script count.
    pub nonce: &'a str,
    /// A source beside the page's own origin that its scripts may ask, if there is one.
    pub asks: Option<&'a str>,
    /// Sources beside the page's own origin that it may frame, if it frames any.
    pub frames: Option<&'a str>,
    /// Who may frame the page: `'none'` or an origin.
    pub framed_by: &'a str,
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

    /// Fills a page; its text is escaped, since its template's name ends in `.html`.
    pub fn render<P: Page>(&self, page: &P) -> Result<String, minijinja::Error> {
        self.templates.get_template(P::TEMPLATE)?.render(page)
    }

    /// Fills a page and answers with it.
    pub fn answer<P: Page>(&self, status: StatusCode, policy: &Policy<'_>, page: &P) -> HttpResponse {
        match self.render(page) {
            Ok(body) => HttpResponse::build(status)
                .content_type(ContentType::html())
                .insert_header((header::CONTENT_SECURITY_POLICY, policy.to_header()))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                // The page's own forms need an `Origin`, which `no-referrer` would make `null`.
                .insert_header((header::REFERRER_POLICY, "same-origin"))
                .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .body(body),
            Err(error) => {
                tracing::error!(template = P::TEMPLATE, %error, "a playground page could not be filled");
                HttpResponse::InternalServerError().body("This page could not be shown.\n")
            }
        }
    }
}

impl Policy<'_> {
    fn to_header(&self) -> String {
        let nonce = self.nonce;
        let asks = self.asks.unwrap_or_default();
        let frames = self.frames.map(|frames| format!("frame-src 'self' {frames}; ")).unwrap_or_default();
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; \
             connect-src 'self' {asks}; form-action 'self'; base-uri 'none'; {frames}frame-ancestors {}",
            self.framed_by
        )
    }
}

/// A nonce for one answer.
pub fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Styles and scripts hold no values, so that their names do not matter for escaping.
const TEMPLATES: [(&str, &str); 18] = [
    ("tokens.css", include_str!("../../templates/playground/tokens.css")),
    ("icons.html", include_str!("../../templates/playground/icons.html")),
    ("frame.js", include_str!("../../templates/playground/frame.js")),
    ("sample.css", include_str!("../../templates/playground/sample.css")),
    ("sample.js", include_str!("../../templates/playground/sample.js")),
    ("sample_login.html", include_str!("../../templates/playground/sample_login.html")),
    ("sample_app.html", include_str!("../../templates/playground/sample_app.html")),
    ("platform.css", include_str!("../../templates/playground/platform.css")),
    ("platform.js", include_str!("../../templates/playground/platform.js")),
    ("platform.html", include_str!("../../templates/playground/platform.html")),
    ("market.css", include_str!("../../templates/playground/market.css")),
    ("market.js", include_str!("../../templates/playground/market.js")),
    ("market_layout.html", include_str!("../../templates/playground/market_layout.html")),
    ("market_list.html", include_str!("../../templates/playground/market_list.html")),
    ("market_settings.html", include_str!("../../templates/playground/market_settings.html")),
    ("market_tenants.html", include_str!("../../templates/playground/market_tenants.html")),
    ("market_install.html", include_str!("../../templates/playground/market_install.html")),
    ("market_refused.html", include_str!("../../templates/playground/market_refused.html")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playground::views::{Frame, RefusedPage};

    #[test]
    fn what_a_token_says_cannot_become_markup() {
        let page = RefusedPage {
            frame: Frame { nonce: "n", app_origin: "http://127.0.0.1:1" },
            token: None,
            home: None,
            title: "<b>".into(),
            because: "\"><script>alert(1)</script>".into(),
            advice: "",
            mild: false,
        };
        let body = Pages::compile().unwrap().render(&page).unwrap();
        assert!(!body.contains("<b>") && !body.contains("<script>alert"));
        assert!(body.contains("<svg"), "pictures are markup");
    }
}
