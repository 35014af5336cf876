//! The section `[store]`.

use std::time::Duration;

use crate::settings::Section;
use crate::store::{StoreSettings, StoreUrl};

const HELP: &str = "write \"sqlite:data/marketplace-sso.db\", or \
                    \"postgres://user:password@host/database?sslmode=verify-full\"";

/// The outer `None`: a problem was reported. The inner: there is no store.
pub(super) fn read(section: &Section<'_>) -> Option<Option<StoreSettings>> {
    let url = url(section);
    let timeout = section.number("timeout_s", 1, 60).map(Duration::from_secs);
    section.finish();
    let (url, timeout) = (url?, timeout?);
    Some(url.map(|url| StoreSettings { url, timeout }))
}

fn url(section: &Section<'_>) -> Option<Option<StoreUrl>> {
    if !section.has("url") && !section.has("url_file") {
        // keys that may be absent are known all the same
        for name in ["url", "url_file"] {
            section.value(name);
        }
        return Some(None);
    }
    let (key, text) = section.secret("url", HELP)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() && key == "url" {
        return Some(None);
    }
    match StoreUrl::parse(text) {
        Ok(url) => {
            if !url.is_private() {
                section.warn(
                    &key,
                    "the connection to the database accepts any certificate, so it can be read and changed on its way",
                    "add ?sslmode=verify-full, and sslrootcert=FILE for an authority of your own",
                );
            }
            Some(Some(url))
        }
        Err(why) => {
            section.report(&key, format!("the URL cannot be used: {why}"), HELP);
            None
        }
    }
}
