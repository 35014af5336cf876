//! `token create`: creates a token, stores its hash, and prints the token once.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{open_store, record};
use crate::api_token::{ApiToken, ApiTokenName, Scope};
use crate::audit::{Operation, timestamp};
use crate::cli::{CommandResult, ConfigArguments, Failure, print, print_error};
use crate::clock::{Timestamp, parse_duration};
use crate::store::IfMissing;
use crate::store::api_tokens::{AddApiToken, MAX_API_TOKENS, StoredApiToken};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso token create --config sso.toml \\
    --name siem --scope audit:read
  marketplace-sso token create --config sso.toml \\
    --name shop --scope links:create --expires-in 365d > token

The token alone is on standard output. It cannot be shown again: only its
hash is stored. With SQLite, run it as the user of the service, which has to
be able to write the file.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// What it is for: 1 to 64 letters, digits, dots, dashes and underscores
    #[arg(long, value_name = "NAME", value_parser = ApiTokenName::parse)]
    name: ApiTokenName,
    /// What it permits: audit:read or links:create; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = Scope::parse)]
    scopes: Vec<Scope>,
    /// For how long: 45m, 12h, 30d, or never
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = Lifetime::parse)]
    expires_in: Lifetime,
}

/// How long a token is valid.
#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Limited(Duration),
    Unlimited,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let store = open_store(&config, IfMissing::Create).await?;
    let (token, now) = (ApiToken::generate()?, Timestamp::now());
    let mut scopes = arguments.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let expires_at_us = match arguments.expires_in {
        Lifetime::Limited(time) => Some(now.later_by(time).unix_microseconds()),
        Lifetime::Unlimited => None,
    };
    let stored = StoredApiToken {
        id: token.id(),
        name: arguments.name.clone(),
        hash: token.hash(),
        scopes: scopes.clone(),
        created_at_us: now.unix_microseconds(),
        expires_at_us,
        revoked_at_us: None,
        last_used_at_us: None,
    };
    let name = arguments.name.as_str();
    match store.add_api_token(stored).await? {
        AddApiToken::Added => {}
        AddApiToken::NameTaken => {
            return Err(Failure::Running(anyhow::anyhow!(
                "an API token {name} exists; choose another name, or revoke it first"
            )));
        }
        AddApiToken::TooMany => {
            return Err(Failure::Running(anyhow::anyhow!(
                "there are {MAX_API_TOKENS} API tokens; revoke those that are not used, see token list"
            )));
        }
    }
    let scopes: Vec<&str> = scopes.into_iter().map(Scope::name).collect();
    let expires_at = expires_at_us.map(timestamp);
    let data = json!({"id": token.id().as_str(), "name": name, "scopes": scopes, "expires_at": expires_at});
    if let Err(failure) = record(&config, &store, ("token create", Operation::TokenCreated), data).await {
        // its text was not shown, so nothing can use it
        store.remove_api_token(token.id()).await?;
        return Err(failure);
    }
    store.close().await;
    let until = expires_at.map_or_else(|| "never expires".to_owned(), |at| format!("expires at {at}"));
    print_error(&format!(
        "created the API token {name} ({}), which {until}; it is not shown again:",
        scopes.join(" ")
    ));
    print(token.expose())
}

impl Lifetime {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "never" => Ok(Self::Unlimited),
            _ => parse_duration(text)
                .filter(|time| !time.is_zero())
                .map(Self::Limited)
                .ok_or("write 45m, 12h, 30d, or never"),
        }
    }
}
