//! Secrets and tokens as types that print as hidden. To see one takes a method
//! whose name says so.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The secret that a marketplace and this service share: at least
/// [`SharedSecret::MIN_BYTES`] bytes of visible ASCII, used as they are.
#[derive(Clone)]
pub struct SharedSecret(SecretString);

/// An address that carries a signed token. It is sent to the browser, and
/// shown to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedAddress(String);

/// Why a text is no shared secret. It never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// HS256 wants a key at least as long as its hash (RFC 7518, 3.2).
    #[error(
        "it has {0} bytes; at least {min} are needed for HS256 (RFC 7518, 3.2)",
        min = SharedSecret::MIN_BYTES
    )]
    TooShort(usize),
    /// A blank, a tab, a line break or something else that is easily there by mistake.
    #[error("it holds white space, a control character or something that is not ASCII")]
    Invisible,
}

impl SharedSecret {
    /// The shortest secret, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Reads a secret. It is used as the bytes given; one line break at the
    /// end, as editors and `echo` leave it, does not belong to it.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let secret = Self::dangerous_parse_short(text)?;
        let length = secret.expose_bytes().len();
        if length < Self::MIN_BYTES {
            return Err(BadSecret::TooShort(length));
        }
        Ok(secret)
    }

    /// Like [`Self::parse`], but a short secret will do. Whoever guesses it
    /// signs in as anybody.
    pub fn dangerous_parse_short(text: &str) -> Result<Self, BadSecret> {
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if text.is_empty() {
            return Err(BadSecret::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadSecret::Invisible);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The bytes to sign with.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl SignedAddress {
    /// Takes an address that carries a token.
    pub fn new(address: String) -> Self {
        Self(address)
    }

    /// The address, to be sent to the browser that asked.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address, handed over.
    pub fn into_exposed(self) -> String {
        self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(hidden)")
    }
}

impl fmt::Debug for SignedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedAddress(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case::as_it_is(GOOD.to_owned())]
    #[case::line_break(format!("{GOOD}\n"))]
    #[case::dos_line_break(format!("{GOOD}\r\n"))]
    fn one_line_break_at_the_end_does_not_belong_to_a_secret(#[case] text: String) {
        let secret = SharedSecret::parse(&text).unwrap();
        assert_eq!(secret.expose_bytes(), GOOD.as_bytes());
    }

    #[rstest]
    #[case::empty("", BadSecret::Empty)]
    #[case::only_a_line_break("\n", BadSecret::Empty)]
    #[case::short("0123456789abcdef0123456789abcde", BadSecret::TooShort(31))]
    #[case::two_line_breaks("0123456789abcdef0123456789abcdef\n\n", BadSecret::Invisible)]
    #[case::blank_before(" 0123456789abcdef0123456789abcdef", BadSecret::Invisible)]
    #[case::blank_behind("0123456789abcdef0123456789abcdef \n", BadSecret::Invisible)]
    fn a_secret_is_refused(#[case] text: &str, #[case] why: BadSecret) {
        assert_eq!(SharedSecret::parse(text).unwrap_err(), why);
    }

    #[test]
    fn secrets_and_signed_addresses_print_as_hidden() {
        let secret = SharedSecret::parse(GOOD).unwrap();
        let address = SignedAddress::new("https://imp.pandium.io/acme?tenant=a.b.c".into());
        assert_eq!(format!("{secret:?} {address:?}"), "SharedSecret(hidden) SignedAddress(hidden)");
    }
}
