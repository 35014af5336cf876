//! `audit list`: shows events, the newest first.

use clap::Args;

use super::arguments::{FilterArguments, Format};
use super::{open_store, output};
use crate::cli::{CommandResult, ConfigArguments, print_error};
use crate::store::events::{EventOrder, EventQuery};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso audit list --config sso.toml
  marketplace-sso audit list --config sso.toml \\
    --subject alice@example.com --since 7d
  marketplace-sso audit list --config sso.toml \\
    --outcome refused --reason not_allowed --limit 1000
  marketplace-sso audit list --config sso.toml \\
    --jti 0b0e9b3e-4d34-4c7c-9f6e-8c1f0e8d7a11 --format jsonl")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    filter: FilterArguments,
    /// The maximum number of events
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// How to write them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let store = open_store(&config).await?;
    let query = EventQuery {
        filter: arguments.filter.filter(&config.audit),
        order: EventOrder::NewestFirst,
        after: None,
        limit: 0,
    };
    let written = output::write_events(&store, query, Some(arguments.limit), arguments.format).await?;
    if arguments.format == Format::Table {
        match written {
            0 => print_error(&"no stored event matches"),
            written if written == arguments.limit => {
                print_error(&format!("the newest {written}; there may be more, see --limit"));
            }
            _ => {}
        }
    }
    Ok(())
}
