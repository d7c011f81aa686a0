//! The rules of instance refresh: what it replaces, when it goes on, waits, ends, fails and goes back.
//!
//! From "How an instance refresh works", "Undo changes with a rollback", "Add checkpoints to an instance refresh", "Use an
//! instance refresh with skip matching" (user guide) and the API reference. Assumed, as nothing is said about it: that a refresh
//! takes a second from Pending to InProgress, and that an alarm which is off when it starts counts at once.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::configuration::Configuration;
use super::group::Group;
use super::instance::{Instance, Lifecycle};
use super::preferences::{Kept, Preferences, percent_up};
use super::{Rules, World, activity, since};
use crate::alarms::AlarmState;
use crate::instances::Ticket;
use crate::protocol::{Failure, Tree};

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

impl Group {
    fn active_refresh(&mut self) -> Option<&mut Refresh> {
        self.refreshes.last_mut().filter(|refresh| refresh.is_active())
    }

    /// StartInstanceRefresh. Returns the refresh's id.
    pub(crate) fn start_refresh(
        &mut self,
        parameters: &Tree,
        next: Ticket,
        now: SystemTime,
    ) -> Result<String, Failure> {
        if let Some(going) = self.active_refresh() {
            return Err(Failure::new(
                "InstanceRefreshInProgress",
                format!(
                    "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh. \
                     It is {} ({}).",
                    going.id,
                    going.status.as_str()
                ),
            ));
        }
        match parameters.text("Strategy") {
            None | Some("Rolling") => {}
            Some(other) => {
                return Err(Failure::validation(format!("The strategy {other} is not modelled; Rolling is")));
            }
        }
        let preferences = Preferences::read(parameters.get("Preferences"), self)?;
        let wanted = parameters.get("DesiredConfiguration").filter(|tree| !tree.is_empty());
        let desired = wanted.map(|tree| {
            Configuration::read(tree)?.ok_or_else(|| {
                Failure::validation("DesiredConfiguration must have a LaunchTemplate or a MixedInstancesPolicy.")
            })
        });
        let desired = desired.transpose()?;
        if preferences.auto_rollback && desired.is_none() {
            return Err(Failure::validation(
                "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration \
                 parameter is empty. Set AutoRollback to false or specify a desired configuration and try again.",
            ));
        }
        if preferences.auto_rollback && !self.configuration.is_reversible() {
            return Err(Failure::validation(format!(
                "The request isn't valid. The AutoRollback parameter cannot be set to true when the Auto Scaling group uses \
                 the launch template version {}. Use a version number and try again.",
                self.configuration.template.version
            )));
        }
        let target = desired.as_ref().unwrap_or(&self.configuration);
        let old: BTreeSet<_> = self
            .instances
            .iter()
            .filter(|it| it.counts() || it.lifecycle == Lifecycle::Standby)
            .filter(|it| !(preferences.skip_matching && it.matches(target)))
            .map(|it| it.ticket)
            .collect();
        let refresh = Refresh {
            id: uuid::Uuid::new_v4().to_string(),
            status: Status::Pending,
            reason: None,
            start: now,
            end: None,
            desired,
            total: old.len(),
            percentage: 0,
            to_update: old.len(),
            old,
            first_new: next,
            checkpoint: 0,
            waits_until: None,
            progress: ((0, 0), now),
            rollback: None,
            waits_for_begun: true,
            preferences,
        };
        // AWS keeps six weeks of them.
        if self.refreshes.len() == 100 {
            self.refreshes.remove(0);
        }
        let id = refresh.id.clone();
        self.refreshes.push(refresh);
        Ok(id)
    }

    /// CancelInstanceRefresh. Returns the refresh's id.
    pub(crate) fn cancel_refresh(&mut self, wait: bool) -> Result<String, Failure> {
        let missing = self.no_refresh();
        let refresh = self.active_refresh().filter(|refresh| refresh.status != Status::Cancelling).ok_or(missing)?;
        (refresh.status, refresh.waits_for_begun, refresh.waits_until) = (Status::Cancelling, wait, None);
        Ok(refresh.id.clone())
    }

    /// RollbackInstanceRefresh. Returns the refresh's id.
    pub(crate) fn rollback_refresh(&mut self, next: Ticket, now: SystemTime) -> Result<String, Failure> {
        let (missing, reversible) = (self.no_refresh(), self.configuration.is_reversible());
        let version = self.configuration.template.version.clone();
        let forward =
            |refresh: &&mut Refresh| matches!(refresh.status, Status::Pending | Status::InProgress | Status::Baking);
        let refresh = self.active_refresh().filter(forward).ok_or(missing)?;
        let irreversible = |message: String| Err(Failure::new("IrreversibleInstanceRefresh", message));
        if refresh.desired.is_none() {
            return irreversible(
                "The instance refresh has no desired configuration, so there is nothing to roll back.".to_owned(),
            );
        }
        if !reversible {
            return irreversible(format!(
                "The Auto Scaling group uses the launch template version {version}, to which a rollback is not possible."
            ));
        }
        let id = refresh.id.clone();
        self.begin_rollback("Manual rollback was initiated by the user.".to_owned(), next, now);
        Ok(id)
    }

    fn no_refresh(&self) -> Failure {
        Failure::new(
            "ActiveInstanceRefreshNotFound",
            format!("No in progress or pending Instance Refresh found for Auto Scaling group {}", self.name),
        )
    }

    fn begin_rollback(&mut self, reason: String, next: Ticket, now: SystemTime) {
        let Some(refresh) = self.refreshes.last_mut() else { return };
        // What it brought so far goes; what it never came to stays.
        let brought: BTreeSet<_> =
            self.instances.iter().filter(|it| it.counts() && refresh.is_new(it)).map(|it| it.ticket).collect();
        refresh.rollback = Some(Rollback {
            reason: reason.clone(),
            start: now,
            percentage: refresh.percentage,
            to_update: refresh.to_update,
        });
        (refresh.status, refresh.reason, refresh.waits_until) = (Status::RollbackInProgress, Some(reason), None);
        (refresh.total, refresh.old, refresh.first_new) = (brought.len(), brought, next);
        refresh.progress = ((0, 0), now);
    }

    fn fail_refresh(&mut self, reason: String, next: Ticket, now: SystemTime) {
        let Some(refresh) = self.refreshes.last_mut() else { return };
        match refresh.status {
            Status::RollbackInProgress => refresh.finish(Status::RollbackFailed, Some(reason), now),
            _ if refresh.preferences.auto_rollback => self.begin_rollback(reason, next, now),
            _ => refresh.finish(Status::Failed, Some(reason), now),
        }
    }

    /// Brings the refresh that is going on, if one is, to where it is now.
    pub(crate) fn step_refresh(&mut self, world: &mut World<'_>, rules: Rules, next: Ticket) {
        let now = world.now;
        let Some(refresh) = self.refreshes.last_mut().filter(|refresh| refresh.is_active()) else { return };
        let left: BTreeSet<_> = self
            .instances
            .iter()
            .filter(|it| match it.lifecycle {
                Lifecycle::Pending | Lifecycle::InService => {
                    !(it.protected && refresh.preferences.protected == Kept::Ignored)
                }
                Lifecycle::Standby => refresh.preferences.standby != Kept::Ignored,
                Lifecycle::Terminating => false,
            })
            .map(|it| it.ticket)
            .collect();
        refresh.old.retain(|ticket| left.contains(ticket));
        let alarm = refresh
            .preferences
            .alarms
            .iter()
            .find(|name| world.alarms.state(name) == Some(AlarmState::Alarm))
            .filter(|_| matches!(refresh.status, Status::InProgress | Status::Baking))
            .cloned();
        if let Some(alarm) = alarm {
            let reason = format!("The CloudWatch alarm {alarm} went into the ALARM state.");
            return self.fail_refresh(reason, next, now);
        }
        match refresh.status {
            Status::Pending if since(refresh.start, now) >= Duration::from_secs(1) => {
                if refresh.total == 0 {
                    (refresh.percentage, refresh.to_update) = (100, 0);
                    return self.succeed(now);
                }
                refresh.status = Status::InProgress;
                refresh.progress = ((0, 0), now);
            }
            Status::InProgress | Status::RollbackInProgress => self.advance(rules, next, now),
            Status::Baking if refresh.waits_until.is_none_or(|until| now >= until) => self.succeed(now),
            Status::Cancelling => self.settle_cancellation(now),
            _ => {}
        }
    }

    fn succeed(&mut self, now: SystemTime) {
        let Some(refresh) = self.refreshes.last_mut() else { return };
        if let Some(desired) = refresh.desired.clone() {
            self.configuration = desired;
        }
        refresh.finish(Status::Successful, None, now);
    }

    fn settle_cancellation(&mut self, now: SystemTime) {
        let begun = |it: &Instance| matches!(it.lifecycle, Lifecycle::Pending | Lifecycle::Terminating);
        let waits = self.instances.iter().any(begun);
        let Some(refresh) = self.refreshes.last_mut() else { return };
        if !refresh.waits_for_begun {
            let reason =
                "Cancelled without waiting for ongoing instance launches and terminations due to user request.";
            refresh.finish(Status::Cancelled, Some(reason.to_owned()), now);
        } else if !waits {
            refresh.finish(Status::Cancelled, Some("Cancelled due to user request.".to_owned()), now);
        }
    }

    /// Counts what is replaced, and decides whether that is all, enough for now, or too little for too long.
    fn advance(&mut self, rules: Rules, next: Ticket, now: SystemTime) {
        let (elb, desired) = (self.checks_elb(), self.desired as usize);
        let Some(refresh) = self.refreshes.last_mut() else { return };
        let warmup = refresh.preferences.warmup;
        let (new, rest): (Vec<_>, Vec<_>) =
            self.instances.iter().filter(|it| it.counts()).partition(|it| refresh.is_new(it));
        let ready = new.iter().filter(|it| it.is_ready(now, elb, warmup)).count();
        let (total, left) = (refresh.total, refresh.old.len());
        let updated = if left == 0 && ready == new.len() { total } else { ready.min(total) };
        match &refresh.rollback {
            None => {
                refresh.to_update = total - updated;
                refresh.percentage = u32::try_from(updated * 100 / total.max(1)).unwrap_or(100);
            }
            // "This value gradually goes back down to zero during a rollback."
            Some(rollback) => {
                let left = u32::try_from((total - updated) * 100 / total.max(1)).unwrap_or(100);
                refresh.percentage = rollback.percentage * left / 100;
            }
        }
        if (left, ready) != refresh.progress.0 || refresh.waits_until.is_some_and(|until| now < until) {
            refresh.progress = ((left, ready), now);
        }

        let whole = new.len() + rest.len() >= desired && ready == new.len();
        let partial = refresh.preferences.checkpoints.last().is_some_and(|percent| *percent < 100);
        let last = refresh.checkpoint + 1 >= refresh.preferences.checkpoints.len();
        let enough = left == 0 || (partial && last && refresh.gone() >= refresh.allowance());
        if whole && enough {
            if refresh.status == Status::RollbackInProgress {
                let reason = refresh.rollback.as_ref().map(|rollback| rollback.reason.clone());
                return refresh.finish(Status::RollbackSuccessful, reason, now);
            }
            if refresh.preferences.bake.is_zero() {
                return self.succeed(now);
            }
            refresh.status = Status::Baking;
            refresh.waits_until = Some(now + refresh.preferences.bake);
            refresh.reason = Some("Waiting for the bake time to pass.".to_owned());
            return;
        }
        if let Some(until) = refresh.waits_until {
            if now < until {
                return;
            }
            refresh.waits_until = None;
            refresh.checkpoint += 1;
        } else if !last && refresh.status == Status::InProgress && whole && refresh.gone() >= refresh.allowance() {
            // It can be past more than one.
            let passed =
                refresh.preferences.checkpoints.iter().filter(|percent| **percent <= refresh.percentage).count();
            refresh.checkpoint = refresh.checkpoint.max(passed.saturating_sub(1));
            refresh.waits_until = Some(now + refresh.preferences.checkpoint_delay);
            let reached = refresh.preferences.checkpoints.get(refresh.checkpoint).copied().unwrap_or_default();
            refresh.reason =
                Some(format!("Waiting for the checkpoint delay to pass, after the checkpoint of {reached} percent."));
            return;
        }
        let (waits, example) = waits_for(refresh, &self.instances, now, elb);
        refresh.reason = example.or_else(|| refresh.rollback.as_ref().map(|rollback| rollback.reason.clone()));
        if since(refresh.progress.1, now) >= rules.refresh_limit {
            let limit = humantime::format_duration(rules.refresh_limit);
            self.fail_refresh(format!("The instance refresh made no progress for {limit}. {waits}"), next, now);
        }
    }
}

/// What a refresh waits for: as a word for a failure, and with an example for people.
fn waits_for(refresh: &Refresh, instances: &[Instance], now: SystemTime, elb: bool) -> (String, Option<String>) {
    let id = |it: &Instance| it.id.clone().unwrap_or_default();
    let new = || instances.iter().filter(|it| it.counts() && refresh.is_new(it));
    let old = || instances.iter().filter(|it| refresh.old.contains(&it.ticket));
    let available = |why: String| format!("Waiting for remaining instances to be available. For example: {why}");
    let kept = |kept: Kept, wanted: Kept| kept == wanted;
    let reason = if let Some(it) = new().find(|it| it.lifecycle == Lifecycle::Pending) {
        Some(available(format!("{} has insufficient data to evaluate its health with Amazon EC2.", id(it))))
    } else if let Some(it) = new().find(|it| !it.is_healthy() || !it.passes(elb)) {
        Some(available(format!("{} has not passed its health checks with Elastic Load Balancing.", id(it))))
    } else if let Some(it) = new().find(|it| !it.is_ready(now, elb, refresh.preferences.warmup)) {
        Some(format!("Waiting for instances to warm up before continuing. For example: {} is warming up.", id(it)))
    } else if let Some(it) = old().find(|it| it.protected && kept(refresh.preferences.protected, Kept::Waited)) {
        Some(available(format!("{} is protected. Remove instance scale-in protection to continue.", id(it))))
    } else if let Some(it) = old().find(|it| it.lifecycle == Lifecycle::Standby) {
        Some(available(format!("{} is in standby. Return it to service to continue.", id(it))))
    } else {
        old().next().map(|it| format!("Waiting for instances to be replaced. For example: {}.", id(it)))
    };
    (reason.clone().unwrap_or_default(), reason)
}
