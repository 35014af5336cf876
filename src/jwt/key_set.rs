//! Keys to verify with, and sets of them as issuers publish them (RFC 7517).
//! Where they come from is not known here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::jwks::{self, Skipped};
use super::public_key::{self, BadKey, Curve};
use crate::secret::SharedSecret;

/// A set of keys.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    ids: Ids,
    skipped: Vec<Skipped>,
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

/// A key, and what it may be used with.
#[derive(Clone)]
pub(super) struct Key {
    pub id: Option<String>,
    pub fits: Vec<Algorithm>,
    pub key: DecodingKey,
}

/// Which keys are tried for a token without a `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKid {
    /// The only one that fits; where several do, none.
    OnlyKey,
    /// Each that fits, up to [`KeySet::MAX_TRIED`]: for issuers that name no
    /// keys and yet change them.
    EachFittingKey,
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// No key of that id; a newer set may have it.
    UnknownId,
    /// The key of that id is for another algorithm.
    Misfit,
    /// No id is named, and none or too many fit; in a newer set one may.
    Unclear,
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
    #[error("it holds no key that can verify a signature here{}", in_brackets(.0))]
    Empty(Vec<Skipped>),
    /// A key in a set that was written down by hand can never be used.
    #[error("it holds a key that cannot be used; {0}")]
    Unusable(Skipped),
    /// The key in PEM can never be used.
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
    /// The largest set, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The most keys in a set.
    pub const MAX_KEYS: usize = 100;

    /// The most keys that are tried for a token that names none.
    pub const MAX_TRIED: usize = 8;

    /// A set without keys.
    pub const fn none() -> Self {
        Self { keys: Vec::new(), ids: Ids::Named, skipped: Vec::new() }
    }

    /// Reads a published set. A key that cannot be used is skipped.
    pub fn from_jwks(text: &[u8]) -> Result<Self, BadKeys> {
        let (keys, skipped) = jwks::read_document(text)?;
        if keys.is_empty() {
            return Err(BadKeys::Empty(skipped));
        }
        Ok(Self { keys, ids: Ids::Named, skipped })
    }

    /// Reads a set that was written down by hand: a key in it that can never be
    /// used is a mistake.
    pub fn from_jwks_file(text: &[u8]) -> Result<Self, BadKeys> {
        let (_, skipped) = jwks::read_document(text)?;
        match skipped.into_iter().find(Skipped::is_a_mistake) {
            Some(mistake) => Err(BadKeys::Unusable(mistake)),
            None => Self::from_jwks(text),
        }
    }

    /// The keys of the set that are not used, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
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
        let read = rsa().or_else(ec).or_else(ed).map_err(|_| BadKeys::NotPem)?;
        let bytes = read.try_get_as_bytes().map_err(|_| BadKeys::NotPem)?;
        let (fits, key) = match read.family() {
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
        Ok(Self::single(fits, key?))
    }

    /// A secret that the issuer and this service share. It fits the algorithms
    /// whose hash is no longer than it is (RFC 7518, 3.2).
    pub fn from_shared_secret(secret: &SharedSecret) -> Self {
        let bytes = secret.expose_bytes();
        let fits = HMAC.into_iter().filter(|algorithm| min_secret_bytes(*algorithm) <= bytes.len());
        Self::single(fits.collect(), DecodingKey::from_secret(bytes))
    }

    fn single(fits: Vec<Algorithm>, key: DecodingKey) -> Self {
        Self { keys: vec![Key { id: None, fits, key }], ids: Ids::Ignored, skipped: Vec::new() }
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
        without_id: MissingKid,
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
            MissingKid::OnlyKey => 1,
            MissingKid::EachFittingKey if id.is_some() => 1,
            MissingKid::EachFittingKey => Self::MAX_TRIED,
        };
        match fitting.clone().count() {
            count if (1..=most).contains(&count) => Ok(fitting.map(|key| &key.key)),
            _ if id.is_none() => Err(NoKey::Unclear),
            _ => Err(NoKey::Misfit),
        }
    }
}

fn in_brackets(skipped: &[Skipped]) -> String {
    if skipped.is_empty() { String::new() } else { format!(" ({})", jwks::list(skipped)) }
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

/// The length of an algorithm's hash, in bytes, and so the shortest secret for
/// it (RFC 7518, 3.2); 0 where it takes no secret.
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
        f.debug_struct("Key").field("id", &self.id).field("fits", &self.fits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::jwt::jwks::Unusable;

    /// The sample key of RFC 8037, A.2, by another name.
    fn ed(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
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
        let (only, each) = (MissingKid::OnlyKey, MissingKid::EachFittingKey);
        assert_eq!(find(&set, Some("a"), Algorithm::EdDSA, only), Ok(1));
        assert_eq!(find(&set, Some("a"), Algorithm::EdDSA, each), Ok(1));
        assert_eq!(find(&set, Some("c"), Algorithm::EdDSA, each), Err(NoKey::UnknownId));
        assert_eq!(find(&set, Some("a"), Algorithm::RS256, each), Err(NoKey::Misfit));
        assert_eq!(find(&set, None, Algorithm::EdDSA, only), Err(NoKey::Unclear));
        assert_eq!(find(&set, None, Algorithm::RS256, each), Err(NoKey::Unclear));
        assert_eq!(find(&set, None, Algorithm::EdDSA, each), Ok(2));
        assert_eq!(find(&read(json!([ed("a")])).unwrap(), None, Algorithm::EdDSA, only), Ok(1));
        assert_eq!(find(&KeySet::none(), None, Algorithm::EdDSA, each), Err(NoKey::UnknownId));
    }

    #[rstest]
    #[case::two_of_one_id(json!([ed("a"), ed("a")]), BadKeys::Ambiguous)]
    #[case::symmetric(json!([ed("a"), {"kty": "oct", "k": "AAAA"}]), BadKeys::Secret)]
    #[case::nothing(json!([]), BadKeys::Empty(vec![]))]
    #[case::nothing_of_use(
        json!([{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]),
        BadKeys::Empty(vec![Skipped { number: 1, why: Unusable::Malformed("x") }])
    )]
    #[case::too_many(Value::Array((0..101).map(|id| ed(&id.to_string())).collect()), BadKeys::TooMany)]
    fn a_set_is_refused_whole(#[case] keys: Value, #[case] why: BadKeys) {
        assert_eq!(read(keys).unwrap_err(), why);
    }

    /// A key beside a good one, and whether a file may hold it.
    #[rstest]
    #[case::of_an_unknown_kind(json!({"kty": "AKP"}), true)]
    #[case::without_a_kind(json!({"kid": "x"}), true)]
    #[case::of_small_order(
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
        false
    )]
    #[case::malformed(json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}), false)]
    fn a_key_that_is_never_of_use_is_a_mistake_in_a_file(#[case] key: Value, #[case] may_be: bool) {
        let text = json!({"keys": [ed("a"), key]}).to_string();
        let published = KeySet::from_jwks(text.as_bytes()).unwrap();
        assert_eq!((published.keys.len(), published.skipped().len()), (1, 1));
        let in_a_file = KeySet::from_jwks_file(text.as_bytes());
        assert_eq!(in_a_file.is_ok(), may_be, "{in_a_file:?}");
    }

    #[test]
    fn a_secret_fits_the_hashes_that_are_no_longer_than_it_is() {
        for (length, fitting) in [(32, 1), (47, 1), (48, 2), (63, 2), (64, 3)] {
            let secret = SharedSecret::parse(&"x".repeat(length)).unwrap();
            let keys = KeySet::from_shared_secret(&secret);
            assert_eq!(HMAC.iter().filter(|algorithm| keys.fits(**algorithm)).count(), fitting, "{length}");
        }
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
    #[case::weak(RSA_1024, BadKeys::Bad(BadKey::ShortModulus))]
    #[case::curve(EC_P521, BadKeys::NotPem)]
    #[case::nothing("", BadKeys::NotPem)]
    fn a_key_in_pem_is_refused(#[case] pem: &str, #[case] why: BadKeys) {
        assert_eq!(KeySet::from_pem(pem.as_bytes()).unwrap_err(), why);
    }
}
