//! A stand-in for an issuer of tokens: it makes keys, publishes them in files,
//! and signs whatever it is given, byte for byte.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as WITH_PADDING, URL_SAFE};
use marketplace_sso::playground::stand_ins::Signer;
pub use marketplace_sso::playground::stand_ins::key_set as jwks;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, App, STANDARD};

/// What tokens say in `iss`.
pub const ISSUER: &str = "https://login.example.com/";

/// What tokens say in `aud`.
pub const AUDIENCE: &str = "the-marketplace";

/// A key that signs, and the algorithm that it signs with.
pub struct Key {
    pub algorithm: &'static str,
    signer: Signer,
}

impl Key {
    /// A new key; of RSA, always the same one, as they take long to make.
    pub fn new(algorithm: &'static str) -> Self {
        Self { algorithm, signer: Signer::new(algorithm).unwrap() }
    }

    /// A secret that signs with HS256.
    pub fn shared(secret: impl AsRef<[u8]>) -> Self {
        Self { algorithm: "HS256", signer: Signer::shared(secret.as_ref()) }
    }

    /// The public key as a member of a set.
    pub fn jwk(&self, kid: Option<&str>) -> Value {
        self.signer.jwk(kid).unwrap()
    }

    /// The public key without any envelope.
    pub fn public(&self) -> Vec<u8> {
        self.signer.public().unwrap().to_vec()
    }

    /// The public key as X.509 has it.
    pub fn der(&self) -> Vec<u8> {
        self.signer.der().unwrap()
    }

    /// The public key in PEM.
    pub fn pem(&self) -> String {
        self.signer.pem().unwrap()
    }

    /// A new private key in PEM.
    pub fn private_pem() -> String {
        pem("PRIVATE KEY", Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap().as_ref())
    }

    /// The usual claims, under this key's own header.
    pub fn token(&self) -> String {
        self.token_with(&[])
    }

    /// The same with some claims otherwise, as [`claims_with`] has them.
    pub fn token_with(&self, changed: &[(&str, &str)]) -> String {
        self.sign(&json!({"alg": self.algorithm}).to_string(), &claims_with(changed))
    }

    /// A token with the usual claims that names a key.
    pub fn token_named(&self, kid: &str) -> String {
        self.sign(&json!({"alg": self.algorithm, "kid": kid}).to_string(), &claims_with(&[]))
    }

    /// This header and these claims, signed.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        self.signer.sign(header, claims).unwrap()
    }

    /// This very text, a dot, and its signature.
    pub fn sign_text(&self, text: &str) -> String {
        self.signer.sign_text(text).unwrap()
    }

    /// The same, as AWS's load balancers write it: every part padded.
    pub fn sign_padded(&self, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", URL_SAFE.encode(header), URL_SAFE.encode(claims));
        format!("{text}.{}", URL_SAFE.encode(self.signer.signature(text.as_bytes()).unwrap()))
    }
}

/// The usual claims as JSON, some of them otherwise, as [`claims_of`] has them.
pub fn claims_with(changed: &[(&str, &str)]) -> String {
    let (issuer, audience) = (format!("{ISSUER:?}"), format!("{AUDIENCE:?}"));
    let usual = [
        ("iss", issuer.as_str()),
        ("aud", &audience),
        ("sub", "\"u-1\""),
        ("email", "\"alice@example.com\""),
        ("exp", "@300"),
        ("iat", "@0"),
    ];
    claims_of(&usual, changed)
}

/// Claims as JSON, some of them otherwise: a name, and what is written as its
/// value; nothing, and it is left out; `@-5`, and it is the time five seconds
/// ago.
pub fn claims_of(usual: &[(&str, &str)], changed: &[(&str, &str)]) -> String {
    let unchanged = usual.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let members = unchanged.chain(changed).filter(|(_, value)| !value.is_empty());
    let member = |(name, value): &(&str, &str)| match value.strip_prefix('@') {
        Some(seconds) => format!("{name:?}:{}", now().strict_add(seconds.parse().unwrap())),
        None => format!("{name:?}:{value}"),
    };
    format!("{{{}}}", members.map(member).collect::<Vec<_>>().join(","))
}

/// A file of keys in a folder that lasts as long as the value.
pub struct KeyFile {
    folder: TempDir,
}

impl KeyFile {
    /// Writes it.
    pub fn new(text: &str) -> Self {
        let file = Self { folder: TempDir::new().unwrap() };
        file.replace(text);
        file
    }

    /// Puts another file in its place.
    pub fn replace(&self, text: &str) {
        let newer = self.folder.path().join("newer");
        std::fs::write(&newer, text).unwrap();
        std::fs::rename(&newer, self.folder.path().join("keys")).unwrap();
    }

    /// The setting of that name that gives its path.
    pub fn setting(&self, name: &str) -> String {
        format!("{name} = {:?}\n", self.folder.path().join("keys").to_str().unwrap())
    }
}

/// The settings of a way in for tokens of [`ISSUER`] with that algorithm.
pub fn way_in(algorithm: &str, more: &str) -> String {
    format!(
        "kind = \"bearer\"\nissuer = {ISSUER:?}\naudience = {AUDIENCE:?}\nalgorithms = [{algorithm:?}]\n{more}"
    )
}

/// The standard configuration with another `[identity]`.
pub fn standard_with(identity: &str) -> String {
    let (before, rest) = STANDARD.split_once("[identity]").unwrap();
    let (_, after) = rest.split_once("[embed]").unwrap();
    format!("{before}[identity]\n{identity}\n[embed]{after}")
}

impl App {
    /// Starts a service with another `[identity]`, and some settings over it.
    pub fn start_with_identity(identity: &str, toml: &str) -> Self {
        Self::start_over(TempDir::new().unwrap(), &standard_with(identity), toml)
    }

    /// Starts a service that believes this key, in a set of its own.
    pub fn start_believing(key: &Key) -> (Self, KeyFile) {
        let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1"))]));
        (Self::start_with_identity(&way_in(key.algorithm, &file.setting("jwks_file")), ""), file)
    }

    /// Asserts that the main entrance does not believe a token.
    pub fn refuses(&self, token: &str) {
        let answer = self.bring(token);
        assert_eq!((answer.status, answer.reason().as_str()), (401, "invalid_token"), "{token}");
        answer.assert_no_token();
    }

    /// Brings a token to the main entrance.
    pub fn bring(&self, token: &str) -> Answer {
        self.bring_to("/pandium-sso", token)
    }

    /// Brings a token to an address.
    pub fn bring_to(&self, target: &str, token: &str) -> Answer {
        self.get(target, &[("Authorization", &format!("Bearer {token}"))])
    }
}

/// Another entrance, at the path of its name.
pub fn entrance(name: &str, identity: &str) -> String {
    format!("[entrances.{name}]\npath = \"/{name}\"\n[entrances.{name}.identity]\n{identity}\n")
}

/// A key for ES256 named `k-1`, and its set in a file.
pub fn key_and_file() -> (Key, KeyFile) {
    let key = Key::new("ES256");
    let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1"))]));
    (key, file)
}

/// A token without its signature.
pub fn without_signature(token: &str) -> String {
    format!("{}.", token.rsplit_once('.').unwrap().0)
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = WITH_PADDING.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}
