//! `inspect`: verifies a token with the configured secrets and explains each
//! claim.

use std::fmt::Write as _;
use std::io::Read as _;

use clap::Args;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::{ConfigArguments, Failure, Outcome, say};
use crate::clock::Moment;
use crate::config::Config;
use crate::jwt::compact::Compact;
use crate::jwt::verify::Refused;
use crate::pandium::{LinkRules, known_rules};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso inspect --config sso.toml 'https://imp.sandbox.pandium.com/acme?tenant=eyJ…'
  marketplace-sso mint --config sso.toml --email alice@example.com | marketplace-sso inspect --config sso.toml -

Exit status 1 where the token is not one that the marketplace would believe.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// A token, an address that carries one, or - to read it from standard input
    #[arg(value_name = "TOKEN|ADDRESS|-")]
    token: String,
}

/// The most that is read from standard input, in bytes.
const MAX_INPUT: u64 = 128 * 1024;

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let input = if arguments.token == "-" { read_input()? } else { arguments.token.clone() };
    let token = find_token(input.trim())?;
    let parts =
        Compact::parse(&token).map_err(|why| Failure::Running(anyhow::anyhow!("this is no token: {why}")))?;
    let config = arguments.config.load()?;
    let verdict = verdict(&config, &token);
    let findings = known_rules::check(&parts.claims, Moment::now());

    let mut text = String::new();
    let _ = match &verdict {
        Ok(entrances) => writeln!(text, "signature  right: the secret of {}\n", entrances.join(", ")),
        Err(why) => writeln!(text, "signature  WRONG: {why}\n"),
    };
    let _ = writeln!(text, "header");
    explain(&mut text, "", &parts.header, &|_| None);
    let _ = writeln!(text, "\nclaims");
    explain(&mut text, "", &parts.claims, &known_rules::meaning);
    let _ = writeln!(text, "\nknown rules");
    for finding in &findings {
        let mark = if finding.holds { "holds " } else { "BROKEN" };
        let _ = writeln!(text, "  {mark}  {} {}", finding.claim, finding.what);
    }
    say(text.trim_end())?;

    if verdict.is_ok() && findings.iter().all(|finding| finding.holds) {
        Ok(())
    } else {
        Err(Failure::Running(anyhow::anyhow!("the marketplace would not believe this token")))
    }
}

/// The entrances whose secret signed the token.
fn verdict(config: &Config, token: &str) -> Result<Vec<String>, Refused> {
    let mut signers = Vec::new();
    let mut refused = Refused::WrongSignature;
    for entrance in &config.entrances {
        match entrance.marketplace.verify(token) {
            Ok(_) => signers.push(format!("{} ({})", entrance.name, entrance.environment)),
            Err(why) => refused = why,
        }
    }
    if signers.is_empty() { Err(refused) } else { Ok(signers) }
}

fn explain(
    text: &mut String,
    path: &str,
    claims: &Map<String, Value>,
    meaning: &dyn Fn(&str) -> Option<&'static str>,
) {
    for (name, value) in claims {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let meaning_of = meaning(&path).unwrap_or_default();
        let shown = match value {
            Value::Object(_) => path.clone(),
            value => format!("{path} = {value}{}", date(&path, value)),
        };
        let _ = writeln!(text, "{}", format!("  {shown:<52}  {meaning_of}").trim_end());
        if let Value::Object(below) = value {
            explain(text, &path, below, meaning);
        }
    }
}

/// The date beside a number of seconds.
fn date(path: &str, value: &Value) -> String {
    match (path, value.as_u64()) {
        ("iat" | "exp" | "nbf", Some(seconds)) => {
            let date = Moment::from_unix_seconds(seconds).to_utc().format(&Rfc3339).unwrap_or_default();
            format!(" ({date})")
        }
        _ => String::new(),
    }
}

fn read_input() -> Result<String, Failure> {
    let mut input = String::new();
    std::io::stdin().take(MAX_INPUT).read_to_string(&mut input)?;
    Ok(input)
}

/// The token itself, or the one that an address carries.
fn find_token(input: &str) -> Result<String, Failure> {
    if input.is_empty() {
        return Err(Failure::Arguments("there is nothing to inspect".into()));
    }
    if !input.contains("://") {
        return Ok(input.to_owned());
    }
    let url = Url::parse(input)
        .map_err(|error| Failure::Arguments(format!("the address cannot be read: {error}")))?;
    let token = url
        .query_pairs()
        .find(|(name, _)| name == LinkRules::TOKEN_PARAMETER)
        .map(|(_, token)| token.into_owned());
    token.ok_or_else(|| {
        Failure::Arguments("the address has no tenant parameter, which would carry the token".into())
    })
}
