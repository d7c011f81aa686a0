//! The rules of instance refresh: what it replaces, when it goes on, waits, ends, fails and goes back.
//!
//! From "How an instance refresh works", "Undo changes with a rollback", "Add checkpoints to an instance refresh", "Use an
//! instance refresh with skip matching" (user guide) and the API reference. Assumed, as nothing is said about it: that a refresh
//! takes a second from Pending to InProgress, and that an alarm which is off when it starts counts at once.

mod calls;
mod progress;

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::activity;
use super::configuration::Configuration;
use super::instance::Instance;
use super::preferences::{Preferences, percent_up};
use crate::instances::Ticket;
use crate::protocol::Tree;
use crate::region::RefreshView;

/// As AWS names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Asked for.
    Pending,
    /// Replacing, or waiting at a checkpoint.
    InProgress,
    /// All is replaced; waiting whether it holds.
    Baking,
    /// Done, and the group launches from the new configuration.
    Successful,
    /// Over. What was replaced stays replaced.
    Failed,
    /// Waiting for what was begun.
    Cancelling,
    /// Over by request. What was replaced stays replaced.
    Cancelled,
    /// Replacing what was replaced.
    RollbackInProgress,
    /// All is as it was.
    RollbackSuccessful,
    /// Not all is as it was.
    RollbackFailed,
}

impl Status {
    /// Whether it stays as it is.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress | Self::Baking | Self::Cancelling | Self::RollbackInProgress)
    }

    /// The API's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Baking => "Baking",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelling => "Cancelling",
            Self::Cancelled => "Cancelled",
            Self::RollbackInProgress => "RollbackInProgress",
            Self::RollbackSuccessful => "RollbackSuccessful",
            Self::RollbackFailed => "RollbackFailed",
        }
    }
}

/// An instance refresh.
#[derive(Debug)]
pub(crate) struct Refresh {
    pub(crate) id: String,
    pub(crate) status: Status,
    reason: Option<String>,
    start: SystemTime,
    end: Option<SystemTime>,
    pub(crate) preferences: Preferences,
    desired: Option<Configuration>,
    /// Those still to be replaced.
    pub(crate) old: BTreeSet<Ticket>,
    /// How many there were to replace.
    total: usize,
    /// Instances from this number on were launched by, or during, what is going on now.
    first_new: Ticket,
    percentage: u32,
    to_update: usize,
    checkpoint: usize,
    /// Until when it waits, at a checkpoint or baking.
    waits_until: Option<SystemTime>,
    progress: (Progress, SystemTime),
    rollback: Option<Rollback>,
    /// A cancelled one waits for launches and terminations that were begun.
    waits_for_begun: bool,
}

/// It makes progress when one of these changes.
type Progress = (usize, usize);

#[derive(Debug)]
struct Rollback {
    reason: String,
    start: SystemTime,
    percentage: u32,
    to_update: usize,
}

impl Refresh {
    /// Going on, in either direction.
    pub(crate) fn is_active(&self) -> bool {
        !self.status.is_final()
    }

    /// The configuration that it brings, while it does.
    pub(crate) fn brings(&self) -> Option<&Configuration> {
        matches!(self.status, Status::InProgress | Status::Baking).then_some(self.desired.as_ref()).flatten()
    }

    pub(crate) fn replaces(&self) -> bool {
        matches!(self.status, Status::InProgress | Status::RollbackInProgress)
    }

    /// Whether it waits at a checkpoint.
    pub(crate) fn is_paused(&self) -> bool {
        self.status == Status::InProgress && self.waits_until.is_some()
    }

    /// How many of the old ones may be replaced before the next checkpoint.
    pub(crate) fn allowance(&self) -> usize {
        match self.preferences.checkpoints.get(self.checkpoint) {
            Some(percent) if self.status == Status::InProgress => percent_up(*percent, self.total),
            _ => self.total,
        }
    }

    /// How many of the old ones are gone, or on their way out.
    pub(crate) fn gone(&self) -> usize {
        self.total.saturating_sub(self.old.len())
    }

    pub(crate) fn is_new(&self, instance: &Instance) -> bool {
        instance.ticket >= self.first_new
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn finish(&mut self, status: Status, reason: Option<String>, now: SystemTime) {
        (self.status, self.reason, self.end, self.waits_until) = (status, reason, Some(now), None);
        self.old.clear();
    }

    pub(crate) fn view(&self) -> RefreshView {
        RefreshView {
            id: self.id.clone(),
            status: self.status,
            percentage: self.percentage,
            reason: self.reason.clone(),
            start: self.start,
            end: self.end,
        }
    }

    /// As DescribeInstanceRefreshes has it.
    pub(crate) fn tree(&self, group: &str) -> Tree {
        let desired = self.desired.as_ref().map(|desired| {
            let (name, tree) = desired.tree();
            Tree::new().with(name, tree)
        });
        let rollback = self.rollback.as_ref().map(|rollback| {
            Tree::new()
                .set("RollbackReason", &rollback.reason)
                .set("RollbackStartTime", activity::time(rollback.start))
                .set("PercentageCompleteOnRollback", rollback.percentage)
                .set("InstancesToUpdateOnRollback", rollback.to_update)
        });
        Tree::new()
            .set("InstanceRefreshId", &self.id)
            .set("AutoScalingGroupName", group)
            .set("Status", self.status.as_str())
            .maybe("StatusReason", self.reason.as_ref())
            .set("StartTime", activity::time(self.start))
            .maybe("EndTime", self.end.map(activity::time))
            .set("PercentageComplete", self.percentage)
            .set("InstancesToUpdate", self.to_update)
            .with("Preferences", self.preferences.tree())
            .maybe_with("DesiredConfiguration", desired.as_ref())
            .maybe_with("RollbackDetails", rollback.as_ref())
            .set("Strategy", "Rolling")
    }
}
