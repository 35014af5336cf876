//! Parses a JSON Web Key Set (RFC 7517). A set that contains secrets is rejected as
//! a whole; a single unusable key is skipped (section 5).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::jwt::compact::Strict;
use crate::jwt::key_set::{BadKeys, Key, KeySet, RSA, parse_algorithm};
use crate::jwt::public_key::{self, Curve};
use crate::jwt::skipped_key::{SkippedKey, UnusableKey};

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A JSON Web Key. A null member counts as missing, since some libraries serialize
/// unset members as null.
struct Jwk(Map<String, Value>);

/// Members of symmetric and private keys (RFC 7518, 6.2.2, 6.3.2 and 6.4; RFC 8037, 2; `priv` of newer key types).
const SECRET: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

impl KeySet {
    /// Parses a published set. Unusable keys are skipped.
    pub fn from_jwks(text: &[u8]) -> Result<Self, BadKeys> {
        let (keys, skipped) = read_document(text)?;
        Self::published(keys, skipped)
    }

    /// Parses a set from a configured file, in which an invalid key is an error.
    pub fn from_jwks_file(text: &[u8]) -> Result<Self, BadKeys> {
        let (keys, skipped) = read_document(text)?;
        match skipped.iter().find(|key| key.is_invalid()) {
            Some(invalid) => Err(BadKeys::Unusable(*invalid)),
            None => Self::published(keys, skipped),
        }
    }
}

/// Returns the verification keys of a set and the skipped keys. Keys for other
/// purposes, such as encryption, are in neither list.
fn read_document(text: &[u8]) -> Result<(Vec<Key>, Vec<SkippedKey>), BadKeys> {
    if text.len() > KeySet::MAX_BYTES {
        return Err(BadKeys::TooLarge);
    }
    // serde's error text may quote the document
    let Jwks { keys: set } = serde_json::from_slice(text)
        .map_err(|error| BadKeys::NotASet { line: error.line(), column: error.column() })?;
    if set.len() > KeySet::MAX_KEYS {
        return Err(BadKeys::TooMany);
    }
    if set.iter().any(Jwk::has_secret_member) {
        return Err(BadKeys::Secret);
    }
    let mut ids = BTreeSet::new();
    if !set.iter().filter_map(|key| key.0.get("kid")?.as_str()).all(|id| ids.insert(id)) {
        return Err(BadKeys::Ambiguous);
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (number, key) in (1..).zip(&set) {
        match key.to_key() {
            Ok(key) => keys.extend(key),
            Err(why) => skipped.push(SkippedKey { number, why }),
        }
    }
    Ok((keys, skipped))
}

impl Jwk {
    fn has_secret_member(&self) -> bool {
        let is_there = |name: &&str| self.0.get(*name).is_some_and(|value| !value.is_null());
        self.0.get("kty").is_some_and(|kind| kind == "oct") || SECRET.iter().any(is_there)
    }

    /// The verification key; `None` if the key has another purpose.
    fn to_key(&self) -> Result<Option<Key>, UnusableKey> {
        if !self.is_verification_key()? {
            return Ok(None);
        }
        let kind = self.text("kty")?.ok_or(UnusableKey::Missing("kty"))?;
        let id = self.text("kid")?.map(str::to_owned);
        let mut algorithms = match (kind, self.text("crv")?) {
            ("RSA", _) => RSA.to_vec(),
            ("EC", Some("P-256")) => vec![Algorithm::ES256],
            ("EC", Some("P-384")) => vec![Algorithm::ES384],
            ("OKP", Some("Ed25519")) => vec![Algorithm::EdDSA],
            ("EC" | "OKP", Some(_)) => return Err(UnusableKey::Unknown("crv")),
            ("EC" | "OKP", None) => return Err(UnusableKey::Missing("crv")),
            (_, _) => return Err(UnusableKey::Unknown("kty")),
        };
        if let Some(only) = self.text("alg")? {
            algorithms.retain(|algorithm| parse_algorithm(only) == Some(*algorithm));
        }
        let key = match algorithms.first() {
            None => return Err(UnusableKey::Unknown("alg")),
            Some(Algorithm::ES256) => self.ec(Curve::P256)?,
            Some(Algorithm::ES384) => self.ec(Curve::P384)?,
            Some(Algorithm::EdDSA) => self.ed25519()?,
            Some(_) => public_key::rsa(&self.bytes("n")?, &self.bytes("e")?)?,
        };
        Ok(Some(Key { id, algorithms, key }))
    }

    fn is_verification_key(&self) -> Result<bool, UnusableKey> {
        let by_use = match self.text("use")? {
            None | Some("sig") => true,
            Some("enc") => false,
            Some(_) => return Err(UnusableKey::Unknown("use")),
        };
        let by_operations = match self.0.get("key_ops") {
            None | Some(Value::Null) => true,
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.iter().any(|operation| operation == "verify")
            }
            Some(_) => return Err(UnusableKey::WrongType("key_ops")),
        };
        Ok(by_use && by_operations)
    }

    fn ec(&self, curve: Curve) -> Result<DecodingKey, UnusableKey> {
        let coordinate = |name| {
            let bytes = self.bytes(name)?;
            if bytes.len() == curve.coordinate_bytes() {
                Ok(bytes)
            } else {
                Err(UnusableKey::Malformed(name))
            }
        };
        Ok(public_key::ec(curve, &coordinate("x")?, &coordinate("y")?)?)
    }

    fn ed25519(&self) -> Result<DecodingKey, UnusableKey> {
        let key = <[u8; 32]>::try_from(self.bytes("x")?).map_err(|_| UnusableKey::Malformed("x"))?;
        Ok(public_key::ed25519(&key)?)
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, UnusableKey> {
        let text = self.text(name)?.ok_or(UnusableKey::Missing(name))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| UnusableKey::Malformed(name))
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, UnusableKey> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(UnusableKey::WrongType(name)),
        }
    }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)? {
            Strict(Value::Object(members)) => Ok(Self(members)),
            Strict(_) => Err(D::Error::custom("a key is not a JSON object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::jwt::public_key::BadKey;
    use crate::jwt::skipped_key::list;

    /// The sample key for ECDSA of RFC 7515, A.3, with some members changed.
    fn key(changed: Value) -> Value {
        let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "a",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        for (name, value) in changed.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn set(keys: Value) -> Result<(Vec<Key>, Vec<SkippedKey>), BadKeys> {
        read_document(json!({"keys": keys}).to_string().as_bytes())
    }

    #[rstest]
    #[case::no_kty(json!({"kty": null}), UnusableKey::Missing("kty"))]
    #[case::unknown_kty(json!({"kty": "AKP"}), UnusableKey::Unknown("kty"))]
    #[case::unknown_crv(json!({"crv": "secp256k1"}), UnusableKey::Unknown("crv"))]
    #[case::no_crv(json!({"crv": null}), UnusableKey::Missing("crv"))]
    #[case::unknown_use(json!({"use": "tls"}), UnusableKey::Unknown("use"))]
    #[case::unknown_alg(json!({"alg": "ES256K"}), UnusableKey::Unknown("alg"))]
    #[case::alg_of_another_kind(json!({"alg": "RS256"}), UnusableKey::Unknown("alg"))]
    #[case::kty_is_not_a_string(json!({"kty": 1}), UnusableKey::WrongType("kty"))]
    #[case::kid_is_not_a_string(json!({"kid": 7}), UnusableKey::WrongType("kid"))]
    #[case::use_is_not_a_string(json!({"use": ["sig"]}), UnusableKey::WrongType("use"))]
    #[case::alg_is_not_a_string(json!({"alg": true}), UnusableKey::WrongType("alg"))]
    #[case::key_ops_is_not_a_list(json!({"key_ops": "verify"}), UnusableKey::WrongType("key_ops"))]
    #[case::x_is_not_a_string(json!({"x": {}}), UnusableKey::WrongType("x"))]
    #[case::no_y(json!({"y": null}), UnusableKey::Missing("y"))]
    #[case::short_x(json!({"x": "AAAA"}), UnusableKey::Malformed("x"))]
    #[case::padded_x(json!({"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="}), UnusableKey::Malformed("x"))]
    #[case::off_the_curve(
        json!({"x": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        UnusableKey::Bad(BadKey::OffCurve)
    )]
    #[case::weak(
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 255]), "e": "AQAB"}),
        UnusableKey::Bad(BadKey::ShortModulus)
    )]
    #[case::small_order(
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([0; 32])}),
        UnusableKey::Bad(BadKey::SmallOrder)
    )]
    fn an_unusable_key_is_skipped_and_others_are_used(#[case] changed: Value, #[case] why: UnusableKey) {
        let (keys, skipped) = set(json!([key(changed), key(json!({"kid": "b"}))])).unwrap();
        assert_eq!((keys.len(), skipped), (1, vec![SkippedKey { number: 1, why }]));
    }

    #[test]
    fn keys_for_other_purposes_are_ignored() {
        let encryption = key(json!({"kid": "e", "use": "enc", "crv": "P-521"}));
        let wrapping = key(json!({"kid": "w", "key_ops": ["wrapKey"]}));
        let (keys, skipped) = set(json!([encryption, wrapping, key(json!({"use": "sig"}))])).unwrap();
        assert_eq!((keys.len(), skipped), (1, vec![]));
    }

    #[rstest]
    fn a_set_that_contains_a_secret_is_rejected(
        #[values("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv")] member: &str,
        #[values("EC", "RSA", "OKP", "AKP")] kind: &str,
        #[values(json!("AAAA"), json!([]), json!(1), json!(""))] value: Value,
    ) {
        let secret = json!({"kty": kind, "kid": "b", member: value});
        assert_eq!(set(json!([key(json!({})), secret])).unwrap_err(), BadKeys::Secret);
        let nothing = json!({"kty": kind, "kid": "b", member: null});
        assert_eq!(set(json!([key(json!({})), nothing])).unwrap().0.len(), 1);
    }

    #[rstest]
    #[case::symmetric(json!({"kty": "oct", "kid": "b"}), BadKeys::Secret)]
    #[case::one_kid(json!({"kid": "a"}), BadKeys::Ambiguous)]
    #[case::one_kid_for_encryption(json!({"kid": "a", "use": "enc"}), BadKeys::Ambiguous)]
    fn one_bad_key_rejects_the_whole_set(#[case] other: Value, #[case] why: BadKeys) {
        assert_eq!(set(json!([key(json!({})), other])).unwrap_err(), why);
    }

    #[rstest]
    #[case::twice(r#"{"keys":[{"kty":"EC","kty":"oct"}]}"#)]
    #[case::no_object(r#"{"keys":["a"]}"#)]
    #[case::two_sets(r#"{"keys":[],"keys":[]}"#)]
    fn an_ambiguous_document_is_rejected(#[case] text: &str) {
        assert!(
            matches!(read_document(text.as_bytes()), Err(BadKeys::NotASet { .. })),
            "{:?}",
            read_document(text.as_bytes())
        );
    }

    #[test]
    fn the_list_of_skipped_keys_is_short_and_quotes_nothing() {
        let keys: Vec<Value> =
            (0..12).map(|n| key(json!({"kid": format!("canary-{n}"), "kty": "canary"}))).collect();
        let text = list(&set(json!(keys)).unwrap().1);
        assert!(text.starts_with("key 1: its kty is not supported; key 2: "), "{text}");
        assert!(text.ends_with("; and 4 more") && !text.contains("canary"), "{text}");
    }
}
