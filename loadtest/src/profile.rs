//! The ready-made plans, and what each of them expects.

use std::time::Duration;

use crate::plan::{Phase, Plan, Until};
use crate::verdict::Expectations;

/// How long new instances must have answered to count as scaled out, and how long nothing may answer to be gone.
pub const SETTLED_SCALING: Duration = Duration::from_secs(120);

/// How long a version must have answered alone to count as rolled out.
pub const SETTLED_VERSION: Duration = Duration::from_secs(60);

/// What a plan is made from; each profile has its own defaults for what is not given.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The highest rate, requests a second.
    pub rate: Option<f64>,
    /// How long a steady profile takes.
    pub duration: Option<Duration>,
    /// How long an event is waited for.
    pub limit: Option<Duration>,
    /// How many times its first quarter's p99 a soak's last may have.
    pub drift: f64,
    /// What is expected, where the profile has no expectation of its own.
    pub expectations: Expectations,
}

/// A minute of few users: does everything work?
pub fn smoke(wishes: &Wishes) -> (Plan, Expectations) {
    let time = wishes.duration.unwrap_or(Duration::from_secs(30));
    let plan = Plan(vec![Phase::steady("smoke", time, wishes.rate.unwrap_or(20.0))]);
    (plan, wishes.expectations.clone())
}

/// A load under which the fleet must grow, and after which it must shrink again.
pub fn scale_out(wishes: &Wishes) -> (Plan, Expectations) {
    let mut expectations = wishes.expectations.clone();
    let more = *expectations.scale_out.get_or_insert(1);
    expectations.scale_in = true;
    let rate = wishes.rate.unwrap_or(500.0);
    // Target tracking takes 3 minutes to scale out and 15 to scale in, and an instance some minutes to boot.
    let minutes = |minutes: u64| wishes.limit.unwrap_or(Duration::from_secs(minutes * 60));
    let ramp = wishes.duration.unwrap_or(Duration::from_secs(180));
    let plan = Plan(vec![
        Phase::steady("warm", ramp / 3, rate / 10.0),
        Phase::ramp("ramp", ramp, rate / 10.0, rate),
        Phase::steady("hold", minutes(30), rate).until(Until::ScaledOut(more)),
        Phase::steady("trickle", minutes(40), (rate / 100.0).clamp(1.0, 10.0)).until(Until::ScaledIn),
    ]);
    (plan, expectations)
}

/// A steady load while a version replaces another.
pub fn rollout(wishes: &Wishes, version: &str) -> (Plan, Expectations) {
    let mut expectations = wishes.expectations.clone();
    expectations.version = Some(version.to_owned());
    let limit = wishes.limit.or(wishes.duration).unwrap_or(Duration::from_secs(60 * 60));
    let hold = Phase::steady("rollout", limit, wishes.rate.unwrap_or(50.0));
    (Plan(vec![hold.until(Until::Version(version.to_owned()))]), expectations)
}

/// A steady load for a long time, whose last quarter must be as its first.
pub fn soak(wishes: &Wishes) -> (Plan, Expectations) {
    let quarter = wishes.duration.unwrap_or(Duration::from_secs(60 * 60)) / 4;
    let rate = wishes.rate.unwrap_or(100.0);
    let phases = ["first", "second", "third", "last"].map(|name| Phase::steady(name, quarter, rate));
    let expectations = Expectations { drift: Some(wishes.drift), ..wishes.expectations.clone() };
    (Plan(phases.into()), expectations)
}

/// Steps to find what the fleet can do: half as much again each, until its CPU says that it is enough.
pub fn calibration(step: Duration, from: f64) -> Plan {
    let rates = std::iter::successors(Some(from), |rate| Some(rate * 1.5)).take_while(|rate| *rate <= 20_000.0);
    Plan(rates.enumerate().map(|(index, rate)| Phase::steady(&format!("step-{index}"), step, rate.round())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_is_waited_for_and_expected() {
        let (plan, expectations) = scale_out(&Wishes { rate: Some(1000.0), ..Wishes::default() });
        assert_eq!(plan.0[2].until, Some(Until::ScaledOut(1)));
        assert_eq!((expectations.scale_out, expectations.scale_in), (Some(1), true));
        assert_eq!((plan.peak(), plan.0[3].from), (1000.0, 10.0));
        let short = Wishes { limit: Some(Duration::from_secs(20)), ..Wishes::default() };
        assert_eq!(scale_out(&short).0.0[3].duration, Duration::from_secs(20));
    }

    #[test]
    fn calibration_goes_up_in_steps() {
        let plan = calibration(Duration::from_secs(30), 50.0);
        assert_eq!((plan.0[0].from, plan.0[1].from), (50.0, 75.0));
        assert!(plan.peak() <= 20_000.0 && plan.0.len() > 10);
    }
}
