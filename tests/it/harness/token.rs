//! The token in a response, parsed and verified without the program's own code.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use url::Url;

use super::SECRET;
use super::wire::Response;

/// A token with a verified signature.
#[derive(Debug)]
pub struct Token {
    /// The URL that contains it.
    pub url: Url,
    /// The JOSE header as written.
    pub header: String,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The compact serialization.
    pub text: String,
}

impl Token {
    /// The token of a redirect or a JSON response.
    pub fn of(response: &Response) -> Self {
        match response.status {
            307 => Self::in_url(response.header("location"), SECRET),
            200 => Self::in_url(response.json()["url"].as_str().unwrap(), SECRET),
            status => panic!("{status} has no token: {response:?}"),
        }
    }

    /// The token in a URL, verified with this secret.
    pub fn in_url(url: &str, secret: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let tokens: Vec<_> = url.query_pairs().filter(|(name, _)| name == "tenant").collect();
        assert_eq!(tokens.len(), 1, "not exactly one tenant: {url}");
        let text = tokens[0].1.to_string();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        hmac::verify(&key, signed.as_bytes(), &signature).expect("the signature is of another secret");
        let (header, claims) = signed.split_once('.').unwrap();
        let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        Self { header, claims, url, text }
    }

    /// The other query parameters as written.
    pub fn link(&self) -> String {
        let (_, link) = self.url.query().unwrap().split_once('&').unwrap_or_default();
        link.to_owned()
    }
}
