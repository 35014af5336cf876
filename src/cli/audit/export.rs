//! `audit export`: writes all selected events, the oldest first.

use clap::Args;

use super::arguments::{FilterArguments, Format};
use super::{open_store, output};
use crate::cli::{CommandResult, ConfigArguments};
use crate::clock::Timestamp;
use crate::store::events::{EventOrder, EventQuery};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso audit export --config sso.toml > events.jsonl
  marketplace-sso audit export --config sso.toml --format csv \\
    --since 2026-10-01 --until 2026-11-01 > october.csv

Events of the last seconds may be added after later ones were written, by
other replicas. For exports that follow each other, choose an --until a
minute ago or earlier.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    filter: FilterArguments,
    /// The maximum number of events; all without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// How to write them
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let store = open_store(&config).await?;
    let mut filter = arguments.filter.filter(&config.audit);
    // without an end, the export would not finish while more events are stored
    filter.until_us.get_or_insert(Timestamp::now().unix_microseconds());
    let query = EventQuery { filter, order: EventOrder::OldestFirst, after: None, limit: 0 };
    output::write_events(&store, query, arguments.limit, arguments.format).await?;
    Ok(())
}
