//! The section `[session]`.

use std::sync::Arc;
use std::time::Duration;

use crate::seal::Purpose;
use crate::session::{SameSite, SessionSettings};
use crate::settings::{Reported, Section, secrets};

const HELP: &str =
    "name a file with a random key in each line in session.key_file, the newest first: openssl rand -hex 32";

/// Reads the section; `None` if it has no key, so that no user can sign in at this service.
pub(super) fn read(section: &Section<'_>) -> Result<Option<Arc<SessionSettings>>, Reported> {
    let keys = if section.has("key") || section.has("key_file") {
        let purposes = [Purpose::SessionCookie, Purpose::LoginCookie];
        secrets::key_rings(section, "key", purposes, HELP).map(Some)
    } else {
        // these settings are optional; reading them avoids that they are reported as unknown
        for name in ["key", "key_file", "key_encoding"] {
            section.value(name);
        }
        Ok(None)
    };
    let idle = section.seconds("idle_s", 60, 86_400);
    let absolute = section.seconds("absolute_s", 60, 7 * 86_400);
    let refresh_after = section.seconds("refresh_after_s", 0, 86_400);
    let same_site = section
        .choice("same_site", &[("lax", SameSite::Lax), ("none_partitioned", SameSite::NonePartitioned)]);
    section.finish();
    let (idle, absolute) = (idle?, absolute?);
    if idle > absolute {
        section.report("idle_s", "it is more than absolute_s", "write at most the value of absolute_s");
    }
    let (refresh_after, same_site) = (refresh_after?, same_site?);
    let refresh_after = Some(refresh_after).filter(|after| *after > Duration::ZERO);
    Ok(keys?.map(|[session_keys, login_keys]| {
        Arc::new(SessionSettings { session_keys, login_keys, idle, absolute, refresh_after, same_site })
    }))
}
