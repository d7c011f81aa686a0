//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::simulate::Simulate;
use crate::{Behaviour, Settings};

/// Tideline's pretend region: the part of AWS that a fleet needs, on one machine.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer the AWS API on loopback: Auto Scaling and target health here, the rest by whoever is behind.
    ///
    /// Prints the endpoint, for AWS_ENDPOINT_URL, when it listens. Ends on SIGTERM, SIGINT, or when its standard input is a
    /// pipe and that is closed.
    Region(Region),
    /// Run scaling and rollouts on a simulated clock with modelled instances: a day of a thousand instances in seconds.
    ///
    /// Needs nothing but itself. Prints a summary, and writes report.html and report.json. Exit code 2: what was asked makes no
    /// sense.
    Simulate(Box<Simulate>),
}

/// Settings of a region.
#[derive(Args, Debug)]
pub struct Region {
    /// Address and port to listen on, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Who answers the other services, as http://127.0.0.1:5000; instances are then launched there
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// How many of the region's seconds pass in one
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The region's name
    #[arg(long, value_name = "NAME", default_value = "eu-west-1")]
    region: String,
    /// The alarm that goes off when instances fail requests
    #[arg(long, value_name = "NAME", default_value = "tideline-5xx")]
    errors_alarm: String,
    /// How instances of a version of the launch template behave: healthy, never-healthy or errors; may be repeated
    #[arg(long, value_name = "VERSION=BEHAVIOUR", value_parser = behaviour)]
    pub behave: Vec<(String, Behaviour)>,
    /// How long a refresh may replace nothing before it fails, in the region's time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    refresh_limit: Duration,
}

impl Region {
    /// The settings that it asks for.
    pub fn settings(&self) -> Settings {
        Settings {
            listen: self.listen,
            upstream: self.upstream.clone(),
            speed: self.speed,
            name: self.region.clone(),
            errors_alarm: self.errors_alarm.clone(),
            refresh_limit: self.refresh_limit,
            ..Settings::default()
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if speed.is_finite() && (0.0..=100_000.0).contains(&speed) { Ok(speed) } else { Err("from 0 to 100000".to_owned()) }
}

fn behaviour(text: &str) -> Result<(String, Behaviour), String> {
    let (version, word) = text.split_once('=').ok_or("as in 3=never-healthy")?;
    Ok((version.to_owned(), behaviour_named(word)?))
}

pub(crate) fn behaviour_named(word: &str) -> Result<Behaviour, String> {
    match word {
        "healthy" => Ok(Behaviour::Healthy),
        "never-healthy" => Ok(Behaviour::NeverHealthy),
        "errors" => Ok(Behaviour::Errors),
        _ => Err(format!("{word} is none of healthy, never-healthy, errors")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_checked() {
        let parse = |line: &str| CommandLine::try_parse_from(line.split(' '));
        let command = parse("it region --speed 60 --behave 3=errors --refresh-limit 10m").unwrap().command;
        let Command::Region(region) = command else { panic!("{command:?}") };
        assert_eq!(region.behave, [("3".to_owned(), Behaviour::Errors)]);
        assert_eq!(region.settings().refresh_limit, Duration::from_secs(600));
        for wrong in ["--speed -1", "--speed inf", "--behave 3", "--behave 3=ill", "--listen 80", "--refresh-limit x"] {
            assert!(parse(&format!("it region {wrong}")).is_err(), "{wrong}");
        }
    }
}
