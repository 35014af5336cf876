//! Verifying tokens, with every rule named (RFC 8725). The library is asked for
//! the signature alone, so that no default of its validation has a say; what a
//! token must claim is checked here.

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use super::compact::{Compact, NotCompact};
use super::key_set::{KeySet, MissingKid, NoKey, parse_algorithm};
use super::numeric_date::NumericDate;
use super::token_type::{DEFAULT_TYPES, TokenType};
use crate::clock::Timestamp;
use crate::secret::SharedSecret;
use crate::user;

/// What an issuer's tokens must be. Nothing in it has a default: every way in
/// names every rule.
#[derive(Clone, Copy, Debug)]
pub struct Validation<'a> {
    /// The algorithms that the issuer signs with; no other is believed.
    pub algorithms: &'a [Algorithm],
    /// What `typ` may be.
    pub types: &'a [TokenType],
    /// Which keys are tried for a token that names none.
    pub missing_kid: MissingKid,
    /// `iss`, exactly; none where the platform sends none.
    pub issuer: Option<&'a str>,
    /// What `aud` must be.
    pub audience: Audience<'a>,
    /// Whether `iat` must be there. Where it is, it never lies ahead.
    pub issued_at: IssuedAt,
    /// By how many seconds the issuer's clock may differ from ours.
    pub leeway_s: u64,
    /// Claims that must have exactly this value.
    pub required_claims: &'a [(String, Value)],
    /// A claim that only a person's tokens have, and a program's do not.
    pub person_claim: Option<&'a str>,
    /// The claim that says who it is; none where the way in reads it itself.
    pub subject: Option<&'a str>,
}

/// What `aud` must be, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// The platform sends none: one that is there is for somebody else.
    NotSent,
    /// Whatever it is, something else says that the token is for us.
    NotLookedAt,
    /// One of these must be in it.
    OneOf(&'a [String]),
    /// It must be this origin, or an address below it.
    Below(&'a str),
}

/// Whether `iat` must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuedAt {
    /// It must.
    Required,
    /// It need not.
    Optional,
}

/// A token whose signature is right.
#[derive(Debug)]
pub struct Verified {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Why a token is not believed. It never quotes the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is no token at all.
    #[error(transparent)]
    NotCompact(#[from] NotCompact),
    /// Another algorithm.
    #[error("its algorithm is not one that is allowed")]
    WrongAlgorithm,
    /// It asks for extensions to be understood (RFC 7515, 4.1.11).
    #[error("its header has a crit member, and no extension is known here")]
    Critical,
    /// It may be for another purpose, by its `typ` (RFC 8725, 3.11).
    #[error("its typ is not one of the accepted types")]
    WrongType,
    /// Its `kid` is not a short text.
    #[error("its kid is not a text of at most {MAX_KEY_ID_BYTES} bytes")]
    BadKeyId,
    /// It was signed with a key that is not in the set.
    #[error("its kid is not that of a known key")]
    UnknownKey,
    /// The key it names is for another algorithm.
    #[error("the key of its kid is for another algorithm")]
    MisfitKey,
    /// It names no key, and it cannot be told which it means.
    #[error("it names no key, and not exactly one fits its algorithm")]
    UnclearKey,
    /// It names no key, and no key that is known here made its signature.
    #[error("it names no key, and none that is known signed it")]
    NoKeySignedIt,
    /// There are no keys.
    #[error("the keys that it would take cannot be had at the moment")]
    NoKeys,
    /// The issuer may have published the key since its keys were last fetched.
    #[error("no known key is its key, and the issuer's keys could not be fetched anew so far")]
    NotKnownYet,
    /// The signature is another key's, or the token was changed.
    #[error("its signature is not that of the configured secret or key")]
    WrongSignature,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// A claim is missing, of a wrong type, or not as it must be.
    #[error("its claim {0} is missing or not as it must be")]
    WrongClaim(String),
    /// It is a program's token, not a person's.
    #[error("it has no {0}, so it is a program's and not a person's")]
    NoPerson(String),
}

/// The longest `kid`, in bytes.
const MAX_KEY_ID_BYTES: usize = 256;

/// Believes a token of an issuer, or says why not.
pub fn verify(
    token: &str,
    validation: &Validation<'_>,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    believe(Compact::parse(token)?, validation, keys, now)
}

/// Believes a token that was read in its own form, or says why not.
pub fn believe(
    parts: Compact<'_>,
    validation: &Validation<'_>,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let algorithm = algorithm(&parts.header, validation.algorithms, validation.types)?;
    let id = key_id(&parts.header)?;
    let candidates = keys.find(id, algorithm, validation.missing_kid).map_err(|why| match why {
        NoKey::UnknownId => VerifyError::UnknownKey,
        NoKey::Misfit => VerifyError::MisfitKey,
        NoKey::Unclear => VerifyError::UnclearKey,
    })?;
    let is_signed = { candidates }.any(|key| check_signature(&parts, key, algorithm).is_ok());
    if !is_signed {
        return Err(if id.is_some() { VerifyError::WrongSignature } else { VerifyError::NoKeySignedIt });
    }
    check_claims(&parts.claims, validation, now.unix_seconds())?;
    Ok(Verified { header: parts.header, claims: parts.claims })
}

/// Reads a token of our own and checks its signature. Nothing else: not its
/// age, not its claims.
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
    if !TokenType::of(header.get("typ")).is_some_and(|own| types.contains(&own)) {
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

fn check_claims(
    claims: &Map<String, Value>,
    validation: &Validation<'_>,
    now: u64,
) -> Result<(), VerifyError> {
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
    if validation.issuer.is_some_and(|issuer| text("iss") != Some(issuer)) {
        return Err(wrong("iss"));
    }
    if !validation.audience.is_met_by(claims.get("aud")) {
        return Err(wrong("aud"));
    }
    if let Some((name, _)) =
        validation.required_claims.iter().find(|(name, value)| claims.get(name) != Some(value))
    {
        return Err(wrong(name));
    }
    if let Some(name) = validation.person_claim.filter(|name| says_nothing(text(name))) {
        return Err(VerifyError::NoPerson(name.to_owned()));
    }
    match validation.subject.filter(|name| says_nothing(text(name))) {
        Some(name) => Err(wrong(name)),
        None => Ok(()),
    }
}

/// Whether a claim that should name somebody is not there, or a word for nobody.
fn says_nothing(text: Option<&str>) -> bool {
    text.is_none_or(|text| user::is_no_value(text.trim()))
}

impl Audience<'_> {
    /// `aud` is a text or a list of texts (RFC 7519, 4.1.3), nothing else.
    fn is_met_by(self, audience: Option<&Value>) -> bool {
        match (self, audience) {
            (Self::NotSent, audience) => audience.is_none(),
            (Self::NotLookedAt, _) => true,
            (_, Some(Value::String(one))) => self.is_wanted(one),
            (_, Some(Value::Array(several))) => {
                let mut texts = several.iter().filter_map(Value::as_str);
                several.iter().all(Value::is_string) && texts.any(|text| self.is_wanted(text))
            }
            (_, _) => false,
        }
    }

    fn is_wanted(self, audience: &str) -> bool {
        match self {
            Self::NotSent | Self::NotLookedAt => true,
            Self::OneOf(wanted) => wanted.iter().any(|wanted| wanted == audience),
            Self::Below(origin) => {
                audience.strip_prefix(origin).is_some_and(|path| path.is_empty() || path.starts_with('/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

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
    fn a_token_of_ours_is_believed_however_old() {
        assert_eq!(verify_hs256(&token(), &secret()).unwrap().claims["sub"], "alice");
    }

    #[rstest]
    #[case::no_signature(token().rsplit_once('.').unwrap().0.to_owned() + ".", VerifyError::WrongSignature)]
    #[case::algorithm_none("eyJhbGciOiJub25lIn0.e30.".into(), VerifyError::WrongAlgorithm)]
    #[case::another_algorithm("eyJhbGciOiJIUzM4NCJ9.e30.c2ln".into(), VerifyError::WrongAlgorithm)]
    #[case::critical("eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.c2ln".into(), VerifyError::Critical)]
    #[case::no_token("a.b".into(), NotCompact::Form.into())]
    fn a_token_is_refused(#[case] token: String, #[case] why: VerifyError) {
        assert_eq!(verify_hs256(&token, &secret()).unwrap_err(), why);
    }

    #[test]
    fn another_secret_is_not_believed() {
        let other = SharedSecret::parse("fedcba9876543210fedcba9876543210").unwrap();
        assert_eq!(verify_hs256(&token(), &other).unwrap_err(), VerifyError::WrongSignature);
    }

    #[test]
    fn the_last_character_of_a_signature_counts() {
        let mut token = token();
        let last = token.pop().unwrap();
        token.push(if last == 'A' { 'B' } else { 'A' });
        assert!(verify_hs256(&token, &secret()).is_err());
    }

    fn validation() -> Validation<'static> {
        static AUDIENCES: LazyLock<[String; 1]> = LazyLock::new(|| ["us".into()]);
        static REQUIRED: LazyLock<[(String, Value); 1]> = LazyLock::new(|| [("type".into(), json!("app"))]);
        Validation {
            algorithms: &[Algorithm::HS256],
            types: &DEFAULT_TYPES,
            missing_kid: MissingKid::OnlyKey,
            issuer: Some("https://issuer.example"),
            audience: Audience::OneOf(&*AUDIENCES),
            issued_at: IssuedAt::Optional,
            leeway_s: 0,
            required_claims: &*REQUIRED,
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
    #[case::as_it_should_be(json!({}))]
    #[case::several_audiences(json!({"aud": ["them", "us"]}))]
    #[case::a_fraction(json!({"exp": 1_600_000_060.5}))]
    #[case::without_what_is_optional(json!({"iat": null, "nbf": null}))]
    fn a_token_is_believed(#[case] changed: Value) {
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
    fn a_claim_is_refused(#[case] name: &str, #[case] value: Value) {
        assert_eq!(outcome(json!({name: value})), Err(VerifyError::WrongClaim(name.to_owned())));
    }

    #[rstest]
    #[case(json!(NOW))]
    #[case(json!(NOW - 1))]
    #[case(json!(0))]
    fn a_token_has_its_time(#[case] exp: Value) {
        assert_eq!(outcome(json!({"exp": exp})), Err(VerifyError::Expired));
    }

    #[test]
    fn a_leeway_is_given_to_both_sides() {
        let keys = KeySet::from_shared_secret(&secret());
        let validation = Validation { leeway_s: 5, required_claims: &[], ..validation() };
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
        fn any_text_is_refused_without_harm(text in any::<String>()) {
            prop_assert!(verify_hs256(&text, &secret()).is_err());
        }
    }
}
