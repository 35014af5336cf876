//! Signs with HS256, the only algorithm that Pandium accepts. It calls the HMAC of aws-lc directly,
//! because jsonwebtoken cannot reuse the key's precomputed state (`make bench` compares both).
//! jsonwebtoken verifies the result in tests and in the self-test at each start.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::secret::SharedSecret;

/// A key that signs with HS256.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The claims cannot be serialized.
    #[error("the claims cannot be serialized as JSON: {0}")]
    Claims(#[from] serde_json::Error),
}

/// The JOSE header exactly as Pandium documents it, `{"alg":"HS256","typ":"JWT"}`,
/// in base64url, followed by a dot.
const ENCODED_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

/// Initial buffer size; enough for most users' claims.
const TYPICAL_CLAIMS_BYTES: usize = 512;

impl SigningKey {
    /// Creates the key from a secret, whose type ensures the minimum length.
    pub fn new(secret: &SharedSecret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_bytes()))
    }

    /// Signs the claims and returns the token in compact serialization.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut json = Vec::with_capacity(TYPICAL_CLAIMS_BYTES);
        serde_json::to_writer(&mut json, claims)?;
        // header, claims in base64, dot, and the 43 characters of the signature
        let mut token = String::with_capacity(ENCODED_HEADER.len() + json.len().div_ceil(3) * 4 + 1 + 43);
        token.push_str(ENCODED_HEADER);
        URL_SAFE_NO_PAD.encode_string(&json, &mut token);
        let signature = hmac::sign(&self.0, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::SecretEncoding;

    #[test]
    fn the_encoded_header_is_the_header() {
        assert_eq!(format!("{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#)), ENCODED_HEADER);
    }

    /// The secret and header are those of the sample token of jwt.io.
    #[test]
    fn the_signature_matches_a_known_token() {
        let secret = SharedSecret::dangerous_decode_short("your-256-bit-secret", SecretEncoding::Text);
        let key = SigningKey::new(&secret.unwrap());
        let claims = json!({"iat": 1_516_239_022});
        let token = key.sign(&claims).unwrap();
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE1MTYyMzkwMjJ9.tbDepxpstvGdW8TC3G8zg4B6rUYAOvfzdceoH48wgRQ"
        );
    }
}
