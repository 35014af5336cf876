//! Signing with HS256, the only algorithm that Pandium takes. The HMAC is that
//! of aws-lc, as jsonwebtoken would call it; called directly, the key's state is
//! kept from token to token, which jsonwebtoken cannot do (`make bench` shows both).
//! What comes out is verified by jsonwebtoken, here in tests and at every start.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::secret::SharedSecret;

/// A key that signs with HS256.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The claims are not JSON.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
}

/// The JOSE header exactly as Pandium documents it, `{"alg":"HS256","typ":"JWT"}`,
/// in base64url, and the dot behind it.
const ENCODED_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

/// Room for most users' claims.
const USUAL_CLAIMS_BYTES: usize = 512;

impl SigningKey {
    /// The key for a secret. That the secret is long enough is known by its type.
    pub fn new(secret: &SharedSecret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_bytes()))
    }

    /// The claims as a signed token.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut json = Vec::with_capacity(USUAL_CLAIMS_BYTES);
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

    /// The signature of the sample token that RFC 7519's readers know from jwt.io.
    #[test]
    fn a_known_token_comes_out() {
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
