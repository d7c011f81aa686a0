//! `tideline-fleet`: the command line, signals, and the exit code.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use tideline_fleet::args::CommandLine;
use tideline_fleet::command;
use tideline_fleet::session::Signals;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> std::io::Result<ExitCode> {
    let command = CommandLine::parse().command;
    if let Err(fault) = command.check() {
        CommandLine::command().error(ErrorKind::ValueValidation, fault).exit();
    }
    Ok(ExitCode::from(command::run(command, signals()?).await))
}

/// SIGINT and SIGTERM, by their names.
fn signals() -> std::io::Result<Signals> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        sender.send_replace(Some(name));
    });
    Ok(receiver)
}
