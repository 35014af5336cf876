//! The languages of the pages, and their texts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::button::{Button, LinkLabel};
use crate::refusal::Reason;

/// A language that every page is available in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// English, the default.
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
}

/// The texts of one language.
#[derive(Debug, Deserialize)]
pub struct Texts {
    words: PageLabels,
    denied_sign_in: RefusalTexts,
    #[serde(flatten)]
    refusals: BTreeMap<String, RefusalTexts>,
}

/// Labels that all pages share; `words` in templates.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PageLabels {
    sign_in: String,
    go_to_app: String,
    other_account: String,
    try_again: String,
    reason: String,
    request_id: String,
    copy: String,
    copied: String,
    marketplace: String,
    signed_in: String,
    signed_in_advice: String,
    signed_out: String,
    signed_out_advice: String,
    go_on: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalTexts {
    title: String,
    advice: String,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 4] = [Self::English, Self::German, Self::French, Self::Spanish];

    /// The language of a tag (RFC 5646), ignoring the region; `None` if unsupported.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or(tag);
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// The tag, for `lang`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../templates/texts/en.toml"),
            Self::German => include_str!("../../templates/texts/de.toml"),
            Self::French => include_str!("../../templates/texts/fr.toml"),
            Self::Spanish => include_str!("../../templates/texts/es.toml"),
        }
    }
}

impl Texts {
    /// The texts of a language.
    pub fn of(language: Language) -> Result<Self, toml::de::Error> {
        toml::from_str(language.source())
    }

    /// Labels that all pages share.
    pub const fn labels(&self) -> &PageLabels {
        &self.words
    }

    /// The label of a button.
    pub fn label(&self, button: &Button) -> &str {
        match button {
            Button::Link { label: LinkLabel::SignIn, .. } => &self.words.sign_in,
            Button::Link { label: LinkLabel::OtherAccount, .. } => &self.words.other_account,
            Button::Link { label: LinkLabel::App, .. } => &self.words.go_to_app,
            Button::TryAgain => &self.words.try_again,
        }
    }

    /// The title of a refusal for users, and what they can do. If a sign-in was denied, the text
    /// mentions that the user may have cancelled it.
    pub fn of_refusal(&self, reason: Reason, is_about_sign_in: bool) -> (&str, &str) {
        let texts = if is_about_sign_in && reason == Reason::NotAllowed {
            Some(&self.denied_sign_in)
        } else {
            self.refusals.get(reason.code())
        };
        texts.map_or((reason.title(), ""), |texts| (&texts.title, &texts.advice))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    #[test]
    fn every_language_has_exactly_the_texts_of_all_reasons() {
        let codes: BTreeSet<&str> = Reason::ALL.into_iter().map(Reason::code).collect();
        for language in Language::ALL {
            let texts = Texts::of(language).unwrap();
            assert!(texts.refusals.keys().map(String::as_str).eq(codes.iter().copied()), "{language:?}");
        }
    }

    #[rstest]
    #[case("de", Some(Language::German))]
    #[case("DE-at", Some(Language::German))]
    #[case("fr-CA", Some(Language::French))]
    #[case("den", None)]
    #[case("", None)]
    fn a_tag_selects_a_language(#[case] tag: &str, #[case] language: Option<Language>) {
        assert_eq!(Language::of_tag(tag), language);
    }
}
