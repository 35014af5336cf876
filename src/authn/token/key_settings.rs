//! The verification keys of `[identity]`: from a file or a JWKS URL, and the
//! refresh settings.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::jwt::jwks::fetch::{CaBundle, Fetcher, KeyUrl};
use crate::jwt::jwks::{InitialFetch, JwksCache, JwksLocation, KeySource, RefreshPolicy};
use crate::jwt::key_set::{KeySet, is_symmetric, min_secret_bytes};
use crate::secret::SharedSecret;
use crate::settings::{Reported, Section, secrets};

/// The settings for public keys, and those for a shared secret.
const PUBLIC: [&str; 3] = ["jwks_url", "jwks_file", "public_key_file"];
const SECRET: [&str; 2] = ["shared_secret", "shared_secret_file"];

const HELP: &str = "give one of jwks_url, jwks_file (a JSON Web Key Set), public_key_file (PEM) or, for HS256, \
                    shared_secret; or make issuer an https URL with a discovery document";

/// The keys of an issuer: from exactly one of the settings, else `default_url`,
/// else the issuer's discovery document.
pub(crate) fn read(
    section: &Section<'_>,
    issuer: Result<Option<&str>, Reported>,
    default_url: Option<&str>,
    algorithms: Result<&[Algorithm], Reported>,
) -> Result<KeySource, Reported> {
    let mut given: Vec<&str> = PUBLIC.into_iter().chain(SECRET).collect();
    // read always, so that none is reported as unknown if another key is misspelt
    given.retain(|name| section.value(name).is_some());
    // read on demand: if keys are not fetched, these settings are reported as unknown
    let fetching = || Fetching::read(section);
    let wants_secret = algorithms.is_ok_and(|all| all.iter().copied().any(is_symmetric));
    match given.as_slice() {
        [] if wants_secret => {
            Err(section.report("shared_secret", "there is no secret that verifies tokens", HELP))
        }
        [] => match default_url {
            Some(url) => fetching()?.keys_at("jwks_url", url, InitialFetch::AtStart),
            None => fetching()?.discovered(issuer?),
        },
        ["jwks_url"] if wants_secret => {
            let what = "identity.algorithms has HMAC, which needs a secret, and a secret is never published";
            Err(section.report("jwks_url", what, HELP))
        }
        ["jwks_url"] => fetching()?.keys_at("jwks_url", &section.text("jwks_url")?, InitialFetch::AtStart),
        ["jwks_file"] => from_file(section, "jwks_file", algorithms?, KeySet::from_jwks_file),
        ["public_key_file"] => from_file(section, "public_key_file", algorithms?, KeySet::from_pem),
        ["shared_secret" | "shared_secret_file", ..] => {
            let (name, keys) = shared_secret(section, "shared_secret", algorithms.unwrap_or_default())?;
            check_algorithms(section, &name, algorithms?, keys)
        }
        [first, ..] => {
            let what = format!("keys are given more than once: {}", given.join(", "));
            Err(section.report(first, what, HELP))
        }
    }
}

/// The URL of an issuer's discovery document (OpenID Connect Discovery 1.0, 4).
pub(crate) fn discovery_document(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Whether any key setting is present.
pub(crate) fn are_given(section: &Section<'_>) -> bool {
    PUBLIC.iter().chain(&SECRET).any(|name| section.has(name))
}

/// A shared secret, long enough for each of the algorithms, and the setting that contains it.
pub(crate) fn shared_secret(
    section: &Section<'_>,
    name: &str,
    algorithms: &[Algorithm],
) -> Result<(String, KeySet), Reported> {
    let needs = algorithms.iter().map(|algorithm| min_secret_bytes(*algorithm));
    let min_bytes = needs.fold(SharedSecret::MIN_BYTES, usize::max);
    let help = format!("give the secret that the other side signs with, {min_bytes} bytes or more");
    let (name, secret) = secrets::read(section, name, min_bytes, &help)?;
    Ok((name, KeySet::from_shared_secret(&secret)))
}

fn from_file<E: std::fmt::Display>(
    section: &Section<'_>,
    name: &str,
    algorithms: &[Algorithm],
    read: impl FnOnce(&[u8]) -> Result<KeySet, E>,
) -> Result<KeySource, Reported> {
    let keys = read(section.file(name)?.as_bytes()).map_err(|why| {
        section.report(name, format!("its keys cannot be used: {why}"), "give the issuer's public keys")
    });
    check_algorithms(section, name, algorithms, keys?)
}

fn check_algorithms(
    section: &Section<'_>,
    name: &str,
    algorithms: &[Algorithm],
    keys: KeySet,
) -> Result<KeySource, Reported> {
    let misfits = || algorithms.iter().filter(|algorithm| !keys.supports(**algorithm));
    // of the default algorithms, only one needs a suitable key
    let are_defaults = !section.has("algorithms") && misfits().count() < algorithms.len();
    if let Some(misfit) = misfits().next().filter(|_| !are_defaults) {
        let what = format!("no key in it is suitable for the algorithm {misfit:?} of identity.algorithms");
        return Err(section.report(
            name,
            what,
            "name the algorithms that the issuer signs with, and its keys",
        ));
    }
    Ok(KeySource::Static(keys))
}

/// The settings for fetching keys.
pub(crate) struct Fetching<'s, 'p> {
    section: &'s Section<'p>,
    fetcher: Fetcher,
    cooldown_s: u64,
    allow_http: bool,
}

impl<'s, 'p> Fetching<'s, 'p> {
    /// Reads the settings, with defaults.
    pub fn read(section: &'s Section<'p>) -> Result<Self, Reported> {
        let cooldown_s = seconds(section, "jwks_min_refresh_interval_s", 30, 3_600);
        let timeout_s = seconds(section, "jwks_timeout_s", 5, 60);
        let ca_bundle = section.or_default("jwks_ca_file", None, |section| ca_bundle(section).map(Some));
        let allow_http = section.or_default("dangerous_allow_http_jwks", false, |section| {
            section.flag("dangerous_allow_http_jwks")
        });
        let fetcher = Fetcher { timeout: Duration::from_secs(timeout_s?), ca_bundle: ca_bundle? };
        Ok(Self { section, fetcher, cooldown_s: cooldown_s?, allow_http: allow_http? })
    }

    /// The keys at the URL in the setting `name`.
    pub fn keys_at(
        &self,
        name: &str,
        text: &str,
        initial_fetch: InitialFetch,
    ) -> Result<KeySource, Reported> {
        self.refreshed(JwksLocation::Set(self.url(name, text)?), initial_fetch)
    }

    /// The keys below the URL in the setting `name`, each at its `kid`.
    pub fn keys_by_id(&self, name: &str, text: &str) -> Result<KeySource, Reported> {
        let policy = RefreshPolicy {
            // the key at a URL never changes
            refresh_s: u64::MAX,
            max_stale_s: u64::MAX,
            cooldown_s: self.cooldown_s,
            initial_fetch: InitialFetch::OnDemand,
        };
        Ok(self.published(JwksLocation::ById(self.url(name, text)?), policy))
    }

    fn discovered(&self, issuer: Option<&str>) -> Result<KeySource, Reported> {
        let Some(issuer) = issuer.filter(|issuer| issuer.starts_with("http")) else {
            return Err(self.section.report("jwks_url", "there are no keys that verify tokens", HELP));
        };
        let document = self.url("issuer", &discovery_document(issuer))?;
        self.discovered_keys(issuer, document, InitialFetch::AtStart)
    }

    /// The keys that an issuer's discovery document refers to.
    pub fn discovered_keys(
        &self,
        issuer: &str,
        document: KeyUrl,
        initial_fetch: InitialFetch,
    ) -> Result<KeySource, Reported> {
        self.refreshed(JwksLocation::Discovered { issuer: issuer.to_owned(), document }, initial_fetch)
    }

    /// How keys are fetched; other requests to the same issuer use the same fetcher.
    pub const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    fn refreshed(&self, location: JwksLocation, initial_fetch: InitialFetch) -> Result<KeySource, Reported> {
        let refresh_s = seconds(self.section, "jwks_refresh_interval_s", 300, 86_400);
        let max_stale_s = seconds(self.section, "jwks_max_stale_s", 3_600, 604_800);
        let (refresh_s, max_stale_s) = (refresh_s?, max_stale_s?);
        if max_stale_s <= refresh_s {
            let what = "keys would expire before they are fetched again";
            let help = "write more than jwks_refresh_interval_s, which is 300 unless set";
            return Err(self.section.report("jwks_max_stale_s", what, help));
        }
        let policy = RefreshPolicy { refresh_s, max_stale_s, cooldown_s: self.cooldown_s, initial_fetch };
        Ok(self.published(location, policy))
    }

    fn published(&self, location: JwksLocation, policy: RefreshPolicy) -> KeySource {
        KeySource::Published(JwksCache::new(location, policy, self.fetcher.clone()))
    }

    fn url(&self, name: &str, text: &str) -> Result<KeyUrl, Reported> {
        let parse = match self.allow_http {
            true => KeyUrl::dangerous_parse_unencrypted,
            false => KeyUrl::parse,
        };
        parse(text).map_err(|why| {
            let what = format!("keys cannot be fetched there: {why}");
            let help = "write an https URL, such as \"https://login.example.com/keys\"";
            self.section.report(name, what, help)
        })
    }
}

fn seconds(section: &Section<'_>, name: &str, default: u64, max: u64) -> Result<u64, Reported> {
    section.or_default(name, default, |section| section.number(name, 1, max))
}

fn ca_bundle(section: &Section<'_>) -> Result<CaBundle, Reported> {
    let pem = section.file("jwks_ca_file")?;
    CaBundle::parse(pem.as_bytes()).map_err(|why| {
        let what = format!("it cannot be used: {why}");
        section.report("jwks_ca_file", what, "give the authority's certificate in PEM")
    })
}
