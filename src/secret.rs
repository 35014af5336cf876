//! Secrets and tokens as types that print as hidden. To see one takes a method
//! whose name says so.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretSlice};

/// A secret that both sides of an HMAC know: at least [`SharedSecret::MIN_BYTES`]
/// bytes.
#[derive(Clone)]
pub struct SharedSecret(SecretSlice<u8>);

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretEncoding {
    /// Visible ASCII, used as it is.
    Text,
    /// Base64 (RFC 4648, 4), padded or not.
    Base64,
    /// Base64url (RFC 4648, 5), padded or not.
    Base64Url,
    /// Two hexadecimal digits for each byte.
    Hex,
}

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
    /// Shorter than the hash that it is used with.
    #[error("it has {has} bytes; at least {needs} bytes are needed, the length of the hash (RFC 7518, 3.2)")]
    TooShort {
        /// Its length in bytes.
        has: usize,
        /// The length of the hash in bytes.
        needs: usize,
    },
    /// A blank, a tab, a line break or something else that is easily there by mistake.
    #[error("it holds white space, a control character or something that is not ASCII")]
    Invisible,
    /// Not written in the encoding that was named.
    #[error("it is not {}", .0.name())]
    NotEncoded(SecretEncoding),
}

/// Padding says nothing that the length does not: tools write it or leave it out.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

impl SecretEncoding {
    /// Every encoding there is.
    pub const ALL: [Self; 4] = [Self::Text, Self::Base64, Self::Base64Url, Self::Hex];

    /// Its name in the configuration.
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

    /// Reads a secret that is written as text.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        Self::dangerous_decode_short(text, SecretEncoding::Text)?.at_least(Self::MIN_BYTES)
    }

    /// Reads a secret of any length. Whoever guesses a short one signs in as
    /// anybody. One line break at the end, as editors and `echo` leave it, does
    /// not belong to it.
    pub fn dangerous_decode_short(text: &str, encoding: SecretEncoding) -> Result<Self, BadSecret> {
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        let bytes = encoding.decode(text)?;
        if bytes.is_empty() { Err(BadSecret::Empty) } else { Ok(Self(bytes.into())) }
    }

    /// The secret, if it is long enough.
    pub fn at_least(self, needs: usize) -> Result<Self, BadSecret> {
        let has = self.expose_bytes().len();
        if has < needs { Err(BadSecret::TooShort { has, needs }) } else { Ok(self) }
    }

    /// The bytes to sign with.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret()
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
    #[case::short("0123456789abcdef0123456789abcde", BadSecret::TooShort { has: 31, needs: 32 })]
    #[case::two_line_breaks("0123456789abcdef0123456789abcdef\n\n", BadSecret::Invisible)]
    #[case::blank_before(" 0123456789abcdef0123456789abcdef", BadSecret::Invisible)]
    #[case::blank_behind("0123456789abcdef0123456789abcdef \n", BadSecret::Invisible)]
    fn a_secret_is_refused(#[case] text: &str, #[case] why: BadSecret) {
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
    fn a_secret_is_read_in_its_encoding(
        #[case] text: &str,
        #[case] encoding: SecretEncoding,
        #[case] bytes: Result<&[u8], BadSecret>,
    ) {
        let secret = SharedSecret::dangerous_decode_short(text, encoding);
        assert_eq!(secret.as_ref().map(SharedSecret::expose_bytes).map_err(|why| *why), bytes);
    }

    #[test]
    fn the_length_that_counts_is_that_of_the_bytes() {
        let secret = SharedSecret::dangerous_decode_short(&"0f".repeat(31), SecretEncoding::Hex).unwrap();
        assert_eq!(secret.at_least(32).unwrap_err(), BadSecret::TooShort { has: 31, needs: 32 });
    }

    #[test]
    fn secrets_and_signed_addresses_print_as_hidden() {
        let secret = SharedSecret::parse(GOOD).unwrap();
        let address = SignedAddress::new("https://imp.pandium.io/acme?tenant=a.b.c".into());
        assert_eq!(format!("{secret:?} {address:?}"), "SharedSecret(hidden) SignedAddress(hidden)");
    }
}
