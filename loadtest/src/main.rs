//! `tideline-loadtest`: the command line, signals, and the exit code.

use std::process::ExitCode;

use clap::Parser;
use tideline_loadtest::args::{Command, CommandLine, Common};
use tideline_loadtest::panel::Panel;
use tideline_loadtest::plan::Plan;
use tideline_loadtest::session::{self, Ran};
use tideline_loadtest::{calibrate, merge, report, written};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Usage or preflight: nothing was loaded.
const REFUSED: u8 = 2;

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is what the program says to its user")]
async fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let done = match &command {
        Command::Smoke(common) => load("smoke", None, common).await,
        Command::ScaleOut(common) => load("scale-out", None, common).await,
        Command::Rollout(common) => load("rollout", None, common).await,
        Command::Soak(common) => load("soak", None, common).await,
        Command::Run { phases, common } => load("run", Some(phases), common).await,
        Command::Merge { out, folders } => merge::merge(folders, out).map_err(|error| error.to_string()),
        Command::Clean(target) => match target.target() {
            Ok(target) => return clean(&target).await,
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(summary) => {
            println!("{}", report::markdown::page(&summary));
            ExitCode::from(summary.verdict.outcome.exit_code())
        }
        Err(error) => {
            eprintln!("tideline-loadtest: {error}");
            ExitCode::from(REFUSED)
        }
    }
}

async fn load(profile: &str, phases: Option<&Plan>, common: &Common) -> Result<report::Summary, String> {
    let mut settings = common.settings(profile, phases)?;
    let mut signals = signals().map_err(|error| format!("no signals: {error}"))?;
    let mut panel = Panel::new(common.quiet);
    #[cfg(feature = "aws")]
    if let Some(name) = &common.group {
        let group = tideline_loadtest::watch::aws::Group::find(name).await?;
        match group.has_detailed_monitoring().await {
            Ok(true) => {}
            Ok(false) => panel.say(
                "the group has no datapoint a minute (detailed monitoring): scaling out will take a quarter of an hour",
            ),
            Err(error) => panel.say(&format!("CloudWatch does not tell the group's CPU: {error}")),
        }
        settings.group = Some(group);
    }
    if let Some(percent) = common.calibrate {
        calibrate::calibrate(&mut settings, percent, common.calibrate_step, &mut signals, &mut panel).await?;
    }
    let ran = session::run(settings, &mut signals, &mut panel).await;
    ran.map(|Ran { summary, .. }| summary).map_err(|error| error.to_string())
}

/// SIGINT and SIGTERM, by their names.
fn signals() -> std::io::Result<mpsc::Receiver<&'static str>> {
    // goose would take SIGINT for itself, and end the process at the second: the place is taken first, by a handler that
    // does nothing, and ours come after it.
    ctrlc::set_handler(|| {}).map_err(std::io::Error::other)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if sender.send(name).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is what the program says to its user")]
async fn clean(target: &tideline_loadtest::target::Target) -> ExitCode {
    match written::clean_all(target).await {
        Ok((removed, 0)) => {
            println!("{removed} documents removed");
            ExitCode::SUCCESS
        }
        Ok((removed, left)) => {
            eprintln!("tideline-loadtest: {removed} documents removed, {left} could not be; try again");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tideline-loadtest: {error}");
            ExitCode::from(REFUSED)
        }
    }
}
