//! Secrets that both sides of an HMAC know: `X` or `X_file`, and `X_encoding`,
//! how it is written.

use super::section::Section;
use crate::secret::{BadSecret, SecretEncoding, SharedSecret};

/// What the key ends with that says how a secret is written.
pub(crate) const ENCODING: &str = "_encoding";

/// A secret of at least so many bytes, and the key that gave it.
pub(crate) fn read(
    section: &Section<'_>,
    name: &str,
    min_bytes: usize,
    help: &str,
) -> Option<(String, SharedSecret)> {
    // asked for also where there is no secret, so that it is not called unknown
    let encoding = encoding(section, name);
    let (given_by, text) = section.secret(name, help)?;
    let secret = SharedSecret::dangerous_decode_short(&text, encoding?);
    let secret = secret.and_then(|secret| secret.at_least(min_bytes)).map_err(|why| {
        let help = match why {
            BadSecret::NotEncoded(_) => format!("write how it is encoded: {name}{ENCODING} = \"text\", say"),
            BadSecret::Empty | BadSecret::TooShort { .. } | BadSecret::Invisible => help.to_owned(),
        };
        section.wrong(&given_by, format!("the secret cannot be used: {why}"), help);
    });
    Some((given_by, secret.ok()?))
}

fn encoding(section: &Section<'_>, name: &str) -> Option<SecretEncoding> {
    let key = format!("{name}{ENCODING}");
    let choices = SecretEncoding::ALL.map(|encoding| (encoding.name(), encoding));
    section.or_default(&key, SecretEncoding::Text, |section| section.choice(&key, &choices))
}
