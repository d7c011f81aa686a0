//! What came of a simulation. It is what `report.json` holds; fields may be added to it, none is renamed or removed.

use serde::Serialize;
use tideline_report::words::length;

use super::settings::Settings;
use crate::scaling::{Decision, Metric, Status};

/// Decisions are told one by one if there are no more than this, or if more than [`SOON`] seconds are between.
const FEW: usize = 3;
const SOON: f64 = 1800.0;

/// Hours of a month, as AWS reckons them.
const MONTH: f64 = 730.0;

/// Everything, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// 1
    pub schema: u32,
    /// What was simulated.
    pub inputs: Inputs,
    /// Sums over all of it.
    pub totals: Totals,
    /// What the group decided, and what became of the rollout.
    pub events: Vec<Event>,
    /// A row for each minute.
    pub timeline: Vec<Row>,
    #[serde(skip)]
    last_status: Option<Status>,
}

/// What was simulated. Times in seconds, money in dollars.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are the fields of Settings")]
pub struct Inputs {
    pub traffic: String,
    pub seconds: u64,
    pub requests_per_vcpu: f64,
    pub vcpus: u32,
    pub price: f64,
    pub min: u32,
    pub max: u32,
    pub cpu_target: f64,
    pub requests_target: Option<f64>,
    pub warmup: u64,
    /// From being asked for to the first request.
    pub start: u64,
    pub metric_delay: u64,
    pub rollout: Option<String>,
    pub schedules: Vec<String>,
}

/// Sums.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// How often the fleet was looked at.
    pub steps: u64,
    /// Requests that came.
    pub requests: f64,
    /// Of them, those that an instance at its limit refused with a 503.
    pub refused: f64,
    /// Of them, those that a bad version failed.
    pub failed: f64,
    /// Time with a load above the target.
    pub seconds_above_target: f64,
    /// Time with a load above what the fleet can do.
    pub seconds_overloaded: f64,
    /// From running to gone.
    pub instance_hours: f64,
    /// Of the instances alone, dollars.
    pub cost: f64,
    /// The same for each 24 hours.
    pub cost_per_day: f64,
    /// The same for 730 hours.
    pub cost_per_month: f64,
    /// Instances that served at once, at the most.
    pub most_serving: u32,
    /// And at the least.
    pub least_serving: u32,
    /// The highest desired capacity.
    pub most_desired: u32,
    /// Mean load, per cent of what the serving instances can do.
    pub mean_utilisation: f64,
    /// How often the group grew by a policy.
    pub scale_outs: usize,
    /// How often it shrank by one.
    pub scale_ins: usize,
    /// How the rollout ended, in the API's word.
    pub rollout: Option<&'static str>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Seconds after the start.
    pub at: f64,
    /// `scale-out`, `scale-in` or `rollout`.
    pub kind: &'static str,
    /// For people.
    pub text: String,
    /// The desired capacity before and after, where it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<[u32; 2]>,
}

impl Event {
    /// A policy's decision.
    pub(super) fn scaling(at: f64, decision: &Decision) -> Self {
        let Decision { policy, metric, value, from, to, .. } = decision;
        let (kind, alarm) = if to > from { ("scale-out", "AlarmHigh") } else { ("scale-in", "AlarmLow") };
        let value = match metric {
            Metric::AverageCpu => format!("CPU {value:.1} %"),
            Metric::RequestsPerTarget => format!("{value:.0} requests a target and minute"),
        };
        Self { at, kind, text: format!("{from} → {to}: {alarm} of {policy}, {value}"), desired: Some([*from, *to]) }
    }

    /// The same with many decisions in one direction, shortly one after the other, told as one.
    pub(super) fn joined(events: &[Self]) -> Vec<Self> {
        let follows = |before: &Self, next: &Self| {
            before.kind == next.kind && next.desired.is_some() && next.at - before.at <= SOON
        };
        let runs = events.chunk_by(follows);
        let join = |run: &[Self]| match run {
            [Self { at, kind, desired: Some([from, _]), .. }, .., Self { at: end, desired: Some([_, to]), .. }]
                if run.len() > FEW =>
            {
                let text = format!("{from} → {to}: in {} steps until {}", run.len(), clock(*end));
                vec![Self { at: *at, kind, text, desired: Some([*from, *to]) }]
            }
            run => run.to_vec(),
        };
        runs.flat_map(join).collect()
    }
}

/// A minute. Rates in requests a second, means of it; counts as they were at its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Seconds after the start, at its end.
    pub at: f64,
    /// What was asked.
    pub offered: f64,
    /// What the serving instances can do.
    pub capacity: f64,
    /// What was refused.
    pub refused: f64,
    /// What a bad version failed.
    pub failed: f64,
    /// The load at its worst, per cent of what the serving instances can do.
    pub utilisation: f64,
    /// The desired capacity.
    pub desired: u32,
    /// Instances that get requests.
    pub serving: u32,
    /// Of them, those of the new version.
    pub new: u32,
    /// Instances that boot, or have not passed their health checks.
    pub pending: u32,
    /// Instances that drain or stop.
    pub terminating: u32,
}

impl Outcome {
    pub(super) fn new(settings: &Settings) -> Self {
        let times = settings.times;
        let rollout = settings.rollout.as_ref().map(|rollout| {
            let (at, bake) = (humantime::format_duration(rollout.at), humantime::format_duration(rollout.bake));
            format!("at {at}, {:?}, bake time {bake}", rollout.behaviour)
        });
        let inputs = Inputs {
            traffic: settings.traffic.to_string(),
            seconds: settings.length.as_secs(),
            requests_per_vcpu: settings.requests_per_vcpu,
            vcpus: settings.vcpus,
            price: settings.price,
            min: settings.min,
            max: settings.max,
            cpu_target: settings.cpu_target,
            requests_target: settings.requests_target,
            warmup: settings.warmup.as_secs(),
            start: (times.boot + times.healthy).as_secs(),
            metric_delay: settings.metric_delay.as_secs(),
            rollout,
            schedules: settings.schedules.iter().map(|(when, min)| format!("{when}: at least {min}")).collect(),
        };
        let totals = Totals { least_serving: u32::MAX, ..Totals::default() };
        Self { schema: 1, inputs, totals, events: Vec::new(), timeline: Vec::new(), last_status: None }
    }

    /// What the instance refresh says of itself.
    pub(super) fn refresh(&mut self, at: f64, status: Status, reason: Option<&str>) {
        if self.last_status.replace(status) == Some(status) {
            return;
        }
        self.totals.rollout = Some(status.as_str());
        // Of a rollback, why.
        let why = reason.filter(|_| status == Status::RollbackInProgress).map(|why| format!(": {why}"));
        let text = format!("Instance refresh {}{}", status.as_str(), why.unwrap_or_default());
        self.events.push(Event { at, kind: "rollout", text, desired: None });
    }

    pub(super) fn finish(mut self, settings: &Settings) -> Self {
        let hours = settings.length.as_secs_f64() / 3600.0;
        let totals = &mut self.totals;
        totals.cost_per_day = totals.cost / hours * 24.0;
        totals.cost_per_month = totals.cost / hours * MONTH;
        let (offered, capacity) = self
            .timeline
            .iter()
            .fold((0.0, 0.0), |(offered, capacity), row| (offered + row.offered, capacity + row.capacity));
        totals.mean_utilisation = if capacity > 0.0 { offered / capacity * 100.0 } else { 0.0 };
        let count = |kind| self.events.iter().filter(|event| event.kind == kind).count();
        (totals.scale_outs, totals.scale_ins) = (count("scale-out"), count("scale-in"));
        self
    }

    /// For how long, for people.
    pub(super) fn simulated(&self) -> String {
        length(self.inputs.seconds as f64)
    }
}

/// The time of a day or of a longer run, as `14:05` or `2d 14:05`.
pub(super) fn clock(at: f64) -> String {
    let minutes = (at / 60.0) as u64;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    if days > 0 && (hours, minutes) != (0, 0) || days > 1 {
        format!("{days}d {hours:02}:{minutes:02}")
    } else {
        format!("{:02}:{minutes:02}", hours + 24 * days)
    }
}

/// A share in per cent, with as many decimals as it needs.
pub(super) fn share(part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.01 {
        "< 0.01 %".to_owned()
    } else {
        format!("{percent:.2} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_decisions_in_one_direction_are_told_as_one() {
        let event = |at, kind, desired| Event { at, kind, text: "told".to_owned(), desired };
        let out = |minute: u32| event(f64::from(minute) * 60.0, "scale-out", Some([minute, minute + 1]));
        let mut events: Vec<_> = (1..=4).chain([60, 61]).map(out).collect();
        events.extend([
            event(3700.0, "rollout", None),
            event(3700.0, "rollout", None),
            event(3800.0, "scale-in", Some([7, 6])),
        ]);
        let joined = Event::joined(&events);
        assert_eq!(joined.len(), 6);
        assert_eq!((joined[0].text.as_str(), joined[1].text.as_str()), ("1 → 5: in 4 steps until 00:04", "told"));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0.0, 300.0, 86_400.0, 90_060.0].map(clock), ["00:00", "00:05", "24:00", "1d 01:01"]);
        assert_eq!([share(0.0, 0.0), share(1.0, 1e9), share(1.0, 8.0)], ["0 %", "< 0.01 %", "12.50 %"]);
    }
}
