//! `audit`: reads the stored audit events, verifies that none was changed, and erases a person.
//! One file for each command.

mod arguments;
mod export;
mod forget;
mod list;
mod output;
mod verify;

use clap::{Args, Subcommand};

use super::{CommandResult, Failure};
use crate::config::Config;
use crate::store::{IfMissing, Store};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso audit list --config sso.toml --subject alice@example.com
  marketplace-sso audit export --config sso.toml > events.jsonl
  marketplace-sso audit verify --config sso.toml

They read the events of [store], so audit.durability has to be \"queued\" or
\"commit\".")]
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
    let what = "it is not set, so no audit events are stored";
    let help = "set it, and audit.durability = \"queued\" or \"commit\"";
    super::open_store(config, IfMissing::Fail, what, help).await
}
