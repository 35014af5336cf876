//! `audit forget`: erases what identifies a person.

use clap::Args;
use serde_json::Value;

use super::open_store;
use crate::audit::{ChainWriter, Operation, forget};
use crate::cli::{CommandResult, ConfigArguments, print};
use crate::store::events::{EventFilter, EventOrder, EventQuery};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marketplace-sso audit forget --config sso.toml --subject alice@example.com

Subject, peer and user agent of all events of this user are overwritten, in
plain and in hashed form. The events stay, and stay verifiable. That an
erasure took place is recorded, without the subject. Logs, exports and
backups are not changed; nor is what PostgreSQL keeps until its vacuum.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The token's sub, as the claims computed it
    #[arg(long, value_name = "SUB")]
    subject: String,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let store = open_store(&config).await?;
    let subjects = config.audit.subject_forms(&arguments.subject);
    let filter = EventFilter { subjects: Some(subjects.clone()), ..EventFilter::default() };
    let any = EventQuery { filter, order: EventOrder::OldestFirst, after: None, limit: 1 };
    if store.events(any).await?.is_empty() {
        return print("no stored event has this subject");
    }
    let mut chain = ChainWriter::start(store.clone(), config.audit.chain_key.clone(), "audit forget").await?;
    let erased = forget(&store, &mut chain, &subjects).await?;
    chain.write_operation(Operation::Stopped, &Value::Null).await?;
    store.close().await;
    print(format!("erased what identifies this person in {erased} events"))
}
