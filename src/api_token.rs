//! API tokens: their text, the hash that is stored in place of it, their names and scopes.
//!
//! A token is `mkt_`, 38 random base62 characters, and a checksum of 6, as GitHub's tokens are
//! (<https://github.blog/engineering/behind-githubs-new-authentication-token-formats>): secret
//! scanners recognise `mkt_[0-9A-Za-z]{44}`, and the checksum distinguishes a token from other
//! texts without a look-up. The first 8 random characters are the public id; the other 30 have 178
//! bits of entropy. That is too much for guessing, so SHA-256 is enough; slow hashes are for
//! passwords, which people choose.

use std::fmt;

use aws_lc_rs::{constant_time, digest, rand};
use crc::{CRC_32_ISO_HDLC, Crc};
use secrecy::{ExposeSecret, SecretString};

/// The text of a token, with a correct checksum. Only the store knows whether the token is valid.
#[derive(Clone)]
pub struct ApiToken(SecretString);

/// The public part of a token, which identifies it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiTokenId(String);

/// The hash of a token.
#[derive(Clone)]
pub struct ApiTokenHash(Vec<u8>);

/// The name of a token, which its owner chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenName(String);

/// What a token permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reading the stored audit events.
    AuditRead,
    /// Creating single-use addresses for users.
    LinksCreate,
    /// Listing mittwald's extension instances, and issuing access tokens for them.
    MittwaldTokens,
}

/// A text that is not a token: truncated, mistyped, or something else. The message never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an API token, which is {PREFIX} and 44 letters and digits")]
pub struct NotAToken;

/// The operating system has no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random numbers")]
pub struct NoRandomness;

/// A text that is not a name of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME} letters, digits, dots, dashes and underscores")]
pub struct NotAName;

/// A text that is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of the scopes audit:read, links:create, mittwald:tokens")]
pub struct NotAScope;

/// The prefix by which secret scanners find tokens.
const PREFIX: &str = "mkt_";

/// The length of the random part, in characters.
const RANDOM: usize = 38;

/// How many characters of the random part, from its start, are the id.
const ID: usize = 8;

/// The length of the checksum, in characters: 62^6 is more than 2^32.
const CHECKSUM: usize = 6;

/// The maximum length of a name.
const MAX_NAME: usize = 64;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

impl ApiToken {
    /// A new token.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = String::with_capacity(RANDOM);
        while random.len() < RANDOM {
            let mut bytes = [0; 64];
            rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
            // 248 is the largest multiple of 62 in a byte: larger bytes would make some characters
            // more likely
            let fair = bytes.into_iter().filter(|byte| *byte < 248).map(|byte| digit(u32::from(byte)));
            random.extend(fair.take(RANDOM - random.len()));
        }
        let checksum = checksum(&random);
        Ok(Self(format!("{PREFIX}{random}{checksum}").into()))
    }

    /// Parses a token, and compares its checksum.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(NotAToken)?;
        let is_base62 = rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if rest.len() != RANDOM + CHECKSUM || !is_base62 {
            return Err(NotAToken);
        }
        let (random, own) = rest.split_at_checked(RANDOM).ok_or(NotAToken)?;
        if own == checksum(random) { Ok(Self(text.into())) } else { Err(NotAToken) }
    }

    /// The id by which the token is looked up.
    pub fn id(&self) -> ApiTokenId {
        let id = self.expose().get(PREFIX.len()..PREFIX.len() + ID);
        ApiTokenId(id.unwrap_or_default().to_owned())
    }

    /// The hash that is stored in place of the token.
    pub fn hash(&self) -> ApiTokenHash {
        ApiTokenHash(digest::digest(&digest::SHA256, self.expose().as_bytes()).as_ref().to_vec())
    }

    /// The token itself, which is shown to its owner once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl ApiTokenId {
    /// Parses an id, in the form in which the store has it and `token list` shows it.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let is_id = text.len() == ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_id { Ok(Self(text.to_owned())) } else { Err(NotAToken) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ApiTokenHash {
    /// A hash from the store.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same, compared in constant time.
    pub fn verifies(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl ApiTokenName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_allowed);
        if is_name { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::AuditRead, Self::LinksCreate, Self::MittwaldTokens];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuditRead => "audit:read",
            Self::LinksCreate => "links:create",
            Self::MittwaldTokens => "mittwald:tokens",
        }
    }

    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NotAScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(NotAScope)
    }
}

/// The checksum of a random part.
fn checksum(random: &str) -> String {
    let mut rest = CRC.checksum(random.as_bytes());
    let mut text = ['0'; CHECKSUM];
    for place in text.iter_mut().rev() {
        *place = digit(rest);
        rest /= 62;
    }
    text.iter().collect()
}

/// The base62 digit of `number` modulo 62.
fn digit(number: u32) -> char {
    let digit = usize::try_from(number % 62).ok().and_then(|place| BASE62.get(place));
    digit.copied().map_or('0', char::from)
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(hidden)")
    }
}

impl fmt::Debug for ApiTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTokenHash(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_token_has_the_form_that_scanners_search() {
        let tokens: Vec<ApiToken> = (0..200).map(|_| ApiToken::generate().unwrap()).collect();
        let distinct: HashSet<&str> = tokens.iter().map(ApiToken::expose).collect();
        assert_eq!(distinct.len(), tokens.len());
        for token in tokens {
            let text = token.expose();
            assert_eq!((text.len(), &text[..4]), (48, "mkt_"));
            assert_eq!(token.id().as_str(), &text[4..12]);
            let parsed = ApiToken::parse(text).unwrap();
            assert!(parsed.hash().verifies(&token.hash()));
        }
    }

    #[test]
    fn the_checksum_is_that_of_crc32() {
        // crc32("123456789") is cbf43926 (the catalogue of CRC algorithms)
        assert_eq!(CRC.checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum("123456789"), "3jZRME");
        assert_eq!(checksum("").as_str(), "000000");
    }

    // T35
    #[test]
    fn a_changed_token_is_not_a_token() {
        let token = ApiToken::generate().unwrap();
        let text = token.expose();
        for place in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            assert!(ApiToken::parse(std::str::from_utf8(&changed).unwrap()).is_err(), "{place}");
        }
        for wrong in [&text[..47], &text[1..], "", "mkt_", &format!("{text}0"), &format!(" {text}")] {
            assert!(ApiToken::parse(wrong).is_err());
        }
        assert!(ApiToken::parse(&format!("mkt_{}", "ä".repeat(22))).is_err());
    }

    #[test]
    fn tokens_and_hashes_print_as_hidden() {
        let token = ApiToken::generate().unwrap();
        let printed = format!("{token:?} {:?}", token.hash());
        assert_eq!(printed, "ApiToken(hidden) ApiTokenHash(hidden)");
    }

    #[test]
    fn names_and_scopes_are_parsed() {
        assert!(ApiTokenName::parse("siem-1.prod_eu").is_ok());
        for wrong in ["", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(ApiTokenName::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Scope::ALL.map(|scope| Scope::parse(scope.name())), Scope::ALL.map(Ok));
        assert!(Scope::parse("audit").is_err());
        let listed = Scope::ALL.map(Scope::name).join(", ");
        assert!(NotAScope.to_string().ends_with(&listed));
    }
}
