//! The section `[store]`.

use crate::seal::{KeyRing, Purpose};
use crate::settings::{Reported, Section, secrets};
use crate::store::{StoreSettings, StoreUrl};

const HELP: &str = "write \"sqlite:data/marketplace-sso.db\", or \
                    \"postgres://user:password@host/database?sslmode=verify-full\"";

const KEY_HELP: &str = "generate one: openssl rand -hex 32";

/// The settings of the store; `None` without one.
type StoreResult = Result<Option<StoreSettings>, Reported>;

/// The keys that encrypt secrets in the store; `None` if none is set.
type KeysResult = Result<Option<KeyRing>, Reported>;

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> (StoreResult, KeysResult) {
    let url = url(section);
    let timeout = section.seconds("timeout_s", 1, 60);
    let keys = keys(section);
    section.finish();
    let store = || {
        let (url, timeout) = (url?, timeout?);
        Ok(url.map(|url| StoreSettings { url, timeout }))
    };
    (store(), keys)
}

fn keys(section: &Section<'_>) -> KeysResult {
    if !section.has_secret("encryption_key") {
        // read so that it is not reported as unknown
        section.value("encryption_key_encoding");
        return Ok(None);
    }
    let [ring] = secrets::key_rings(section, "encryption_key", [Purpose::InstanceSecret], KEY_HELP)?;
    Ok(Some(ring))
}

fn url(section: &Section<'_>) -> Result<Option<StoreUrl>, Reported> {
    if !section.has_secret("url") {
        return Ok(None);
    }
    let (key, text) = section.secret("url", HELP)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() && key == "url" {
        return Ok(None);
    }
    let url = StoreUrl::parse(text)
        .map_err(|why| section.report(&key, format!("the URL cannot be used: {why}"), HELP))?;
    if !url.is_private() {
        section.warn(
            &key,
            "the connection to the database accepts any certificate, so data can be read and changed in transit",
            "add ?sslmode=verify-full, and sslrootcert=FILE for your own authority",
        );
    }
    Ok(Some(url))
}
