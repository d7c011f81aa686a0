//! How a refresh goes on: what it has replaced, what it waits for, and when that is enough, or too little for too long.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::{Refresh, Status};
use crate::alarms::AlarmState;
use crate::instances::Ticket;
use crate::scaling::group::Group;
use crate::scaling::instance::{Instance, Lifecycle};
use crate::scaling::preferences::Kept;
use crate::scaling::{Rules, World, since};

impl Group {
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
