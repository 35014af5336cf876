//! A stand-in token issuer: creates keys, writes them to files, and signs any header and claims
//! byte for byte.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as WITH_PADDING, URL_SAFE};
use marketplace_sso::playground::stand_ins::Signer;
pub use marketplace_sso::playground::stand_ins::key_set as jwks;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::replace_file;
use super::{App, Response, Settings};

/// The `iss` of the default claims.
pub const ISSUER: &str = "https://login.example.com/";

/// The `aud` of the default claims.
pub const AUDIENCE: &str = "the-marketplace";

/// Changes of claims, as in [`claims_of`].
pub type Changes<'a> = [(&'a str, &'a str)];

/// A signing key and its algorithm.
pub struct Key {
    pub algorithm: &'static str,
    signer: Signer,
}

impl Key {
    /// A new key; for RSA always the same one, because generating one takes long.
    pub fn new(algorithm: &'static str) -> Self {
        Self { algorithm, signer: Signer::new(algorithm).unwrap() }
    }

    /// A secret that signs with HS256.
    pub fn shared(secret: impl AsRef<[u8]>) -> Self {
        Self { algorithm: "HS256", signer: Signer::shared(secret.as_ref()) }
    }

    /// The public key as a JWK.
    pub fn jwk(&self, kid: Option<&str>) -> Value {
        self.signer.jwk(kid).unwrap()
    }

    /// The raw public key.
    pub fn public(&self) -> Vec<u8> {
        self.signer.public().unwrap().to_vec()
    }

    /// The public key as DER (SubjectPublicKeyInfo).
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

    /// A token with the default claims and without a `kid`.
    pub fn token(&self) -> String {
        self.token_with(&[])
    }

    /// A token with some claims changed as in [`claims_with`], without a `kid`.
    pub fn token_with(&self, changed: &Changes<'_>) -> String {
        self.sign(&json!({"alg": self.algorithm}).to_string(), &claims_with(changed))
    }

    /// A token with the default claims and a `kid`.
    pub fn token_with_kid(&self, kid: &str) -> String {
        self.sign(&json!({"alg": self.algorithm, "kid": kid}).to_string(), &claims_with(&[]))
    }

    /// Signs this header and these claims.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        self.signer.sign(header, claims).unwrap()
    }

    /// Appends a dot and the signature to the text.
    pub fn sign_text(&self, text: &str) -> String {
        self.signer.sign_text(text).unwrap()
    }

    /// Like [`Self::sign`], with every part padded, as AWS load balancers do.
    pub fn sign_padded(&self, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", URL_SAFE.encode(header), URL_SAFE.encode(claims));
        format!("{text}.{}", URL_SAFE.encode(self.signer.signature(text.as_bytes()).unwrap()))
    }
}

/// The default claims as JSON, with changes as in [`claims_of`].
pub fn claims_with(changed: &Changes<'_>) -> String {
    let (issuer, audience) = (format!("{ISSUER:?}"), format!("{AUDIENCE:?}"));
    let defaults = [
        ("iss", issuer.as_str()),
        ("aud", &audience),
        ("sub", "\"u-1\""),
        ("email", "\"alice@example.com\""),
        ("exp", "@300"),
        ("iat", "@0"),
    ];
    claims_of(&defaults, changed)
}

/// Claims as JSON, with changes as pairs of name and raw JSON value. An empty
/// value leaves the claim out; `@-5` is the time five seconds ago.
pub fn claims_of(defaults: &[(&str, &str)], changed: &Changes<'_>) -> String {
    let unchanged = defaults.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let members = unchanged.chain(changed).filter(|(_, value)| !value.is_empty());
    let member = |(name, value): &(&str, &str)| match value.strip_prefix('@') {
        Some(seconds) => format!("{name:?}:{}", now().strict_add(seconds.parse().unwrap())),
        None => format!("{name:?}:{value}"),
    };
    format!("{{{}}}", members.map(member).collect::<Vec<_>>().join(","))
}

/// A key file, deleted when it goes out of scope.
pub struct KeyFile {
    folder: TempDir,
}

impl KeyFile {
    /// Writes a key file.
    pub fn new(text: &str) -> Self {
        let file = Self { folder: TempDir::new().unwrap() };
        file.replace(text);
        file
    }

    /// Replaces the file atomically.
    pub fn replace(&self, text: &str) {
        replace_file(&self.path(), text);
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("keys")
    }
}

impl App {
    /// Starts a service that verifies tokens with this key, as `k-1` in a JWKS file.
    pub fn start_with_key(key: &Key) -> (Self, KeyFile) {
        let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1"))]));
        (Self::start(Settings::bearer().algorithm(key.algorithm).jwks_file(&file)), file)
    }

    /// Asserts that the main entrance rejects a token.
    pub fn assert_rejected(&self, token: &str) {
        let response = self.send_token(token);
        assert_eq!((response.status, response.reason().as_str()), (401, "invalid_token"), "{token}");
        response.assert_no_token();
    }

    /// Sends a bearer token to the main entrance.
    pub fn send_token(&self, token: &str) -> Response {
        self.send_token_to("/pandium-sso", token)
    }

    /// Sends a bearer token to a path.
    pub fn send_token_to(&self, target: &str, token: &str) -> Response {
        self.get(target, &[("Authorization", &format!("Bearer {token}"))])
    }
}

/// Asserts that a claim or header member is rejected with each of its invalid values,
/// for a reason. Values are as in [`claims_of`], with `|` between them.
pub fn assert_invalid(cases: &[(&str, &str, &str)], send: impl Fn(&str, &str) -> Response) {
    for (name, values, reason) in cases {
        for value in values.split('|') {
            let response = send(name, value);
            assert_eq!((response.status, response.reason().as_str()), (401, *reason), "{name}: {value}");
            response.assert_no_token();
        }
    }
}

/// An ES256 key and a JWKS file that has it as `k-1`.
pub fn key_and_file() -> (Key, KeyFile) {
    let key = Key::new("ES256");
    let file = KeyFile::new(&jwks(&[key.jwk(Some("k-1"))]));
    (key, file)
}

/// A token without its signature.
pub fn without_signature(token: &str) -> String {
    format!("{}.", token.rsplit_once('.').unwrap().0)
}

/// Bytes in PEM.
pub fn pem(what: &str, der: &[u8]) -> String {
    let text = WITH_PADDING.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}
