//! Verifying a token of our own: is it whole, and was it signed with this
//! secret? Whether its claims are good is for the caller to say.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::secret::SharedSecret;

/// A token whose signature is right.
#[derive(Debug)]
pub struct Verified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims, none of them checked.
    pub claims: Map<String, Value>,
}

/// A token's parts, read but not verified.
#[derive(Debug)]
pub struct Unverified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// What the token claims; anybody may have written it.
    pub claims: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three parts of base64url, separated by dots.
    #[error("it is not a signed token: three parts of base64url with a dot between them are meant")]
    NotCompact,
    /// A part is no JSON object.
    #[error("its {0} is not a JSON object")]
    NotAnObject(&'static str),
    /// Another algorithm.
    #[error("its algorithm is not HS256")]
    WrongAlgorithm,
    /// The signature is another secret's, or the token was changed.
    #[error("its signature is not that of the configured secret")]
    WrongSignature,
}

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Reads a token and checks its signature. Nothing else: not its age, not its claims.
pub fn verify_hs256(token: &str, secret: &SharedSecret) -> Result<Verified, Refused> {
    let Unverified { header, claims } = unverified_parts(token)?;
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(Refused::WrongAlgorithm);
    }
    let mut options = Validation::new(Algorithm::HS256);
    options.algorithms = vec![Algorithm::HS256];
    options.required_spec_claims = HashSet::new();
    options.validate_exp = false;
    options.validate_nbf = false;
    options.validate_aud = false;
    options.leeway = 0;
    options.reject_tokens_expiring_in_less_than = 0;
    options.aud = None;
    options.iss = None;
    options.sub = None;

    let key = DecodingKey::from_secret(secret.expose_bytes());
    jsonwebtoken::decode::<Map<String, Value>>(token, &key, &options).map_err(|_| Refused::WrongSignature)?;
    Ok(Verified { header, claims })
}

/// Reads a token's parts. Nothing that comes out may be believed.
pub fn unverified_parts(token: &str) -> Result<Unverified, Refused> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(Refused::NotCompact);
    };
    if token.len() > MAX_TOKEN_BYTES || URL_SAFE_NO_PAD.decode(signature).is_err() {
        return Err(Refused::NotCompact);
    }
    Ok(Unverified { header: object("header", header)?, claims: object("payload", claims)? })
}

fn object(what: &'static str, part: &str) -> Result<Map<String, Value>, Refused> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::NotCompact)?;
    serde_json::from_slice(&json).map_err(|_| Refused::NotAnObject(what))
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
    #[case::another_secret(token(), "another secret of at least 32 bytes".replace(' ', "-"), Refused::WrongSignature)]
    #[case::no_signature(token().rsplit_once('.').unwrap().0.to_owned() + ".", String::new(), Refused::WrongSignature)]
    #[case::two_parts("a.b".into(), String::new(), Refused::NotCompact)]
    #[case::five_parts("a.b.c.d.e".into(), String::new(), Refused::NotCompact)]
    #[case::padding(token() + "=", String::new(), Refused::NotCompact)]
    #[case::white_space(token() + " ", String::new(), Refused::NotCompact)]
    #[case::algorithm_none("eyJhbGciOiJub25lIn0.e30.".into(), String::new(), Refused::WrongAlgorithm)]
    #[case::not_json("YQ.e30.YQ".into(), String::new(), Refused::NotAnObject("header"))]
    fn a_token_is_refused(#[case] token: String, #[case] other: String, #[case] why: Refused) {
        let secret = if other.is_empty() { secret() } else { SharedSecret::parse(&other).unwrap() };
        assert_eq!(verify_hs256(&token, &secret).unwrap_err(), why);
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
