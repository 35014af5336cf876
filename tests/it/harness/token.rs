//! The token in an answer, taken apart and verified here, without the
//! program's own code.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use url::Url;

use super::SECRET;
use super::wire::Answer;

/// A token whose signature was right.
#[derive(Debug)]
pub struct Token {
    /// Where it was to be taken.
    pub address: Url,
    /// The JOSE header, as it was written.
    pub header: String,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The token itself.
    pub text: String,
}

impl Token {
    /// The token that an answer leads to, by redirect or as JSON.
    pub fn of(answer: &Answer) -> Self {
        match answer.status {
            307 => Self::within(answer.header("location"), SECRET),
            200 => Self::within(answer.json()["url"].as_str().unwrap(), SECRET),
            status => panic!("{status} leads nowhere: {answer:?}"),
        }
    }

    /// The token in an address, signed with that secret.
    pub fn within(address: &str, secret: &str) -> Self {
        let address = Url::parse(address).unwrap();
        let tokens: Vec<_> = address.query_pairs().filter(|(name, _)| name == "tenant").collect();
        assert_eq!(tokens.len(), 1, "one tenant is meant: {address}");
        let text = tokens[0].1.to_string();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        hmac::verify(&key, signed.as_bytes(), &signature).expect("the signature is another secret's");
        let (header, claims) = signed.split_once('.').unwrap();
        let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        Self { header, claims, address, text }
    }

    /// The parameters beside the token, as they are written.
    pub fn link(&self) -> String {
        let (_, link) = self.address.query().unwrap().split_once('&').unwrap_or_default();
        link.to_owned()
    }
}
