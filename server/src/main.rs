//! The `tideline` binary: settings, log, runtime, run, and what the exit code says.

use std::process::ExitCode;

use clap::Parser;
use tideline_server::args::Args;
use tideline_server::config::Config;
use tideline_server::lifecycle::stops;
use tideline_server::server::{Ended, Server};
use tideline_server::{logging, version};

/// `EX_USAGE`: the settings are wrong; nothing was bound, and trying again is no use.
const BAD_SETTINGS: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Also --help and --version come here; those are no errors.
        Err(error) => {
            let printed = error.print().is_ok();
            return if printed && !error.use_stderr() { ExitCode::SUCCESS } else { ExitCode::from(BAD_SETTINGS) };
        }
    };
    match Config::check(&args) {
        Ok(config) => run(&config).unwrap_or_else(|error| fail(&*error, 1)),
        Err(error) => fail(&error, BAD_SETTINGS),
    }
}

#[tokio::main]
async fn run(config: &Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let log = logging::start(&config.log)?;
    let mut stops = stops()?;
    let server = tokio::select! {
        server = Server::bind(config, log.access, log.dropped) => server?,
        Some(signal) = stops.recv() => {
            tracing::info!(signal, "asked to end before it was bound");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (listen, admin) = (server.public_address()?, server.admin_address()?);
    tracing::info!(version = version::VERSION, %listen, %admin, "starting: http://{listen}/");
    let ended = server.run(stops).await;
    tracing::info!(?ended, "ended");
    Ok(if ended == Ended::AtOnce { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stderr, reason = "the log may not be running; the terminal is where a person looks")]
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tideline: {error}");
    ExitCode::from(code)
}
