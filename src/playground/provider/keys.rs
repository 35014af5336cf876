//! The stand-in provider's keys, and the tokens that it signs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::lies::{Lies, PublishedKeys, SignatureLie};
use crate::playground::stand_ins::{Signer, key_set};

/// The signing key, another key for the same algorithm, and one for another algorithm.
/// [`PublishedKeys`] says which are published.
pub struct Keys {
    signing: Signer,
    kid: String,
    other: Signer,
    elliptic: Signer,
    rotations: usize,
}

impl Keys {
    /// Creates keys.
    pub fn new() -> anyhow::Result<Self> {
        let (signing, other) = (Signer::new("RS256")?, Signer::fresh("RS256")?);
        let elliptic = Signer::fresh("ES256")?;
        Ok(Self { signing, kid: "key-1".to_owned(), other, elliptic, rotations: 0 })
    }

    /// Signs with a new key from now on. The earlier one is no longer published.
    pub fn rotate(&mut self) -> anyhow::Result<()> {
        self.rotations += 1;
        self.signing = Signer::fresh("RS256")?;
        self.kid = format!("key-{}", self.rotations + 1);
        Ok(())
    }

    /// The published keys.
    pub fn published(&self, which: PublishedKeys) -> anyhow::Result<String> {
        let mut keys = vec![self.signing.jwk(Some(&self.kid))?];
        match which {
            PublishedKeys::One => {}
            PublishedKeys::Several => keys.push(self.other.jwk(Some("other"))?),
            PublishedKeys::WithEs256 => keys.push(self.elliptic.jwk(Some(ELLIPTIC))?),
        }
        Ok(key_set(&keys))
    }

    /// Signs claims, correctly or with the lies that are set.
    pub fn sign(
        &self,
        typ: &str,
        claims: &Map<String, Value>,
        client_secret: &str,
        lies: &Lies,
    ) -> anyhow::Result<String> {
        let (algorithm, kid) = match lies.signature {
            SignatureLie::None | SignatureLie::AnotherKey | SignatureLie::Damaged => {
                ("RS256", self.kid.as_str())
            }
            SignatureLie::Unsigned => ("none", self.kid.as_str()),
            SignatureLie::Rs512 => ("RS512", self.kid.as_str()),
            SignatureLie::ClientSecret | SignatureLie::PublicKey => ("HS256", self.kid.as_str()),
            SignatureLie::Es256 | SignatureLie::DamagedEs256 => ("ES256", ELLIPTIC),
        };
        let mut header = Map::new();
        for (name, value) in [("alg", algorithm), ("typ", typ), ("kid", kid)] {
            header.insert(name.to_owned(), json!(value));
        }
        lies.header.apply(&mut header);
        let (header, claims) = (Value::Object(header).to_string(), Value::Object(claims.clone()).to_string());
        let sign = |signer: &Signer| signer.sign(&header, &claims);
        match lies.signature {
            SignatureLie::None => sign(&self.signing),
            SignatureLie::AnotherKey => sign(&self.other),
            SignatureLie::Rs512 => sign(&Signer::new("RS512")?),
            SignatureLie::Unsigned => {
                Ok(format!("{}.{}.", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims)))
            }
            SignatureLie::ClientSecret => sign(&Signer::shared(client_secret.as_bytes())),
            SignatureLie::PublicKey => sign(&Signer::shared(self.signing.pem()?.as_bytes())),
            SignatureLie::Es256 => sign(&self.elliptic),
            SignatureLie::Damaged => sign(&self.signing).map(|token| damage(&token)),
            SignatureLie::DamagedEs256 => sign(&self.elliptic).map(|token| damage(&token)),
        }
    }
}

/// A token with the first byte of its signature changed.
fn damage(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{first}{}", signature.get(1..).unwrap_or_default())
}

/// The `kid` of the key for ES256.
const ELLIPTIC: &str = "key-es256";
