//! A private key that signs assertions for other parties (RFC 7523). Tokens for
//! Pandium are signed in [`super::sign`].

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::json;

/// A private key and its algorithm.
#[derive(Clone)]
pub struct PrivateKey {
    algorithm: Algorithm,
    id: Option<String>,
    key: EncodingKey,
}

/// Why a private key cannot be used. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrivateKey {
    /// Not a private key of a supported kind.
    #[error(
        "it is not a private key in PEM that can sign (RSA of 2048 bits or more; EC on P-256 or P-384, or Ed25519, in PKCS#8)"
    )]
    NotUsable,
}

/// The claims could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key cannot sign")]
pub struct SigningFailed;

impl PrivateKey {
    /// Parses a key in PEM. The algorithm follows from the key; `id` becomes the `kid`.
    pub fn from_pem(pem: &[u8], id: Option<String>) -> Result<Self, BadPrivateKey> {
        let kinds = [
            (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
            (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
            (Algorithm::ES384, EncodingKey::from_ec_pem(pem)),
            (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem)),
        ];
        let keys = kinds.into_iter().filter_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
        keys.map(|(algorithm, key)| Self { algorithm, id: id.clone(), key })
            // signs once, because an unsupported curve or RSA key size is reported only when the
            // key signs
            .find(|key| key.sign(&json!({})).is_ok())
            .ok_or(BadPrivateKey::NotUsable)
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs claims, in compact serialization.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningFailed> {
        super::use_aws_lc();
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.id);
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| SigningFailed)
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    };
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rstest::rstest;

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    fn der(algorithm: Algorithm) -> Vec<u8> {
        match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .unwrap()
                .to_pkcs8v1()
                .unwrap()
                .as_ref()
                .to_vec(),
            Algorithm::ES384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)
                .unwrap()
                .to_pkcs8v1()
                .unwrap()
                .as_ref()
                .to_vec(),
            Algorithm::EdDSA => Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap().as_ref().to_vec(),
            _ => KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec(),
        }
    }

    #[rstest]
    fn the_algorithm_follows_from_the_key(
        #[values(Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA)]
        algorithm: Algorithm,
    ) {
        let key = PrivateKey::from_pem(pem(&der(algorithm)).as_bytes(), Some("k-1".into())).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let header = jsonwebtoken::decode_header(key.sign(&json!({"a": 1})).unwrap()).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (algorithm, Some("k-1")));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::no_pem("secret")]
    #[case::no_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    fn what_cannot_sign_is_rejected(#[case] pem: &str) {
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), None).unwrap_err(), BadPrivateKey::NotUsable);
    }
}
