//! `store`: maintains the store.

mod rekey;

use clap::{Args, Subcommand};

use super::CommandResult;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marketplace-sso store rekey --config sso.toml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Encrypt all secrets again with the first key of store.encryption_key
    Rekey(rekey::Arguments),
}

/// Runs a command.
pub(super) fn run(arguments: &Arguments) -> CommandResult {
    actix_web::rt::System::new().block_on(async {
        match &arguments.command {
            Command::Rekey(arguments) => rekey::run(arguments).await,
        }
    })
}
