//! The two alarms that AWS makes for a target tracking policy, and the datapoints that they watch.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::alarms::AlarmState;

/// Datapoints may come so many minutes late, or be missing, before an alarm no longer knows.
const LATE: u64 = 3;

/// More than any alarm looks back, in minutes.
const KEPT: u64 = 60;

/// The number of the minute that a time is in.
pub(crate) fn minute(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

/// A metric of one minute's resolution, of which the mean counts.
#[derive(Debug, Default)]
pub(crate) struct Datapoints(BTreeMap<u64, (f64, u32)>);

impl Datapoints {
    pub(crate) fn add(&mut self, minute: u64, value: f64) {
        let (sum, count) = self.0.entry(minute).or_default();
        *sum += value;
        *count += 1;
        while self.0.first_key_value().is_some_and(|(first, _)| first + KEPT < minute) {
            self.0.pop_first();
        }
    }

    pub(crate) fn at(&self, minute: u64) -> Option<f64> {
        self.0.get(&minute).map(|(sum, count)| sum / f64::from(*count))
    }

    /// The newest first, each with its minute.
    pub(crate) fn until(&self, last: u64) -> impl Iterator<Item = (u64, f64)> {
        self.0.range(..=last).rev().map(|(minute, (sum, count))| (*minute, sum / f64::from(*count)))
    }

    /// The newest one, unless it is too old to be acted on.
    pub(crate) fn newest(&self, last: u64) -> Option<(u64, f64)> {
        self.until(last).next().filter(|(minute, _)| minute + LATE >= last)
    }
}

/// An alarm whose datapoints must all be on the wrong side of its threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alarm {
    threshold: f64,
    above: bool,
    periods: usize,
}

impl Alarm {
    /// `AlarmHigh`: three minutes above the target.
    pub(crate) fn high(target: f64) -> Self {
        Self { threshold: target, above: true, periods: 3 }
    }

    /// `AlarmLow`: fifteen minutes below nine tenths of it.
    pub(crate) fn low(target: f64) -> Self {
        Self { threshold: target * 0.9, above: false, periods: 15 }
    }

    fn breaches(&self, value: f64) -> bool {
        if self.above { value > self.threshold } else { value < self.threshold }
    }

    /// Its state after the minute `last`, given the one before.
    pub(crate) fn evaluate(&self, datapoints: &Datapoints, last: u64, before: AlarmState) -> AlarmState {
        let range = last.saturating_sub(self.periods as u64 + LATE);
        let recent: Vec<f64> = datapoints
            .until(last)
            .take_while(|(at, _)| *at > range)
            .take(self.periods)
            .map(|(_, value)| value)
            .collect();
        if recent.is_empty() {
            AlarmState::InsufficientData
        } else if !recent.iter().all(|value| self.breaches(*value)) {
            AlarmState::Ok
        } else if recent.len() == self.periods {
            AlarmState::Alarm
        } else {
            // Missing datapoints are no reason to change.
            before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datapoints(values: &[Option<f64>]) -> Datapoints {
        let mut datapoints = Datapoints::default();
        for (minute, value) in values.iter().enumerate() {
            if let Some(value) = value {
                datapoints.add(100 + minute as u64, *value);
            }
        }
        datapoints
    }

    fn state(alarm: Alarm, values: &[Option<f64>]) -> AlarmState {
        alarm.evaluate(&datapoints(values), 99 + values.len() as u64, AlarmState::InsufficientData)
    }

    #[test]
    fn three_minutes_above_the_target_are_needed() {
        let high = Alarm::high(50.0);
        assert_eq!(state(high, &[Some(51.0), Some(99.0), Some(51.0)]), AlarmState::Alarm);
        assert_eq!(state(high, &[Some(99.0), Some(50.0), Some(99.0), Some(99.0)]), AlarmState::Ok);
        assert_eq!(state(high, &[Some(99.0), Some(99.0)]), AlarmState::InsufficientData);
        assert_eq!(high.evaluate(&datapoints(&[Some(99.0)]), 100, AlarmState::Ok), AlarmState::Ok);
    }

    #[test]
    fn fifteen_minutes_below_nine_tenths_of_it_are_needed() {
        let low = Alarm::low(50.0);
        assert_eq!(state(low, &[Some(44.9); 15]), AlarmState::Alarm);
        assert_eq!(state(low, &[Some(44.9); 14]), AlarmState::InsufficientData);
        assert_eq!(state(low, &[Some(45.0); 15]), AlarmState::Ok);
    }

    #[test]
    fn missing_datapoints_are_looked_over_until_all_are_missing() {
        let high = Alarm::high(50.0);
        assert_eq!(state(high, &[Some(99.0), None, Some(99.0), Some(99.0), None]), AlarmState::Alarm);
        let early = datapoints(&[Some(99.0); 3]);
        assert_eq!(high.evaluate(&early, 104, AlarmState::Alarm), AlarmState::Alarm);
        assert_eq!(high.evaluate(&early, 120, AlarmState::Alarm), AlarmState::InsufficientData);
    }

    #[test]
    fn a_minute_is_the_mean_of_what_was_said_in_it_and_old_ones_go() {
        let mut datapoints = Datapoints::default();
        datapoints.add(7, 40.0);
        datapoints.add(7, 60.0);
        assert_eq!(datapoints.at(7), Some(50.0));
        datapoints.add(1000, 1.0);
        assert_eq!(
            (datapoints.at(7), datapoints.newest(1003), datapoints.newest(1004)),
            (None, Some((1000, 1.0)), None)
        );
    }
}
