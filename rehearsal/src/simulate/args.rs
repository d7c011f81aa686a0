//! The command line of `tideline-rehearsal simulate`.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::settings::{Rollout, Settings};
use super::traffic::{self, LONGEST, MAX_RATE, Shape, Spike, Traffic};
use crate::instances::Times;
use crate::instances::modelled::Behaviour;

/// vCPUs and dollars an hour, on demand, Linux, us-east-1, as of 2025. Another price is `--price`.
const TYPES: [(&str, u32, f64); 9] = [
    ("t3.small", 2, 0.0208),
    ("t4g.small", 2, 0.0168),
    ("m7g.large", 2, 0.0816),
    ("c7g.large", 2, 0.0725),
    ("c7g.xlarge", 4, 0.145),
    ("c7g.2xlarge", 8, 0.29),
    ("c7g.4xlarge", 16, 0.58),
    ("c7g.8xlarge", 32, 1.16),
    ("c7g.16xlarge", 64, 2.32),
];

/// The most instances; a group of AWS has no limit of its own, an account has.
const MOST: u32 = 10_000;

/// Bytes of a file with a plan: a row for each second of ten days.
const LONGEST_FILE: u64 = 16 << 20;

/// Settings of a simulation.
#[derive(Args, Debug)]
pub struct Simulate {
    /// What is asked: day, phases as warm:1h@50,rush:30m@50..2000, or a file with lines of SECONDS,RATE
    #[arg(long, default_value = "day")]
    traffic: String,
    /// Requests a second of the day at its peak, at 15:00
    #[arg(long, value_name = "RATE", default_value_t = 10_000.0, value_parser = rate)]
    peak: f64,
    /// Requests a second of the day at its lowest, at 3:00; a fifth of the peak unless given
    #[arg(long, value_name = "RATE", value_parser = rate)]
    trough: Option<f64>,
    /// A spike of so many times what is asked otherwise
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    spike: Option<f64>,
    /// When the spike begins, after the start
    #[arg(long, value_name = "TIME", default_value = "10h", value_parser = time)]
    spike_at: Duration,
    /// How long the spike lasts
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = time)]
    spike_for: Duration,
    /// How long to simulate; 24h, or as long as the plan, unless given
    #[arg(long, value_name = "TIME", value_parser = time)]
    length: Option<Duration>,
    /// Requests a second that one vCPU does at full load: measure it with make load-test ARGS=--calibrate
    #[arg(long, value_name = "RATE", default_value_t = 2500.0, value_parser = positive)]
    requests_per_vcpu: f64,
    /// Type of the instances, for vCPUs and price: t3.small, t4g.small, m7g.large, c7g.large to c7g.16xlarge
    #[arg(long, value_name = "TYPE", default_value = "t3.small", value_parser = kind)]
    instance: (u32, f64),
    /// vCPUs of an instance, where the type is none of those
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1024))]
    vcpus: Option<u32>,
    /// Dollars for an instance and hour, where it is not the type's
    #[arg(long, value_name = "DOLLARS", value_parser = rate)]
    price: Option<f64>,
    /// Instances at the least: min_size
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    min: u32,
    /// Instances at the most: max_size
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    max: u32,
    /// Average CPU in percent that scaling keeps the group at: cpu_target
    #[arg(long, value_name = "PERCENT", default_value_t = 50.0, value_parser = percent)]
    cpu_target: f64,
    /// Requests a target and minute, tracked beside the CPU: requests_per_target
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    requests_per_target: Option<f64>,
    /// Default instance warm-up
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    warmup: Duration,
    /// From being asked for to running; less where a warm pool is
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    boot: Duration,
    /// From running to the second passed health check
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = time)]
    healthy: Duration,
    /// How late the metrics of a minute are known
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = delay)]
    metric_delay: Duration,
    /// A least size from a moment on, in cron's fields, as '0 7 * * *=20'; may be repeated
    #[arg(long, value_name = "CRON=MIN", value_parser = schedule)]
    schedule: Vec<(String, u32)>,
    /// Rolls a second version out, so long after the start
    #[arg(long, value_name = "TIME", value_parser = time)]
    rollout: Option<Duration>,
    /// How the new version's instances behave: healthy, never-healthy or errors
    #[arg(long, value_name = "BEHAVIOUR", default_value = "healthy", value_parser = crate::args::behaviour_named)]
    new_version: Behaviour,
    /// How long the new version must hold before the rollout counts
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    bake: Duration,
    /// How long a rollout may replace nothing before it fails
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    refresh_limit: Duration,
    /// Where report.html and report.json go
    #[arg(long, value_name = "FOLDER", default_value = "target/rehearsal/simulation")]
    pub out: PathBuf,
}

impl Simulate {
    /// What it asks for, checked.
    pub fn settings(&self) -> Result<Settings, String> {
        if self.min > self.max {
            return Err(format!("--min {} is more than --max {}", self.min, self.max));
        }
        let spike = self.spike.map(|factor| Spike { factor, at: self.spike_at, length: self.spike_for });
        let traffic = Traffic { shape: self.shape()?, spike };
        let length = self.length.or(traffic.length()).unwrap_or(Duration::from_secs(24 * 3600));
        // Whole minutes, as metrics have them.
        let length = Duration::from_secs(length.as_secs().div_ceil(60) * 60);
        let (vcpus, price) = (self.vcpus.unwrap_or(self.instance.0), self.price.unwrap_or(self.instance.1));
        let rollout = self.rollout.map(|at| Rollout {
            at,
            behaviour: self.new_version.clone(),
            bake: self.bake,
            limit: self.refresh_limit,
        });
        let most = traffic_peak(&traffic, length);
        if most > MAX_RATE {
            return Err(format!("at its spike the load is {most:.0} requests/s, more than {MAX_RATE:.0}"));
        }
        Ok(Settings {
            traffic,
            length,
            requests_per_vcpu: self.requests_per_vcpu,
            vcpus,
            price,
            min: self.min,
            max: self.max,
            cpu_target: self.cpu_target,
            requests_target: self.requests_per_target,
            warmup: self.warmup,
            times: Times {
                boot: self.boot,
                healthy: self.healthy,
                unhealthy: self.healthy.max(Times::default().unhealthy),
                ..Times::default()
            },
            metric_delay: self.metric_delay,
            rollout,
            schedules: self.schedule.clone(),
        })
    }

    fn shape(&self) -> Result<Shape, String> {
        match self.traffic.as_str() {
            "day" => {
                let trough = self.trough.unwrap_or(self.peak / 5.0);
                let right = trough <= self.peak;
                right.then_some(Shape::Day { trough, peak: self.peak }).ok_or("--trough is more than --peak".to_owned())
            }
            phases if phases.contains('@') => traffic::phases(phases),
            file => {
                let mut text = String::new();
                let read = File::open(file).and_then(|opened| opened.take(LONGEST_FILE).read_to_string(&mut text));
                read.map_err(|error| format!("--traffic {file}: neither day, nor phases, nor a file: {error}"))?;
                if text.len() as u64 == LONGEST_FILE {
                    return Err(format!("{file} is longer than 16 MiB"));
                }
                traffic::csv(&text).map_err(|fault| format!("{file}: {fault}"))
            }
        }
    }
}

fn traffic_peak(traffic: &Traffic, length: Duration) -> f64 {
    (0..length.as_secs() / 60).map(|minute| traffic.rate(minute as f64 * 60.0)).fold(0.0, f64::max)
}

fn within(text: &str, low: f64, high: f64) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (low..=high).contains(&value) { Ok(value) } else { Err(format!("from {low} to {high}")) }
}

fn rate(text: &str) -> Result<f64, String> {
    within(text, 0.0, MAX_RATE)
}

fn positive(text: &str) -> Result<f64, String> {
    within(text, 0.001, MAX_RATE)
}

fn factor(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1000.0)
}

fn percent(text: &str) -> Result<f64, String> {
    within(text, 1.0, 100.0)
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}, as in 30m"))?;
    if time <= LONGEST { Ok(time) } else { Err(format!("at most {}", humantime::format_duration(LONGEST))) }
}

fn delay(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    // Alarms take later datapoints for missing.
    if time <= Duration::from_secs(180) { Ok(time) } else { Err("at most 3m".to_owned()) }
}

fn kind(text: &str) -> Result<(u32, f64), String> {
    let known = TYPES.iter().find(|(name, ..)| *name == text).map(|(_, vcpus, price)| (*vcpus, *price));
    known.ok_or_else(|| "not a type whose price is known here; give --vcpus and --price instead".to_owned())
}

fn schedule(text: &str) -> Result<(String, u32), String> {
    let (recurrence, min) = text.split_once('=').ok_or("as in '0 7 * * *=20'")?;
    let min = min.trim().parse().ok().filter(|min| (1..=MOST).contains(min)).ok_or("the size is no number from 1")?;
    crate::scaling::check_recurrence(recurrence).map_err(|failure| failure.message)?;
    Ok((recurrence.trim().to_owned(), min))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Command, CommandLine};

    fn settings(words: &[&str]) -> Result<Settings, String> {
        let line = ["it", "simulate"].iter().chain(words);
        let parsed = CommandLine::try_parse_from(line).map_err(|error| error.to_string())?;
        let Command::Simulate(simulate) = parsed.command else { return Err("another command".to_owned()) };
        simulate.settings()
    }

    #[test]
    fn is_checked() {
        let usual = settings(&[]).unwrap();
        assert_eq!((usual.min, usual.max, usual.vcpus, usual.length.as_secs()), (2, 5, 2, 86_400));
        let other = settings(&[
            "--traffic",
            "a:90s@5",
            "--instance",
            "c7g.xlarge",
            "--price",
            "0.1",
            "--schedule",
            "0 7 * * *=3",
        ]);
        let other = other.unwrap();
        assert_eq!((other.vcpus, other.price, other.length.as_secs()), (4, 0.1, 120));
        assert_eq!(other.schedules, [("0 7 * * *".to_owned(), 3)]);
        for wrong in [
            "--min 6",
            "--min 0",
            "--peak -1",
            "--peak NaN",
            "--trough 20000",
            "--traffic no-file",
            "--traffic a:1h@x",
            "--instance m1.tiny",
            "--cpu-target 0",
            "--length 99d",
            "--schedule 7=20",
            "--schedule 7:00",
            "--rollout soon",
            "--new-version bad",
            "--metric-delay 4m",
            "--traffic /dev/zero",
            "--peak 1e9 --spike 2 --spike-for 1h",
        ] {
            assert!(settings(&wrong.split(' ').collect::<Vec<_>>()).is_err(), "{wrong}");
        }
    }
}
