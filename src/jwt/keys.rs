//! Keys to verify with, and sets of them as issuers publish them (RFC 7517).
//! A set is taken whole or refused whole. Where it comes from is not known here.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;

use crate::secret::SharedSecret;

/// A set of keys.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    ids: Ids,
}

/// Whether a token must say which key it was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    /// A published set: a token's `kid` must be there; without one, exactly one
    /// key must fit.
    Named,
    /// One key that was handed over: what a token calls it does not matter.
    Ignored,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    fits: Vec<Algorithm>,
    key: DecodingKey,
}

/// Which keys are tried for a token without a `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutKeyId {
    /// The only one that fits; where several do, none.
    TheOnlyOne,
    /// Each that fits, up to [`KeySet::MAX_TRIED`]: for issuers that name no
    /// keys and yet change them.
    EachThatFits,
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// No key of that id; a newer set may have it.
    UnknownId,
    /// The key is for another algorithm, or several would do.
    Misfit,
}

/// Why a text is no set of keys, or no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Larger than [`KeySet::MAX_BYTES`].
    #[error("it is larger than {max} bytes", max = KeySet::MAX_BYTES)]
    TooLarge,
    /// More than [`KeySet::MAX_KEYS`].
    #[error("it holds more than {max} keys", max = KeySet::MAX_KEYS)]
    TooMany,
    /// Not the JSON expected; where it stops being that.
    #[error("it is not a JSON Web Key Set (RFC 7517), from line {line}, column {column} on")]
    NotASet {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A secret among public keys: whoever may read it may sign.
    #[error("it holds a symmetric or private key, which must not be published")]
    Secret,
    /// Two keys of one id.
    #[error("it holds two keys of one kid")]
    Ambiguous,
    /// Nothing in it can verify a signature.
    #[error("it holds no key that can verify a signature here")]
    Empty,
    /// A key is too weak.
    #[error("it holds an RSA key of less than 2048 bits")]
    Weak,
    /// Not a public key in PEM.
    #[error("it is not a public key in PEM (RSA, EC on P-256 or P-384, or Ed25519)")]
    NotPem,
}

/// A JSON Web Key Set.
#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A JSON Web Key, as far as it matters here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// The shortest RSA modulus (RFC 7518, 3.3), in bytes.
const MIN_MODULUS_BYTES: usize = 256;

/// A point that is not compressed (SEC 1, 2.3.3): a mark and two coordinates.
const P256_POINT_BYTES: usize = 65;
const P384_POINT_BYTES: usize = 97;

/// The curves' object identifiers (RFC 5480, 2.1.1.1), in DER.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

impl KeySet {
    /// The largest set, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The most keys in a set.
    pub const MAX_KEYS: usize = 100;

    /// The most keys that are tried for a token that names none.
    pub const MAX_TRIED: usize = 8;

    /// A set without keys.
    pub const fn none() -> Self {
        Self { keys: Vec::new(), ids: Ids::Named }
    }

    /// Reads a published set. Keys that are not for signatures, or of a kind
    /// that is not known here, are passed over.
    pub fn from_jwks(text: &[u8]) -> Result<Self, BadKeys> {
        if text.len() > Self::MAX_BYTES {
            return Err(BadKeys::TooLarge);
        }
        // the error's own text quotes what it found, which may be anything
        let Jwks { keys } = serde_json::from_slice(text)
            .map_err(|error| BadKeys::NotASet { line: error.line(), column: error.column() })?;
        if keys.len() > Self::MAX_KEYS {
            return Err(BadKeys::TooMany);
        }
        if keys.iter().any(|key| key.kty == "oct" || key.d.is_some()) {
            return Err(BadKeys::Secret);
        }
        let mut ids = BTreeSet::new();
        if !keys.iter().filter_map(|key| key.kid.as_ref()).all(|id| ids.insert(id)) {
            return Err(BadKeys::Ambiguous);
        }
        let keys = keys.iter().filter(|key| key.is_for_signatures()).map(Jwk::read);
        let keys: Vec<Key> = keys.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(BadKeys::Empty) } else { Ok(Self { keys, ids: Ids::Named }) }
    }

    /// A single public key in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadKeys> {
        let text = std::str::from_utf8(pem).map_err(|_| BadKeys::NotPem)?;
        if text.contains("PRIVATE KEY") {
            return Err(BadKeys::Secret);
        }
        let rsa = || DecodingKey::from_rsa_pem(pem);
        let ec = |_| DecodingKey::from_ec_pem(pem);
        let ed = |_| DecodingKey::from_ed_pem(pem);
        let key = rsa().or_else(ec).or_else(ed).map_err(|_| BadKeys::NotPem)?;
        let bytes = key.try_get_as_bytes().map_err(|_| BadKeys::NotPem)?;
        let fits = match (key.family(), bytes.len()) {
            (AlgorithmFamily::Rsa, ..MIN_MODULUS_BYTES) => return Err(BadKeys::Weak),
            (AlgorithmFamily::Rsa, _) => RSA.to_vec(),
            (AlgorithmFamily::Ec, P256_POINT_BYTES) if names_curve(text, P256) => vec![Algorithm::ES256],
            (AlgorithmFamily::Ec, P384_POINT_BYTES) if names_curve(text, P384) => vec![Algorithm::ES384],
            (AlgorithmFamily::Ed, _) => vec![Algorithm::EdDSA],
            (AlgorithmFamily::Ec | AlgorithmFamily::Hmac, _) => return Err(BadKeys::NotPem),
        };
        Ok(Self { keys: vec![Key { id: None, fits, key }], ids: Ids::Ignored })
    }

    /// A secret that the issuer and this service share.
    pub fn from_shared_secret(secret: &SharedSecret) -> Self {
        let key = DecodingKey::from_secret(secret.expose_bytes());
        Self { keys: vec![Key { id: None, fits: HMAC.to_vec(), key }], ids: Ids::Ignored }
    }

    /// Whether this secret is among the keys.
    pub fn holds(&self, secret: &SharedSecret) -> bool {
        self.keys.iter().any(|key| {
            key.key.family() == AlgorithmFamily::Hmac
                && key.key.try_get_as_bytes().is_ok_and(|bytes| bytes == secret.expose_bytes())
        })
    }

    /// Whether some key fits an algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.fits.contains(&algorithm))
    }

    /// The key for a token's `kid` and algorithm; several, perhaps, for a token
    /// that names none. Never an empty list.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        without_id: WithoutKeyId,
    ) -> Result<impl Iterator<Item = &DecodingKey>, NoKey> {
        let named = move |key: &&Key| match (self.ids, id) {
            (Ids::Ignored, _) | (Ids::Named, None) => true,
            (Ids::Named, Some(id)) => key.id.as_deref() == Some(id),
        };
        let mut named = self.keys.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(NoKey::UnknownId);
        }
        let fitting = named.filter(move |key| key.fits.contains(&algorithm));
        let most = match without_id {
            WithoutKeyId::TheOnlyOne => 1,
            WithoutKeyId::EachThatFits if id.is_some() => 1,
            WithoutKeyId::EachThatFits => Self::MAX_TRIED,
        };
        match fitting.clone().count() {
            count if (1..=most).contains(&count) => Ok(fitting.map(|key| &key.key)),
            _ => Err(NoKey::Misfit),
        }
    }
}

impl Jwk {
    fn is_for_signatures(&self) -> bool {
        self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
    }

    /// The key; nothing where its kind is not known here.
    fn read(&self) -> Result<Option<Key>, BadKeys> {
        let (mut fits, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (RSA.to_vec(), self.rsa()?),
            ("EC", Some("P-256")) => (vec![Algorithm::ES256], self.ec(32)),
            ("EC", Some("P-384")) => (vec![Algorithm::ES384], self.ec(48)),
            ("OKP", Some("Ed25519")) => (vec![Algorithm::EdDSA], self.ed()),
            _ => return Ok(None),
        };
        if let Some(only) = &self.alg {
            fits.retain(|algorithm| parse_algorithm(only) == Some(*algorithm));
        }
        Ok(key.filter(|_| !fits.is_empty()).map(|key| Key { id: self.kid.clone(), fits, key }))
    }

    fn rsa(&self) -> Result<Option<DecodingKey>, BadKeys> {
        let (Some(n), Some(e)) = (&self.n, &self.e) else { return Ok(None) };
        let Ok(modulus) = URL_SAFE_NO_PAD.decode(n) else { return Ok(None) };
        if modulus.iter().skip_while(|byte| **byte == 0).count() < MIN_MODULUS_BYTES {
            return Err(BadKeys::Weak);
        }
        Ok(DecodingKey::from_rsa_components(n, e).ok())
    }

    fn ec(&self, bytes: usize) -> Option<DecodingKey> {
        let (x, y) = (self.x.as_ref()?, self.y.as_ref()?);
        let is_whole = |part: &str| URL_SAFE_NO_PAD.decode(part).is_ok_and(|part| part.len() == bytes);
        if is_whole(x) && is_whole(y) { DecodingKey::from_ec_components(x, y).ok() } else { None }
    }

    fn ed(&self) -> Option<DecodingKey> {
        let x = self.x.as_ref()?;
        let is_whole = URL_SAFE_NO_PAD.decode(x).is_ok_and(|part| part.len() == 32);
        if is_whole { DecodingKey::from_ed_components(x).ok() } else { None }
    }
}

/// Whether a key in PEM names a curve by its object identifier.
fn names_curve(pem: &str, identifier: &[u8]) -> bool {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).map(str::trim).collect();
    STANDARD.decode(base64).is_ok_and(|der| der.windows(identifier.len()).any(|window| window == identifier))
}

/// An algorithm by its name in JOSE, exactly. `Ed25519` is the newer name of
/// what `EdDSA` means with such a key (RFC 9864).
pub fn parse_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA),
        name => name.parse().ok(),
    }
}

/// Whether an algorithm uses a secret that both sides know.
pub fn is_symmetric(algorithm: Algorithm) -> bool {
    algorithm.family() == AlgorithmFamily::Hmac
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("fits", &self.fits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn ed(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": URL_SAFE_NO_PAD.encode([7; 32])})
    }

    fn read(keys: Value) -> Result<KeySet, BadKeys> {
        KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn a_key_is_found_by_its_id_and_algorithm() {
        let set = read(json!([ed("a"), ed("b")])).unwrap();
        let find = |set: &KeySet, id, algorithm, without_id| {
            set.find(id, algorithm, without_id).map(Iterator::count)
        };
        let (only, each) = (WithoutKeyId::TheOnlyOne, WithoutKeyId::EachThatFits);
        assert_eq!(find(&set, Some("a"), Algorithm::EdDSA, only), Ok(1));
        assert_eq!(find(&set, Some("a"), Algorithm::EdDSA, each), Ok(1));
        assert_eq!(find(&set, Some("c"), Algorithm::EdDSA, each), Err(NoKey::UnknownId));
        assert_eq!(find(&set, Some("a"), Algorithm::RS256, each), Err(NoKey::Misfit));
        assert_eq!(find(&set, None, Algorithm::EdDSA, only), Err(NoKey::Misfit));
        assert_eq!(find(&set, None, Algorithm::EdDSA, each), Ok(2));
        assert_eq!(find(&read(json!([ed("a")])).unwrap(), None, Algorithm::EdDSA, only), Ok(1));
        assert_eq!(find(&KeySet::none(), None, Algorithm::EdDSA, each), Err(NoKey::UnknownId));
    }

    #[test]
    fn keys_for_other_purposes_and_of_unknown_kinds_are_passed_over() {
        let mut encryption = ed("e");
        encryption["use"] = json!("enc");
        let unknown = json!({"kty": "EC", "crv": "secp256k1", "kid": "k"});
        let set = read(json!([encryption, unknown, ed("a")])).unwrap();
        assert_eq!(set.keys.len(), 1);
    }

    #[rstest]
    #[case::two_of_one_id(json!([ed("a"), ed("a")]), BadKeys::Ambiguous)]
    #[case::symmetric(json!([ed("a"), {"kty": "oct", "k": "AAAA"}]), BadKeys::Secret)]
    #[case::private(json!([{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA"}]), BadKeys::Secret)]
    #[case::nothing(json!([]), BadKeys::Empty)]
    #[case::short_coordinate(json!([{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]), BadKeys::Empty)]
    #[case::weak(json!([{"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"}]), BadKeys::Weak)]
    #[case::too_many(Value::Array((0..101).map(|id| ed(&id.to_string())).collect()), BadKeys::TooMany)]
    fn a_set_is_refused_whole(#[case] keys: Value, #[case] why: BadKeys) {
        assert_eq!(read(keys).unwrap_err(), why);
    }

    #[test]
    fn a_set_has_a_size_and_a_form() {
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
    fn a_key_in_pem_fits_the_algorithms_of_its_kind() {
        let key = KeySet::from_pem(EC_P256.as_bytes()).unwrap();
        assert!(key.fits(Algorithm::ES256));
        assert!(!key.fits(Algorithm::ES384) && !key.fits(Algorithm::RS256) && !key.fits(Algorithm::HS256));
    }

    #[rstest]
    #[case::weak(RSA_1024, BadKeys::Weak)]
    #[case::curve(EC_P521, BadKeys::NotPem)]
    #[case::nothing("", BadKeys::NotPem)]
    fn a_key_in_pem_is_refused(#[case] pem: &str, #[case] why: BadKeys) {
        assert_eq!(KeySet::from_pem(pem.as_bytes()).unwrap_err(), why);
    }
}
