//! The alarms that a rollout watches: what they are of happens here, even where it is somebody behind who keeps them.

use std::time::{Duration, SystemTime};

use crate::alarms::AlarmState;
use crate::scaling::since;

/// What an alarm is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Instances fail requests.
    Errors,
    /// An instance fails its health checks.
    Unhealthy,
}

impl Of {
    /// How long it must be so: two datapoints of a minute for the one, three for the other, as Terraform has them.
    fn evaluation(self) -> Duration {
        Duration::from_secs(if self == Self::Errors { 120 } else { 180 })
    }
}

/// For how long it counts that it was so: a datapoint is of a minute.
const REMEMBERED: Duration = Duration::from_secs(60);

/// An alarm, and since when it is so or not.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) alarm: String,
    pub(super) of: Of,
    bad: bool,
    last: Option<SystemTime>,
    since: Option<SystemTime>,
    /// What whoever keeps the alarm is to be told.
    news: Option<AlarmState>,
}

impl Watch {
    pub(super) fn new(alarm: &str, of: Of) -> Self {
        Self { alarm: alarm.to_owned(), of, bad: false, last: None, since: None, news: None }
    }

    /// Takes in whether it is so now. Gives the state that follows, when that changes.
    pub(super) fn see(&mut self, so: bool, now: SystemTime) -> Option<AlarmState> {
        if so {
            self.last = Some(now);
        }
        let bad = so || self.last.is_some_and(|last| since(last, now) < REMEMBERED);
        if bad != self.bad {
            (self.bad, self.since) = (bad, Some(now));
        }
        // All datapoints must be bad for an alarm; one that is not ends it.
        if bad && since(self.since?, now) < self.of.evaluation() {
            return None;
        }
        self.since.take()?;
        self.news = Some(if bad { AlarmState::Alarm } else { AlarmState::Ok });
        self.news
    }

    /// What is to be told, once.
    pub(super) fn news(&mut self) -> Option<(String, AlarmState)> {
        self.news.take().map(|state| (self.alarm.clone(), state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn failed_requests_alarm_after_two_minutes_of_them() {
        let mut watch = Watch::new("errors", Of::Errors);
        assert_eq!([watch.see(true, at(0)), watch.see(true, at(119))], [None, None]);
        assert_eq!(watch.see(true, at(120)), Some(AlarmState::Alarm));
        assert_eq!((watch.news(), watch.news()), (Some(("errors".to_owned(), AlarmState::Alarm)), None));
        // It is over with the first minute that has none; and a single one is no alarm.
        assert_eq!([watch.see(false, at(121)), watch.see(false, at(179))], [None; 2]);
        assert_eq!([watch.see(false, at(180)), watch.see(false, at(181))], [Some(AlarmState::Ok), None]);
        assert_eq!([watch.see(true, at(400)), watch.see(false, at(401))], [None; 2]);
        assert!((402..700).all(|second| watch.see(false, at(second)) != Some(AlarmState::Alarm)));
    }

    #[test]
    fn one_unhealthy_instance_after_the_other_is_an_alarm_too() {
        let mut watch = Watch::new("unhealthy", Of::Unhealthy);
        let seen: Vec<_> = (0..190).map(|second| watch.see(second % 60 < 10, at(second))).collect();
        assert_eq!(seen.iter().position(Option::is_some), Some(180));
        // A single one that is replaced is not.
        let mut watch = Watch::new("unhealthy", Of::Unhealthy);
        assert!((0..400).all(|second| watch.see(second < 100, at(second)) != Some(AlarmState::Alarm)));
    }
}
