//! The signature of a webhook: its three header fields, and its verification over the raw body. A
//! body is parsed only after that: [`VerifiedBody`] has no other constructor.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::keys::PublicKey;
use super::values::Serial;
use crate::request::Headers;

/// The signature of a webhook, as its header fields state it; not verified yet.
#[derive(Clone, Debug)]
pub struct WebhookSignature {
    serial: Serial,
    bytes: [u8; SIGNATURE_BYTES],
}

/// A body with a valid signature of mittwald.
#[derive(Clone, Copy)]
pub struct VerifiedBody<'a>(&'a [u8]);

/// Why a webhook has no valid signature. Never quotes the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header field is absent or empty.
    #[error("the header field {0} is missing or empty")]
    Missing(&'static str),
    /// A header field came twice.
    #[error("the header field {0} came twice")]
    Repeated(&'static str),
    /// The algorithm is not Ed25519.
    #[error("{ALGORITHM} is not Ed25519")]
    Algorithm,
    /// The serial is not a UUID.
    #[error("{SERIAL} is not a UUID")]
    Serial,
    /// The signature is not 64 bytes in base64.
    #[error("{SIGNATURE} is not base64 of 64 bytes")]
    Encoding,
    /// The key does not verify the signature over the body.
    #[error("the named key does not verify the signature over the body")]
    Wrong,
}

/// The field with the signature.
pub const SIGNATURE: &str = "x-marketplace-signature";
/// The field that names the key.
pub const SERIAL: &str = "x-marketplace-signature-serial";
/// The field that names the algorithm.
pub const ALGORITHM: &str = "x-marketplace-signature-algorithm";

const SIGNATURE_BYTES: usize = 64;

impl WebhookSignature {
    /// Reads the header fields.
    ///
    /// # Errors
    ///
    /// A field is missing, repeated or invalid, or names another algorithm.
    pub fn read(headers: &Headers<'_>) -> Result<Self, BadSignature> {
        if only(headers, ALGORITHM)? != b"Ed25519" {
            return Err(BadSignature::Algorithm);
        }
        let serial = str::from_utf8(only(headers, SERIAL)?).ok().and_then(Serial::parse);
        let signature = STANDARD.decode(only(headers, SIGNATURE)?).ok();
        Ok(Self {
            serial: serial.ok_or(BadSignature::Serial)?,
            bytes: signature.and_then(|bytes| bytes.try_into().ok()).ok_or(BadSignature::Encoding)?,
        })
    }

    /// The name of the key.
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// Verifies the signature over the raw body.
    ///
    /// # Errors
    ///
    /// [`BadSignature::Wrong`].
    pub fn verify<'a>(&self, body: &'a [u8], key: &PublicKey) -> Result<VerifiedBody<'a>, BadSignature> {
        let key = UnparsedPublicKey::new(&ED25519, key.as_bytes());
        match key.verify(body, &self.bytes) {
            Ok(()) => Ok(VerifiedBody(body)),
            Err(_) => Err(BadSignature::Wrong),
        }
    }
}

impl<'a> VerifiedBody<'a> {
    /// The body, byte for byte.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

fn only<'a>(headers: &Headers<'a>, name: &'static str) -> Result<&'a [u8], BadSignature> {
    match headers.only(name) {
        Ok(None | Some(b"")) => Err(BadSignature::Missing(name)),
        Ok(Some(value)) => Ok(value),
        Err(_) => Err(BadSignature::Repeated(name)),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use rstest::rstest;

    use super::*;

    const ID: &str = "018f2c4e-0000-7000-8000-000000000001";

    fn pair() -> (Ed25519KeyPair, PublicKey) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = PublicKey::parse(pair.public_key().as_ref()).unwrap();
        (pair, key)
    }

    fn read(signature: &str, serial: &str, algorithm: &str) -> Result<WebhookSignature, BadSignature> {
        let fields = [(SIGNATURE, signature), (SERIAL, serial), (ALGORITHM, algorithm)];
        WebhookSignature::read(&fields.into_iter().map(|(name, value)| (name, value.as_bytes())).collect())
    }

    // T41
    #[test]
    fn only_the_signed_bytes_are_verified() {
        let (pair, key) = pair();
        let body = br#"{"a": 1, "b": 2}"#;
        let signature = read(&STANDARD.encode(pair.sign(body)), ID, "Ed25519").unwrap();
        assert_eq!(signature.verify(body, &key).unwrap().as_bytes(), body);
        for other in [
            &br#"{"a":1,"b":2}"#[..],
            br#"{"b": 2, "a": 1}"#,
            br#"{"a": 1, "b": 2} "#,
            br#"{"a": 1, "b": 2"#,
            b"",
        ] {
            assert_eq!(signature.verify(other, &key).err(), Some(BadSignature::Wrong));
        }
        assert_eq!(signature.verify(body, &self::pair().1).err(), Some(BadSignature::Wrong));
    }

    // T41
    #[rstest]
    #[case::path("../users/self")]
    #[case::simple("018f2c4e000070008000000000000001")]
    #[case::braces("{018f2c4e-0000-7000-8000-000000000001}")]
    #[case::urn("urn:uuid:018f2c4e-0000-7000-8000-000000000001")]
    #[case::query("018f2c4e-0000-7000-8000-00000000000?")]
    #[case::blank(" 018f2c4e-0000-7000-8000-00000000001")]
    fn a_serial_is_a_uuid_with_hyphens(#[case] serial: &str) {
        let signature = STANDARD.encode([0; 64]);
        assert_eq!(read(&signature, serial, "Ed25519").unwrap_err(), BadSignature::Serial);
    }

    // T41
    #[rstest]
    #[case("ed25519")]
    #[case("EdDSA")]
    #[case("none")]
    #[case("Ed25519 ")]
    #[case("Ed25519, Ed25519")]
    fn the_algorithm_is_named_exactly(#[case] algorithm: &str) {
        let signature = STANDARD.encode([0; 64]);
        assert_eq!(read(&signature, ID, algorithm).unwrap_err(), BadSignature::Algorithm);
    }

    // T41
    #[test]
    fn a_signature_is_64_bytes_in_standard_base64() {
        for bytes in [0, 1, 63, 65, 128] {
            let text = STANDARD.encode(vec![0xfb; bytes]);
            let expected = if bytes == 0 { BadSignature::Missing(SIGNATURE) } else { BadSignature::Encoding };
            assert_eq!(read(&text, ID, "Ed25519").unwrap_err(), expected, "{bytes}");
        }
        let text = STANDARD.encode([0xfb; 64]);
        for text in [text.replace(['+', '/'], "-"), text.replace('=', ""), format!("{text}\u{a0}")] {
            assert_eq!(read(&text, ID, "Ed25519").unwrap_err(), BadSignature::Encoding, "{text}");
        }
    }

    // T41
    #[test]
    fn an_empty_or_repeated_field_is_refused() {
        let signature = STANDARD.encode([0; 64]);
        assert_eq!(read(&signature, "", "Ed25519").unwrap_err(), BadSignature::Missing(SERIAL));
        assert_eq!(read(&signature, ID, "").unwrap_err(), BadSignature::Missing(ALGORITHM));
        let fields = [(ALGORITHM, "Ed25519"), (SERIAL, ID), (SERIAL, ID), (SIGNATURE, &signature)];
        let headers = fields.into_iter().map(|(name, value)| (name, value.as_bytes())).collect();
        assert_eq!(WebhookSignature::read(&headers).unwrap_err(), BadSignature::Repeated(SERIAL));
    }
}
