//! `mint`: prints the hand-off URL of a user, by the same code as `serve`.

use clap::{ArgGroup, Args};
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;
use uuid::Uuid;

use super::terminal::{FAINT, Format, STRONG, Terminal};
use super::{CommandResult, ConfigArguments, Failure};
use crate::clock::Timestamp;
use crate::pandium::HandOff;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::Entrance;
use crate::user::{BadText, Email, Identifier, Label, User};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("user").args(["email", "id"]).required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  marketplace-sso mint --config sso.toml --email alice@example.com
  marketplace-sso mint --config sso.toml --email alice@example.com \\
    --group admins --set attributes.plan=pro --set organization.id=org-1 \\
    --integration-id 1121 --display settings
  marketplace-sso mint --config sso.toml --entrance merchant_center \\
    --id u-1 --set attributes.project_key=acme

The URL is a credential: whoever has it acts as that user.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The user's e-mail address; optional with --id
    #[arg(long, value_name = "E")]
    email: Option<String>,
    /// The user's id
    #[arg(long, value_name = "I")]
    id: Option<String>,
    /// The user's name
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// A group of the user; may be repeated
    #[arg(long = "group", value_name = "G")]
    groups: Vec<String>,
    /// username, organization.id, organization.name, attributes.NAME or token.NAME, as JSON or plain text
    #[arg(long = "set", value_name = "KEY=JSON")]
    settings: Vec<String>,
    /// The entrance whose settings apply
    #[arg(long, value_name = "NAME", default_value = Entrance::MAIN_NAME)]
    entrance: String,
    /// Link to this integration
    #[arg(long, value_name = "ID")]
    integration_id: Option<String>,
    /// Show the integration's list or settings
    #[arg(long, value_name = "list|settings")]
    display: Option<String>,
    /// Link to the install page of this integration
    #[arg(long, value_name = "ID")]
    install: Option<String>,
    /// Another link parameter; may be repeated
    #[arg(long = "link", value_name = "NAME=VALUE")]
    links: Vec<String>,
    #[arg(long, value_enum, default_value_t, help = "The form of the result")]
    format: Format,
}

/// A hand-off for programs. Times are Unix seconds.
#[derive(Serialize)]
struct HandOffJson<'a> {
    url: &'a str,
    jti: Uuid,
    subject: &'a str,
    issued_at: u64,
    expires_at: Option<u64>,
}

pub(super) fn run(arguments: &Arguments, terminal: Terminal) -> CommandResult {
    let user = user(arguments)?;
    let config = arguments.config.load()?;
    let entrance = config.entrance(&arguments.entrance).ok_or_else(|| {
        let names: Vec<&str> = config.entrances.iter().map(|entrance| entrance.name.as_str()).collect();
        Failure::Arguments(format!(
            "there is no entrance {:?}; the configuration has: {}",
            arguments.entrance,
            names.join(", ")
        ))
    })?;
    let refused = |refusal: Refusal| {
        let is_without_subject = refusal.reason == Reason::Unauthenticated;
        let remedy =
            if is_without_subject { "; give the value that it reads: --id, --email or --set" } else { "" };
        Failure::Running(anyhow::anyhow!("refused ({}): {}{remedy}", refusal.reason.code(), refusal.cause))
    };
    let link = entrance
        .marketplace
        .links()
        .parse(&query(arguments)?, arguments.install.as_deref())
        .map_err(refused)?;
    entrance.access.allow(&user).map_err(refused)?;
    let hand_off = entrance.hand_off(&user, &link, Uuid::new_v4(), Timestamp::now()).map_err(refused)?;
    let HandOff { url, jti, subject, issued_at, expires_at } = &hand_off;
    let url = url.expose();
    match arguments.format {
        Format::Json => terminal.print_json(&HandOffJson {
            url,
            jti: *jti,
            subject,
            issued_at: *issued_at,
            expires_at: *expires_at,
        }),
        Format::Text => {
            let (page, query) = url.split_at(url.find('?').unwrap_or(url.len()));
            terminal.print(format!("{STRONG}{page}{STRONG:#}{FAINT}{query}{FAINT:#}"))
        }
    }
}

fn query(arguments: &Arguments) -> Result<String, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(id) = &arguments.integration_id {
        query.append_pair("integration_id", id);
    }
    if let Some(display) = &arguments.display {
        query.append_pair("display", display);
    }
    for link in &arguments.links {
        let (name, value) = link
            .split_once('=')
            .ok_or_else(|| Failure::Arguments(format!("--link {link:?} is not NAME=VALUE")))?;
        query.append_pair(name, value);
    }
    Ok(query.finish())
}

fn user(arguments: &Arguments) -> Result<User, Failure> {
    let mut user = User {
        email: arguments.email.as_deref().map(Email::parse).transpose().map_err(invalid("email"))?,
        id: arguments.id.as_deref().map(Identifier::parse).transpose().map_err(invalid("id"))?,
        name: arguments.name.as_deref().map(Label::parse).transpose().map_err(invalid("name"))?,
        groups: arguments
            .groups
            .iter()
            .map(|group| Label::parse(group))
            .collect::<Result<_, _>>()
            .map_err(invalid("group"))?,
        ..User::default()
    };
    for setting in &arguments.settings {
        set(&mut user, setting)?;
    }
    Ok(user)
}

/// Sets one field of the user. A value that is not JSON is a string.
fn set(user: &mut User, setting: &str) -> Result<(), Failure> {
    let (key, text) = setting
        .split_once('=')
        .ok_or_else(|| Failure::Arguments(format!("--set {setting:?} is not KEY=JSON")))?;
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let string = || match &value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Failure::Arguments(format!("--set {key} needs a string"))),
    };
    match key.split_once('.') {
        None if key == "username" => {
            user.username = Some(Identifier::parse(&string()?).map_err(invalid(key))?);
        }
        Some(("organization", "id")) => {
            user.organization.id = Some(Identifier::parse(&string()?).map_err(invalid(key))?);
        }
        Some(("organization", "name")) => {
            user.organization.name = Some(Label::parse(&string()?).map_err(invalid(key))?);
        }
        Some(("attributes", name)) => {
            user.attributes.insert(name.to_owned(), value);
        }
        Some(("token", name)) => {
            user.token.insert(name.to_owned(), value);
        }
        _ => {
            return Err(Failure::Arguments(format!(
                "--set {key} is unknown: write username, organization.id, organization.name, attributes.NAME or token.NAME"
            )));
        }
    }
    Ok(())
}

fn invalid(field: &str) -> impl Fn(BadText) -> Failure {
    move |error| Failure::Arguments(format!("the {field} cannot be used: {error}"))
}
