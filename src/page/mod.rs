//! HTML pages: typed contexts for `templates/`, in four languages. Operators may replace
//! any template; all are rendered once at start to find errors.

mod brand;
mod button;
mod language;

use std::collections::BTreeMap;
use std::fmt;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use uuid::Uuid;

pub use brand::{BadLogo, Brand, Color, Logo};
pub use button::{Button, LinkLabel};
pub use language::Language;
use language::{PageLabels, Texts};

use crate::refusal::Reason;

/// All pages.
#[derive(Debug, Default)]
pub struct Pages {
    templates: Environment<'static>,
    texts: BTreeMap<Language, Texts>,
    brand: Brand,
}

/// A page that explains a refusal.
#[derive(Clone, Debug)]
pub struct RefusalPage {
    /// The reason.
    pub reason: Reason,
    /// The request's id.
    pub request_id: Uuid,
    /// Whether signing in may help.
    pub is_about_sign_in: bool,
    /// What the user can do on the page.
    pub button: Option<Button>,
    /// The origins to which the page posts a message about the refusal.
    pub message_targets: Vec<String>,
}

/// The page after a sign-in or a sign-out.
#[derive(Clone, Serialize)]
pub struct SignedInPage<'a> {
    /// Whether the user has signed in; otherwise the user has signed out.
    pub is_signed_in: bool,
    /// The URL of the link with which the user continues.
    pub continue_url: Option<&'a str>,
    /// The origins of openers to which this page posts a message.
    pub opener_targets: Vec<String>,
    /// A single-use address for the opener's frame.
    pub ticket: Option<&'a str>,
}

impl fmt::Debug for SignedInPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedInPage(hidden)")
    }
}

/// A page that embeds the marketplace in a frame.
#[derive(Clone, Debug)]
pub struct EmbedPage<'a> {
    /// The path of the entrance.
    pub entrance: &'a str,
    /// Further attributes of the custom element.
    pub attributes: Vec<(&'static str, String)>,
}

/// Why a template is rejected.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// No page uses a template of this name.
    #[error("there is no template of that name; the names are {}", NAMES.join(", "))]
    UnknownName,
    /// It cannot be compiled, or uses an undefined variable.
    #[error("{}", describe(.0))]
    Template(#[from] minijinja::Error),
    /// The built-in texts cannot be parsed.
    #[error("the texts of a language cannot be parsed: {0}")]
    Texts(#[from] toml::de::Error),
}

const NOTICE: &str = "notice.html";
const REFUSAL: &str = "refusal.html";
const EMBED: &str = "embed.html";
const PREVIEW: &str = "preview.html";
const SIGNED_IN: &str = "signed_in.html";

/// The names of all templates.
pub const NAMES: [&str; 6] = ["base.html", REFUSAL, EMBED, PREVIEW, SIGNED_IN, NOTICE];

const BUILT_IN: [&str; 6] = [
    include_str!("../../templates/base.html"),
    include_str!("../../templates/refusal.html"),
    include_str!("../../templates/embed.html"),
    include_str!("../../templates/preview.html"),
    include_str!("../../templates/signed_in.html"),
    include_str!("../../templates/notice.html"),
];

/// The variables of every template.
#[derive(Serialize)]
struct Variables<'a, P: Serialize> {
    /// The language tag.
    lang: &'static str,
    brand: &'a Brand,
    words: &'a PageLabels,
    /// The nonce of the page's Content Security Policy.
    nonce: &'a str,
    #[serde(flatten)]
    page: P,
}

/// The variables of the refusal page.
#[derive(Serialize)]
struct RefusalVariables<'a> {
    /// The stable code.
    reason: &'static str,
    /// The heading.
    title: &'a str,
    /// What the user can do.
    advice: &'a str,
    request_id: Uuid,
    is_about_sign_in: bool,
    /// The label of the button, if there is one.
    button_label: &'a str,
    is_worth_another_try: bool,
    /// The URL of the button's link; `None` if the button reloads the page.
    login_url: Option<&'a str>,
    popup_url: Option<&'a str>,
    message_targets: &'a [String],
}

/// The variables of the embedding page.
#[derive(Serialize)]
struct EmbedVariables<'a> {
    entrance: &'a str,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'static str,
    value: &'a str,
}

impl Pages {
    /// The built-in pages.
    pub fn built_in() -> Result<Self, PageError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        for (name, text) in NAMES.into_iter().zip(BUILT_IN) {
            templates.add_template(name, text)?;
        }
        let texts = Language::ALL.into_iter().map(|language| Ok((language, Texts::of(language)?)));
        Ok(Self { templates, texts: texts.collect::<Result<_, PageError>>()?, brand: Brand::default() })
    }

    /// Sets the operator's name, colour and logo.
    #[must_use]
    pub fn branded(self, brand: Brand) -> Self {
        Self { brand, ..self }
    }

    /// The operator's name, empty if not configured.
    pub fn brand_name(&self) -> &str {
        &self.brand.name
    }

    /// Replaces a template.
    pub fn replace_template(&mut self, name: &str, text: String) -> Result<(), PageError> {
        let known = NAMES.into_iter().find(|known| *known == name).ok_or(PageError::UnknownName)?;
        Ok(self.templates.add_template_owned(known, text)?)
    }

    /// Renders every page in every language to find errors in templates.
    pub fn render_all(&self) -> Result<(), PageError> {
        for language in Language::ALL {
            for reason in Reason::ALL {
                let url = || "https://app.example.com/login".to_owned();
                let link = |label, popup_url| Some(Button::Link { label, url: url(), popup_url });
                for (is_about_sign_in, button) in [
                    (false, None),
                    (false, Some(Button::TryAgain)),
                    (false, link(LinkLabel::OtherAccount, None)),
                    (true, None),
                    (true, link(LinkLabel::SignIn, Some(url()))),
                ] {
                    let message_targets = button.iter().map(|_| "https://app.example.com".into()).collect();
                    let request_id = Uuid::nil();
                    let page = RefusalPage { reason, request_id, is_about_sign_in, button, message_targets };
                    self.refusal(&page, language, "nonce")?;
                }
            }
            for attributes in [Vec::new(), vec![("integration-id", "1121".to_owned())]] {
                self.embed(&EmbedPage { entrance: "/pandium-sso", attributes }, language, "nonce")?;
            }
            for (is_signed_in, ticket) in
                [(true, None), (true, Some("https://sso.example.com/l/x")), (false, None)]
            {
                let page = SignedInPage {
                    is_signed_in,
                    continue_url: Some("/pandium-sso"),
                    opener_targets: ticket.iter().map(|_| "https://app.example.com".into()).collect(),
                    ticket,
                };
                self.signed_in(&page, language, "nonce")?;
            }
            self.preview(language, "nonce")?;
        }
        Ok(())
    }

    /// Renders a refusal page.
    pub fn refusal(&self, page: &RefusalPage, language: Language, nonce: &str) -> Result<String, PageError> {
        let texts = self.texts.get(&language);
        let (title, advice) = texts
            .map_or((page.reason.title(), ""), |texts| texts.of_refusal(page.reason, page.is_about_sign_in));
        let (login_url, popup_url) = match &page.button {
            Some(Button::Link { url, popup_url, .. }) => (Some(url.as_str()), popup_url.as_deref()),
            Some(Button::TryAgain) | None => (None, None),
        };
        self.render(
            REFUSAL,
            language,
            nonce,
            RefusalVariables {
                reason: page.reason.code(),
                title,
                advice,
                request_id: page.request_id,
                is_about_sign_in: page.is_about_sign_in,
                button_label: texts
                    .zip(page.button.as_ref())
                    .map_or("", |(texts, button)| texts.label(button)),
                is_worth_another_try: matches!(page.button, Some(Button::TryAgain)),
                login_url,
                popup_url,
                message_targets: &page.message_targets,
            },
        )
    }

    /// Renders the embedding page.
    pub fn embed(&self, page: &EmbedPage<'_>, language: Language, nonce: &str) -> Result<String, PageError> {
        let attributes = page.attributes.iter().map(|(name, value)| Attribute { name, value }).collect();
        self.render(EMBED, language, nonce, EmbedVariables { entrance: page.entrance, attributes })
    }

    /// Renders the page after a sign-in or a sign-out.
    pub fn signed_in(
        &self,
        page: &SignedInPage<'_>,
        language: Language,
        nonce: &str,
    ) -> Result<String, PageError> {
        self.render(SIGNED_IN, language, nonce, page)
    }

    /// Renders the page for programs that preview a link. It contains nothing about the link.
    pub fn preview(&self, language: Language, nonce: &str) -> Result<String, PageError> {
        self.render(PREVIEW, language, nonce, ())
    }

    fn render(
        &self,
        name: &str,
        language: Language,
        nonce: &str,
        page: impl Serialize,
    ) -> Result<String, PageError> {
        let Some(texts) = self.texts.get(&language) else { return Ok(String::new()) };
        let (lang, words) = (language.tag(), texts.labels());
        let context = Variables { lang, brand: &self.brand, words, nonce, page };
        Ok(self.templates.get_template(name)?.render(context)?)
    }
}

/// A template error with its position.
fn describe(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{what} ({name}, line {line})"),
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pages_render() {
        Pages::built_in().unwrap().render_all().unwrap();
    }

    #[test]
    fn an_undefined_template_variable_is_reported() {
        let mut pages = Pages::built_in().unwrap();
        pages.replace_template("refusal.html", "<h1>{{ titel }}</h1>".to_owned()).unwrap();
        let error = pages.render_all().unwrap_err().to_string();
        assert!(error.contains("refusal.html, line 1"), "{error}");
        assert!(matches!(pages.replace_template("error.html", String::new()), Err(PageError::UnknownName)));
    }

    #[test]
    fn values_on_pages_are_escaped() {
        let pages = Pages::built_in().unwrap();
        let attributes = vec![("params", "a=\"><script>".to_owned())];
        let page = pages.embed(&EmbedPage { entrance: "/x", attributes }, Language::French, "n").unwrap();
        assert!(page.contains("params=\"a=&quot;&gt;&lt;script&gt;\""), "{page}");
        assert!(page.contains("<html lang=\"fr\">"), "{page}");
    }
}
