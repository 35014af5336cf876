//! The section `[store]`.

use crate::settings::{Reported, Section};
use crate::store::{StoreSettings, StoreUrl};

const HELP: &str = "write \"sqlite:data/marketplace-sso.db\", or \
                    \"postgres://user:password@host/database?sslmode=verify-full\"";

/// Reads the section; `None`: there is no store.
pub(super) fn read(section: &Section<'_>) -> Result<Option<StoreSettings>, Reported> {
    let url = url(section);
    let timeout = section.seconds("timeout_s", 1, 60);
    section.finish();
    let (url, timeout) = (url?, timeout?);
    Ok(url.map(|url| StoreSettings { url, timeout }))
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
            "the connection to the database accepts any certificate, so it can be read and changed on its way",
            "add ?sslmode=verify-full, and sslrootcert=FILE for an authority of your own",
        );
    }
    Ok(Some(url))
}
