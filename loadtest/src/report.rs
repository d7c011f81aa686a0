//! What a run comes to: the summary, and the timeline with one row for each second.
//!
//! `summary.json` is [`Summary`] as it stands here: fields are added, never renamed or removed, under one `schema`.

pub mod files;
pub mod html;
pub mod markdown;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::record::{Failure, Figures, Instance};
use crate::verdict::Verdict;

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run's own name, which is in the id of everything it wrote.
    pub run: String,
    /// The profile, as on the command line.
    pub profile: String,
    /// The target.
    pub url: String,
    /// When it started, RFC 3339 in UTC.
    pub started: String,
    /// How long it took, seconds.
    pub duration: f64,
    /// The signal that ended it, if one did.
    pub interrupted: Option<String>,
    /// Requests that became due.
    pub planned: u64,
    /// Those of them that were sent.
    pub issued: u64,
    /// Users: requests in flight at once, at the most.
    pub users: usize,
    /// All phases together.
    pub total: Times,
    /// Each phase.
    pub phases: Vec<PhaseSummary>,
    /// Every instance that answered.
    pub instances: Vec<Instance>,
    /// The longest time without a good answer, seconds.
    pub longest_gap: f64,
    /// When it began, seconds from the start.
    pub longest_gap_at: f64,
    /// How the generator itself fared.
    pub generator: Generator,
    /// What was seen beside the load: scaling activities, versions that came and went, polls that failed.
    pub events: Vec<Event>,
    /// The first failures.
    pub failures: Vec<Failure>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Its name.
    pub name: String,
    /// When it began, seconds from the start.
    pub start: f64,
    /// When it ended.
    pub end: f64,
    /// Planned requests a second at its start and at its end.
    pub rates: [f64; 2],
    /// Whether the event it waited for ended it; none where it waited for nothing.
    pub reached: Option<bool>,
    /// All its endpoints together.
    pub total: Times,
    /// Each of its endpoints.
    pub endpoints: BTreeMap<String, Times>,
}

/// Counts and times of some requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Times {
    /// Answers as they should be.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Answers by status; 0 where there was none.
    pub statuses: BTreeMap<u16, u64>,
    /// From sending to the whole answer.
    pub service: Quantiles,
    /// From when it was due to the whole answer: what somebody who came at that moment waits.
    pub since_due: Quantiles,
}

/// A distribution of times, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quantiles {
    /// The mean.
    pub mean: f64,
    /// Half are below.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(times: &Histogram<u64>) -> Self {
        let at = |share| times.value_at_quantile(share) as f64 / 1000.0;
        Self {
            mean: times.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max() as f64 / 1000.0,
        }
    }
}

impl From<&Figures> for Times {
    fn from(figures: &Figures) -> Self {
        Self {
            ok: figures.ok,
            failed: figures.failed,
            statuses: figures.statuses.clone(),
            service: (&figures.service).into(),
            since_due: (&figures.since_due).into(),
        }
    }
}

impl Times {
    /// The share of failures, from 0 to 1.
    pub fn error_ratio(&self) -> f64 {
        self.failed as f64 / (self.ok + self.failed).max(1) as f64
    }
}

/// How the generator itself fared. If it was at its end, the times say nothing about the target.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Generator {
    /// CPU seconds that it used.
    pub cpu_seconds: f64,
    /// CPUs that it may use.
    pub cpus: f64,
    /// The same in microseconds for each request.
    pub cpu_us_per_request: f64,
    /// The share of seconds in which it used over 90 % of the CPUs that it may use.
    pub busy_share: f64,
    /// Requests that were sent late though a user was free: the generator's own fault.
    pub late: u64,
    /// The longest that its clock was late, milliseconds.
    pub overslept_ms: f64,
    /// CPU time that its virtual machine did not get, as a share of all.
    pub steal_share: f64,
    /// Seconds in which its control group was throttled.
    pub throttled_seconds: u64,
}

/// Something that happened beside the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, seconds from the start.
    pub at: f64,
    /// What.
    pub text: String,
}

/// One second of a run; a column of `timeline.csv` for each field.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Its end, seconds from the start.
    pub at: f64,
    /// The phase it ended in.
    pub phase: String,
    /// Requests a second that the plan has at that moment.
    pub planned_rate: f64,
    /// Requests that became due in it.
    pub due: u64,
    /// Requests that were sent in it.
    pub sent: u64,
    /// Answers as they should be.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Requests in flight at its end.
    pub in_flight: u64,
    /// Requests that were due and not yet sent at its end.
    pub waiting: u64,
    /// Half of its answers came in this time since due, milliseconds.
    pub p50_ms: f64,
    /// 95 %.
    pub p95_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// Half of its answers came in this time since sending, milliseconds.
    pub service_p50_ms: f64,
    /// Instances that answered, by version.
    pub versions: BTreeMap<String, u64>,
    /// Instances that answered, by availability zone.
    pub zones: BTreeMap<String, u64>,
    /// CPUs that the generator used.
    pub own_cpus: f64,
    /// By how much its clock was late at the most, milliseconds.
    pub overslept_ms: f64,
    /// Requests that it sent late by its own fault.
    pub late: u64,
    /// The share of CPU time that its virtual machine did not get.
    pub steal_share: f64,
    /// Whether its control group was throttled.
    pub throttled: bool,
    /// Instances that the Auto Scaling group wants.
    pub desired: Option<u64>,
    /// Instances that it has in service.
    pub in_service: Option<u64>,
    /// Targets that the load balancer finds healthy.
    pub healthy: Option<u64>,
    /// The mean CPU of the fleet, per cent.
    pub fleet_cpu: Option<f64>,
}
