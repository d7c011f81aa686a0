//! What can be seen of a region's groups, for those who watch one from within its process.

use std::time::SystemTime;

use super::{Region, State};
use crate::instances::Target;
use crate::scaling::{Group, Instance, Metric, Status};

/// A group at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The region's time.
    pub now: SystemTime,
    /// How many of the region's seconds passed in one.
    pub speed: f64,
    /// How many instances the group is to have.
    pub desired: u32,
    /// The newest datapoint of its instances' mean CPU: when its minute began, in the region's time, and per cent.
    pub cpu: Option<(SystemTime, f64)>,
    /// Its instances, oldest first; those that terminate included.
    pub instances: Vec<InstanceView>,
}

/// An instance as a test sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    /// `i-…`; empty until EC2 has given it one.
    pub id: String,
    /// `Pending`, `InService`, `Terminating` and so on.
    pub state: String,
    /// Whether the group takes it for healthy.
    pub healthy: bool,
    /// The version of the launch template.
    pub version: String,
    /// The Availability Zone.
    pub zone: String,
    /// What the load balancer says of it.
    pub target: Target,
}

/// Something that a group did, as DescribeScalingActivities has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityView {
    /// When it began, in the region's time.
    pub start: SystemTime,
    /// When it was over.
    pub end: Option<SystemTime>,
    /// What: `Launching a new EC2 instance: i-…`
    pub description: String,
    /// Why, in AWS's words.
    pub cause: String,
    /// `InProgress`, `Successful`, `Failed` and so on.
    pub status: String,
}

/// An instance refresh, as DescribeInstanceRefreshes has it.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshView {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub status: Status,
    /// How much of it is done, in per cent.
    pub percentage: u32,
    /// What it says about that.
    pub reason: Option<String>,
    /// When it began, in the region's time.
    pub start: SystemTime,
    /// When it was over.
    pub end: Option<SystemTime>,
}

impl Region {
    /// A group as it is now. `None`: there is none of that name.
    pub fn observe(&self, group: &str) -> Option<View> {
        self.shared.with(|state, now| {
            let group = state.group(group)?;
            Some(View {
                now,
                speed: self.shared.clock.speed(),
                desired: group.desired(),
                cpu: group.datapoints(Metric::AverageCpu).next(),
                instances: instances(group),
            })
        })
    }

    /// The instances of a group, oldest first; those that terminate included. None if there is no such group.
    pub fn instances(&self, group: &str) -> Vec<InstanceView> {
        self.shared.with(|state, _| state.group(group).map(instances).unwrap_or_default())
    }

    /// What a group did, the newest first; the last 2,000. None if there is no such group.
    pub fn activities(&self, group: &str) -> Vec<ActivityView> {
        self.shared
            .with(|state, _| state.group(group).map(|group| group.activities.views().collect()).unwrap_or_default())
    }

    /// The instance refreshes of a group, the newest first. None if there is no such group.
    pub fn refreshes(&self, group: &str) -> Vec<RefreshView> {
        self.shared.with(|state, _| {
            let group = state.group(group);
            group.map(|group| group.refreshes.iter().rev().map(|refresh| refresh.view()).collect()).unwrap_or_default()
        })
    }
}

impl State {
    fn group(&self, name: &str) -> Option<&Group> {
        self.scaling.groups().find(|group| group.name() == name)
    }
}

fn instances(group: &Group) -> Vec<InstanceView> {
    let view = |it: &Instance| InstanceView {
        id: it.id.clone().unwrap_or_default(),
        state: it.lifecycle.as_str().to_owned(),
        healthy: it.is_healthy(),
        version: it.template.version.clone(),
        zone: it.zone.clone(),
        target: it.target.clone(),
    };
    group.instances().iter().map(view).collect()
}
