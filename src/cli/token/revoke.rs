//! `token revoke`: revokes a token, which is refused from then on.

use clap::Args;
use serde_json::json;

use super::{open_store, record};
use crate::api_token::{ApiTokenId, ApiTokenName};
use crate::audit::Operation;
use crate::cli::{CommandResult, ConfigArguments, Failure, print};
use crate::clock::Timestamp;
use crate::store::IfMissing;
use crate::store::api_tokens::ApiTokenKey;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso token revoke --config sso.toml siem
  marketplace-sso token revoke --config sso.toml --id 3fT9kQz1

The id of a token that leaked is its 8 characters after mkt_.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The token's name
    #[arg(value_name = "NAME", required_unless_present = "id", conflicts_with = "id", value_parser = ApiTokenName::parse)]
    name: Option<ApiTokenName>,
    /// The token's id, as token list shows it
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    id: Option<ApiTokenId>,
}

pub(super) async fn run(arguments: &Arguments) -> CommandResult {
    let key = match (&arguments.name, &arguments.id) {
        (Some(name), _) => ApiTokenKey::Name(name.clone()),
        (None, Some(id)) => ApiTokenKey::Id(id.clone()),
        (None, None) => return Err(Failure::Arguments("name the token".to_owned())),
    };
    let config = arguments.config.load()?;
    let store = open_store(&config, IfMissing::Fail).await?;
    let now_us = Timestamp::now().unix_microseconds();
    let Some(token) = store.revoke_api_token(key, now_us).await? else {
        return Err(Failure::Running(anyhow::anyhow!(
            "no API token that is not revoked has this name or id; see token list"
        )));
    };
    let name = token.name.as_str();
    print(format!("revoked the API token {name}; every process refuses it within 2 seconds"))?;
    let data = json!({"id": token.id.as_str(), "name": name});
    record(&config, &store, ("token revoke", Operation::TokenRevoked), data).await?;
    store.close().await;
    Ok(())
}

fn parse_id(text: &str) -> Result<ApiTokenId, &'static str> {
    ApiTokenId::parse(text).map_err(|_| "an id is the 8 letters and digits after mkt_")
}
