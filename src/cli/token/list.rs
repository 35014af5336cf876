//! `token list`: shows the tokens, not their texts.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::open_store;
use crate::api_token::Scope;
use crate::audit::timestamp;
use crate::cli::{CommandResult, ConfigArguments, print, print_error};
use crate::clock::Timestamp;
use crate::store::IfMissing;
use crate::store::api_tokens::{ApiTokenState, StoredApiToken};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso token list --config sso.toml
  marketplace-sso token list --config sso.toml --format json

The id is the beginning of a token, after mkt_. The last use is exact to the
minute.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns, for people
    Table,
    /// A JSON array
    Json,
}

/// A token as JSON. The field names are a public interface.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    name: &'a str,
    state: &'static str,
    scopes: Vec<&'static str>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let store = open_store(&config, IfMissing::Fail).await?;
    let tokens = store.api_tokens().await?;
    store.close().await;
    let now_us = Timestamp::now().unix_microseconds();
    let listed: Vec<Listed<'_>> = tokens.iter().map(|token| Listed::of(token, now_us)).collect();
    match arguments.format {
        Format::Json => print(serde_json::to_string_pretty(&listed)?),
        Format::Table if listed.is_empty() => {
            print_error(&"there are no API tokens; see token create");
            Ok(())
        }
        Format::Table => {
            print(row(["ID", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USE", "SCOPES"]))?;
            listed.iter().try_for_each(|token| print(token.to_row()))
        }
    }
}

impl<'a> Listed<'a> {
    fn of(token: &'a StoredApiToken, now_us: i64) -> Self {
        Self {
            id: token.id.as_str(),
            name: token.name.as_str(),
            state: match token.state(now_us) {
                ApiTokenState::Valid => "valid",
                ApiTokenState::Expired => "expired",
                ApiTokenState::Revoked => "revoked",
            },
            scopes: token.scopes.iter().copied().map(Scope::name).collect(),
            created_at: timestamp(token.created_at_us),
            expires_at: token.expires_at_us.map(timestamp),
            revoked_at: token.revoked_at_us.map(timestamp),
            last_used_at: token.last_used_at_us.map(timestamp),
        }
    }

    fn to_row(&self) -> String {
        let expires_at = self.expires_at.as_deref().unwrap_or("never");
        let last_used_at = self.last_used_at.as_deref().unwrap_or("never");
        let scopes = self.scopes.join(" ");
        row([
            self.id,
            self.name,
            self.state,
            to_minute(&self.created_at),
            to_minute(expires_at),
            to_minute(last_used_at),
            &scopes,
        ])
    }
}

fn row([id, name, state, created, expires, last_use, scopes]: [&str; 7]) -> String {
    format!("{id:<8}  {name:<20}  {state:<7}  {created:<16}  {expires:<16}  {last_use:<16}  {scopes}")
}

/// A time without its seconds.
fn to_minute(timestamp: &str) -> &str {
    timestamp.get(.."2026-10-01T12:00".len()).unwrap_or(timestamp)
}
