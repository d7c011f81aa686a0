//! What is simulated.

use std::time::Duration;

use super::traffic::Traffic;
use crate::instances::Times;
use crate::instances::modelled::Behaviour;

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How much is asked.
    pub traffic: Traffic,
    /// For how long.
    pub length: Duration,
    /// Requests a second that one vCPU does when it does nothing else: measured.
    pub requests_per_vcpu: f64,
    /// vCPUs of an instance.
    pub vcpus: u32,
    /// Dollars for an instance and hour.
    pub price: f64,
    /// Instances at the least.
    pub min: u32,
    /// Instances at the most.
    pub max: u32,
    /// Average CPU, in per cent, that scaling keeps the group at.
    pub cpu_target: f64,
    /// Requests a target and minute, tracked beside the CPU.
    pub requests_target: Option<f64>,
    /// The default instance warm-up.
    pub warmup: Duration,
    /// How long machines take for what.
    pub times: Times,
    /// How late a minute's datapoint is known.
    pub metric_delay: Duration,
    /// A new version in the middle of it.
    pub rollout: Option<Rollout>,
    /// Scheduled actions: recurrence, and the least size from then on.
    pub schedules: Vec<(String, u32)>,
}

/// An instance refresh to a new version, as `tideline-fleet rollout` asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// When, after the start.
    pub at: Duration,
    /// How the new version's instances behave.
    pub behaviour: Behaviour,
    /// How long it must hold before it counts.
    pub bake: Duration,
    /// Without progress for so long, it fails.
    pub limit: Duration,
}
