//! Verification keys and JSON Web Key Sets (RFC 7517), independent of their
//! source.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::public_key::{self, BadKey, Curve};
use super::skipped_key::{self, SkippedKey};
use crate::secret::SharedSecret;

/// A set of keys.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    ids: KeyIds,
    skipped: Vec<SkippedKey>,
}

/// How a token's `kid` selects keys of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyIds {
    /// A published set: the `kid` must match; without one, [`MissingKid`] applies.
    Matched,
    /// A single configured key: the `kid` is ignored.
    Ignored,
}

/// A key and the algorithms it supports.
#[derive(Clone)]
pub(super) struct Key {
    pub id: Option<String>,
    pub algorithms: Vec<Algorithm>,
    pub key: DecodingKey,
}

/// Which keys are tried for a token without a `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKid {
    /// The only one that supports the token's algorithm; none if there are several.
    OnlyKey,
    /// Each one that supports the token's algorithm, up to [`KeySet::MAX_TRIED`]:
    /// for issuers that rotate keys without a `kid`.
    EachMatchingKey,
}

/// Why no key was found for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLookupError {
    /// No key has this `kid`; a newer set may have one.
    UnknownId,
    /// The key with this `kid` does not support the algorithm.
    AlgorithmMismatch,
    /// The token has no `kid`, and no key or too many keys support its algorithm; a newer set may
    /// differ.
    AmbiguousKey,
}

/// Why a key or key set cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Larger than [`KeySet::MAX_BYTES`].
    #[error("it is larger than {max} bytes", max = KeySet::MAX_BYTES)]
    TooLarge,
    /// More than [`KeySet::MAX_KEYS`].
    #[error("it holds more than {max} keys", max = KeySet::MAX_KEYS)]
    TooMany,
    /// Not a key set, with the position of the error.
    #[error("it is not a JSON Web Key Set (RFC 7517), from line {line}, column {column} on")]
    NotASet {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It holds a secret, with which any reader could sign.
    #[error("it holds a symmetric or private key, which must not be published")]
    Secret,
    /// Two keys have the same `kid`.
    #[error("it holds two keys with the same kid")]
    Ambiguous,
    /// No usable key.
    #[error("it holds no usable key{}", in_parentheses(.0))]
    Empty(Vec<SkippedKey>),
    /// A key in a configured file is invalid.
    #[error("it holds a key that cannot be used; {0}")]
    Unusable(SkippedKey),
    /// The PEM key is invalid.
    #[error("it cannot be used: {0}")]
    Bad(#[from] BadKey),
    /// Not a public key in PEM.
    #[error("it is not a public key in PEM (RSA, EC on P-256 or P-384, or Ed25519)")]
    NotPem,
}

/// The algorithms of RSA keys.
pub(super) const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// The curves' object identifiers (RFC 5480, 2.1.1.1), in DER.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

impl KeySet {
    /// The maximum size of a set, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The maximum number of keys in a set.
    pub const MAX_KEYS: usize = 100;

    /// The maximum number of keys that are tried for a token without a `kid`.
    pub const MAX_TRIED: usize = 8;

    /// An empty set.
    pub const fn empty() -> Self {
        Self { keys: Vec::new(), ids: KeyIds::Matched, skipped: Vec::new() }
    }

    /// A published set with these keys; an error if there are none.
    pub(super) fn published(keys: Vec<Key>, skipped: Vec<SkippedKey>) -> Result<Self, BadKeys> {
        if keys.is_empty() {
            return Err(BadKeys::Empty(skipped));
        }
        Ok(Self { keys, ids: KeyIds::Matched, skipped })
    }

    /// The keys of the set that were skipped, and why.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Parses a single public key in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadKeys> {
        let text = std::str::from_utf8(pem).map_err(|_| BadKeys::NotPem)?;
        if text.contains("PRIVATE KEY") {
            return Err(BadKeys::Secret);
        }
        let rsa = || DecodingKey::from_rsa_pem(pem);
        let ec = |_| DecodingKey::from_ec_pem(pem);
        let ed = |_| DecodingKey::from_ed_pem(pem);
        let read = rsa().or_else(ec).or_else(ed).map_err(|_| BadKeys::NotPem)?;
        let bytes = read.try_get_as_bytes().map_err(|_| BadKeys::NotPem)?;
        let (algorithms, key) = match read.family() {
            AlgorithmFamily::Rsa => (RSA.to_vec(), public_key::rsa_from_der(bytes).ok_or(BadKeys::NotPem)?),
            AlgorithmFamily::Ec if names_curve(text, P256) => {
                (vec![Algorithm::ES256], public_key::ec_point(Curve::P256, bytes))
            }
            AlgorithmFamily::Ec if names_curve(text, P384) => {
                (vec![Algorithm::ES384], public_key::ec_point(Curve::P384, bytes))
            }
            AlgorithmFamily::Ed => {
                let bytes = <&[u8; 32]>::try_from(bytes).map_err(|_| BadKeys::NotPem)?;
                (vec![Algorithm::EdDSA], public_key::ed25519(bytes))
            }
            AlgorithmFamily::Ec | AlgorithmFamily::Hmac => return Err(BadKeys::NotPem),
        };
        Ok(Self::single(algorithms, key?))
    }

    /// A shared secret. It supports the algorithms whose hash is not longer than the
    /// secret (RFC 7518, 3.2).
    pub fn from_shared_secret(secret: &SharedSecret) -> Self {
        let bytes = secret.expose_bytes();
        let algorithms = HMAC.into_iter().filter(|algorithm| min_secret_bytes(*algorithm) <= bytes.len());
        Self::single(algorithms.collect(), DecodingKey::from_secret(bytes))
    }

    /// Adds the key of `single`, a set with one key, under a `kid`. If the set then has more than
    /// `max` keys, the oldest one is removed.
    #[must_use]
    pub fn with(mut self, id: &str, single: &Self, max: usize) -> Self {
        let added = single.keys.iter().map(|key| Key { id: Some(id.to_owned()), ..key.clone() });
        self.keys.extend(added);
        self.keys.drain(..self.keys.len().saturating_sub(max));
        self
    }

    fn single(algorithms: Vec<Algorithm>, key: DecodingKey) -> Self {
        Self { keys: vec![Key { id: None, algorithms, key }], ids: KeyIds::Ignored, skipped: Vec::new() }
    }

    /// Whether this secret is one of the keys.
    pub fn contains_secret(&self, secret: &SharedSecret) -> bool {
        self.keys.iter().any(|key| {
            key.key.family() == AlgorithmFamily::Hmac
                && key.key.try_get_as_bytes().is_ok_and(|bytes| bytes == secret.expose_bytes())
        })
    }

    /// Whether a key has this `kid`.
    pub fn contains_id(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether any key supports the algorithm.
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithms.contains(&algorithm))
    }

    /// The keys for a token's `kid` and algorithm; more than one only for a token
    /// without a `kid`. Never empty.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        missing_kid: MissingKid,
    ) -> Result<impl Iterator<Item = &DecodingKey>, KeyLookupError> {
        let named = move |key: &&Key| match (self.ids, id) {
            (KeyIds::Ignored, _) | (KeyIds::Matched, None) => true,
            (KeyIds::Matched, Some(id)) => key.id.as_deref() == Some(id),
        };
        let mut named = self.keys.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(KeyLookupError::UnknownId);
        }
        let matching = named.filter(move |key| key.algorithms.contains(&algorithm));
        let max = match missing_kid {
            MissingKid::OnlyKey => 1,
            MissingKid::EachMatchingKey if id.is_some() => 1,
            MissingKid::EachMatchingKey => Self::MAX_TRIED,
        };
        match matching.clone().count() {
            count if (1..=max).contains(&count) => Ok(matching.map(|key| &key.key)),
            _ if id.is_none() => Err(KeyLookupError::AmbiguousKey),
            _ => Err(KeyLookupError::AlgorithmMismatch),
        }
    }
}

fn in_parentheses(skipped: &[SkippedKey]) -> String {
    if skipped.is_empty() { String::new() } else { format!(" ({})", skipped_key::list(skipped)) }
}

/// Whether a PEM key contains a curve's object identifier.
fn names_curve(pem: &str, identifier: &[u8]) -> bool {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).map(str::trim).collect();
    STANDARD.decode(base64).is_ok_and(|der| der.windows(identifier.len()).any(|window| window == identifier))
}

/// Parses a JOSE algorithm name, case-sensitive. `Ed25519` is the newer name of
/// `EdDSA` with an Ed25519 key (RFC 9864).
pub fn parse_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA),
        name => name.parse().ok(),
    }
}

/// Whether the algorithm uses a shared secret.
pub fn is_symmetric(algorithm: Algorithm) -> bool {
    algorithm.family() == AlgorithmFamily::Hmac
}

/// The minimum secret length in bytes, which is the hash length (RFC 7518, 3.2); 0
/// for asymmetric algorithms.
pub const fn min_secret_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => 0,
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::jwt::skipped_key::UnusableKey;

    /// The sample key of RFC 8037, A.2, with another `kid`.
    fn ed(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn read(keys: Value) -> Result<KeySet, BadKeys> {
        KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn a_key_is_found_by_its_id_and_algorithm() {
        let set = read(json!([ed("a"), ed("b")])).unwrap();
        let find = |set: &KeySet, id, algorithm, missing_kid| {
            set.find(id, algorithm, missing_kid).map(Iterator::count)
        };
        let (only, each) = (MissingKid::OnlyKey, MissingKid::EachMatchingKey);
        assert_eq!(find(&set, Some("a"), Algorithm::EdDSA, only), Ok(1));
        assert_eq!(find(&set, Some("a"), Algorithm::EdDSA, each), Ok(1));
        assert_eq!(find(&set, Some("c"), Algorithm::EdDSA, each), Err(KeyLookupError::UnknownId));
        assert_eq!(find(&set, Some("a"), Algorithm::RS256, each), Err(KeyLookupError::AlgorithmMismatch));
        assert_eq!(find(&set, None, Algorithm::EdDSA, only), Err(KeyLookupError::AmbiguousKey));
        assert_eq!(find(&set, None, Algorithm::RS256, each), Err(KeyLookupError::AmbiguousKey));
        assert_eq!(find(&set, None, Algorithm::EdDSA, each), Ok(2));
        assert_eq!(find(&read(json!([ed("a")])).unwrap(), None, Algorithm::EdDSA, only), Ok(1));
        assert_eq!(find(&KeySet::empty(), None, Algorithm::EdDSA, each), Err(KeyLookupError::UnknownId));
    }

    #[rstest]
    #[case::two_of_one_id(json!([ed("a"), ed("a")]), BadKeys::Ambiguous)]
    #[case::symmetric(json!([ed("a"), {"kty": "oct", "k": "AAAA"}]), BadKeys::Secret)]
    #[case::nothing(json!([]), BadKeys::Empty(vec![]))]
    #[case::no_usable_key(
        json!([{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]),
        BadKeys::Empty(vec![SkippedKey { number: 1, why: UnusableKey::Malformed("x") }])
    )]
    #[case::too_many(Value::Array((0..101).map(|id| ed(&id.to_string())).collect()), BadKeys::TooMany)]
    fn an_unsafe_key_set_is_rejected(#[case] keys: Value, #[case] why: BadKeys) {
        assert_eq!(read(keys).unwrap_err(), why);
    }

    /// The arguments: a key that is in a set with a valid one, and whether a configured file may
    /// contain it.
    #[rstest]
    #[case::unknown_kty(json!({"kty": "AKP"}), true)]
    #[case::missing_kty(json!({"kid": "x"}), true)]
    #[case::small_order(
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
        false
    )]
    #[case::malformed(json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}), false)]
    fn an_invalid_key_in_a_file_is_an_error(#[case] key: Value, #[case] is_accepted: bool) {
        let text = json!({"keys": [ed("a"), key]}).to_string();
        let published = KeySet::from_jwks(text.as_bytes()).unwrap();
        assert_eq!((published.keys.len(), published.skipped().len()), (1, 1));
        let in_a_file = KeySet::from_jwks_file(text.as_bytes());
        assert_eq!(in_a_file.is_ok(), is_accepted, "{in_a_file:?}");
    }

    #[test]
    fn a_secret_supports_hashes_not_longer_than_itself() {
        for (length, supported) in [(32, 1), (47, 1), (48, 2), (63, 2), (64, 3)] {
            let secret = SharedSecret::parse(&"x".repeat(length)).unwrap();
            let keys = KeySet::from_shared_secret(&secret);
            assert_eq!(
                HMAC.iter().filter(|algorithm| keys.supports(**algorithm)).count(),
                supported,
                "{length}"
            );
        }
    }

    #[test]
    fn an_oversized_or_malformed_set_is_rejected() {
        assert_eq!(KeySet::from_jwks(&vec![b' '; KeySet::MAX_BYTES + 1]).unwrap_err(), BadKeys::TooLarge);
        assert!(matches!(KeySet::from_jwks(b"<html>"), Err(BadKeys::NotASet { line: 1, column: 1 })));
    }

    const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC1ek+eAv/ly/8Fbihn4RrP2/qc
3hxp53r444268Pagb0kzvZkjETsJHFH764conIwqQfSzQ7XbqE33G1JtrH6jmfWr
zy8O2Xl21/eQ2GGcPp8r4blNyNpK0T6aRvOGRedE7/LeUGU9h5JzPkP0F+dFbJwo
hWXyeWpPhgzd6RgoQwIDAQAB
-----END PUBLIC KEY-----";
    const EC_P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDOiJoxVFdVl43fentfBV/4aFIXW6
uB7ad6o8r5QPcXINod6Du3NhAptgwhRJ6ESsQzNXpzusvbsPMrcWkfa53w==
-----END PUBLIC KEY-----";
    const EC_P521: &str = "-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAdPowXb0u4lszHyFy1qGFQaSXig/4
Y5YAYEH7huSTBO5AhZAqnNN6hqfe0QvgCDm6LwVqUsd/dVURbqDY7LQULgEBHE9A
6AvK/OOodz6e1XuhalFv/L1zfJ3DM5fsXJMcWzHtxbuXNNUDi51hayZ52hmmL6QC
Xu53SOmR7vOgF+EDGfo=
-----END PUBLIC KEY-----";

    #[test]
    fn a_pem_key_supports_the_algorithms_of_its_type() {
        let key = KeySet::from_pem(EC_P256.as_bytes()).unwrap();
        assert!(key.supports(Algorithm::ES256));
        assert!(
            !key.supports(Algorithm::ES384)
                && !key.supports(Algorithm::RS256)
                && !key.supports(Algorithm::HS256)
        );
    }

    #[rstest]
    #[case::weak(RSA_1024, BadKeys::Bad(BadKey::ShortModulus))]
    #[case::curve(EC_P521, BadKeys::NotPem)]
    #[case::nothing("", BadKeys::NotPem)]
    fn an_unsupported_pem_key_is_rejected(#[case] pem: &str, #[case] why: BadKeys) {
        assert_eq!(KeySet::from_pem(pem.as_bytes()).unwrap_err(), why);
    }
}
