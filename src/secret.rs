//! Types for secrets and signed URLs. `Debug` prints them as hidden; only methods named
//! `expose` reveal them.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretSlice};

/// A shared secret for HMAC of at least [`SharedSecret::MIN_BYTES`] bytes.
#[derive(Clone)]
pub struct SharedSecret(SecretSlice<u8>);

/// How a secret is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretEncoding {
    /// Visible ASCII, used literally.
    Text,
    /// Base64 (RFC 4648, 4), padded or not.
    Base64,
    /// Base64url (RFC 4648, 5), padded or not.
    Base64Url,
    /// Two hexadecimal digits for each byte.
    Hex,
}

/// A URL that contains a signed token. It is only for the user's browser.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(String);

/// Why a shared secret is rejected. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Empty.
    #[error("it is empty")]
    Empty,
    /// Shorter than the hash.
    #[error("it has {has} bytes; at least {needs} bytes are needed, the length of the hash (RFC 7518, 3.2)")]
    TooShort {
        /// The length in bytes.
        has: usize,
        /// The length of the hash in bytes.
        needs: usize,
    },
    /// White space, a control character or a non-ASCII character, which is probably a mistake.
    #[error("it has white space, a control character or a character that is not ASCII")]
    Invisible,
    /// Not in the configured encoding.
    #[error("it is not {}", .0.name())]
    NotEncoded(SecretEncoding),
}

/// Padding is optional, because some tools write it and others do not.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

impl SecretEncoding {
    /// All encodings.
    pub const ALL: [Self; 4] = [Self::Text, Self::Base64, Self::Base64Url, Self::Hex];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
        }
    }

    fn decode(self, text: &str) -> Result<Vec<u8>, BadSecret> {
        let decoded = match self {
            Self::Text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Err(BadSecret::Invisible);
            }
            Self::Text => Some(text.as_bytes().to_vec()),
            Self::Base64 => BASE64.decode(text).ok(),
            Self::Base64Url => BASE64_URL.decode(text).ok(),
            Self::Hex => decode_hex(text),
        };
        decoded.ok_or(BadSecret::NotEncoded(self))
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

impl SharedSecret {
    /// The shortest secret, in bytes: the length of the hash of HS256.
    pub const MIN_BYTES: usize = 32;

    /// Parses a secret in [`SecretEncoding::Text`].
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        Self::dangerous_decode_short(text, SecretEncoding::Text)?.at_least(Self::MIN_BYTES)
    }

    /// Decodes a secret of any length. An attacker can guess a short one, and forge tokens for any
    /// user. One trailing line break, which editors and `echo` write, is removed.
    pub fn dangerous_decode_short(text: &str, encoding: SecretEncoding) -> Result<Self, BadSecret> {
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        let bytes = encoding.decode(text)?;
        if bytes.is_empty() { Err(BadSecret::Empty) } else { Ok(Self(bytes.into())) }
    }

    /// The secret, if it has at least `needs` bytes.
    pub fn at_least(self, needs: usize) -> Result<Self, BadSecret> {
        let has = self.expose_bytes().len();
        if has < needs { Err(BadSecret::TooShort { has, needs }) } else { Ok(self) }
    }

    /// The bytes of the secret.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl SignedUrl {
    /// Wraps a URL that contains a token.
    pub fn new(url: String) -> Self {
        Self(url)
    }

    /// The URL, for the response to the user's browser.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Like [`Self::expose`], by value.
    pub fn into_exposed(self) -> String {
        self.0
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the URL is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(hidden)")
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUrl(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case::unchanged(GOOD.to_owned())]
    #[case::line_break(format!("{GOOD}\n"))]
    #[case::dos_line_break(format!("{GOOD}\r\n"))]
    fn one_trailing_line_break_is_removed(#[case] text: String) {
        let secret = SharedSecret::parse(&text).unwrap();
        assert_eq!(secret.expose_bytes(), GOOD.as_bytes());
    }

    #[rstest]
    #[case::empty("", BadSecret::Empty)]
    #[case::only_a_line_break("\n", BadSecret::Empty)]
    #[case::short("0123456789abcdef0123456789abcde", BadSecret::TooShort { has: 31, needs: 32 })]
    #[case::two_line_breaks("0123456789abcdef0123456789abcdef\n\n", BadSecret::Invisible)]
    #[case::blank_before(" 0123456789abcdef0123456789abcdef", BadSecret::Invisible)]
    #[case::blank_after("0123456789abcdef0123456789abcdef \n", BadSecret::Invisible)]
    fn an_invalid_secret_is_rejected(#[case] text: &str, #[case] why: BadSecret) {
        assert_eq!(SharedSecret::parse(text).unwrap_err(), why);
    }

    #[rstest]
    #[case::text("ab+/", SecretEncoding::Text, Ok(b"ab+/".as_slice()))]
    #[case::base64("+/8=", SecretEncoding::Base64, Ok([0xfb, 0xff].as_slice()))]
    #[case::base64_unpadded("+/8\n", SecretEncoding::Base64, Ok([0xfb, 0xff].as_slice()))]
    #[case::base64url("-_8", SecretEncoding::Base64Url, Ok([0xfb, 0xff].as_slice()))]
    #[case::base64url_padded("-_8=", SecretEncoding::Base64Url, Ok([0xfb, 0xff].as_slice()))]
    #[case::hex("fbFF\r\n", SecretEncoding::Hex, Ok([0xfb, 0xff].as_slice()))]
    #[case::nothing("\n", SecretEncoding::Hex, Err(BadSecret::Empty))]
    #[case::another_alphabet(
        "-_8=",
        SecretEncoding::Base64,
        Err(BadSecret::NotEncoded(SecretEncoding::Base64))
    )]
    #[case::stray_bits("+/9=", SecretEncoding::Base64, Err(BadSecret::NotEncoded(SecretEncoding::Base64)))]
    #[case::half_a_byte("fbf", SecretEncoding::Hex, Err(BadSecret::NotEncoded(SecretEncoding::Hex)))]
    #[case::sign("+b", SecretEncoding::Hex, Err(BadSecret::NotEncoded(SecretEncoding::Hex)))]
    #[case::white_space("fb ff", SecretEncoding::Hex, Err(BadSecret::NotEncoded(SecretEncoding::Hex)))]
    fn a_secret_is_decoded(
        #[case] text: &str,
        #[case] encoding: SecretEncoding,
        #[case] bytes: Result<&[u8], BadSecret>,
    ) {
        let secret = SharedSecret::dangerous_decode_short(text, encoding);
        assert_eq!(secret.as_ref().map(SharedSecret::expose_bytes).map_err(|why| *why), bytes);
    }

    #[test]
    fn the_minimum_length_is_that_of_the_decoded_bytes() {
        let secret = SharedSecret::dangerous_decode_short(&"0f".repeat(31), SecretEncoding::Hex).unwrap();
        assert_eq!(secret.at_least(32).unwrap_err(), BadSecret::TooShort { has: 31, needs: 32 });
    }

    #[test]
    fn secrets_and_signed_urls_print_as_hidden() {
        let secret = SharedSecret::parse(GOOD).unwrap();
        let url = SignedUrl::new("https://imp.pandium.io/acme?tenant=a.b.c".into());
        assert_eq!(format!("{secret:?} {url:?}"), "SharedSecret(hidden) SignedUrl(hidden)");
    }
}
