//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::machines::Allowance;
use crate::simulate::Simulate;
use crate::site;
use crate::{Behaviour, Settings};

/// Tideline's pretend region: the part of AWS that a fleet needs, on one machine.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl CommandLine {
    /// What is to be done: with `--simulate`, a simulation as it is by default, in place of machines.
    pub fn wanted(self) -> Command {
        match self.command {
            Command::Up(up) | Command::Run(up) if up.simulate => {
                Self::parse_from(["tideline-rehearsal", "simulate"]).command
            }
            command => command,
        }
    }
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer the AWS API on loopback: Auto Scaling and target health here, the rest by whoever is behind.
    ///
    /// Prints the endpoint, for AWS_ENDPOINT_URL, when it listens. Ends on SIGTERM, SIGINT, or when its standard input is a
    /// pipe and that is closed.
    Region(Region),
    /// The same with machines that boot: a network of their own, a metadata service, a load balancer. Needs root.
    ///
    /// Prints the environment for AWS's tools when it listens, as a shell reads it; and removes everything when it ends.
    Up(Up),
    /// Rehearse the whole life of a deployment in such a region: build, bake, apply, load, versions good and bad, faults, destroy.
    ///
    /// Works on a copy of the checkout that it is started in, and needs root, Terraform and Packer. Tells its progress, and
    /// writes report.html and report.json. TIDELINE_FLEET and TIDELINE_LOAD_TEST name programs to use in place of those beside
    /// this one. Exit codes: 0 all held; 1 something did not; 69 it cannot begin here; 130 ended.
    // 0.4 is what a t3.small may use all the time: 20 % of each CPU (EC2 User Guide, "Key concepts for burstable performance instances").
    #[command(mut_arg("speed", |it| it.default_value("30")))]
    #[command(mut_arg("cpus", |it| it.default_value("0.4")))]
    #[command(mut_arg("memory", |it| it.default_value("512")))]
    Run(Up),
    /// Remove what a run that crashed left: its machines, mounts, control groups, processes and network, and nothing else.
    Down {
        /// The run's folder
        #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
        folder: PathBuf,
    },
    /// Run scaling and rollouts on a simulated clock with modelled instances: a day of a thousand instances in seconds.
    ///
    /// Needs nothing but itself. Prints a summary, and writes report.html and report.json. Exit code 2: what was asked makes no
    /// sense.
    Simulate(Box<Simulate>),
}

/// Where a run's files are.
const FOLDER: &str = "target/rehearsal";

/// Settings of a region with machines that boot.
#[derive(Args, Debug)]
pub struct Up {
    /// No machines, and nothing that they need: the same rules on a simulated clock, as `simulate` does by default
    #[arg(long)]
    simulate: bool,
    /// Settings of the region.
    #[command(flatten)]
    common: Common,
    /// Where the run's files are kept: consoles of machines, the balancer's configuration and log
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    folder: PathBuf,
    /// Root file systems of images, in folders named by the images' ids; without it, in the run's folder, and gone with the run
    #[arg(long, value_name = "FOLDER")]
    images: Option<PathBuf>,
    /// Where Debian's root file system and packages are kept, which are fetched once a day
    #[arg(long, value_name = "FOLDER", default_value = "target/image")]
    cache: PathBuf,
    /// The loopback address that the load balancer listens on, at the ports of its listeners
    #[arg(long, value_name = "ADDRESS", default_value = "127.53.0.1")]
    balancer: IpAddr,
    /// CPUs that each machine may use; 0.5 is half the time of one
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0, value_parser = cpus)]
    cpus: f64,
    /// Memory that each machine may use, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65_536))]
    memory: u32,
    /// The disk that each machine logs to, in MiB; it takes of its memory
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    log_disk: u32,
}

impl Up {
    /// The settings that it asks for.
    pub fn settings(&self) -> Settings {
        let site = site::Settings {
            folder: self.folder.clone(),
            images: self.images.clone(),
            cache: self.cache.clone(),
            balancer: self.balancer,
            allowance: Allowance { cpus: self.cpus, memory: self.memory, log_disk: self.log_disk },
        };
        Settings { site: Some(site), ..self.common.settings() }
    }
}

/// Settings of a region without machines.
#[derive(Args, Debug)]
pub struct Region {
    /// What every region has.
    #[command(flatten)]
    common: Common,
    /// Who answers the other services, as http://127.0.0.1:5000; instances are then launched there
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// How instances of a version of the launch template behave: healthy, never-healthy or errors; may be repeated
    #[arg(long, value_name = "VERSION=BEHAVIOUR", value_parser = behaviour)]
    pub behave: Vec<(String, Behaviour)>,
}

impl Region {
    /// The settings that it asks for.
    pub fn settings(&self) -> Settings {
        Settings { upstream: self.upstream.clone(), ..self.common.settings() }
    }
}

/// Settings of every region.
#[derive(Args, Debug)]
struct Common {
    /// Address and port to listen on, on loopback; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many of the region's seconds pass in one; where machines boot, only while none of them comes up
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The region's name
    #[arg(long, value_name = "NAME", default_value = "eu-west-1")]
    region: String,
    /// The alarm that goes off when instances fail requests
    #[arg(long, value_name = "NAME", default_value = "tideline-5xx")]
    errors_alarm: String,
    /// The alarm that goes off when an instance that boots is unhealthy for minutes
    #[arg(long, value_name = "NAME", default_value = "tideline-unhealthy")]
    unhealthy_alarm: String,
    /// How long a refresh may replace nothing before it fails, in the region's time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    refresh_limit: Duration,
}

impl Common {
    fn settings(&self) -> Settings {
        Settings {
            listen: self.listen,
            speed: self.speed,
            name: self.region.clone(),
            errors_alarm: self.errors_alarm.clone(),
            unhealthy_alarm: self.unhealthy_alarm.clone(),
            refresh_limit: self.refresh_limit,
            ..Settings::default()
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if speed.is_finite() && (0.0..=100_000.0).contains(&speed) { Ok(speed) } else { Err("from 0 to 100000".to_owned()) }
}

fn cpus(text: &str) -> Result<f64, String> {
    let cpus: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.05..=1024.0).contains(&cpus) { Ok(cpus) } else { Err("from 0.05 to 1024".to_owned()) }
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
        let Command::Up(up) = parse("it up --cpus 0.5").unwrap().command else {
            panic!("not up");
        };
        let site = up.settings().site.unwrap();
        assert_eq!(site.allowance, Allowance { cpus: 0.5, memory: 1024, log_disk: 64 });
        assert_eq!(site.balancer, IpAddr::from([127, 53, 0, 1]));
        for wrong in ["--upstream http://127.0.0.1:5000", "--cpus 0", "--cpus NaN", "--memory 1", "--log-disk 0"] {
            assert!(parse(&format!("it up {wrong}")).is_err(), "{wrong}");
        }
    }
}
