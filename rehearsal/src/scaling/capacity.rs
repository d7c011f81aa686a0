//! What a group launches and terminates: to have as many as desired, and to replace what is unhealthy or out of date.
//!
//! From "Instance maintenance policies", "Health checks for instances in an Auto Scaling group", "Control which Auto Scaling
//! instances terminate" (user guide).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::activity::moment;
use super::group::Group;
use super::instance::{Illness, Instance, Lifecycle};
use super::preferences::{self, Kept};
use super::{Rules, World, since};
use crate::instances::{Target, Ticket};

/// How many there must be, and may be, while instances are replaced.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    floor: usize,
    ceiling: usize,
    /// Instances are launched before others are terminated.
    launches_first: bool,
}

/// An instance that is to be replaced.
struct Candidate {
    ticket: Ticket,
    illness: Option<Illness>,
    serves: bool,
    counts: bool,
    ready: bool,
}

impl Group {
    /// Finds instances that fail their health checks after their grace.
    pub(crate) fn check_health(&mut self, now: SystemTime) {
        if self.is_suspended("HealthCheck") {
            return;
        }
        let (grace, elb) = (self.grace(), self.checks_elb());
        for instance in &mut self.instances {
            let counted = instance.lifecycle == Lifecycle::InService && instance.is_healthy();
            let due = instance.in_service.is_some_and(|at| since(at, now) >= grace);
            if counted && due && elb && matches!(instance.target, Target::Unhealthy { .. }) {
                instance.illness = Some(Illness::Elb);
            }
        }
    }

    /// Launches and terminates what is needed now.
    pub(crate) fn replace_and_scale(&mut self, world: &mut World<'_>, rules: Rules, next: &mut Ticket) {
        let now = world.now;
        let bounds = self.bounds();
        self.replace(world, rules, bounds);
        self.shrink(world, bounds);
        let may_launch = !self.is_suspended("Launch") && self.refusals.0.is_none_or(|at| now >= at);
        if !self.deleting && may_launch {
            self.grow(world, rules, bounds, next);
        }
        if self.instances.iter().filter(|it| it.counts()).count() == self.desired as usize {
            self.reason = None;
        }
    }

    fn bounds(&self) -> Bounds {
        let desired = self.desired as usize;
        if let Some(refresh) = self.refreshes.last().filter(|refresh| refresh.replaces()) {
            let (floor, ceiling) = (refresh.preferences.floor(desired), refresh.preferences.ceiling(desired));
            return Bounds { floor, ceiling, launches_first: refresh.preferences.max_healthy.is_some() };
        }
        match self.maintenance() {
            Some((min, max)) => Bounds {
                floor: preferences::floor(min, Some(max), desired),
                ceiling: preferences::ceiling(min, Some(max), desired),
                launches_first: true,
            },
            None => Bounds { floor: 0, ceiling: desired, launches_first: false },
        }
    }

    fn counting(&self) -> usize {
        self.instances.iter().filter(|it| it.counts()).count()
    }

    fn ready(&self, now: SystemTime) -> usize {
        let (warmup, elb) = (self.warmup_now(), self.checks_elb());
        self.instances.iter().filter(|it| it.is_ready(now, elb, warmup)).count()
    }

    /// Whether a refresh may terminate this instance, as far as the instance goes.
    fn is_out_of_date(&self, instance: &Instance) -> bool {
        self.refreshes.last().filter(|refresh| refresh.replaces()).is_some_and(|refresh| {
            let kept = match instance.lifecycle {
                Lifecycle::Standby => refresh.preferences.standby,
                _ if instance.protected => refresh.preferences.protected,
                _ => Kept::Replaced,
            };
            kept == Kept::Replaced && refresh.old.contains(&instance.ticket)
        })
    }

    fn is_unhealthy(&self, instance: &Instance) -> bool {
        instance.counts() && !instance.is_healthy() && !self.is_suspended("ReplaceUnhealthy")
    }

    /// Terminates what is to be replaced, as far as the bounds let it.
    fn replace(&mut self, world: &mut World<'_>, rules: Rules, bounds: Bounds) {
        let now = world.now;
        if self.is_suspended("Terminate") {
            return;
        }
        let (elb, warmup) = (self.checks_elb(), self.warmup_now());
        let (mut counting, mut ready) = (self.counting(), self.ready(now));
        let mut candidates: Vec<_> = self
            .instances
            .iter()
            .filter(|it| self.is_unhealthy(it) || self.is_out_of_date(it))
            .map(|it| Candidate {
                illness: it.illness.filter(|_| self.is_unhealthy(it)),
                serves: it.in_service.is_some(),
                ticket: it.ticket,
                counts: it.counts(),
                ready: it.is_ready(now, elb, warmup),
            })
            .collect();
        // The unhealthy first, then those that do not serve yet, then the oldest.
        candidates.sort_by_key(|it| (it.illness.is_none(), it.serves, it.ticket));
        for candidate in candidates {
            let at = moment(now);
            let cause = if let Some(illness) = candidate.illness {
                // A machine that is gone is missed already. Another one is, by the policy, when its successor is there, or
                // when there is no room for one.
                let replaced = !bounds.launches_first || ready >= bounds.floor || counting >= bounds.ceiling;
                if !(illness == Illness::Ec2 || replaced) {
                    continue;
                }
                format!("At {at} an instance was taken out of service in response to {}.", illness.cause())
            } else {
                if !self.refresh_may_terminate(rules, counting) || ready < bounds.floor + usize::from(candidate.ready) {
                    continue;
                }
                let id = self.id_of(candidate.ticket);
                format!(
                    "At {at} an instance was taken out of service in response to an instance refresh.  At {at} instance {id} \
                     was selected for termination."
                )
            };
            self.terminate(world, candidate.ticket, cause);
            counting -= usize::from(candidate.counts);
            ready -= usize::from(candidate.ready);
            if let Some(refresh) = self.refreshes.last_mut() {
                refresh.old.remove(&candidate.ticket);
            }
        }
    }

    fn id_of(&self, ticket: Ticket) -> String {
        self.instances.iter().find(|it| it.ticket == ticket).and_then(|it| it.id.clone()).unwrap_or_default()
    }

    /// The warm-up that counts now: of the refresh that is going on, or the group's own.
    fn warmup_now(&self) -> Duration {
        let refresh = self.refreshes.last().filter(|refresh| refresh.replaces());
        refresh.map_or_else(|| self.warmup(), |refresh| refresh.preferences.warmup)
    }

    /// Whether the refresh may terminate one more of the old ones now, as far as its own pace goes.
    fn refresh_may_terminate(&self, rules: Rules, counting: usize) -> bool {
        let Some(refresh) = self.refreshes.last().filter(|refresh| refresh.replaces()) else { return false };
        let stands = rules.stalled || self.is_suspended("InstanceRefresh");
        // At a checkpoint, only what was begun is brought to its end.
        let begun = counting > self.desired as usize;
        !stands && refresh.gone() < refresh.allowance() && (!refresh.is_paused() || begun)
    }

    /// Launches what is missing, and what is to take a place that is not free yet.
    fn grow(&mut self, world: &mut World<'_>, rules: Rules, bounds: Bounds, next: &mut Ticket) {
        let (desired, counting) = (self.desired as usize, self.counting());
        let unhealthy = self.instances.iter().filter(|it| self.is_unhealthy(it)).count();
        let out_of_date =
            self.instances.iter().filter(|it| it.counts() && self.is_out_of_date(it) && it.is_healthy()).count();
        let missing = desired.saturating_sub(counting);
        let going = self.refreshes.last().filter(|refresh| refresh.replaces());
        // Those that a refresh may bring before it has to wait: it counts what is gone, and what was launched ahead.
        let ahead = counting.saturating_sub(desired);
        let brought = going.map_or(0, |refresh| {
            let stands = rules.stalled || refresh.is_paused() || self.is_suspended("InstanceRefresh");
            if stands { 0 } else { out_of_date.min(refresh.allowance().saturating_sub(refresh.gone() + ahead)) }
        });
        let kept = counting - (unhealthy + out_of_date).min(counting);
        let successors = (unhealthy + brought).min(desired.saturating_sub(kept));
        let launched = missing.max(successors.min(bounds.ceiling.saturating_sub(counting)));
        let refreshing = going.is_some_and(|refresh| refresh.gone() > 0 || brought > 0) && !rules.stalled;
        for number in 0..launched {
            let cause = if unhealthy > number || (self.reason.is_none() && !refreshing && missing > 0) {
                "an instance was launched in response to an unhealthy instance needing to be replaced.".to_owned()
            } else if self.reason.is_none() && refreshing {
                "an instance was launched in response to an instance refresh.".to_owned()
            } else {
                format!(
                    "an instance was started in response to a difference between desired and actual capacity, increasing the \
                     capacity from {counting} to {desired}."
                )
            };
            self.launch(world, next, &cause, false);
        }
    }

    /// Terminates what is more than desired.
    fn shrink(&mut self, world: &mut World<'_>, bounds: Bounds) {
        if self.is_suspended("Terminate") {
            return;
        }
        let replacing = self.instances.iter().any(|it| self.is_unhealthy(it))
            || self.refreshes.last().is_some_and(|refresh| refresh.replaces() && !refresh.old.is_empty());
        let desired = self.desired as usize;
        let most = if replacing { bounds.ceiling } else { desired };
        let from = self.counting();
        while self.counting() > most {
            let Some(ticket) = self.one_too_many() else { break };
            let (at, id) = (moment(world.now), self.id_of(ticket));
            let reason = self.reason.as_ref().map(|reason| format!("{reason}  ")).unwrap_or_default();
            let cause = format!(
                "{reason}At {at} an instance was taken out of service in response to a difference between desired and actual \
                 capacity, shrinking the capacity from {from} to {desired}.  At {at} instance {id} was selected for termination."
            );
            self.terminate(world, ticket, cause);
        }
    }

    /// The default termination policy: in the zone with the most instances, the one whose configuration is out of date, then the
    /// oldest. Of AWS's further distinctions (allocation strategies, the billing hour) none applies here.
    fn one_too_many(&self) -> Option<Ticket> {
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in self.instances.iter().filter(|it| it.counts()) {
            *zones.entry(&instance.zone).or_default() += 1;
        }
        let in_zone = |zone: &str| zones.get(zone).copied().unwrap_or_default();
        self.instances
            .iter()
            .filter(|it| it.counts() && (!it.protected || self.deleting))
            .min_by_key(|it| (it.is_healthy(), usize::MAX - in_zone(&it.zone), it.matches(self.launches()), it.ticket))
            .map(|it| it.ticket)
    }
}
