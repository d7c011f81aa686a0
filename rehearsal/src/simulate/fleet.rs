//! The group, its machines and its balancer, moved on step by step.

use std::time::{Duration, SystemTime};

use super::outcome::{Event, Outcome, Row, Totals};
use super::settings::{Rollout, Settings};
use crate::alarms::{AlarmState, Alarms};
use crate::instances::modelled::Modelled;
use crate::instances::{Instances, Target};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree};
use crate::scaling::{Draft, Group, Lifecycle, Metric, Place, Scaling, World};

/// The time between two looks at the fleet.
pub const STEP: Duration = Duration::from_secs(10);

const MINUTE: u64 = 60;

const GROUP: &str = "tideline";

/// Two datapoints of a minute each, as Terraform's alarm on failed requests has them.
const ERRORS: Duration = Duration::from_secs(120);

/// A fleet and its time.
pub(super) struct Fleet<'a> {
    settings: &'a Settings,
    scaling: Scaling,
    machines: Modelled,
    alarms: Alarms,
    epoch: SystemTime,
    /// Seconds since the start.
    at: u64,
    /// Since when some instance fails requests, or none does any more.
    errors: (bool, SystemTime),
    /// Datapoints on their way, the oldest first.
    late: std::collections::VecDeque<(u64, [f64; 2])>,
    seen: Seen,
    minute: Minute,
    outcome: Outcome,
    decisions: usize,
}

/// What adds up in a minute, over its steps.
#[derive(Default)]
struct Minute {
    steps: f64,
    row: Row,
    cpu: Vec<f64>,
    per_target: f64,
}

/// What there is at a step.
#[derive(Clone, Copy, Default)]
struct Seen {
    serving: u32,
    new: u32,
    erring: u32,
    pending: u32,
    terminating: u32,
    /// In service and warm, and those of them that the balancer has healthy.
    measured: (u32, u32),
    billed: u32,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(settings: &'a Settings) -> Result<Self, Failure> {
        let place = Place { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
        // A Monday.
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_571_200);
        let wanted = settings.traffic.rate(0.0) / capacity(settings, 1) * 100.0 / settings.cpu_target;
        let draft = Draft {
            min: settings.min,
            max: settings.max,
            desired: (wanted.ceil() as u32).clamp(settings.min, settings.max),
            warmup: u32::try_from(settings.warmup.as_secs()).unwrap_or(u32::MAX),
            ..Draft::new(GROUP, &place)
        };
        let limit = settings.rollout.as_ref().map_or(Duration::from_secs(3600), |rollout| rollout.limit);
        let mut fleet = Self {
            settings,
            scaling: Scaling::new(place, limit),
            machines: Modelled::new(settings.times),
            alarms: Alarms::default(),
            epoch,
            at: 0,
            errors: (false, epoch),
            late: std::collections::VecDeque::new(),
            seen: Seen::default(),
            minute: Minute::default(),
            outcome: Outcome::new(settings),
            decisions: 0,
        };
        let (scaling, mut world) = fleet.world();
        scaling.create(&draft, &mut world)?;
        fleet.track(Metric::AverageCpu, "tideline-cpu", settings.cpu_target)?;
        if let Some(target) = settings.requests_target {
            fleet.track(Metric::RequestsPerTarget, "tideline-requests", target)?;
        }
        for (number, (recurrence, min)) in settings.schedules.iter().enumerate() {
            let action = Tree::new().set("ScheduledActionName", format!("schedule-{}", number + 1));
            fleet.call("PutScheduledUpdateGroupAction", action.set("Recurrence", recurrence).set("MinSize", min))?;
        }
        Ok(fleet)
    }

    fn now(&self) -> SystemTime {
        self.epoch + Duration::from_secs(self.at)
    }

    fn world(&mut self) -> (&mut Scaling, World<'_>) {
        let now = self.now();
        (&mut self.scaling, World { now, instances: &mut self.machines, alarms: &self.alarms })
    }

    fn call(&mut self, action: &str, parameters: Tree) -> Result<Tree, Failure> {
        let parameters = parameters.set("AutoScalingGroupName", GROUP);
        let (scaling, mut world) = self.world();
        scaling.call(&Call { action: action.to_owned(), parameters }, &mut world)
    }

    fn track(&mut self, metric: Metric, name: &str, target: f64) -> Result<(), Failure> {
        let kind = Tree::new().set("PredefinedMetricType", metric.as_str());
        let tracking = Tree::new().set("TargetValue", target).with("PredefinedMetricSpecification", kind);
        let policy = Tree::new().set("PolicyName", name).set("PolicyType", "TargetTrackingScaling");
        self.call("PutScalingPolicy", policy.with("TargetTrackingConfiguration", tracking)).map(drop)
    }

    /// To the end.
    pub(super) fn run(mut self) -> Result<Outcome, Failure> {
        let (step, end) = (STEP.as_secs(), self.settings.length.as_secs());
        let mut refresh = None;
        while self.at < end {
            if let Some(rollout) =
                self.settings.rollout.as_ref().filter(|it| refresh.is_none() && it.at.as_secs() <= self.at)
            {
                refresh = Some(self.roll_out(rollout)?);
            }
            self.watch_errors();
            if self.is_busy() || self.at.is_multiple_of(MINUTE) {
                let (scaling, mut world) = self.world();
                scaling.step(&mut world);
                self.note_decisions();
                self.note_refresh();
                self.seen = self.look();
            }
            self.serve(step);
            self.at += step;
            self.publish()?;
        }
        Ok(self.outcome.finish(self.settings))
    }

    fn roll_out(&mut self, rollout: &Rollout) -> Result<Tree, Failure> {
        self.machines.behave("2", rollout.behaviour.clone());
        let template = Tree::new().set("LaunchTemplateId", Draft::TEMPLATE).set("Version", 2);
        let alarms = Tree::list([Tree::leaf("tideline-5xx")]);
        let preferences = Tree::new()
            .set("MinHealthyPercentage", 100)
            .set("MaxHealthyPercentage", 150)
            .set("AutoRollback", true)
            .set("SkipMatching", true)
            .set("BakeTime", rollout.bake.as_secs())
            .with("AlarmSpecification", Tree::new().with("Alarms", alarms));
        let desired = Tree::new().with("LaunchTemplate", template);
        self.call(
            "StartInstanceRefresh",
            Tree::new().with("DesiredConfiguration", desired).with("Preferences", preferences),
        )
    }

    fn watch_errors(&mut self) {
        if self.settings.rollout.is_none() {
            return;
        }
        let now = self.now();
        let erring = self
            .scaling
            .groups()
            .flat_map(Group::instances)
            .any(|it| it.template.version == "2" && self.machines.errs(it.ticket, now));
        if erring != self.errors.0 {
            self.errors = (erring, now);
        }
        let long = now.duration_since(self.errors.1).unwrap_or_default() >= ERRORS;
        let state = match (self.errors.0, long) {
            (true, true) => AlarmState::Alarm,
            (false, true) => AlarmState::Ok,
            // It stays as it is.
            _ => self.alarms.state("tideline-5xx").unwrap_or(AlarmState::Ok),
        };
        self.alarms.set("tideline-5xx", state, now);
    }

    fn note_decisions(&mut self) {
        let Some(group) = self.scaling.groups().next() else { return };
        let at = self.at as f64;
        for decision in group.decisions().skip(self.decisions) {
            self.outcome.events.push(Event::scaling(at, decision));
            self.decisions += 1;
        }
    }

    fn note_refresh(&mut self) {
        let Some((status, reason)) = self.scaling.groups().next().and_then(Group::refresh) else { return };
        self.outcome.refresh(self.at as f64, status, reason);
    }

    /// Whether anything can change before the next minute has its metrics.
    fn is_busy(&self) -> bool {
        let Seen { pending, terminating, serving, measured, .. } = self.seen;
        let refresh = self.scaling.groups().next().and_then(Group::refresh);
        pending + terminating > 0 || measured.1 < serving || refresh.is_some_and(|(status, _)| !status.is_final())
    }

    fn look(&self) -> Seen {
        let (now, mut seen) = (self.now(), Seen::default());
        let Some(group) = self.scaling.groups().next() else { return seen };
        for instance in group.instances() {
            seen.billed += u32::from(instance.in_service.is_some());
            let healthy = instance.target == Target::Healthy && instance.illness.is_none();
            match instance.lifecycle {
                Lifecycle::Terminating => seen.terminating += 1,
                _ if healthy => {
                    seen.serving += 1;
                    let new = instance.template.version == "2";
                    seen.new += u32::from(new);
                    seen.erring += u32::from(new && self.machines.errs(instance.ticket, now));
                }
                _ => seen.pending += 1,
            }
        }
        for instance in group.measured(now) {
            seen.measured.0 += 1;
            seen.measured.1 += u32::from(instance.target == Target::Healthy);
        }
        seen
    }

    /// What the balancer sends in a step, and what comes of it.
    fn serve(&mut self, step: u64) {
        let seen = self.seen;
        let from = self.at as f64;
        let length = step as f64;
        // Straight between two steps, but for a spike's edges, which are on one.
        let offered = (self.settings.traffic.rate(from) + self.settings.traffic.rate(from + length - 1e-6)) / 2.0;
        let capacity = capacity(self.settings, seen.serving);
        let done = offered.min(capacity);
        let failed = if seen.serving == 0 { 0.0 } else { done * f64::from(seen.erring) / f64::from(seen.serving) };
        let load = if capacity > 0.0 {
            offered / capacity * 100.0
        } else if offered > 0.0 {
            1000.0
        } else {
            0.0
        };
        let desired = self.scaling.groups().next().map_or(0, Group::desired);

        let Minute { steps, row, cpu, per_target } = &mut self.minute;
        *steps += 1.0;
        row.offered += offered;
        row.capacity += capacity;
        row.refused += offered - done;
        row.failed += failed;
        row.utilisation = row.utilisation.max(load);
        (row.desired, row.serving, row.new) = (desired, seen.serving, seen.new);
        (row.pending, row.terminating) = (seen.pending, seen.terminating);
        if seen.measured.0 > 0 {
            cpu.push(load.min(100.0) * f64::from(seen.measured.1) / f64::from(seen.measured.0));
        }
        if seen.serving > 0 {
            *per_target += offered * length / f64::from(seen.serving);
        }
        let totals = &mut self.outcome.totals;
        totals.add(length, offered, done, failed, load, self.settings.cpu_target);
        totals.fleet(length, self.settings.price, seen.billed, seen.serving, desired);
    }

    /// At the end of each minute, what it was; and to the group, what is known by now.
    fn publish(&mut self) -> Result<(), Failure> {
        if self.at.is_multiple_of(MINUTE) {
            let Minute { steps, mut row, cpu, per_target } = std::mem::take(&mut self.minute);
            for sum in [&mut row.offered, &mut row.capacity, &mut row.refused, &mut row.failed] {
                *sum /= steps.max(1.0);
            }
            row.at = self.at as f64;
            self.outcome.timeline.push(row);
            let cpu = if cpu.is_empty() { f64::NAN } else { cpu.iter().sum::<f64>() / cpu.len() as f64 };
            self.late.push_back((self.at - MINUTE, [cpu, per_target]));
        }
        let known = self.at.saturating_sub(self.settings.metric_delay.as_secs());
        while let Some((at, values)) = self.late.front().copied().filter(|(at, _)| at + MINUTE <= known) {
            self.late.pop_front();
            let at = self.epoch + Duration::from_secs(at);
            for (metric, value) in [Metric::AverageCpu, Metric::RequestsPerTarget].into_iter().zip(values) {
                self.scaling.publish(GROUP, metric, value, at)?;
            }
        }
        Ok(())
    }
}

/// Requests a second that so many instances do.
fn capacity(settings: &Settings, instances: u32) -> f64 {
    settings.requests_per_vcpu * f64::from(settings.vcpus) * f64::from(instances)
}

impl Totals {
    fn add(&mut self, seconds: f64, offered: f64, done: f64, failed: f64, load: f64, target: f64) {
        self.requests += offered * seconds;
        self.refused += (offered - done) * seconds;
        self.failed += failed * seconds;
        self.seconds_above_target += if load > target { seconds } else { 0.0 };
        self.seconds_overloaded += if load > 100.0 { seconds } else { 0.0 };
    }

    fn fleet(&mut self, seconds: f64, price: f64, billed: u32, serving: u32, desired: u32) {
        self.steps += 1;
        self.instance_hours += f64::from(billed) * seconds / 3600.0;
        self.cost += f64::from(billed) * seconds / 3600.0 * price;
        self.most_serving = self.most_serving.max(serving);
        self.least_serving = self.least_serving.min(serving);
        self.most_desired = self.most_desired.max(desired);
    }
}
