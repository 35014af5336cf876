//! Shared secrets: `X` or `X_file`, and `X_encoding`.

use super::merge::ENCODING;
use super::problem::Reported;
use super::section::Section;
use crate::secret::{BadSecret, SecretEncoding, SharedSecret};

/// Like [`read`]; `None` where it is not given.
pub(crate) fn optional(
    section: &Section<'_>,
    name: &str,
    min_bytes: usize,
    help: &str,
) -> Result<Option<(String, SharedSecret)>, Reported> {
    if section.has_secret(name) {
        return read(section, name, min_bytes, help).map(Some);
    }
    encoding(section, name).map(|_| None)
}

/// A secret of at least `min_bytes`, and the key that gave it.
pub(crate) fn read(
    section: &Section<'_>,
    name: &str,
    min_bytes: usize,
    help: &str,
) -> Result<(String, SharedSecret), Reported> {
    // first, so that the key counts as known without a secret too
    let encoding = encoding(section, name);
    let (given_by, text) = section.secret(name, help)?;
    let secret = SharedSecret::dangerous_decode_short(&text, encoding?);
    match secret.and_then(|secret| secret.at_least(min_bytes)) {
        Ok(secret) => Ok((given_by, secret)),
        Err(why) => {
            let help = match why {
                BadSecret::NotEncoded(_) => format!("give its encoding, such as {name}{ENCODING} = \"text\""),
                BadSecret::Empty | BadSecret::TooShort { .. } | BadSecret::Invisible => help.to_owned(),
            };
            Err(section.report(&given_by, format!("the secret cannot be used: {why}"), help))
        }
    }
}

fn encoding(section: &Section<'_>, name: &str) -> Result<SecretEncoding, Reported> {
    let key = format!("{name}{ENCODING}");
    let choices = SecretEncoding::ALL.map(|encoding| (encoding.name(), encoding));
    section.or_default(&key, SecretEncoding::Text, |section| section.choice(&key, &choices))
}
