//! Signs arbitrary bytes as an issuer would, with any algorithm that the service
//! accepts.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaSignatureEncoding,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A signing key and its algorithm.
pub struct Signer {
    algorithm: &'static str,
    private: Private,
}

enum Private {
    Rsa(Arc<rsa::KeyPair>, &'static RsaSignatureEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Shared(Box<hmac::Key>),
}

/// `RSAPublicKey` in DER (RFC 8017, A.1.1), for 2048 bits: nine bytes, the
/// modulus, and 65537.
const MODULUS: std::ops::Range<usize> = 9..265;

impl Signer {
    /// Creates a key; for RSA, returns one shared key, since generation is slow.
    pub fn new(algorithm: &'static str) -> anyhow::Result<Self> {
        Self::with_rsa(algorithm, shared_rsa_key)
    }

    /// Creates a new key, even for RSA.
    pub fn fresh(algorithm: &'static str) -> anyhow::Result<Self> {
        Self::with_rsa(algorithm, new_rsa_key)
    }

    fn with_rsa(
        algorithm: &'static str,
        rsa_key: impl FnOnce() -> anyhow::Result<Arc<rsa::KeyPair>>,
    ) -> anyhow::Result<Self> {
        let private = match algorithm {
            "RS256" => Private::Rsa(rsa_key()?, &RSA_PKCS1_SHA256),
            "RS384" => Private::Rsa(rsa_key()?, &RSA_PKCS1_SHA384),
            "RS512" => Private::Rsa(rsa_key()?, &RSA_PKCS1_SHA512),
            "PS256" => Private::Rsa(rsa_key()?, &RSA_PSS_SHA256),
            "PS384" => Private::Rsa(rsa_key()?, &RSA_PSS_SHA384),
            "PS512" => Private::Rsa(rsa_key()?, &RSA_PSS_SHA512),
            "ES256" => Private::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            "ES384" => Private::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?),
            "EdDSA" => Private::Ed(Ed25519KeyPair::generate()?),
            other => bail!("{other} is not an asymmetric algorithm of this signer"),
        };
        Ok(Self { algorithm, private })
    }

    /// Creates an HS256 key.
    pub fn shared(secret: &[u8]) -> Self {
        Self {
            algorithm: "HS256",
            private: Private::Shared(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))),
        }
    }

    /// The JOSE name of the algorithm.
    pub const fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The public key as a JWK (RFC 7517, 4); an error for HS256.
    pub fn jwk(&self, kid: Option<&str>) -> anyhow::Result<Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = self.public()?;
        let mut jwk = match &self.private {
            Private::Rsa(..) => {
                let modulus = public.get(MODULUS).context("an RSA key does not have 2048 bits")?;
                json!({"kty": "RSA", "n": encode(modulus), "e": "AQAB"})
            }
            Private::Ed(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(public)}),
            Private::Ec(_) => {
                let point = public.get(1..).context("an EC key is empty")?;
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Private::Shared(_) => bail!("HS256 has no JWK"),
        };
        if let (Some(kid), Some(members)) = (kid, jwk.as_object_mut()) {
            members.insert("kid".to_owned(), json!(kid));
        }
        Ok(jwk)
    }

    /// The raw bytes of the public key; an error for HS256.
    pub fn public(&self) -> anyhow::Result<&[u8]> {
        Ok(match &self.private {
            Private::Rsa(pair, _) => pair.public_key().as_ref(),
            Private::Ec(pair) => pair.public_key().as_ref(),
            Private::Ed(pair) => pair.public_key().as_ref(),
            Private::Shared(_) => bail!("HS256 has no public key"),
        })
    }

    /// The public key as X.509 `SubjectPublicKeyInfo` in DER; an error for HS256.
    pub fn der(&self) -> anyhow::Result<Vec<u8>> {
        let der: PublicKeyX509Der<'_> = match &self.private {
            Private::Rsa(pair, _) => pair.public_key().as_der()?,
            Private::Ec(pair) => pair.public_key().as_der()?,
            Private::Ed(pair) => pair.public_key().as_der()?,
            Private::Shared(_) => bail!("HS256 has no public key"),
        };
        Ok(der.as_ref().to_vec())
    }

    /// The public key in PEM; an error for HS256.
    pub fn pem(&self) -> anyhow::Result<String> {
        let text = STANDARD.encode(self.der()?);
        let lines: Vec<&str> = text.as_bytes().chunks(64).flat_map(str::from_utf8).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    /// Signs a header and claims as a compact JWS.
    pub fn sign(&self, header: &str, claims: &str) -> anyhow::Result<String> {
        self.sign_text(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
    }

    /// Appends a dot and the signature to the text.
    pub fn sign_text(&self, text: &str) -> anyhow::Result<String> {
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.signature(text.as_bytes())?)))
    }

    /// The signature of the bytes.
    pub fn signature(&self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        let random = SystemRandom::new();
        Ok(match &self.private {
            Private::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, bytes, &mut signature)?;
                signature
            }
            Private::Ec(pair) => pair.sign(&random, bytes)?.as_ref().to_vec(),
            Private::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
            Private::Shared(key) => hmac::sign(key, bytes).as_ref().to_vec(),
        })
    }
}

/// A JWK Set (RFC 7517, 5).
pub fn key_set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn shared_rsa_key() -> anyhow::Result<Arc<rsa::KeyPair>> {
    static KEY: OnceLock<Arc<rsa::KeyPair>> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(Arc::clone(key));
    }
    let key = new_rsa_key()?;
    Ok(Arc::clone(KEY.get_or_init(|| key)))
}

fn new_rsa_key() -> anyhow::Result<Arc<rsa::KeyPair>> {
    Ok(Arc::new(rsa::KeyPair::generate(rsa::KeySize::Rsa2048)?))
}
