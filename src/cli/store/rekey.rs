//! `store rekey`: encrypts the secrets in the store again with the first key of
//! `store.encryption_key`, in batches, while the service runs. Afterwards the other keys can be
//! removed from the setting.

use clap::Args;
use serde_json::{Value, json};

use crate::audit::{ChainWriter, Durability, Operation};
use crate::authn::mittwald::InstanceSecret;
use crate::cli::{CommandResult, ConfigArguments, Failure, open_store, print};
use crate::config::{Config, Problem, Problems};
use crate::seal::KeyRing;
use crate::store::instances::{Resealed, SealedSecret, StoredInstance};
use crate::store::{IfMissing, Store};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marketplace-sso store rekey --config sso.toml

First put the new key into the first line of store.encryption_key_file,
before the old one, and let the service read it, which takes two seconds.
Run this until it prints \"0 remaining\"; then remove the old key.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

/// The maximum number of secrets in one transaction.
const BATCH: i64 = 500;

/// The number of secrets by result.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    encrypted: u64,
    current: u64,
    unreadable: u64,
    /// Still encrypted with another key, such as those that the service has written in the
    /// meantime.
    remaining: u64,
}

/// The maximum number of passes over all secrets.
const MAX_PASSES: usize = 5;

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let Some(mittwald) = &config.mittwald else {
        let problem = Problem {
            key: "mittwald.extension_ids".to_owned(),
            origin: None,
            what: "it is empty, and nothing else is encrypted in the store".to_owned(),
            help: "name the extensions, or leave the store as it is".to_owned(),
        };
        return Err(Failure::Configuration(Problems { problems: vec![problem], files: Vec::new() }));
    };
    let what = "it is not set, and secrets are kept in a store";
    let store = open_store(&config, IfMissing::Fail, what, "set it to that of the service").await?;
    let counts = rekey(&store, &mittwald.secrets).await?;
    let Counts { encrypted, current, unreadable, remaining } = counts;
    print(format!(
        "encrypted {encrypted} secrets with key {}; {current} were encrypted with it already; {remaining} remaining",
        mittwald.secrets.sealing_key()
    ))?;
    record(&config, &store, counts, &mittwald.secrets).await?;
    store.close().await;
    match (unreadable, remaining) {
        (0, 0) => Ok(()),
        (0, count) => Err(Failure::Running(anyhow::anyhow!(
            "{count} secrets are encrypted with another key: let every replica read the new first key of \
             store.encryption_key, and run this again"
        ))),
        (count, _) => Err(Failure::Running(anyhow::anyhow!(
            "{count} secrets cannot be decrypted: store.encryption_key lacks their key; add it, and run this again"
        ))),
    }
}

/// Passes over all secrets until all are encrypted with the first key: the service may write some
/// in the meantime.
async fn rekey(store: &Store, secrets: &KeyRing) -> Result<Counts, Failure> {
    let mut counts = pass(store, secrets).await?;
    for _ in 1..MAX_PASSES {
        let again = pass(store, secrets).await?;
        let is_done = again.encrypted == 0 && again.remaining == 0;
        counts.encrypted += again.encrypted;
        counts.unreadable = again.unreadable;
        // only another pass could confirm what the last pass encrypted
        counts.remaining = again.encrypted + again.remaining;
        if is_done {
            break;
        }
    }
    counts.remaining += counts.unreadable;
    Ok(counts)
}

async fn pass(store: &Store, secrets: &KeyRing) -> Result<Counts, Failure> {
    let mut counts = Counts::default();
    let mut after = None;
    loop {
        let instances = store.instances(after, BATCH).await?;
        let Some(last) = instances.last() else { return Ok(counts) };
        after = Some(last.id);
        let mut resealed = Vec::new();
        for instance in &instances {
            match reseal(instance, secrets)? {
                Resealing::None => {}
                Resealing::Current => counts.current += 1,
                Resealing::Unreadable => counts.unreadable += 1,
                Resealing::Due(secret) => resealed.push(secret),
            }
        }
        let due = u64::try_from(resealed.len()).unwrap_or(u64::MAX);
        let encrypted = store.replace_instance_secrets(resealed).await?;
        counts.encrypted += encrypted;
        // the service has changed these in the meantime; the next pass reads them again
        counts.remaining += due.saturating_sub(encrypted);
    }
}

/// What to do with the secret of an instance.
enum Resealing {
    /// It has none.
    None,
    /// It is encrypted with the first key.
    Current,
    /// It cannot be decrypted.
    Unreadable,
    /// It has to be replaced by this one.
    Due(Resealed),
}

fn reseal(instance: &StoredInstance, secrets: &KeyRing) -> Result<Resealing, Failure> {
    let Some(before) = instance.secret.clone() else { return Ok(Resealing::None) };
    if KeyRing::key_of(&before.ciphertext) == Some(secrets.sealing_key()) {
        return Ok(Resealing::Current);
    }
    let context = InstanceSecret::context(instance.id, instance.extension_id);
    let Some(secret) = secrets.open(&context, &before.ciphertext) else { return Ok(Resealing::Unreadable) };
    let ciphertext = secrets.seal(&context, &secret)?;
    let after = SealedSecret { ciphertext, key_id: secrets.sealing_key().as_bytes().to_vec() };
    Ok(Resealing::Due(Resealed { id: instance.id, before, after }))
}

/// Stores the audit event, in a chain of this process.
async fn record(config: &Config, store: &Store, counts: Counts, secrets: &KeyRing) -> CommandResult {
    if config.audit.durability == Durability::Log {
        return Ok(());
    }
    let data = json!({
        "key": secrets.sealing_key().to_string(),
        "encrypted": counts.encrypted,
        "unreadable": counts.unreadable,
        "remaining": counts.remaining,
    });
    let mut chain = ChainWriter::start(store.clone(), config.audit.chain_key.clone(), "store rekey").await?;
    chain.write_operation(Operation::KeyRotated, &data).await?;
    chain.write_operation(Operation::Stopped, &Value::Null).await?;
    Ok(())
}
