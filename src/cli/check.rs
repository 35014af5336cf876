//! `check`: reports every problem of the configuration, and shows the effective
//! settings.

use clap::Args;
use serde::Serialize;

use super::report::{ProblemJson, Reporter, count};
use super::terminal::{Format, Mark, Terminal};
use super::{CommandResult, ConfigArguments, EX_CONFIG, Failure};
use crate::config::{Config, Problems};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso check --config sso.toml
  marketplace-sso check --config sso.toml --show          effective settings
  marketplace-sso check --config sso.toml --strict        for CI
  marketplace-sso check --config sso.toml --format json   for programs

Standard output has the verdict on a configuration that can be used, or, as
JSON, everything. Problems, with the verdict on them, and warnings go to
standard error. Exit status 78 if there is a problem.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Fail if there is a warning
    #[arg(long)]
    strict: bool,
    /// Show the effective settings, and where each was given; secrets are hidden
    #[arg(long)]
    show: bool,
    #[arg(long, value_enum, default_value_t, help = "The form of the result")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, terminal: Terminal) -> CommandResult {
    let loaded = arguments.config.read();
    if arguments.format == Format::Json {
        return print_json(arguments, loaded, terminal);
    }
    let config = loaded.map_err(Failure::Configuration)?;
    let warnings = config.warnings();
    let (mark, verdict) = verdict(warnings.len());
    let is_refused = arguments.strict && !warnings.is_empty();
    let (mark, verdict) = if is_refused {
        (Mark::Bad, format!("With --strict, {} is as bad as a problem.", count(warnings.len(), "warning")))
    } else {
        (mark, verdict)
    };
    if !warnings.is_empty() {
        let reported = Reporter::new(&config.files).to_text(&warnings, Mark::Warning);
        terminal.print_error(format!("{mark} {verdict}\n{reported}"));
    }
    if is_refused {
        terminal.print_error(format!("{mark} {verdict}"));
        return Err(Failure::Reported(EX_CONFIG));
    }
    // the output of --show is TOML
    if arguments.show {
        terminal.print(format!("# {verdict}\n{}\n# {verdict}", config.effective()))
    } else {
        terminal.print(format!("{mark} {verdict}"))
    }
}

/// The result for a configuration without problems.
pub(super) fn verdict(warnings: usize) -> (Mark, String) {
    match warnings {
        0 => (Mark::Good, "The configuration is valid.".to_owned()),
        number => {
            (Mark::Warning, format!("The configuration can be used, with {}.", count(number, "warning")))
        }
    }
}

/// The result for programs.
#[derive(Serialize)]
struct ResultJson<'a> {
    /// Whether the exit status is 0.
    valid: bool,
    problems: Vec<ProblemJson<'a>>,
    warnings: Vec<ProblemJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Vec<SettingJson>>,
}

#[derive(Serialize)]
struct SettingJson {
    key: String,
    /// As TOML; a secret is hidden.
    value: String,
    /// `None` for a built-in default.
    origin: Option<String>,
}

fn print_json(arguments: &Arguments, loaded: Result<Config, Problems>, terminal: Terminal) -> CommandResult {
    let valid = match &loaded {
        Ok(config) => {
            let warnings = config.warnings();
            let valid = !arguments.strict || warnings.is_empty();
            let result = ResultJson {
                valid,
                problems: Vec::new(),
                warnings: Reporter::new(&config.files).to_json(&warnings),
                settings: arguments.show.then(|| settings(config)),
            };
            terminal.print_json(&result)?;
            valid
        }
        Err(Problems { problems, files }) => {
            let problems = Reporter::new(files).to_json(problems);
            terminal.print_json(&ResultJson {
                valid: false,
                problems,
                warnings: Vec::new(),
                settings: None,
            })?;
            false
        }
    };
    if valid { Ok(()) } else { Err(Failure::Reported(EX_CONFIG)) }
}

fn settings(config: &Config) -> Vec<SettingJson> {
    let json = |setting: crate::settings::EffectiveSetting| SettingJson {
        key: if setting.section.is_empty() {
            setting.name
        } else {
            format!("{}.{}", setting.section, setting.name)
        },
        value: setting.value,
        origin: setting.origin,
    };
    config.effective_settings().into_iter().map(json).collect()
}
