//! What a person sees: typed contexts for `templates/`, in four languages,
//! compiled and tried out at the start. An operator may exchange any template.

mod brand;
mod language;

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use uuid::Uuid;

pub use brand::{BadLogo, Brand, Color, Logo};
pub use language::Language;
use language::{Texts, Words};

use crate::refusal::Reason;

/// All pages.
#[derive(Debug, Default)]
pub struct Pages {
    templates: Environment<'static>,
    texts: BTreeMap<Language, Texts>,
    brand: Brand,
}

/// A page that says why somebody is not sent on.
#[derive(Clone, Debug)]
pub struct RefusalPage<'a> {
    /// Why.
    pub reason: Reason,
    /// The request's id, to copy.
    pub request_id: Uuid,
    /// Whether signing in is what helps.
    pub is_about_sign_in: bool,
    /// Whether the same may go well in a moment.
    pub is_worth_another_try: bool,
    /// Where people sign in, on a page that is about that.
    pub login_url: Option<&'a str>,
    /// The origins to tell of a lost login.
    pub message_targets: Vec<String>,
}

/// A page that holds the marketplace's frame.
#[derive(Clone, Debug)]
pub struct EmbedPage<'a> {
    /// The path of the entrance.
    pub entrance: &'a str,
    /// What else the frame's element is told, as attributes.
    pub attributes: Vec<(&'static str, String)>,
}

/// A template is broken.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// There is no page that it would be a template of.
    #[error("there is no template of that name; there are {}", NAMES.join(", "))]
    UnknownName,
    /// It cannot be compiled, or names what is not there.
    #[error("{}", describe(.0))]
    Template(#[from] minijinja::Error),
    /// Our own texts cannot be read.
    #[error("the texts of a language cannot be read: {0}")]
    Texts(#[from] toml::de::Error),
}

const REFUSAL: &str = "refusal.html";
const EMBED: &str = "embed.html";

/// The templates that there are.
pub const NAMES: [&str; 3] = ["base.html", REFUSAL, EMBED];

const BUILT_IN: [&str; 3] = [
    include_str!("../../templates/base.html"),
    include_str!("../../templates/refusal.html"),
    include_str!("../../templates/embed.html"),
];

/// What every template knows.
#[derive(Serialize)]
struct Context<'a, P: Serialize> {
    /// The tag of the language.
    lang: &'static str,
    brand: &'a Brand,
    words: &'a Words,
    /// What lets this page's style and script run, and no other.
    nonce: &'a str,
    #[serde(flatten)]
    page: P,
}

/// What the template of a refusal knows.
#[derive(Serialize)]
struct Refusal<'a> {
    /// The stable code.
    reason: &'static str,
    /// What happened, as a heading.
    title: &'a str,
    /// What the person can do.
    advice: &'a str,
    request_id: Uuid,
    is_about_sign_in: bool,
    is_worth_another_try: bool,
    login_url: Option<&'a str>,
    message_targets: &'a [String],
}

/// What the template of the frame's page knows.
#[derive(Serialize)]
struct Embed<'a> {
    entrance: &'a str,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'static str,
    value: &'a str,
}

impl Pages {
    /// Our own pages.
    pub fn built_in() -> Result<Self, PageError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        for (name, text) in NAMES.into_iter().zip(BUILT_IN) {
            templates.add_template(name, text)?;
        }
        let texts = Language::ALL.into_iter().map(|language| Ok((language, Texts::of(language)?)));
        Ok(Self { templates, texts: texts.collect::<Result<_, PageError>>()?, brand: Brand::default() })
    }

    /// The same with the operator's name, colour and logo.
    #[must_use]
    pub fn branded(self, brand: Brand) -> Self {
        Self { brand, ..self }
    }

    /// Exchanges a template.
    pub fn exchange(&mut self, name: &str, text: String) -> Result<(), PageError> {
        let known = NAMES.into_iter().find(|known| *known == name).ok_or(PageError::UnknownName)?;
        Ok(self.templates.add_template_owned(known, text)?)
    }

    /// Makes every page once, in every language, so that a template which names
    /// what is not there is found before somebody needs it.
    pub fn try_out(&self) -> Result<(), PageError> {
        for language in Language::ALL {
            for reason in Reason::ALL {
                for (is_about_sign_in, login_url) in
                    [(false, None), (true, None), (true, Some("https://app.example.com/login"))]
                {
                    let page = RefusalPage {
                        reason,
                        request_id: Uuid::nil(),
                        is_about_sign_in,
                        is_worth_another_try: !is_about_sign_in,
                        login_url,
                        message_targets: login_url.iter().map(|_| "https://app.example.com".into()).collect(),
                    };
                    self.refusal(&page, language, "nonce")?;
                }
            }
            for attributes in [Vec::new(), vec![("integration-id", "1121".to_owned())]] {
                self.embed(&EmbedPage { entrance: "/pandium-sso", attributes }, language, "nonce")?;
            }
        }
        Ok(())
    }

    /// Writes a refusal's page.
    pub fn refusal(
        &self,
        page: &RefusalPage<'_>,
        language: Language,
        nonce: &str,
    ) -> Result<String, PageError> {
        let texts = self.texts.get(&language);
        self.write(
            REFUSAL,
            language,
            nonce,
            Refusal {
                reason: page.reason.code(),
                title: texts.map_or(page.reason.title(), |texts| texts.title(page.reason)),
                advice: texts.map_or("", |texts| texts.advice(page.reason)),
                request_id: page.request_id,
                is_about_sign_in: page.is_about_sign_in,
                is_worth_another_try: page.is_worth_another_try,
                login_url: page.login_url,
                message_targets: &page.message_targets,
            },
        )
    }

    /// Writes the page that holds the frame.
    pub fn embed(&self, page: &EmbedPage<'_>, language: Language, nonce: &str) -> Result<String, PageError> {
        let attributes = page.attributes.iter().map(|(name, value)| Attribute { name, value }).collect();
        self.write(EMBED, language, nonce, Embed { entrance: page.entrance, attributes })
    }

    fn write(
        &self,
        name: &str,
        language: Language,
        nonce: &str,
        page: impl Serialize,
    ) -> Result<String, PageError> {
        let Some(texts) = self.texts.get(&language) else { return Ok(String::new()) };
        let (lang, words) = (language.tag(), texts.words());
        let context = Context { lang, brand: &self.brand, words, nonce, page };
        Ok(self.templates.get_template(name)?.render(context)?)
    }
}

/// What is wrong with a template, and where.
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
    fn our_own_pages_can_be_made() {
        Pages::built_in().unwrap().try_out().unwrap();
    }

    #[test]
    fn a_template_that_names_what_is_not_there_is_found() {
        let mut pages = Pages::built_in().unwrap();
        pages.exchange("refusal.html", "<h1>{{ titel }}</h1>".to_owned()).unwrap();
        let error = pages.try_out().unwrap_err().to_string();
        assert!(error.contains("refusal.html, line 1"), "{error}");
        assert!(matches!(pages.exchange("error.html", String::new()), Err(PageError::UnknownName)));
    }

    #[test]
    fn what_stands_on_a_page_is_escaped() {
        let pages = Pages::built_in().unwrap();
        let attributes = vec![("params", "a=\"><script>".to_owned())];
        let page = pages.embed(&EmbedPage { entrance: "/x", attributes }, Language::French, "n").unwrap();
        assert!(page.contains("params=\"a=&quot;&gt;&lt;script&gt;\""), "{page}");
        assert!(page.contains("<html lang=\"fr\">"), "{page}");
    }
}
