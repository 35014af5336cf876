//! Reading a JSON Web Key Set (RFC 7517). What should never have been published
//! spoils the whole set; a single key that cannot be used is skipped (section 5).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::jwt::compact::Strict;
use crate::jwt::key_set::{BadKeys, Key, KeySet, RSA, parse_algorithm};
use crate::jwt::public_key::{self, BadKey, Curve};

/// A key of a set that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {number}: {why}")]
pub struct Skipped {
    /// Its place in the set, from 1.
    pub number: usize,
    /// Why.
    pub why: Unusable,
}

/// Why a key is not used. It never quotes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A member that every such key has is missing.
    #[error("its {0} is missing")]
    Missing(&'static str),
    /// A member is not a text, or not a list of texts where that is meant.
    #[error("its {0} is of a wrong type")]
    WrongType(&'static str),
    /// A value that may be right, and is not known here.
    #[error("its {0} is not one that is known here")]
    Unknown(&'static str),
    /// A part of the key is not in base64url, or not of the right length.
    #[error("its {0} is not base64url of the right length")]
    Malformed(&'static str),
    /// A key that can verify nothing, or anything.
    #[error(transparent)]
    Bad(#[from] BadKey),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A JSON Web Key. A member that is null counts as not there: some libraries
/// write all members that they know.
struct Jwk(Map<String, Value>);

/// Members that hold a secret, or a part of a private key (RFC 7518, 6.2.2,
/// 6.3.2 and 6.4; RFC 8037, 2; `priv` of newer kinds).
const SECRET: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// As many skipped keys are named in one line.
const MOST_NAMED: usize = 8;

/// The keys of a set that verify signatures, and those that were skipped. Keys
/// for other purposes, such as encryption, are neither.
pub(in crate::jwt) fn read_document(text: &[u8]) -> Result<(Vec<Key>, Vec<Skipped>), BadKeys> {
    if text.len() > KeySet::MAX_BYTES {
        return Err(BadKeys::TooLarge);
    }
    // the error's own text quotes what it found, which may be anything
    let Jwks { keys: set } = serde_json::from_slice(text)
        .map_err(|error| BadKeys::NotASet { line: error.line(), column: error.column() })?;
    if set.len() > KeySet::MAX_KEYS {
        return Err(BadKeys::TooMany);
    }
    if set.iter().any(Jwk::holds_a_secret) {
        return Err(BadKeys::Secret);
    }
    let mut ids = BTreeSet::new();
    if !set.iter().filter_map(|key| key.0.get("kid")?.as_str()).all(|id| ids.insert(id)) {
        return Err(BadKeys::Ambiguous);
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (number, key) in (1..).zip(&set) {
        match key.read() {
            Ok(key) => keys.extend(key),
            Err(why) => skipped.push(Skipped { number, why }),
        }
    }
    Ok((keys, skipped))
}

/// Skipped keys in one line.
pub fn list(skipped: &[Skipped]) -> String {
    let named: Vec<String> = skipped.iter().take(MOST_NAMED).map(Skipped::to_string).collect();
    let mut text = named.join("; ");
    if let Some(more) = skipped.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        // writing to a String cannot fail
        let _ = write!(text, "; and {more} more");
    }
    text
}

impl Skipped {
    /// Whether the key is meant for what is verified here, and can never do it:
    /// where it was written down by hand, that is a mistake.
    pub const fn is_a_mistake(&self) -> bool {
        match self.why {
            Unusable::Bad(_) | Unusable::Malformed(_) => true,
            Unusable::Missing(_) | Unusable::WrongType(_) | Unusable::Unknown(_) => false,
        }
    }
}

impl Jwk {
    fn holds_a_secret(&self) -> bool {
        let is_there = |name: &&str| self.0.get(*name).is_some_and(|value| !value.is_null());
        self.0.get("kty").is_some_and(|kind| kind == "oct") || SECRET.iter().any(is_there)
    }

    /// The key; nothing where it is for another purpose.
    fn read(&self) -> Result<Option<Key>, Unusable> {
        if !self.is_for_signatures()? {
            return Ok(None);
        }
        let kind = self.text("kty")?.ok_or(Unusable::Missing("kty"))?;
        let id = self.text("kid")?.map(str::to_owned);
        let mut fits = match (kind, self.text("crv")?) {
            ("RSA", _) => RSA.to_vec(),
            ("EC", Some("P-256")) => vec![Algorithm::ES256],
            ("EC", Some("P-384")) => vec![Algorithm::ES384],
            ("OKP", Some("Ed25519")) => vec![Algorithm::EdDSA],
            ("EC" | "OKP", Some(_)) => return Err(Unusable::Unknown("crv")),
            ("EC" | "OKP", None) => return Err(Unusable::Missing("crv")),
            (_, _) => return Err(Unusable::Unknown("kty")),
        };
        if let Some(only) = self.text("alg")? {
            fits.retain(|algorithm| parse_algorithm(only) == Some(*algorithm));
        }
        let key = match fits.first() {
            None => return Err(Unusable::Unknown("alg")),
            Some(Algorithm::ES256) => self.ec(Curve::P256)?,
            Some(Algorithm::ES384) => self.ec(Curve::P384)?,
            Some(Algorithm::EdDSA) => self.ed25519()?,
            Some(_) => public_key::rsa(&self.bytes("n")?, &self.bytes("e")?)?,
        };
        Ok(Some(Key { id, fits, key }))
    }

    fn is_for_signatures(&self) -> Result<bool, Unusable> {
        let by_use = match self.text("use")? {
            None | Some("sig") => true,
            Some("enc") => false,
            Some(_) => return Err(Unusable::Unknown("use")),
        };
        let by_operations = match self.0.get("key_ops") {
            None | Some(Value::Null) => true,
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.iter().any(|operation| operation == "verify")
            }
            Some(_) => return Err(Unusable::WrongType("key_ops")),
        };
        Ok(by_use && by_operations)
    }

    fn ec(&self, curve: Curve) -> Result<DecodingKey, Unusable> {
        let coordinate = |name| {
            let bytes = self.bytes(name)?;
            if bytes.len() == curve.coordinate_bytes() { Ok(bytes) } else { Err(Unusable::Malformed(name)) }
        };
        Ok(public_key::ec(curve, &coordinate("x")?, &coordinate("y")?)?)
    }

    fn ed25519(&self) -> Result<DecodingKey, Unusable> {
        let key = <[u8; 32]>::try_from(self.bytes("x")?).map_err(|_| Unusable::Malformed("x"))?;
        Ok(public_key::ed25519(&key)?)
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Unusable> {
        let text = self.text(name)?.ok_or(Unusable::Missing(name))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable::Malformed(name))
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, Unusable> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Unusable::WrongType(name)),
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

    /// The sample key for ECDSA of RFC 7515, A.3, with some members otherwise.
    fn key(changed: Value) -> Value {
        let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "a",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        for (name, value) in changed.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn set(keys: Value) -> Result<(Vec<Key>, Vec<Skipped>), BadKeys> {
        read_document(json!({"keys": keys}).to_string().as_bytes())
    }

    #[rstest]
    #[case::no_kty(json!({"kty": null}), Unusable::Missing("kty"))]
    #[case::unknown_kty(json!({"kty": "AKP"}), Unusable::Unknown("kty"))]
    #[case::unknown_crv(json!({"crv": "secp256k1"}), Unusable::Unknown("crv"))]
    #[case::no_crv(json!({"crv": null}), Unusable::Missing("crv"))]
    #[case::unknown_use(json!({"use": "tls"}), Unusable::Unknown("use"))]
    #[case::unknown_alg(json!({"alg": "ES256K"}), Unusable::Unknown("alg"))]
    #[case::alg_of_another_kind(json!({"alg": "RS256"}), Unusable::Unknown("alg"))]
    #[case::kty_is_no_text(json!({"kty": 1}), Unusable::WrongType("kty"))]
    #[case::kid_is_no_text(json!({"kid": 7}), Unusable::WrongType("kid"))]
    #[case::use_is_no_text(json!({"use": ["sig"]}), Unusable::WrongType("use"))]
    #[case::alg_is_no_text(json!({"alg": true}), Unusable::WrongType("alg"))]
    #[case::key_ops_is_no_list(json!({"key_ops": "verify"}), Unusable::WrongType("key_ops"))]
    #[case::x_is_no_text(json!({"x": {}}), Unusable::WrongType("x"))]
    #[case::no_y(json!({"y": null}), Unusable::Missing("y"))]
    #[case::short_x(json!({"x": "AAAA"}), Unusable::Malformed("x"))]
    #[case::padded_x(json!({"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="}), Unusable::Malformed("x"))]
    #[case::off_the_curve(
        json!({"x": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        Unusable::Bad(BadKey::OffCurve)
    )]
    #[case::weak(
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 255]), "e": "AQAB"}),
        Unusable::Bad(BadKey::ShortModulus)
    )]
    #[case::small_order(
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([0; 32])}),
        Unusable::Bad(BadKey::SmallOrder)
    )]
    fn a_strange_key_is_skipped_and_the_others_are_used(#[case] changed: Value, #[case] why: Unusable) {
        let (keys, skipped) = set(json!([key(changed), key(json!({"kid": "b"}))])).unwrap();
        assert_eq!((keys.len(), skipped), (1, vec![Skipped { number: 1, why }]));
    }

    #[test]
    fn keys_for_other_purposes_are_neither_used_nor_strange() {
        let encryption = key(json!({"kid": "e", "use": "enc", "crv": "P-521"}));
        let wrapping = key(json!({"kid": "w", "key_ops": ["wrapKey"]}));
        let (keys, skipped) = set(json!([encryption, wrapping, key(json!({"use": "sig"}))])).unwrap();
        assert_eq!((keys.len(), skipped), (1, vec![]));
    }

    #[rstest]
    fn a_set_that_publishes_a_secret_is_refused_whole(
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
    fn another_key_spoils_the_whole_set(#[case] other: Value, #[case] why: BadKeys) {
        assert_eq!(set(json!([key(json!({})), other])).unwrap_err(), why);
    }

    #[rstest]
    #[case::twice(r#"{"keys":[{"kty":"EC","kty":"oct"}]}"#)]
    #[case::no_object(r#"{"keys":["a"]}"#)]
    #[case::two_sets(r#"{"keys":[],"keys":[]}"#)]
    fn what_readers_would_read_differently_is_no_set(#[case] text: &str) {
        assert!(
            matches!(read_document(text.as_bytes()), Err(BadKeys::NotASet { .. })),
            "{:?}",
            read_document(text.as_bytes())
        );
    }

    #[test]
    fn a_list_of_skipped_keys_is_short_and_quotes_nothing() {
        let keys: Vec<Value> =
            (0..12).map(|n| key(json!({"kid": format!("canary-{n}"), "kty": "canary"}))).collect();
        let text = list(&set(json!(keys)).unwrap().1);
        assert!(text.starts_with("key 1: its kty is not one that is known here; key 2: "), "{text}");
        assert!(text.ends_with("; and 4 more") && !text.contains("canary"), "{text}");
    }
}
