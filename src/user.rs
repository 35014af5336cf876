//! The authenticated user and the types of its fields.
//!
//! Each value is parsed once, on input, and not checked again. Independent of headers
//! and tokens.

mod token_claims;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use token_claims::TokenClaims;

/// An authenticated user. Fields that the authenticator does not provide are empty, and undefined
/// in expressions: a null could become the string `none`, which all users without a value would
/// share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The user's id at the identity provider, if it is not the e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Identifier>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
    /// The login name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Identifier>,
    /// The user's groups or roles.
    pub groups: Vec<Label>,
    /// The customer to which the user belongs.
    pub organization: Organization,
    /// Further values from the authenticator.
    pub attributes: BTreeMap<String, Value>,
    /// The verified claims, if a token was the credential; otherwise empty.
    pub token: TokenClaims,
    /// The credentials of the user, for audit events.
    #[serde(skip)]
    pub credentials: Credentials,
}

/// The credentials that authenticated a user: issuer and key, if they were a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `iss` of the token.
    pub issuer: Option<String>,
    /// `kid` of the token.
    pub key_id: Option<String>,
    /// Whether a session authenticated the user, and its cookie has to be set again.
    pub renews_session: bool,
}

/// The customer to which a user belongs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Identifier>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
}

/// An e-mail address: one `@` between a local part and a domain, no white space, no
/// invisible characters, at most 254 characters (RFC 5321, 4.5.3.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Email(String);

/// An id: not empty, no surrounding white space, no invisible characters, at most
/// [`MAX_TEXT`] characters, and no placeholder such as `null` ([`is_no_value`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identifier(String);

/// A display text: not empty, no invisible characters, at most [`MAX_TEXT`]
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label(String);

/// Why a value is rejected. Never quotes the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Empty, or white space only.
    #[error("it is empty")]
    Empty,
    /// A placeholder such as `null`.
    #[error("it is a placeholder for \"no value\"")]
    NoValue,
    /// Too long.
    #[error("it is longer than {0} characters")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// An invisible character ([`Label`], [`Identifier`]).
    #[error("it has a control character, a line break or another invisible character")]
    Invisible,
    /// Not one `@` between a local part and a domain.
    #[error("it is not an e-mail address: expected one '@' between a local part and a domain")]
    NotAnEmail,
}

/// The maximum length of an id, a name or a group, in characters.
pub const MAX_TEXT: usize = 1024;

/// The maximum length of an e-mail address, in characters (RFC 5321).
pub const MAX_EMAIL: usize = 254;

impl Email {
    /// Parses an e-mail address; surrounding white space is removed.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        let text = distinguishable(text, MAX_EMAIL)?;
        let (local, domain) = text.split_once('@').ok_or(BadText::NotAnEmail)?;
        let is_complete = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
        if !is_complete || text.chars().any(char::is_whitespace) {
            return Err(BadText::NotAnEmail);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain, after the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl Identifier {
    /// Parses an id; surrounding white space is removed.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        Self::parse_borrowed(text).map(|id| Self(id.to_owned()))
    }

    /// Like [`Self::parse`], but returns a slice of `text`.
    pub fn parse_borrowed(text: &str) -> Result<&str, BadText> {
        let text = distinguishable(text, MAX_TEXT)?;
        if is_no_value(text) { Err(BadText::NoValue) } else { Ok(text) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Label {
    /// Parses a display text; surrounding white space is removed.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        visible(text, MAX_TEXT).map(|text| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Deserializes a text with its parser, so that a stored user is parsed like a received one.
macro_rules! deserialize_by_parse {
    ($($text:ident),+) => {$(
        impl<'de> Deserialize<'de> for $text {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed($text::parse))
            }
        }
    )+};
}

deserialize_by_parse!(Email, Identifier, Label);

struct Parsed<T>(fn(&str) -> Result<T, BadText>);

impl<T> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

/// Whether a value is a placeholder that programs write for "no value". It is never an
/// id: all users without an id would share it.
pub fn is_no_value(text: &str) -> bool {
    const PLACEHOLDERS: [&str; 5] = ["", "-", "null", "(null)", "undefined"];
    PLACEHOLDERS.iter().any(|placeholder| text.eq_ignore_ascii_case(placeholder))
}

/// Trims a text; an error if it has invisible characters.
fn visible(text: &str, max: usize) -> Result<&str, BadText> {
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return Err(BadText::Empty);
    }
    if text.len() > max && text.chars().count() > max {
        return Err(BadText::TooLong(max));
    }
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !plain && text.chars().any(is_invisible) {
        return Err(BadText::Invisible);
    }
    Ok(text)
}

/// Like [`visible`], but also rejects joiners, variation selectors and blank
/// characters. Display names may need them for some scripts, but ids and e-mail
/// addresses that differ only in them would look the same.
fn distinguishable(text: &str, max: usize) -> Result<&str, BadText> {
    let text = visible(text, max)?;
    let is_blank = |c: char| c == BRAILLE_BLANK || is_default_ignorable(c) || (c.is_whitespace() && c != ' ');
    if !text.is_ascii() && text.chars().any(is_blank) { Err(BadText::Invisible) } else { Ok(text) }
}

/// A braille pattern without dots.
const BRAILLE_BLANK: char = '\u{2800}';

/// Unicode's `Default_Ignorable_Code_Point`, version 16
/// (<https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt>).
const fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Control characters, line and paragraph separators, the byte order mark, zero-width
/// characters, and Unicode `Bidi_Control`.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::two_ats("attacker@evil.com@company.com", BadText::NotAnEmail)]
    #[case::no_local_part("@company.com", BadText::NotAnEmail)]
    #[case::no_domain("alice@", BadText::NotAnEmail)]
    #[case::no_at("alice", BadText::NotAnEmail)]
    #[case::white_space("al ice@company.com", BadText::NotAnEmail)]
    #[case::line_break("alice@company.com\nx", BadText::Invisible)]
    #[case::nul("alice\0@company.com", BadText::Invisible)]
    #[case::no_width("alice\u{200b}@company.com", BadText::Invisible)]
    #[case::joiner("alice\u{200d}@company.com", BadText::Invisible)]
    #[case::bidi("alice\u{202e}@company.com", BadText::Invisible)]
    #[case::blank("  ", BadText::Empty)]
    fn an_invalid_email_is_rejected(#[case] text: &str, #[case] why: BadText) {
        assert_eq!(Email::parse(text), Err(why));
    }

    #[test]
    fn an_email_has_at_most_254_characters() {
        let longest = format!("{}@example.com", "a".repeat(MAX_EMAIL - "@example.com".len()));
        assert_eq!(Email::parse(&longest).map(|email| email.0.len()), Ok(MAX_EMAIL));
        assert_eq!(Email::parse(&format!("a{longest}")), Err(BadText::TooLong(MAX_EMAIL)));
    }

    #[rstest]
    #[case("null")]
    #[case("NULL")]
    #[case("(null)")]
    #[case("undefined")]
    #[case(" - ")]
    fn an_id_is_never_a_placeholder(#[case] text: &str) {
        assert_eq!(Identifier::parse(text), Err(BadText::NoValue));
    }

    #[rstest]
    fn ids_and_emails_have_no_invisible_character(
        #[values(
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{180f}',
            '\u{200c}',
            '\u{200d}',
            '\u{2065}',
            '\u{206f}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{fff8}',
            '\u{1bca3}',
            '\u{1d17a}',
            '\u{e0001}',
            '\u{e0061}',
            '\u{e0fff}',
            '\u{a0}',
            '\u{3000}'
        )]
        c: char,
    ) {
        assert_eq!(Identifier::parse(&format!("al{c}ice")), Err(BadText::Invisible));
        assert!(Email::parse(&format!("al{c}ice@company.com")).is_err());
    }

    #[rstest]
    #[case("Zoë Müller")]
    #[case("山田 太郎")]
    #[case("u 1")]
    fn ids_may_use_any_script(#[case] text: &str) {
        assert!(Identifier::parse(text).is_ok());
    }

    #[test]
    fn names_may_have_joiners() {
        assert!(Label::parse("می\u{200c}خواهم ❤\u{fe0f}").is_ok());
    }

    proptest! {
        #[test]
        fn a_parsed_email_is_well_formed(text in any::<String>()) {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(email.as_str().matches('@').count(), 1);
                prop_assert!(!email.domain().is_empty());
                prop_assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }
}
