//! What came of a rehearsal. It is what `report.json` holds; fields may be added to it, none is renamed or removed.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything. Times are seconds since it began, as the machine's clock has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// 1
    pub schema: u32,
    /// RFC 3339
    pub began: String,
    /// How long all of it took.
    pub seconds: f64,
    /// Whether every step was gone through, and every check of each passed.
    pub passed: bool,
    /// On what, and how.
    pub inputs: Inputs,
    /// In the order of time; one that was not reached is not there.
    pub steps: Vec<Step>,
    /// In the order of time.
    pub events: Vec<Event>,
    /// A row for each second.
    pub timeline: Vec<Row>,
}

/// On what it ran, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inputs {
    /// Of this machine.
    pub cores: usize,
    /// Of this machine, MiB.
    pub memory: u64,
    /// How many of the region's seconds passed in one while nothing but waiting happened.
    pub speed: f64,
    /// CPUs that each instance might use.
    pub instance_cpus: f64,
    /// Memory that each instance might use, MiB.
    pub instance_memory: u32,
}

/// A step of the rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// `a rollout under load`
    pub name: String,
    /// When it began.
    pub at: f64,
    /// How long it took.
    pub seconds: f64,
    /// What had to hold.
    pub checks: Vec<Check>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// Why it could not be gone through, if it could not.
    pub failure: Option<String>,
}

/// Something that had to hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `no request failed`
    pub what: String,
    /// `0 of 4120`
    pub seen: String,
    /// Whether it held.
    pub passed: bool,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// `spike to the first new instance serving`
    pub what: String,
    /// How much.
    pub value: f64,
    /// `s`
    pub unit: String,
    /// Whether it has compressed time in it: on AWS it would be longer.
    pub compressed: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When.
    pub at: f64,
    /// Of what kind.
    pub kind: EventKind,
    /// `kill -9 of the service on i-0123456789abcdef0`
    pub text: String,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The rehearsal: a make target, a load that begins or ends.
    Action,
    /// The rehearsal, to do harm.
    Fault,
    /// The group: its scaling activities.
    Scaling,
    /// An instance refresh: its states.
    Rollout,
}

/// A second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// When it began.
    pub at: f64,
    /// Requests that were answered, well or not, in this second.
    pub answered: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Milliseconds; none where nothing was asked.
    pub p50: Option<f64>,
    /// Milliseconds; none where nothing was asked.
    pub p99: Option<f64>,
    /// Instances that the group is to have.
    pub desired: u32,
    /// Instances by the build that they run (`0.1.0+1a2b3c4`).
    pub instances: BTreeMap<String, Instances>,
    /// Per cent of their allowance that the group's instances used in the last minute of the region's.
    pub cpu: Option<f64>,
    /// How many of the region's seconds passed in this one.
    pub speed: f64,
}

/// Instances of one build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Instances {
    /// Launched, and not healthy yet.
    pub starting: u32,
    /// Healthy behind the load balancer.
    pub healthy: u32,
    /// Was healthy and is not, or never will be.
    pub unhealthy: u32,
    /// Draining or shutting down.
    pub leaving: u32,
}
