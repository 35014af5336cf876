//! The section `[audit]`.

use std::time::Duration;

use crate::audit::{AuditSettings, ChainKey, Durability, OnFailure, PseudonymKey};
use crate::secret::SharedSecret;
use crate::settings::{Reported, Section, secrets};
use crate::store::StoreSettings;

/// A hundred years.
const MAX_RETENTION_DAYS: u64 = 36_500;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `store`: the section `[store]`, if it was read. `shared_secrets`: the secrets of all entrances,
/// that of the main entrance first.
pub(super) fn read(
    section: &Section<'_>,
    store: Result<&Option<StoreSettings>, Reported>,
    shared_secrets: Result<&[SharedSecret], Reported>,
) -> Result<AuditSettings, Reported> {
    let durability = section.choice("durability", &Durability::ALL.map(|each| (each.name(), each)));
    let on_failure =
        section.choice("on_failure", &[("refuse", OnFailure::Refuse), ("allow", OnFailure::Allow)]);
    let queue_length = section.count("queue_length", 1, 1_000_000);
    let retention_days = section.number("retention_days", 0, MAX_RETENTION_DAYS);
    let chain_key = chain_key(section, shared_secrets);
    // its value is read with each entrance, because the entrance's secret is the key of the hash
    section.value("subject");
    section.finish();
    if durability.is_ok_and(|durability| durability != Durability::Log) && store == Ok(&None) {
        return Err(section.report(
            "durability",
            "there is no store for the events",
            "set store.url, such as \"sqlite:data/marketplace-sso.db\", or durability = \"log\"",
        ));
    }
    let days = u32::try_from(retention_days?).unwrap_or(u32::MAX);
    Ok(AuditSettings {
        durability: durability?,
        on_failure: on_failure?,
        queue_length: queue_length?,
        retention: (days > 0).then(|| DAY * days),
        chain_key: chain_key?,
        pseudonym_keys: shared_secrets?.iter().map(PseudonymKey::derive).collect(),
    })
}

fn chain_key(
    section: &Section<'_>,
    shared_secrets: Result<&[SharedSecret], Reported>,
) -> Result<ChainKey, Reported> {
    let help = "generate one: openssl rand -hex 32";
    if let Some((_, key)) = secrets::optional(section, "chain_key", SharedSecret::MIN_BYTES, help)? {
        return Ok(ChainKey::new(&key));
    }
    let main = shared_secrets?.first().map(ChainKey::derive);
    main.ok_or_else(|| section.report("chain_key", "it is not set", help))
}
