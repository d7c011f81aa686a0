//! The rules of target tracking: how many instances a policy wants, and when it gets them.
//!
//! From "Target tracking scaling policies", "Set the default instance warmup for an Auto Scaling group", "Dynamic scaling" and
//! "Scaling cooldowns" (user guide), and from the alarms that AWS makes: three datapoints of a minute above the target, fifteen
//! below 90 % of it. Tracked are the group's average CPU and the requests per target; policies of other kinds or metrics are kept
//! and do nothing.
//!
//! Assumed, as nothing is said about it: that a policy acts on the newest datapoint; that the capacity beside it is what counted
//! in the metric in the same minute; that the threshold of `AlarmLow` is 90 % for small groups too, for which AWS was seen to use
//! less; and that "more gradually" is a tenth of the group, at least one instance, in a minute. AWS began in 2024 to shorten the
//! alarms of some groups by their history. That is not modelled.

mod alarm;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::group::Group;
use super::instance::{Instance, Lifecycle};
use super::{activity, since};
use crate::alarms::AlarmState;
use crate::protocol::Tree;
pub(crate) use alarm::minute;
use alarm::{Alarm, Datapoints};

/// Decisions that are remembered.
const DECISIONS: usize = 2_000;

/// What a policy can track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Per cent, over the instances that [`Group::measured`] has.
    AverageCpu,
    /// Requests in a minute that came to one target. AWS says 0 where there are none.
    RequestsPerTarget,
}

impl Metric {
    /// The API's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AverageCpu => "ASGAverageCPUUtilization",
            Self::RequestsPerTarget => "ALBRequestCountPerTarget",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::AverageCpu, Self::RequestsPerTarget].into_iter().find(|metric| metric.as_str() == name)
    }
}

/// A change of the desired capacity that a policy made.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When.
    pub at: SystemTime,
    /// The policy's name.
    pub policy: String,
    /// What it tracks.
    pub metric: Metric,
    /// The datapoint that it acted on.
    pub value: f64,
    /// The desired capacity before.
    pub from: u32,
    /// And after.
    pub to: u32,
}

/// An alarm that AWS makes for a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackingAlarm<'a> {
    /// `TargetTracking-GROUP-AlarmHigh-…` or `…-AlarmLow-…`
    pub name: &'a str,
    /// By which policies name it.
    pub arn: &'a str,
    /// What it says.
    pub state: AlarmState,
    /// Since when.
    pub since: SystemTime,
}

/// What a group knows for its policies.
#[derive(Debug, Default)]
pub(crate) struct Tracking {
    metrics: BTreeMap<Metric, Datapoints>,
    /// How many instances counted in the metrics.
    counted: Datapoints,
    /// By the alarm's name: its state, and since when it is in it.
    alarms: BTreeMap<String, (AlarmState, SystemTime)>,
    /// The minute, up to which and with which newest datapoints the alarms were evaluated.
    evaluated: Option<(u64, bool)>,
    decisions: VecDeque<Decision>,
}

/// A policy as it was put.
struct Policy {
    name: String,
    metric: Metric,
    target: f64,
    scales_in: bool,
    warmup: Option<Duration>,
    /// The names of `AlarmHigh` and `AlarmLow`.
    alarms: [String; 2],
}

impl Policy {
    fn read(tree: &Tree) -> Option<Self> {
        let enabled = tree.text("Enabled") != Some("false");
        let tracking = tree.get("TargetTrackingConfiguration").filter(|_| enabled)?;
        let metric = tracking.text("PredefinedMetricSpecification.PredefinedMetricType").and_then(Metric::named)?;
        let target = tracking.number::<f64>("TargetValue").ok()?.filter(|target| *target > 0.0)?;
        let mut alarms = tree.members("Alarms").filter_map(|alarm| alarm.text("AlarmName")).map(str::to_owned);
        Some(Self {
            name: tree.text("PolicyName")?.to_owned(),
            metric,
            target,
            scales_in: tracking.text("DisableScaleIn") != Some("true"),
            warmup: tree.number("EstimatedInstanceWarmup").ok()?.map(Duration::from_secs),
            alarms: [alarms.next()?, alarms.next()?],
        })
    }

    /// How many instances bring `value`, measured over `counted`, to the target: rounded up, in either direction.
    fn needs(&self, value: f64, counted: f64) -> u32 {
        // Against what is lost in binary: 2 x 50 / 50 is 2.
        (counted * value / self.target - 1e-9).ceil().max(0.0) as u32
    }
}

impl Group {
    /// Takes a datapoint of a metric for the minute that `at` is in. Of several for one minute the mean counts.
    pub fn publish(&mut self, metric: Metric, value: f64, at: SystemTime) {
        if value.is_finite() {
            self.tracking.metrics.entry(metric).or_default().add(minute(at), value);
            // Those that are late are looked at as soon as they are there.
            if let Some((_, fresh)) = &mut self.tracking.evaluated {
                *fresh = true;
            }
        }
    }

    /// The datapoints of a metric, the newest first, each with the begin of its minute; an hour's at the most.
    pub fn datapoints(&self, metric: Metric) -> impl Iterator<Item = (SystemTime, f64)> {
        let datapoints = self.tracking.metrics.get(&metric).into_iter();
        let begin = |minute| SystemTime::UNIX_EPOCH + Duration::from_secs(minute * 60);
        datapoints.flat_map(|datapoints| datapoints.until(u64::MAX)).map(move |(minute, value)| (begin(minute), value))
    }

    /// The instances whose CPU counts in the group's average: in service, and past their warm-up.
    pub fn measured(&self, now: SystemTime) -> impl Iterator<Item = &Instance> {
        let warmup = self.scaling_warmup();
        self.instances.iter().filter(move |it| is_warm(it, warmup, now))
    }

    /// The alarms that AWS makes for its policies. Of those that were not evaluated yet nothing is known.
    pub fn tracking_alarms(&self) -> impl Iterator<Item = TrackingAlarm<'_>> {
        let alarms = self.policies.values().flat_map(|policy| policy.members("Alarms"));
        alarms.filter_map(|alarm| {
            let (name, arn) = (alarm.text("AlarmName")?, alarm.text("AlarmARN")?);
            let known = self.tracking.alarms.get(name).copied();
            let (state, since) = known.unwrap_or((AlarmState::InsufficientData, self.created));
            Some(TrackingAlarm { name, arn, state, since })
        })
    }

    /// What its policies changed, the oldest first; the last 2,000.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.tracking.decisions.iter()
    }

    /// The warm-up of policies that have none of their own. Without a default warm-up it is the default cooldown.
    fn scaling_warmup(&self) -> Duration {
        let cooldown = || self.seconds("DefaultCooldown").unwrap_or(Duration::from_secs(300));
        self.seconds("DefaultInstanceWarmup").unwrap_or_else(cooldown)
    }

    /// Evaluates the alarms of each minute, and does what the policies ask for.
    pub(crate) fn track(&mut self, now: SystemTime) {
        let policies: Vec<Policy> = match self.tracking.is_due(now) {
            true => self.policies.values().filter_map(Policy::read).collect(),
            false => Vec::new(),
        };
        if !policies.is_empty() {
            self.tracking.evaluate(&policies, now);
            if !self.deleting && !self.is_suspended("AlarmNotification") {
                self.scale_out(&policies, now);
                self.scale_in(&policies, now);
            }
        }
        let counted = self.measured(now).count();
        self.tracking.counted.add(minute(now), counted as f64);
    }

    /// Any policy is enough, and the one that wants most decides. Instances that warm up are in the desired capacity already, and
    /// not in the metric: so nothing is added twice.
    fn scale_out(&mut self, policies: &[Policy], now: SystemTime) {
        let wanted = policies.iter().filter(|policy| self.tracking.is_off(&policy.alarms[0]));
        let wanted = wanted
            .filter_map(|policy| self.tracking.needs(policy, 0, now).map(|(value, needed)| (needed, policy, value)));
        let Some((needed, policy, value)) = wanted.max_by_key(|(needed, ..)| *needed) else { return };
        let to = needed.min(self.max);
        if to > self.desired {
            self.decide(policy, 0, value, to, now);
        }
    }

    /// All policies that may scale in must agree, none may want more, and nothing may be on its way into service.
    fn scale_in(&mut self, policies: &[Policy], now: SystemTime) {
        let allowed: Vec<_> = policies.iter().filter(|policy| policy.scales_in).collect();
        let agreed = allowed.iter().all(|policy| self.tracking.is_off(&policy.alarms[1]));
        let wants_more = policies.iter().any(|policy| self.tracking.is_off(&policy.alarms[0]));
        let default = self.scaling_warmup();
        let warmup = policies.iter().map(|policy| policy.warmup.unwrap_or(default)).max().unwrap_or(default);
        let coming = self.instances.iter().any(|it| it.counts() && !is_warm(it, warmup, now));
        if !agreed || wants_more || coming {
            return;
        }
        // Those that terminate are still capacity: what they did falls to the others only now.
        let terminating = self.instances.iter().filter(|it| it.lifecycle == Lifecycle::Terminating).count();
        let wanted: Option<Vec<_>> = allowed
            .iter()
            .map(|policy| self.tracking.needs(policy, terminating, now).map(|(value, needed)| (needed, *policy, value)))
            .collect();
        let Some((needed, policy, value)) = wanted.and_then(|all| all.into_iter().max_by_key(|(needed, ..)| *needed))
        else {
            return;
        };
        let gradual = self.desired.saturating_sub((self.desired / 10).max(1));
        let to = needed.max(gradual).max(self.min);
        if to < self.desired {
            self.decide(policy, 1, value, to, now);
        }
    }

    fn decide(&mut self, policy: &Policy, alarm: usize, value: f64, to: u32, now: SystemTime) {
        let (name, alarm, from) = (&policy.name, &policy.alarms[alarm], self.desired);
        self.reason = Some(format!(
            "At {} a monitor alarm {alarm} in state ALARM triggered policy {name} changing the desired capacity from {from} to {to}.",
            activity::moment(now)
        ));
        self.desired = to;
        let decisions = &mut self.tracking.decisions;
        if decisions.len() == DECISIONS {
            decisions.pop_front();
        }
        decisions.push_back(Decision { at: now, policy: name.clone(), metric: policy.metric, value, from, to });
    }
}

fn is_warm(instance: &Instance, warmup: Duration, now: SystemTime) -> bool {
    instance.lifecycle == Lifecycle::InService && instance.in_service.is_some_and(|at| since(at, now) >= warmup)
}

impl Tracking {
    /// Once in each minute, and again for datapoints that came late.
    fn is_due(&mut self, now: SystemTime) -> bool {
        let due = self.evaluated.is_none_or(|(last, fresh)| last < minute(now) || fresh);
        self.evaluated = Some((minute(now), false));
        due && minute(now) > 0
    }

    fn evaluate(&mut self, policies: &[Policy], now: SystemTime) {
        let none = Datapoints::default();
        let mut states = BTreeMap::new();
        for policy in policies {
            let datapoints = self.metrics.get(&policy.metric).unwrap_or(&none);
            let pair = [Alarm::high(policy.target), Alarm::low(policy.target)];
            for (alarm, name) in pair.iter().zip(&policy.alarms) {
                let (before, since) = self.alarms.get(name).copied().unwrap_or((AlarmState::InsufficientData, now));
                let state = alarm.evaluate(datapoints, minute(now) - 1, before);
                states.insert(name.clone(), (state, if state == before { since } else { now }));
            }
        }
        self.alarms = states;
    }

    fn is_off(&self, alarm: &str) -> bool {
        self.alarms.get(alarm).is_some_and(|(state, _)| *state == AlarmState::Alarm)
    }

    /// The newest datapoint of a policy's metric, and how many instances it asks for, with `more` than those that counted.
    fn needs(&self, policy: &Policy, more: usize, now: SystemTime) -> Option<(f64, u32)> {
        let (minute, value) = self.metrics.get(&policy.metric)?.newest(minute(now) - 1)?;
        let counted = self.counted.at(minute)? + more as f64;
        Some((value, policy.needs(value, counted)))
    }
}
