//! The secrets that mittwald gives, in types that cannot be printed, and the name of a key.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// The secret of an extension instance, which is exchanged for access tokens.
#[derive(Clone)]
pub struct InstanceSecret(SecretString);

/// A short-lived access token for mittwald's API.
#[derive(Clone)]
pub struct AccessToken(SecretString);

/// A key that mittwald gives a user once, to be exchanged for an access token of the user.
#[derive(Clone)]
pub struct RetrievalKey(SecretString);

/// The name of one of mittwald's public keys. Untrusted, but always a UUID, so that it cannot
/// change the meaning of a URL that contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(Uuid);

/// A text that cannot be a secret or a token. The message never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not 1 to {MAX_BYTES} visible ASCII characters")]
pub struct BadSecretText;

/// The maximum length of either, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// The length of a UUID with hyphens; the `uuid` crate parses other forms too.
const UUID_LENGTH: usize = 36;

impl InstanceSecret {
    /// Parses a secret.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters than visible ASCII.
    pub fn parse(text: String) -> Result<Self, BadSecretText> {
        checked(text).map(Self)
    }

    /// The associated data of an encrypted secret: it cannot be decrypted as the secret of another
    /// instance.
    pub fn context(instance_id: Uuid, extension_id: Uuid) -> Vec<u8> {
        [*instance_id.as_bytes(), *extension_id.as_bytes()].concat()
    }

    /// The text, to be sealed or sent to mittwald.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl RetrievalKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters than visible ASCII.
    pub fn parse(text: String) -> Result<Self, BadSecretText> {
        checked(text).map(Self)
    }

    /// The text, for mittwald.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl AccessToken {
    /// Parses a token.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters than visible ASCII.
    pub fn parse(text: String) -> Result<Self, BadSecretText> {
        checked(text).map(Self)
    }

    /// The text, for the program that asked for it, or for mittwald.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serial {
    /// Parses a serial: a UUID with hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == UUID_LENGTH).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

fn checked(text: String) -> Result<SecretString, BadSecretText> {
    let is_valid = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let secret = SecretString::from(text);
    if is_valid { Ok(secret) } else { Err(BadSecretText) }
}

impl fmt::Debug for InstanceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceSecret(hidden)")
    }
}

impl fmt::Debug for RetrievalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetrievalKey(hidden)")
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_tokens_print_as_hidden() {
        let secret = InstanceSecret::parse("hush".to_owned()).unwrap();
        let token = AccessToken::parse("hush".to_owned()).unwrap();
        assert_eq!(format!("{secret:?} {token:?}"), "InstanceSecret(hidden) AccessToken(hidden)");
        assert!(!format!("{BadSecretText:?} {BadSecretText}").contains("hush"));
    }

    #[test]
    fn a_text_that_no_header_field_can_carry_is_refused() {
        for text in ["", "a b", "a\n", "\u{e4}", &"a".repeat(MAX_BYTES + 1)] {
            assert!(InstanceSecret::parse(text.to_owned()).is_err(), "{text:?}");
            assert!(AccessToken::parse(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
