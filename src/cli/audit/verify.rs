//! `audit verify`: verifies that no event was changed, removed or inserted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use super::{open_store, output};
use crate::audit::{self, Break, ChainFinding, ChainKey, timestamp, to_hex};
use crate::cli::{CommandResult, ConfigArguments, Failure, print};
use crate::secret::{SecretEncoding, SharedSecret};
use crate::store::Writer;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso audit verify --config sso.toml
  marketplace-sso audit verify --config sso.toml --key-file old-secret
  marketplace-sso audit verify --config sso.toml --heads > heads.txt

Each process writes a chain of its own. The first event of each chain that is
not intact is named. Whoever can change the whole database could also
restore an older copy of it: compare with heads that you keep elsewhere.

Exit status 1 if a chain is not intact.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// A file with an earlier audit.chain_key, or an earlier pandium.shared_secret; may be repeated
    #[arg(long = "key-file", value_name = "FILE")]
    key_files: Vec<PathBuf>,
    /// Print the last event of each chain: writer, seq and hash
    #[arg(long)]
    heads: bool,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let mut keys = Vec::new();
    for file in &arguments.key_files {
        keys.extend(read_keys(file)?);
    }
    let config = arguments.config.load()?;
    keys.push(config.audit.chain_key.clone());
    let store = open_store(&config).await?;
    let progress = output::Progress::new(true);
    let summary = audit::verify(&store, &keys, |events| progress.show(events)).await?;
    drop(progress);

    if arguments.heads {
        for head in &summary.heads {
            print(format!("{} {} {}", head.writer, head.seq, to_hex(&head.hash)))?;
        }
    }
    if !summary.findings.is_empty() {
        let writers: BTreeMap<Uuid, Writer> =
            store.writers().await?.into_iter().map(|writer| (writer.writer, writer)).collect();
        for finding in &summary.findings {
            print(describe(finding, writers.get(&finding.writer)))?;
        }
    }
    let (events, chains) = (summary.events, summary.chains);
    match summary.findings.len() {
        0 if arguments.heads => Ok(()),
        0 => {
            let chains = if chains == 1 { "1 chain".to_owned() } else { format!("{chains} chains") };
            print(format!("{events} events in {chains}: none was changed, removed or inserted"))
        }
        count => Err(Failure::Running(anyhow::anyhow!(
            "chains that are not intact: {count} of {}",
            chains.max(count as u64)
        ))),
    }
}

/// The chain, its process, and what is wrong.
fn describe(ChainFinding { writer, what }: &ChainFinding, process: Option<&Writer>) -> String {
    let of = process.map_or_else(String::new, |process| {
        format!(" ({}, started {})", process.host.escape_debug(), timestamp(process.started_at_us))
    });
    let at = match what {
        Break::Changed { at_us, .. } => format!("; its time is {}", timestamp(*at_us)),
        Break::Removed { .. }
        | Break::Inserted { .. }
        | Break::Erased { .. }
        | Break::Head
        | Break::Anchor
        | Break::NoWriter
        | Break::Unverifiable { .. } => String::new(),
    };
    format!("chain {writer}{of}: {what}{at}")
}

/// The possible keys in a file: in each encoding, as a key or as a shared secret.
fn read_keys(file: &PathBuf) -> Result<Vec<ChainKey>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::Arguments(format!("the key file {} cannot be read: {error}", file.display()))
    })?;
    let secrets = SecretEncoding::ALL
        .into_iter()
        .filter_map(|encoding| SharedSecret::dangerous_decode_short(&text, encoding).ok());
    let keys: Vec<ChainKey> =
        secrets.flat_map(|secret| [ChainKey::new(&secret), ChainKey::derive(&secret)]).collect();
    if keys.is_empty() {
        return Err(Failure::Arguments(format!("the key file {} holds no secret", file.display())));
    }
    Ok(keys)
}
