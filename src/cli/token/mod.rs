//! `token`: creates, lists and revokes the API tokens of programs. One file for each command.

mod create;
mod list;
mod revoke;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{CommandResult, Failure};
use crate::audit::{ChainWriter, Operation};
use crate::config::Config;
use crate::store::{IfMissing, Store};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso token create --config sso.toml \\
    --name siem --scope audit:read
  marketplace-sso token list --config sso.toml
  marketplace-sso token revoke --config sso.toml siem

They are kept in [store], as hashes. Creating and revoking are audit events.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token, and print it: it is shown only here
    Create(create::Arguments),
    /// Show the tokens: scopes, times, last use; not the tokens themselves
    List(list::Arguments),
    /// Revoke a token: every process refuses it within seconds
    Revoke(revoke::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> CommandResult {
    actix_web::rt::System::new().block_on(async {
        match &arguments.command {
            Command::Create(arguments) => create::run(arguments).await,
            Command::List(arguments) => list::run(arguments).await,
            Command::Revoke(arguments) => revoke::run(arguments).await,
        }
    })
}

/// Opens the configured store.
async fn open_store(config: &Config, if_missing: IfMissing) -> Result<Store, Failure> {
    let what = "it is not set, and API tokens are kept in a store";
    let help = "set it, such as \"sqlite:data/marketplace-sso.db\", or \"postgres://…\" for several replicas";
    super::open_store(config, if_missing, what, help).await
}

/// Stores the audit event of an operation on a token, in a chain of this process.
async fn record(
    config: &Config,
    store: &Store,
    (command, operation): (&str, Operation),
    data: Value,
) -> Result<(), Failure> {
    let mut chain = ChainWriter::start(store.clone(), config.audit.chain_key.clone(), command).await?;
    chain.write_operation(operation, &data).await?;
    chain.write_operation(Operation::Stopped, &Value::Null).await?;
    Ok(())
}
