//! `serve`: runs the service.

use clap::Args;

use super::{CommandResult, ConfigArguments};
use crate::log_writer::LogWriter;
use crate::server::Server;
use crate::telemetry;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marketplace-sso serve --config sso.toml
  SSO_PANDIUM__SHARED_SECRET_FILE=/run/secrets/pandium \\
    marketplace-sso serve --config sso.toml

SIGHUP, or a change of a configuration or secret file, reloads the
configuration. SIGTERM stops after a delay for the load balancer and after the
requests in progress are done; Ctrl-C (SIGINT) stops without the delay.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments) -> CommandResult {
    let config = arguments.config.load()?;
    let log_writer = LogWriter::to_stderr()?;
    telemetry::start(config.log, &log_writer)?;
    log_warnings(&config);
    let result = actix_web::rt::System::new().block_on(async {
        let server = Server::bind_with_log_writer(config, log_writer.clone()).await?;
        Ok(server.run().await?)
    });
    log_writer.flush();
    result
}

fn log_warnings(config: &crate::config::Config) {
    for warning in config.warnings() {
        tracing::warn!("{}", warning.one_line());
    }
}
