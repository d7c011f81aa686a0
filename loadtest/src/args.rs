//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;

use crate::observe::Settled;
use crate::plan::Plan;
use crate::profile::{self, Wishes};
use crate::scenarios;
use crate::session::Settings;
use crate::target::Target;
use crate::verdict::{Expectations, Thresholds};

/// Users for each request a second: with them a target may take a fifth of a second before requests have to wait. Each
/// has a connection of its own, and more of them cost the generator CPU.
const USERS_PER_RATE: f64 = 0.2;

/// More users than this are only asked for by `--users`.
const MOST_USERS: usize = 2_000;

/// Loads a Tideline and says whether it held: exit code 0 for yes, 1 a threshold was crossed, 2 usage or preflight, 3 the
/// generator was at its end, 4 an expectation was not met, 130 and 143 interrupted.
#[derive(Debug, Parser)]
#[command(name = "tideline-loadtest", version, disable_help_subcommand = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The profiles, and what else there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// 30 s of few users: does everything work?
    Smoke(Common),
    /// Warm, ramp, hold until the fleet has grown, trickle until it has shrunk
    ScaleOut(Common),
    /// Steady until --expect-version has replaced every other version
    Rollout(Common),
    /// Steady for an hour; the last quarter must be as fast as the first
    Soak(Common),
    /// Phases of one's own
    Run {
        /// NAME:TIME@RATE or NAME:TIME@FROM..TO, requests a second, separated by commas
        #[arg(long, value_name = "PHASES")]
        phases: Plan,
        /// What all profiles know
        #[command(flatten)]
        common: Common,
    },
    /// Joins the reports of generators that ran at the same time into one
    Merge {
        /// Where the joined reports go
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// The folders of two or more runs
        #[arg(required = true, num_args = 2.., value_name = "FOLDER")]
        folders: Vec<PathBuf>,
    },
    /// Removes the documents that a run left when it was cut off
    Clean(Where),
}

/// Where the load goes.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The service: http://… or https://…
    #[arg(long, env = "TIDELINE_URL", value_name = "URL")]
    pub url: Url,
    /// The write token, where the service wants one
    #[arg(long, env = "TIDELINE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The bound of one request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub timeout: Duration,
}

/// What all profiles know.
#[derive(Debug, Clone, Args)]
pub struct Common {
    #[command(flatten)]
    target: Where,
    /// A folder for summary.json, timeline.csv, report.html, summary.md, histograms.json and goose's own reports
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The highest rate, requests a second [default: smoke 20, scale-out 500, rollout 50, soak 100]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// First step up until the fleet's CPU is at this many per cent, and take that rate
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "70", conflicts_with = "rate")]
    pub calibrate: Option<f64>,
    /// How long a step of --calibrate takes
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub calibrate_step: Duration,
    /// How long it takes [default: smoke 30s, scale-out's ramp 3m, soak 1h]
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// How long an event is waited for [default: scale-out 30m and scale-in 40m, rollout 1h]
    #[arg(long, value_name = "TIME", value_parser = time)]
    limit: Option<Duration>,
    /// How long it must last to count [default: 2m for instances, 60s for a version]
    #[arg(long, value_name = "TIME", value_parser = time)]
    settle: Option<Duration>,
    /// One scenario alone: page, list, product, create, update, delete or health; may be given again
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(scenarios::names()))]
    scenario: Vec<String>,
    /// Requests in flight at once, at the most [default: a fifth of the rate, from 16 to 2000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(scenarios::LEAST_USERS..=100_000))]
    users: Option<u32>,
    /// The share of requests that may fail, from 0 to 1
    #[arg(long, value_name = "RATIO", default_value = "0", value_parser = ratio)]
    max_error_ratio: f64,
    /// The share of requests that the generator itself may send late, from 0 to 1
    #[arg(long, value_name = "RATIO", default_value = "0.01", value_parser = ratio)]
    max_late_ratio: f64,
    /// What p99 since due may be, milliseconds; PHASE=MS for one phase; may be given again
    #[arg(long, value_name = "[PHASE=]MS", value_parser = p99)]
    p99: Vec<(Option<String>, f64)>,
    /// How many times its first quarter's p99 the last of a soak may have
    #[arg(long, value_name = "TIMES", default_value = "1.5")]
    max_drift: f64,
    /// So many new instances must answer
    #[arg(long, value_name = "COUNT")]
    expect_scale_out: Option<usize>,
    /// Fewer instances must answer in the end
    #[arg(long)]
    expect_scale_in: bool,
    /// This version alone must answer in the end
    #[arg(long, value_name = "VERSION")]
    expect_version: Option<String>,
    /// The Auto Scaling group to watch beside the load
    #[cfg(feature = "aws")]
    #[arg(long, env = "TIDELINE_GROUP", value_name = "NAME")]
    pub group: Option<String>,
    /// Over 1,000 requests a second to a machine that is not this one
    #[arg(long)]
    yes: bool,
    /// Nothing but the verdict
    #[arg(long, short)]
    pub quiet: bool,
}

impl Where {
    /// The target.
    pub fn target(&self) -> Result<Target, String> {
        Target::new(self.url.clone(), self.token.as_deref(), self.timeout)
    }
}

impl Common {
    /// The settings of a profile.
    pub fn settings(&self, profile: &str, phases: Option<&Plan>) -> Result<Settings, String> {
        let expectations = Expectations {
            scale_out: self.expect_scale_out,
            scale_in: self.expect_scale_in,
            version: self.expect_version.clone(),
            drift: None,
        };
        let wishes =
            Wishes { rate: self.rate, duration: self.duration, limit: self.limit, drift: self.max_drift, expectations };
        let (plan, expectations) = match (profile, phases) {
            ("smoke", _) => profile::smoke(&wishes),
            ("scale-out", _) => profile::scale_out(&wishes),
            ("rollout", _) => {
                let version = self.expect_version.as_deref();
                profile::rollout(&wishes, version.ok_or("rollout needs --expect-version: the version to wait for")?)
            }
            ("soak", _) => profile::soak(&wishes),
            (_, Some(plan)) => (plan.clone(), wishes.expectations),
            (other, None) => return Err(format!("{other} is no profile")),
        };
        for phase in self.p99.iter().filter_map(|(phase, _)| phase.as_ref()) {
            if !plan.0.iter().any(|known| known.name == *phase) {
                return Err(format!("--p99 {phase}=…: the plan has no phase {phase:?}: {plan}"));
            }
        }
        Ok(Settings {
            profile: profile.to_owned(),
            target: self.target.target()?,
            users: self.users.map_or(users_for(plan.peak()), |users| users as usize),
            plan,
            timeout: self.target.timeout,
            out: self.out.clone(),
            thresholds: Thresholds {
                error_ratio: self.max_error_ratio,
                late_ratio: self.max_late_ratio,
                p99: self.p99.clone(),
            },
            expectations,
            settled: Settled {
                scaling: self.settle.unwrap_or(profile::SETTLED_SCALING),
                version: self.settle.unwrap_or(profile::SETTLED_VERSION),
            },
            scenarios: self.scenario.clone(),
            yes: self.yes,
            enough_cpu: None,
            #[cfg(feature = "aws")]
            group: None,
        })
    }
}

/// Users that are enough for a rate.
pub fn users_for(rate: f64) -> usize {
    ((rate * USERS_PER_RATE) as usize).clamp(16, MOST_USERS)
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; as in 30s or 5m"))?;
    if time.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(time) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number of requests a second".to_owned())?;
    let fits = rate > 0.0 && rate <= crate::plan::MAX_RATE;
    if fits { Ok(rate) } else { Err(format!("a rate is above 0 and at most {}", crate::plan::MAX_RATE)) }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "a number from 0 to 1".to_owned())
}

fn p99(text: &str) -> Result<(Option<String>, f64), String> {
    let (phase, limit) = match text.split_once('=') {
        Some((phase, limit)) => (Some(phase.to_owned()), limit),
        None => (None, text),
    };
    let limit = limit.parse().ok().filter(|limit| *limit > 0.0);
    Ok((phase, limit.ok_or("milliseconds, as in 250 or hold=250")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = [&["tideline-loadtest"], arguments, &["--url", "http://127.0.0.1:1"]].concat();
        match CommandLine::try_parse_from(arguments).map_err(|error| error.to_string())?.command {
            Command::Smoke(common) => common.settings("smoke", None),
            Command::ScaleOut(common) => common.settings("scale-out", None),
            Command::Rollout(common) => common.settings("rollout", None),
            Command::Run { phases, common } => common.settings("run", Some(&phases)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_what_clap_allows() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn users_follow_the_rate() {
        assert_eq!(settings(&["smoke"]).unwrap().users, 16);
        assert_eq!(settings(&["smoke", "--rate", "2000"]).unwrap().users, 400);
        assert_eq!(settings(&["smoke", "--rate", "50000"]).unwrap().users, 2000);
        assert_eq!(settings(&["smoke", "--users", "7"]).unwrap().users, 7);
    }

    #[test]
    fn bad_input_is_told_what_would_be_good() {
        for (arguments, part) in [
            (&["rollout"][..], "--expect-version"),
            (&["smoke", "--users", "5"], "5 is not in 6"),
            (&["smoke", "--rate", "0"], "above 0"),
            (&["smoke", "--max-error-ratio", "2"], "from 0 to 1"),
            (&["smoke", "--p99", "hold=5"], "no phase \"hold\""),
            (&["smoke", "--duration", "soon"], "as in 30s"),
            (&["run", "--phases", "a:5s"], "warm:60s@50"),
            (&["run"], "--phases"),
            (&["smoke", "--scenario", "x"], "possible values: page"),
        ] {
            let fault = settings(arguments).unwrap_err();
            assert!(fault.contains(part), "{arguments:?}: {fault}");
        }
    }
}
