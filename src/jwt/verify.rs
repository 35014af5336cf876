//! Verifying a token of our own: is it whole, and was it signed with this
//! secret? Whether its claims are good is for the caller to say.

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use super::compact::{Compact, NotCompact};
use crate::secret::SharedSecret;

/// A token whose signature is right.
#[derive(Debug)]
pub struct Verified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims, none of them checked.
    pub claims: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no token at all.
    #[error(transparent)]
    NotCompact(#[from] NotCompact),
    /// Another algorithm.
    #[error("its algorithm is not HS256")]
    WrongAlgorithm,
    /// It asks for extensions to be understood (RFC 7515, 4.1.11).
    #[error("its header has a crit member, and no extension is known here")]
    Critical,
    /// The signature is another secret's, or the token was changed.
    #[error("its signature is not that of the configured secret")]
    WrongSignature,
}

/// Reads a token and checks its signature. Nothing else: not its age, not its
/// claims. The library is asked for the signature alone, so that no default of
/// its validation has a say.
pub fn verify_hs256(token: &str, secret: &SharedSecret) -> Result<Verified, Refused> {
    let Compact { header, claims, signed, signature } = Compact::parse(token)?;
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(Refused::WrongAlgorithm);
    }
    if header.contains_key("crit") {
        return Err(Refused::Critical);
    }
    super::use_aws_lc();
    let key = DecodingKey::from_secret(secret.expose_bytes());
    match crypto::verify(signature, signed.as_bytes(), &key, Algorithm::HS256) {
        Ok(true) => Ok(Verified { header, claims }),
        Ok(false) | Err(_) => Err(Refused::WrongSignature),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::jwt::sign::SigningKey;

    fn secret() -> SharedSecret {
        SharedSecret::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    fn token() -> String {
        SigningKey::new(&secret()).sign(&json!({"sub": "alice", "exp": 1})).unwrap()
    }

    #[test]
    fn a_token_of_ours_is_believed_however_old() {
        assert_eq!(verify_hs256(&token(), &secret()).unwrap().claims["sub"], "alice");
    }

    #[rstest]
    #[case::no_signature(token().rsplit_once('.').unwrap().0.to_owned() + ".", Refused::WrongSignature)]
    #[case::algorithm_none("eyJhbGciOiJub25lIn0.e30.".into(), Refused::WrongAlgorithm)]
    #[case::another_algorithm("eyJhbGciOiJIUzM4NCJ9.e30.c2ln".into(), Refused::WrongAlgorithm)]
    #[case::critical("eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.c2ln".into(), Refused::Critical)]
    #[case::no_token("a.b".into(), Refused::NotCompact(NotCompact::Form))]
    fn a_token_is_refused(#[case] token: String, #[case] why: Refused) {
        assert_eq!(verify_hs256(&token, &secret()).unwrap_err(), why);
    }

    #[test]
    fn another_secret_is_not_believed() {
        let other = SharedSecret::parse("fedcba9876543210fedcba9876543210").unwrap();
        assert_eq!(verify_hs256(&token(), &other).unwrap_err(), Refused::WrongSignature);
    }

    #[test]
    fn the_last_character_of_a_signature_counts() {
        let mut token = token();
        let last = token.pop().unwrap();
        token.push(if last == 'A' { 'B' } else { 'A' });
        assert!(verify_hs256(&token, &secret()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_harm(text in any::<String>()) {
            prop_assert!(verify_hs256(&text, &secret()).is_err());
        }
    }
}
