//! Token verification with explicit rules (RFC 8725). jsonwebtoken checks only the
//! signature, so that none of its validation defaults applies; claims are validated
//! here.

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use super::compact::{Compact, NotCompact};
use super::key_set::{KeyLookupError, KeySet, MissingKid, parse_algorithm};
use super::numeric_date::NumericDate;
use super::token_type::{DEFAULT_TYPES, TokenType};
use crate::clock::Timestamp;
use crate::secret::SharedSecret;
use crate::user;

/// The validation rules for an issuer's tokens. There are no defaults: each
/// authenticator sets every rule.
#[derive(Clone, Debug)]
pub struct Validation {
    /// The allowed algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The accepted values of `typ`.
    pub types: Vec<TokenType>,
    /// Which keys are tried for a token without a `kid`.
    pub missing_kid: MissingKid,
    /// The required `iss`, compared exactly; `None` if it is not checked.
    pub issuer: Option<String>,
    /// The rule for `aud`.
    pub audience: Audience,
    /// Whether `iat` is required. If present, it must not be in the future.
    pub issued_at: IssuedAt,
    /// The tolerated difference between the clocks of the issuer and this machine, in seconds.
    pub leeway_s: u64,
    /// Claims that must have exactly this value.
    pub required_claims: Vec<(String, Value)>,
    /// A claim that users' tokens have and service accounts' tokens do not.
    pub person_claim: Option<String>,
    /// The claim that identifies the user; `None` if the authenticator checks it.
    pub subject: Option<&'static str>,
}

/// The rule for `aud`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The platform sends no `aud`; a token with one is for another audience.
    MustBeAbsent,
    /// Not checked, because another check binds the token to this service.
    Unchecked,
    /// Must contain one of these values.
    OneOf(Vec<String>),
    /// Must be this origin or a URL of it.
    WithinOrigin(String),
}

/// Whether `iat` is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuedAt {
    /// It is required.
    Required,
    /// It may be missing.
    Optional,
}

/// A verified token.
#[derive(Debug)]
pub struct Verified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Why a token is rejected. Never quotes the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not in compact serialization.
    #[error(transparent)]
    NotCompact(#[from] NotCompact),
    /// The algorithm is not allowed.
    #[error("its algorithm is not allowed")]
    WrongAlgorithm,
    /// It requires extensions (RFC 7515, 4.1.11).
    #[error("its header has a crit member, and no extension is supported")]
    Critical,
    /// Its `typ` is not accepted (RFC 8725, 3.11).
    #[error("its typ is not one of the accepted types")]
    WrongType,
    /// Its `kid` is not a string, or too long.
    #[error("its kid is not a string of at most {MAX_KEY_ID_BYTES} bytes")]
    BadKeyId,
    /// No key has its `kid`.
    #[error("no known key has its kid")]
    UnknownKey,
    /// The key with its `kid` does not support its algorithm.
    #[error("the key with its kid is for another algorithm")]
    KeyAlgorithmMismatch,
    /// It has no `kid`, and not exactly one key supports its algorithm.
    #[error("it has no kid, and not exactly one key supports its algorithm")]
    AmbiguousKey,
    /// It has no `kid`, and no known key verifies its signature.
    #[error("it has no kid, and no known key verifies its signature")]
    NoMatchingKey,
    /// The signature does not verify.
    #[error("its signature does not verify with the configured secret or key")]
    WrongSignature,
    /// Its `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// A claim is missing, has the wrong type, or a wrong value.
    #[error("its claim {0} is missing or invalid")]
    WrongClaim(String),
    /// It belongs to a service account, not to a user.
    #[error("it has no {0}, so it belongs to a service account and not to a user")]
    NotAUser(String),
}

/// The maximum length of a `kid`, in bytes.
const MAX_KEY_ID_BYTES: usize = 256;

/// Parses and verifies a token.
pub fn verify(
    token: &str,
    validation: &Validation,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    verify_compact(Compact::parse(token)?, validation, keys, now)
}

/// Verifies a parsed token.
pub fn verify_compact(
    parts: Compact<'_>,
    validation: &Validation,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let algorithm = algorithm(&parts.header, &validation.algorithms, &validation.types)?;
    let id = key_id(&parts.header)?;
    let candidates = keys.find(id, algorithm, validation.missing_kid).map_err(|why| match why {
        KeyLookupError::UnknownId => VerifyError::UnknownKey,
        KeyLookupError::AlgorithmMismatch => VerifyError::KeyAlgorithmMismatch,
        KeyLookupError::AmbiguousKey => VerifyError::AmbiguousKey,
    })?;
    let is_signed = { candidates }.any(|key| check_signature(&parts, key, algorithm).is_ok());
    if !is_signed {
        return Err(if id.is_some() { VerifyError::WrongSignature } else { VerifyError::NoMatchingKey });
    }
    check_claims(&parts.claims, validation, now.unix_seconds())?;
    Ok(Verified { header: parts.header, claims: parts.claims })
}

/// Verifies the header and the HS256 signature of a token, but no claims, not even
/// `exp`.
pub fn verify_hs256(token: &str, secret: &SharedSecret) -> Result<Verified, VerifyError> {
    let parts = Compact::parse(token)?;
    let algorithm = algorithm(&parts.header, &[Algorithm::HS256], &DEFAULT_TYPES)?;
    check_signature(&parts, &DecodingKey::from_secret(secret.expose_bytes()), algorithm)?;
    Ok(Verified { header: parts.header, claims: parts.claims })
}

fn algorithm(
    header: &Map<String, Value>,
    allowed: &[Algorithm],
    types: &[TokenType],
) -> Result<Algorithm, VerifyError> {
    if header.contains_key("crit") {
        return Err(VerifyError::Critical);
    }
    if !TokenType::of(header.get("typ")).is_some_and(|typ| types.contains(&typ)) {
        return Err(VerifyError::WrongType);
    }
    let named = header.get("alg").and_then(Value::as_str).and_then(parse_algorithm);
    named.filter(|algorithm| allowed.contains(algorithm)).ok_or(VerifyError::WrongAlgorithm)
}

fn key_id(header: &Map<String, Value>) -> Result<Option<&str>, VerifyError> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if id.len() <= MAX_KEY_ID_BYTES => Ok(Some(id)),
        Some(_) => Err(VerifyError::BadKeyId),
    }
}

fn check_signature(parts: &Compact<'_>, key: &DecodingKey, algorithm: Algorithm) -> Result<(), VerifyError> {
    super::use_aws_lc();
    match crypto::verify(parts.signature, parts.signed.as_bytes(), key, algorithm) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(VerifyError::WrongSignature),
    }
}

fn check_claims(claims: &Map<String, Value>, validation: &Validation, now: u64) -> Result<(), VerifyError> {
    let wrong = |name: &str| VerifyError::WrongClaim(name.to_owned());
    let latest_start = now.saturating_add(validation.leeway_s);

    let date = |name: &str, value: &Value| NumericDate::read(value).ok_or_else(|| wrong(name));
    let expires = date("exp", claims.get("exp").unwrap_or(&Value::Null))?;
    if expires.floor().saturating_add(validation.leeway_s) <= now {
        return Err(VerifyError::Expired);
    }
    if validation.issued_at == IssuedAt::Required && !claims.contains_key("iat") {
        return Err(wrong("iat"));
    }
    for name in ["nbf", "iat"] {
        if let Some(value) = claims.get(name)
            && date(name, value)?.ceil() > latest_start
        {
            return Err(wrong(name));
        }
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if validation.issuer.as_deref().is_some_and(|issuer| text("iss") != Some(issuer)) {
        return Err(wrong("iss"));
    }
    if !validation.audience.matches(claims.get("aud")) {
        return Err(wrong("aud"));
    }
    if let Some((name, _)) =
        validation.required_claims.iter().find(|(name, value)| claims.get(name) != Some(value))
    {
        return Err(wrong(name));
    }
    if let Some(name) = validation.person_claim.as_deref().filter(|name| is_missing(text(name))) {
        return Err(VerifyError::NotAUser(name.to_owned()));
    }
    match validation.subject.filter(|name| is_missing(text(name))) {
        Some(name) => Err(wrong(name)),
        None => Ok(()),
    }
}

/// Whether an identifying claim is missing or a placeholder such as `null`.
fn is_missing(text: Option<&str>) -> bool {
    text.is_none_or(|text| user::is_no_value(text.trim()))
}

impl Audience {
    /// `aud` is a string or an array of strings (RFC 7519, 4.1.3).
    fn matches(&self, audience: Option<&Value>) -> bool {
        match (self, audience) {
            (Self::MustBeAbsent, audience) => audience.is_none(),
            (Self::Unchecked, _) => true,
            (_, Some(Value::String(one))) => self.accepts(one),
            (_, Some(Value::Array(several))) => {
                let mut texts = several.iter().filter_map(Value::as_str);
                several.iter().all(Value::is_string) && texts.any(|text| self.accepts(text))
            }
            (_, _) => false,
        }
    }

    fn accepts(&self, audience: &str) -> bool {
        match self {
            Self::MustBeAbsent | Self::Unchecked => true,
            Self::OneOf(accepted) => accepted.iter().any(|accepted| accepted == audience),
            Self::WithinOrigin(origin) => audience
                .strip_prefix(origin.as_str())
                .is_some_and(|path| path.is_empty() || path.starts_with('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::jwt::sign::SigningKey;

    fn secret() -> SharedSecret {
        SharedSecret::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    fn token() -> String {
        SigningKey::new(&secret()).sign(&json!({"sub": "alice", "exp": 1})).unwrap()
    }

    #[test]
    fn verify_hs256_ignores_exp() {
        assert_eq!(verify_hs256(&token(), &secret()).unwrap().claims["sub"], "alice");
    }

    #[rstest]
    #[case::no_signature(token().rsplit_once('.').unwrap().0.to_owned() + ".", VerifyError::WrongSignature)]
    #[case::algorithm_none("eyJhbGciOiJub25lIn0.e30.".into(), VerifyError::WrongAlgorithm)]
    #[case::another_algorithm("eyJhbGciOiJIUzM4NCJ9.e30.c2ln".into(), VerifyError::WrongAlgorithm)]
    #[case::critical("eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.c2ln".into(), VerifyError::Critical)]
    #[case::no_token("a.b".into(), NotCompact::Form.into())]
    fn an_invalid_token_is_rejected(#[case] token: String, #[case] why: VerifyError) {
        assert_eq!(verify_hs256(&token, &secret()).unwrap_err(), why);
    }

    #[test]
    fn another_secret_is_rejected() {
        let other = SharedSecret::parse("fedcba9876543210fedcba9876543210").unwrap();
        assert_eq!(verify_hs256(&token(), &other).unwrap_err(), VerifyError::WrongSignature);
    }

    #[test]
    fn every_character_of_the_signature_is_checked() {
        let mut token = token();
        let last = token.pop().unwrap();
        token.push(if last == 'A' { 'B' } else { 'A' });
        assert!(verify_hs256(&token, &secret()).is_err());
    }

    fn validation() -> Validation {
        Validation {
            algorithms: vec![Algorithm::HS256],
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            issuer: Some("https://issuer.example".into()),
            audience: Audience::OneOf(vec!["us".into()]),
            issued_at: IssuedAt::Optional,
            leeway_s: 0,
            required_claims: vec![("type".into(), json!("app"))],
            person_claim: None,
            subject: Some("sub"),
        }
    }

    const NOW: u64 = 1_600_000_000;

    fn outcome(changed: Value) -> Result<(), VerifyError> {
        let mut claims = json!({"iss": "https://issuer.example", "aud": "us", "sub": "alice",
            "exp": NOW + 60, "iat": NOW, "nbf": NOW, "type": "app"});
        for (name, value) in changed.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let token = SigningKey::new(&secret()).sign(&claims).unwrap();
        let keys = KeySet::from_shared_secret(&secret());
        verify(&token, &validation(), &keys, Timestamp::from_unix_seconds(NOW)).map(drop)
    }

    #[rstest]
    #[case::unchanged(json!({}))]
    #[case::several_audiences(json!({"aud": ["them", "us"]}))]
    #[case::a_fraction(json!({"exp": 1_600_000_060.5}))]
    #[case::optional_claims_missing(json!({"iat": null, "nbf": null}))]
    fn a_valid_token_is_accepted(#[case] changed: Value) {
        assert_eq!(outcome(changed), Ok(()));
    }

    #[rstest]
    #[case("exp", json!(null))]
    #[case("exp", json!("1600000060"))]
    #[case("exp", json!(true))]
    #[case("exp", json!(-1))]
    #[case("exp", json!([NOW + 60]))]
    #[case("nbf", json!(NOW + 1))]
    #[case("nbf", json!(1_600_000_000.9))]
    #[case("nbf", json!("0"))]
    #[case("iat", json!(NOW + 1))]
    #[case("iat", json!("0"))]
    #[case("iss", json!(null))]
    #[case("iss", json!("https://issuer.example/"))]
    #[case("iss", json!(["https://issuer.example"]))]
    #[case("aud", json!(null))]
    #[case("aud", json!("us/"))]
    #[case("aud", json!({"us": "us"}))]
    #[case("aud", json!(["us", 1]))]
    #[case("sub", json!(null))]
    #[case("sub", json!(""))]
    #[case("sub", json!(" "))]
    #[case("sub", json!("null"))]
    #[case("sub", json!(1))]
    #[case("type", json!("org"))]
    #[case("type", json!(null))]
    fn an_invalid_claim_is_rejected(#[case] name: &str, #[case] value: Value) {
        assert_eq!(outcome(json!({name: value})), Err(VerifyError::WrongClaim(name.to_owned())));
    }

    #[rstest]
    #[case(json!(NOW))]
    #[case(json!(NOW - 1))]
    #[case(json!(0))]
    fn an_expired_token_is_rejected(#[case] exp: Value) {
        assert_eq!(outcome(json!({"exp": exp})), Err(VerifyError::Expired));
    }

    #[test]
    fn leeway_applies_to_exp_and_iat() {
        let keys = KeySet::from_shared_secret(&secret());
        let validation = Validation { leeway_s: 5, required_claims: Vec::new(), ..validation() };
        let check = |exp: u64, iat: u64| {
            let claims =
                json!({"iss": validation.issuer, "aud": "us", "sub": "alice", "exp": exp, "iat": iat});
            let token = SigningKey::new(&secret()).sign(&claims).unwrap();
            verify(&token, &validation, &keys, Timestamp::from_unix_seconds(NOW)).is_ok()
        };
        assert!(check(NOW - 4, NOW + 5));
        assert!(!check(NOW - 5, NOW));
        assert!(!check(NOW + 60, NOW + 6));
    }

    proptest! {
        #[test]
        fn verification_never_panics(text in any::<String>()) {
            prop_assert!(verify_hs256(&text, &secret()).is_err());
        }
    }
}
