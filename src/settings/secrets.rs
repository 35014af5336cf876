//! Reads shared secrets: `X` or `X_file`, and `X_encoding`. For key rings, one setting has several
//! secrets.

use super::merge::{ENCODING, FILE};
use super::problem::{Collector, Reported};
use super::section::Section;
use crate::seal::{KeyRing, Purpose};
use crate::secret::{BadSecret, SecretEncoding, SharedSecret};

/// Like [`read`]; `None` if the secret is not given.
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

/// A secret of at least `min_bytes`, and the key that contains it.
pub(crate) fn read(
    section: &Section<'_>,
    name: &str,
    min_bytes: usize,
    help: &str,
) -> Result<(String, SharedSecret), Reported> {
    // read first, so that this key is not reported as unknown if the secret is missing
    let encoding = encoding(section, name);
    let (given_by, text) = section.secret(name, help)?;
    let secret = decode(&text, encoding?, min_bytes).map_err(|why| {
        section.report(&given_by, format!("the secret cannot be used: {why}"), remedy(why, name, help))
    })?;
    section.note_secret(&given_by, &secret);
    Ok((given_by, secret))
}

/// A key ring for each purpose, from the secrets in one setting: a list, or one secret in each
/// line. The first key encrypts, each key decrypts.
pub(crate) fn key_rings<const N: usize>(
    section: &Section<'_>,
    name: &str,
    purposes: [Purpose; N],
    help: &str,
) -> Result<[KeyRing; N], Reported> {
    let encoding = encoding(section, name);
    let (given_by, texts) = section.secrets(name, help)?;
    let encoding = encoding?;
    let mut secrets = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let secret = decode(text, encoding, SharedSecret::MIN_BYTES).map_err(|why| {
            let what = format!("key {} cannot be used: {why}", index + 1);
            section.report(&given_by, what, remedy(why, name, help))
        })?;
        section.note_secret(&given_by, &secret);
        secrets.push(secret);
    }
    let mut rings = Vec::with_capacity(N);
    for purpose in purposes {
        let ring = KeyRing::derive(&secrets, purpose);
        rings.push(ring.map_err(|why| section.report(&given_by, why, help))?);
    }
    rings.try_into().map_err(|_| section.report(&given_by, "it cannot be used", help))
}

/// Reports each of these settings whose secret is used by another setting, too. `own`: the full
/// keys of settings whose secrets only this service may know, each for one purpose.
pub(crate) fn check_own(problems: &Collector, own: &[&str]) {
    let secrets = problems.secrets();
    let setting = |key: &str| key.strip_suffix(FILE).unwrap_or(key).to_owned();
    let place = |key: &str| own.iter().position(|own| *own == setting(key));
    for noted in &secrets {
        let Some(at) = place(&noted.key) else { continue };
        let other = secrets.iter().find(|other| {
            other.secret.expose_bytes() == noted.secret.expose_bytes()
                // if both are among these settings, the later one is reported
                && place(&other.key).is_none_or(|other| other < at)
        });
        if let Some(other) = other {
            let what = format!(
                "it is the secret of {} too: anyone who knows that one could forge or read what this one protects",
                other.key
            );
            let help = "generate a separate one: openssl rand -hex 32";
            problems.add(noted.key.clone(), noted.origin.clone(), what, help);
        }
    }
}

fn decode(text: &str, encoding: SecretEncoding, min_bytes: usize) -> Result<SharedSecret, BadSecret> {
    SharedSecret::dangerous_decode_short(text, encoding)?.at_least(min_bytes)
}

fn remedy(why: BadSecret, name: &str, help: &str) -> String {
    match why {
        BadSecret::NotEncoded(_) => format!("set its encoding, such as {name}{ENCODING} = \"text\""),
        BadSecret::Empty | BadSecret::TooShort { .. } | BadSecret::Invisible => help.to_owned(),
    }
}

fn encoding(section: &Section<'_>, name: &str) -> Result<SecretEncoding, Reported> {
    let key = format!("{name}{ENCODING}");
    let choices = SecretEncoding::ALL.map(|encoding| (encoding.name(), encoding));
    section.or_default(&key, SecretEncoding::Text, |section| section.choice(&key, &choices))
}
