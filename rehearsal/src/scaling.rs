//! EC2 Auto Scaling: a model with one `step(now)` and no clock of its own.
//!
//! It follows the user guide and the API reference of EC2 Auto Scaling; where those say nothing, each rule says what was
//! assumed. Not modelled: policies other than target tracking, launch configurations, lifecycle hooks, weighted capacity, the instances of a warm pool; they are refused by
//! name, or kept and given back.

mod activity;
mod api;
mod capacity;
mod configuration;
mod draft;
mod group;
mod instance;
mod preferences;
mod refresh;
mod schedule;
mod tracking;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::alarms::Alarms;
use crate::instances::{Instances, Ticket};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree};

pub use draft::Draft;
pub use group::Group;
pub use instance::{Instance, Lifecycle};
pub use refresh::Status;
pub(crate) use tracking::minute;
pub use tracking::{Decision, Metric, TrackingAlarm};

/// Where the API's own words are from.
pub(crate) const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";

/// Whose groups they are, for ARNs.
#[derive(Clone, Debug)]
pub struct Place {
    /// As `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

/// All groups of a region.
#[derive(Debug)]
pub struct Scaling {
    place: Place,
    groups: BTreeMap<String, Group>,
    rules: Rules,
    next: Ticket,
}

/// What is the same for all groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// A refresh that replaces nothing for so long fails.
    pub(crate) refresh_limit: Duration,
    /// Refreshes launch and terminate nothing.
    pub(crate) stalled: bool,
}

/// What a step sees of the world.
pub struct World<'a> {
    /// The time.
    pub now: SystemTime,
    /// What really exists.
    pub instances: &'a mut dyn Instances,
    /// Alarms, for the refreshes that watch some.
    pub(crate) alarms: &'a Alarms,
}

impl Scaling {
    /// No groups yet. `refresh_limit`: how long a refresh may make no progress.
    pub fn new(place: Place, refresh_limit: Duration) -> Self {
        Self { place, groups: BTreeMap::new(), rules: Rules { refresh_limit, stalled: false }, next: 1 }
    }

    /// Brings every group to what it is at `world.now`. Steps may be as far apart as one likes; what happens between two is
    /// seen at the second.
    pub fn step(&mut self, world: &mut World<'_>) {
        world.instances.step(world.now);
        for group in self.groups.values_mut() {
            group.step(world, self.rules, &mut self.next);
        }
        self.groups.retain(|_, group| !group.is_gone());
    }

    /// Does what a call asks, and gives the result that its answer has.
    pub fn call(&mut self, call: &Call, world: &mut World<'_>) -> Result<Tree, Failure> {
        api::call(self, call, world)
    }

    /// Takes a datapoint of a group's metric for the minute that `at` is in, for the policies that track it. Whose CPU to take
    /// the mean of, [`Group::measured`] says. Instances and time are as of the last step.
    pub fn publish(&mut self, group: &str, metric: Metric, value: f64, at: SystemTime) -> Result<(), Failure> {
        self.group_mut(group)?.publish(metric, value, at);
        Ok(())
    }

    /// Makes a group whose instances have been in service for a day.
    pub(crate) fn create(&mut self, draft: &Draft, world: &mut World<'_>) -> Result<(), Failure> {
        self.call(&draft.call(), world)?;
        if let Some(group) = self.groups.get_mut(&draft.name) {
            group.found_running(world, &mut self.next);
        }
        self.step(world);
        Ok(())
    }

    /// Refreshes stand still, or go on.
    pub(crate) fn stall(&mut self, stalled: bool) {
        self.rules.stalled = stalled;
    }

    /// All groups by name.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    fn group(&self, name: &str) -> Result<&Group, Failure> {
        self.groups.get(name).ok_or_else(|| no_group(name))
    }

    fn group_mut(&mut self, name: &str) -> Result<&mut Group, Failure> {
        self.groups.get_mut(name).ok_or_else(|| no_group(name))
    }
}

fn no_group(name: &str) -> Failure {
    Failure::validation(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
}

/// Whether a text is a recurrence of scheduled actions.
pub(crate) fn check_recurrence(text: &str) -> Result<(), Failure> {
    schedule::Recurrence::read(text).map(drop)
}

/// How long after `from` it is at `now`; nothing if it is not yet.
pub(crate) fn since(from: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(from).unwrap_or_default()
}

#[cfg(test)]
mod tests;
