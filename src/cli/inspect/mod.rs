//! `inspect`: verifies a token with the configured secrets and at every entrance,
//! and explains each claim.

mod entrances;

use std::fmt::Write as _;
use std::io::Read as _;

use clap::Args;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use url::Url;

use entrances::EntranceResult;

use super::terminal::{Format, Mark, STRONG, Terminal, hang, output_width};
use super::{CommandResult, ConfigArguments, Failure};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::jwt::compact::Compact;
use crate::jwt::verify::VerifyError;
use crate::pandium::LinkRules;
use crate::pandium::known_rules::{self, RuleFinding};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso inspect --config sso.toml - < token.txt
  marketplace-sso mint --config sso.toml --email alice@example.com \\
    | marketplace-sso inspect --config sso.toml -

Write - and pass the token on standard input: an argument stays in the
shell's history, and every user of this machine can see it in the list of
processes.

Tokens of platforms and issuers are explained too: which entrance accepts
one, and why the others reject it. Keys are fetched where they are needed.

Exit status 1 where neither the marketplace nor any entrance accepts the
token.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// A token, or a URL that contains one; - reads it from standard input
    #[arg(value_name = "TOKEN|URL|-")]
    token: String,
    #[arg(long, value_enum, default_value_t, help = "The form of the result")]
    format: Format,
}

/// What is reported about a token.
struct Inspection<'a> {
    parts: &'a Compact<'a>,
    /// The entrances whose secret signed it.
    by_marketplace: Result<Vec<String>, VerifyError>,
    by_entrances: Vec<EntranceResult<'a>>,
    /// The rules for marketplace tokens; empty for a token that is not for the marketplace.
    findings: Vec<RuleFinding>,
    is_for_marketplace: bool,
    is_accepted: bool,
}

/// The maximum size of standard input, in bytes.
const MAX_INPUT: u64 = 128 * 1024;

pub(super) fn run(arguments: &Arguments, terminal: Terminal) -> CommandResult {
    let input = if arguments.token == "-" { read_input()? } else { arguments.token.clone() };
    let token = find_token(input.trim())?;
    let parts = Compact::parse(&token)
        .or_else(|why| Compact::parse_padded(&token).map_err(|_| why))
        .map_err(|why| Failure::Running(anyhow::anyhow!("the text cannot be read as a token: {why}")))?;
    let config = arguments.config.load()?;
    let inspection = inspect(&config, &token, &parts)?;
    match arguments.format {
        Format::Json => terminal.print_json(&inspection.to_json())?,
        Format::Text => terminal.print(inspection.to_text().trim_end())?,
    }
    if inspection.is_accepted {
        Ok(())
    } else {
        let rejected = "neither the marketplace nor any entrance accepts this token";
        let rejected = if inspection.by_entrances.is_empty() {
            "the marketplace does not accept this token"
        } else {
            rejected
        };
        Err(Failure::Running(anyhow::anyhow!(rejected)))
    }
}

fn inspect<'a>(config: &'a Config, token: &str, parts: &'a Compact<'a>) -> std::io::Result<Inspection<'a>> {
    let by_marketplace = verify(config, token);
    let by_entrances = entrances::check(config, token, &parts.claims)?;
    let is_accepted = by_entrances.iter().any(|result| result.outcome.is_ok());
    let is_ours = by_marketplace.is_ok();
    // tokens with any other algorithm are for an entrance, not for the marketplace
    let could_be_ours = parts.header.get("alg").is_some_and(|alg| alg == "HS256") || by_entrances.is_empty();
    let is_for_marketplace = is_ours || (could_be_ours && !is_accepted);
    let findings =
        if is_for_marketplace { known_rules::check(&parts.claims, Timestamp::now()) } else { Vec::new() };
    let is_accepted = is_accepted || (is_ours && findings.iter().all(|finding| finding.holds));
    Ok(Inspection { parts, by_marketplace, by_entrances, findings, is_for_marketplace, is_accepted })
}

impl Inspection<'_> {
    fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = match &self.by_marketplace {
            Ok(entrances) => {
                writeln!(text, "{} signature  valid: the secret of {}\n", Mark::Good, entrances.join(", "))
            }
            Err(_) if !self.is_for_marketplace => {
                writeln!(text, "{} signature  not for the marketplace; see the entrances\n", Mark::Skipped)
            }
            Err(why) => writeln!(text, "{} signature  WRONG: {why}\n", Mark::Bad),
        };
        explain_entrances(&mut text, &self.by_entrances);
        let _ = writeln!(text, "{STRONG}header{STRONG:#}");
        explain(&mut text, "", &self.parts.header, &registered_meaning);
        let _ = writeln!(text, "\n{STRONG}claims{STRONG:#}");
        explain(&mut text, "", &self.parts.claims, &self.meaning());
        if self.is_for_marketplace {
            let _ = writeln!(text, "\n{STRONG}known rules{STRONG:#}");
            for RuleFinding { claim, what, holds } in &self.findings {
                let (mark, word) = if *holds { (Mark::Good, "holds ") } else { (Mark::Bad, "BROKEN") };
                let what = hang(&format!("{claim} {what}"), "  ✓ BROKEN  ".chars().count(), output_width());
                let _ = writeln!(text, "  {mark} {word}  {what}");
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let entrances = self.by_entrances.iter().map(|EntranceResult { entrance, kind, outcome }| {
            let common = json!({ "entrance": entrance, "kind": kind, "accepted": outcome.is_ok() });
            let more = match outcome {
                Ok(user) => json!({ "user": user }),
                Err(why) => json!({ "reason": why.reason.code(), "detail": why.cause.to_string() }),
            };
            merged(common, more)
        });
        let rules = self.findings.iter().map(
            |RuleFinding { claim, what, holds }| json!({ "claim": claim, "rule": what, "holds": holds }),
        );
        json!({
            "accepted": self.is_accepted,
            "signature": match &self.by_marketplace {
                Ok(entrances) => json!({ "valid": true, "secret_of": entrances }),
                Err(why) => json!({
                    "valid": false,
                    "for_marketplace": self.is_for_marketplace,
                    "detail": why.to_string(),
                }),
            },
            "entrances": entrances.collect::<Vec<_>>(),
            "header": self.parts.header,
            "claims": self.parts.claims,
            "meanings": meanings("", &self.parts.claims, &self.meaning()),
            "rules": rules.collect::<Vec<_>>(),
        })
    }

    /// What a claim means, by its path.
    fn meaning(&self) -> fn(&str) -> Option<&'static str> {
        if self.is_for_marketplace { known_rules::meaning } else { registered_meaning }
    }
}

/// Two JSON objects as one.
fn merged(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// The meaning of each claim that has one, by its path.
fn meanings(
    path: &str,
    claims: &Map<String, Value>,
    meaning: &dyn Fn(&str) -> Option<&'static str>,
) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in claims {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if let Value::Object(below) = value {
            all.extend(meanings(&path, below, meaning));
        }
        if let Some(meaning) = meaning(&path) {
            all.insert(path, meaning.into());
        }
    }
    all
}

/// Writes the result of each entrance that uses tokens.
fn explain_entrances(text: &mut String, results: &[EntranceResult<'_>]) {
    if results.is_empty() {
        return;
    }
    let _ = writeln!(text, "{STRONG}entrances{STRONG:#}");
    for EntranceResult { entrance, kind, outcome } in results {
        let entrance = format!("{entrance} ({kind})");
        let column = "  ✓ ACCEPTED ".chars().count() + 32 + 2;
        let _ = match outcome {
            Ok(user) => writeln!(text, "  {} ACCEPTED {entrance:<32}  {user}", Mark::Good),
            Err(why) => {
                let why = format!("{}: {}", why.reason.code(), why.cause);
                let why = hang(&why, column, output_width());
                writeln!(text, "  {} refused  {entrance:<32}  {why}", Mark::Bad)
            }
        };
    }
    let _ = writeln!(text);
}

/// The meaning of a registered claim or header parameter (RFC 7515, 4.1; RFC 7519, 4.1).
fn registered_meaning(path: &str) -> Option<&'static str> {
    Some(match path {
        "alg" => "the signature algorithm",
        "typ" => "the type of token",
        "kid" => "the id of the signing key",
        "iss" => "who issued it",
        "sub" => "the subject: the issuer's id of the user",
        "aud" => "whom it is for",
        "exp" => "when it expires",
        "nbf" => "when it becomes valid",
        "iat" => "when it was issued",
        "jti" => "its id",
        _ => return None,
    })
}

/// The entrances whose secret signed the token.
fn verify(config: &Config, token: &str) -> Result<Vec<String>, VerifyError> {
    let mut signers = Vec::new();
    let mut error = VerifyError::WrongSignature;
    for entrance in &config.entrances {
        match entrance.marketplace.verify(token) {
            Ok(_) => signers.push(format!("{} ({})", entrance.name, entrance.environment)),
            Err(why) => error = why,
        }
    }
    if signers.is_empty() { Err(error) } else { Ok(signers) }
}

fn explain(
    text: &mut String,
    path: &str,
    claims: &Map<String, Value>,
    meaning: &dyn Fn(&str) -> Option<&'static str>,
) {
    for (name, value) in claims {
        // a name may contain control characters, and this goes to a terminal
        let name = name.escape_debug();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
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

/// The date of a timestamp claim.
fn date(path: &str, value: &Value) -> String {
    match (path, value.as_u64()) {
        ("iat" | "exp" | "nbf", Some(seconds)) => {
            let date = Timestamp::from_unix_seconds(seconds).to_utc().format(&Rfc3339).unwrap_or_default();
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

/// The token itself, or the one that a URL carries.
fn find_token(input: &str) -> Result<String, Failure> {
    if input.is_empty() {
        return Err(Failure::Arguments("there is nothing to inspect".into()));
    }
    // as copied from an Authorization header
    let input = input.strip_prefix("Bearer ").unwrap_or(input);
    if !input.contains("://") {
        return Ok(input.to_owned());
    }
    let url = Url::parse(input)
        .map_err(|error| Failure::Arguments(format!("the URL cannot be parsed: {error}")))?;
    let token = url
        .query_pairs()
        .find(|(name, _)| name == LinkRules::TOKEN_PARAMETER)
        .map(|(_, token)| token.into_owned());
    token.ok_or_else(|| Failure::Arguments("the URL has no tenant parameter, which carries the token".into()))
}
