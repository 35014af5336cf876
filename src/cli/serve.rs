//! `serve`: runs the service.

use clap::Args;

use super::{ConfigArguments, Outcome};
use crate::log_writer::LogWriter;
use crate::server::Server;
use crate::telemetry;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  SSO_PANDIUM__SHARED_SECRET_FILE=/run/secrets/pandium marketplace-sso serve --config sso.toml

SIGHUP, or a change of a configuration or secret file, reads everything again. SIGTERM stops
after what is in flight is done.")]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let config = arguments.config.load()?;
    let lines = LogWriter::to_stderr()?;
    telemetry::start(config.log, &lines)?;
    warn_of(&config);
    let served = actix_web::rt::System::new().block_on(async {
        let server = Server::bind_with_lines(config, lines.clone()).await?;
        Ok(server.run().await?)
    });
    lines.flush();
    served
}

/// What is allowed and yet hardly meant.
fn warn_of(config: &crate::config::Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}
