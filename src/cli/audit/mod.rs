//! `audit`: reads the stored audit events, verifies that none was changed, and erases a person.
//! One file for each command.

mod arguments;
mod export;
mod forget;
mod list;
mod output;
mod verify;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{CommandResult, Failure};
use crate::config::{Config, Problem, Problems};
use crate::store::{IfMissing, Store, StoreSettings};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso audit list --config sso.toml --subject alice@example.com
  marketplace-sso audit export --config sso.toml --since 2026-10-01 --format csv > october.csv
  marketplace-sso audit verify --config sso.toml

They read the events of [store], so audit.durability has to be \"queued\" or \"commit\".")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show events, the newest first
    List(list::Arguments),
    /// Write all events, the oldest first, as JSON lines or CSV
    Export(export::Arguments),
    /// Verify that no event was changed, removed or inserted
    Verify(verify::Arguments),
    /// Erase what identifies a person in all events; they stay verifiable
    Forget(forget::Arguments),
}

/// The time limit of an operation here, where no response waits for it.
const TIME_LIMIT: Duration = Duration::from_secs(600);

pub(super) fn run(arguments: &Arguments) -> CommandResult {
    actix_web::rt::System::new().block_on(async {
        match &arguments.command {
            Command::List(arguments) => list::run(arguments).await,
            Command::Export(arguments) => export::run(arguments).await,
            Command::Verify(arguments) => verify::run(arguments).await,
            Command::Forget(arguments) => forget::run(arguments).await,
        }
    })
}

/// Opens the configured store.
async fn open_store(config: &Config) -> Result<Store, Failure> {
    let Some(settings) = &config.store else {
        let problem = Problem {
            key: "store.url".to_owned(),
            origin: None,
            what: "it is not set, so no audit events are stored".to_owned(),
            help: "set it, and audit.durability = \"queued\" or \"commit\"".to_owned(),
        };
        return Err(Failure::Configuration(Problems { problems: vec![problem], files: Vec::new() }));
    };
    let settings = StoreSettings { timeout: TIME_LIMIT, ..settings.clone() };
    Store::open(&settings, IfMissing::Fail)
        .await
        .map_err(|error| Failure::Running(anyhow::anyhow!("the store {}: {error}", settings.url)))
}
