//! Strict parsing of the compact serialization (RFC 7515, 7.1; RFC 8725, 3):
//! three parts of base64url without padding; header and claims are JSON objects
//! without duplicate members. The result is not verified.

use std::fmt;

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The parts of an unverified token.
#[derive(Debug)]
pub struct Compact<'a> {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The signing input: the first two parts as received.
    pub signed: &'a str,
    /// The signature, in base64url without padding.
    pub signature: &'a str,
}

/// Why a string is not a token in compact serialization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCompact {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("it is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not three parts of base64url, separated by dots.
    #[error("it is not a signed token: expected three base64url parts separated by dots")]
    Form,
    /// A part is not a JSON object, or has a duplicate member.
    #[error("its {0} is not a JSON object, or has duplicate members")]
    Json(&'static str),
}

/// The maximum length of a token that is parsed, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

impl<'a> Compact<'a> {
    /// The unverified `kid`, if it is a string.
    pub fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// Parses a token.
    pub fn parse(token: &'a str) -> Result<Self, NotCompact> {
        Self::parse_as(token, &URL_SAFE_NO_PAD)
    }

    /// Parses a token whose base64url is padded with `=`, contrary to RFC 7515;
    /// the signing input includes the padding.
    pub fn parse_padded(token: &'a str) -> Result<Self, NotCompact> {
        Self::parse_as(token, &URL_SAFE)
    }

    fn parse_as(token: &'a str, base64: &GeneralPurpose) -> Result<Self, NotCompact> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(NotCompact::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NotCompact::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(NotCompact::Form)?;
        if claims.contains('.') || base64.decode(signature).is_err() {
            return Err(NotCompact::Form);
        }
        Ok(Self {
            header: object("header", header, base64)?,
            claims: object("payload", claims, base64)?,
            signed,
            signature: signature.trim_end_matches('='),
        })
    }
}

fn object(what: &'static str, part: &str, base64: &GeneralPurpose) -> Result<Map<String, Value>, NotCompact> {
    let json = base64.decode(part).map_err(|_| NotCompact::Form)?;
    match serde_json::from_slice(&json) {
        Ok(Strict(Value::Object(members))) => Ok(members),
        Ok(_) | Err(_) => Err(NotCompact::Json(what)),
    }
}

/// JSON without duplicate object members. Parsers differ in which of the duplicates they use, and
/// more than one parser reads a token.
pub(crate) struct Strict(pub(crate) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if members.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_parsed_into_its_parts() {
        let token = token(r#"{"alg":"HS256"}"#, r#"{"sub":"alice","n":[1,-2,0.5,null,true,{"a":"b"}]}"#);
        let parts = Compact::parse(&token).unwrap();
        assert_eq!(parts.header["alg"], "HS256");
        assert_eq!(parts.claims["n"][5]["a"], "b");
        assert_eq!(format!("{}.{}", parts.signed, parts.signature), token);
    }

    #[rstest]
    #[case::nothing("", NotCompact::Form)]
    #[case::two_parts("e30.e30", NotCompact::Form)]
    #[case::four_parts("e30.e30.e30.e30", NotCompact::Form)]
    #[case::five_parts("e30.e30.e30.e30.e30", NotCompact::Form)]
    #[case::padding("e30=.e30.c2ln", NotCompact::Form)]
    #[case::padded_signature("e30.e30.c2k=", NotCompact::Form)]
    #[case::stray_bits("e30.e30.c2l", NotCompact::Form)]
    #[case::standard_alphabet("e30.e30.++//", NotCompact::Form)]
    #[case::white_space(" e30.e30.c2ln", NotCompact::Form)]
    #[case::line_break("e30.e30.c2ln\n", NotCompact::Form)]
    #[case::json_serialisation(r#"{"payload":"e30","signatures":[]}"#, NotCompact::Form)]
    #[case::not_json("YQ.e30.c2ln", NotCompact::Json("header"))]
    #[case::not_an_object("e30.W10.c2ln", NotCompact::Json("payload"))]
    fn a_malformed_token_is_rejected(#[case] text: &str, #[case] why: NotCompact) {
        assert_eq!(Compact::parse(text).unwrap_err(), why);
    }

    #[rstest]
    #[case(r#"{"alg":"HS256","alg":"none"}"#, "{}", NotCompact::Json("header"))]
    #[case("{}", r#"{"sub":"a","sub":"b"}"#, NotCompact::Json("payload"))]
    #[case("{}", r#"{"a":[{"b":1,"b":2}]}"#, NotCompact::Json("payload"))]
    #[case("{}", r#"{"exp":1e400}"#, NotCompact::Json("payload"))]
    #[case("{}", r#"{"exp":NaN}"#, NotCompact::Json("payload"))]
    #[case("{}", "{} {}", NotCompact::Json("payload"))]
    fn json_is_parsed_strictly(#[case] header: &str, #[case] claims: &str, #[case] why: NotCompact) {
        assert_eq!(Compact::parse(&token(header, claims)).unwrap_err(), why);
    }

    #[test]
    fn json_nesting_is_limited_to_127() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            token("{}", &format!(r#"{{"a":{open}{close}}}"#))
        };
        assert!(Compact::parse(&nested(127)).is_ok());
        assert_eq!(Compact::parse(&nested(128)).unwrap_err(), NotCompact::Json("payload"));
    }

    #[rstest]
    #[case::padded("eyJhIjoxfQ==.eyJhIjoxfQ==.c2k=", true)]
    #[case::nothing_to_pad("e30=.eyJhIjoiIn0=.c2ln", true)]
    #[case::header_unpadded("eyJhIjoxfQ.eyJhIjoxfQ==.c2k=", false)]
    #[case::signature_unpadded("eyJhIjoxfQ==.eyJhIjoxfQ==.c2k", false)]
    #[case::padded_twice("eyJhIjoxfQ====.eyJhIjoxfQ==.c2k=", false)]
    fn a_padded_token_is_padded_everywhere(#[case] token: &str, #[case] is_valid: bool) {
        assert_eq!(Compact::parse_padded(token).is_ok(), is_valid);
        assert!(Compact::parse(token).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>(), header in any::<String>()) {
            let _ = Compact::parse(&text);
            let _ = Compact::parse(&token(&header, &text));
        }
    }
}
