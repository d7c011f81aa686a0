//! Scheduled actions: sizes of a group by the clock.
//!
//! From "Scheduled scaling" (user guide): a recurrence in cron's five fields, in UTC unless a time zone is given, within start and
//! end. Not modelled: other time zones than UTC; such actions are kept and never run.

use std::time::{Duration, SystemTime};

use super::group::Group;
use super::{activity, since};
use crate::protocol::{Failure, Tree};

/// What was missed for longer is not made up for.
const MISSED: Duration = Duration::from_secs(24 * 3600);

const MINUTE: Duration = Duration::from_secs(60);

/// The moments of a crontab line, each field as the set of its values.
#[derive(Debug, PartialEq)]
pub(super) struct Recurrence {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

impl Recurrence {
    /// Reads `MINUTE HOUR DAY MONTH WEEKDAY`.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::validation(format!("Given recurrence string: {text} is invalid"));
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return Err(wrong()) };
        let names =
            |names: &'static str| move |word: &str| names.split(' ').position(|name| name.eq_ignore_ascii_case(word));
        let month = names("- JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC");
        let weekday = names("SUN MON TUE WED THU FRI SAT");
        let none = |_: &str| None;
        let weekdays = field(weekdays, 0, 7, &weekday).ok_or_else(wrong)?;
        Ok(Self {
            minutes: field(minutes, 0, 59, &none).ok_or_else(wrong)?,
            hours: field(hours, 0, 23, &none).ok_or_else(wrong)?,
            days: field(days, 1, 31, &none).ok_or_else(wrong)?,
            months: field(months, 1, 12, &month).ok_or_else(wrong)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | weekdays >> 7,
        })
    }

    /// Whether the minute that `at` is in is one of its moments.
    fn is_at(&self, at: SystemTime) -> bool {
        // As 2026-01-05T07:00:00Z
        let text = activity::moment(at).to_string();
        let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u64>().ok());
        let days = since(SystemTime::UNIX_EPOCH, at).as_secs() / 86_400;
        let has = |set: u64, value: Option<u64>| value.is_some_and(|value| set & 1 << value != 0);
        let day = has(self.days, number(8..10));
        // The first day of 1970 was a Thursday.
        let weekday = has(self.weekdays, Some((days + 4) % 7));
        // As in cron: where both are restricted, one is enough.
        let restricted = self.days != set(1, 31) && self.weekdays & 0x7f != 0x7f;
        has(self.minutes, number(14..16))
            && has(self.hours, number(11..13))
            && has(self.months, number(5..7))
            && if restricted { day || weekday } else { day && weekday }
    }

    /// The first of its moments after `now`; in a year if there is none until then.
    pub(super) fn next(&self, now: SystemTime) -> SystemTime {
        let mut at = whole_minute(now) + MINUTE;
        let end = now + Duration::from_secs(366 * 86_400);
        while at < end && !self.is_at(at) {
            at += MINUTE;
        }
        at
    }
}

fn whole_minute(at: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(since(SystemTime::UNIX_EPOCH, at).as_secs() / 60 * 60)
}

fn set(from: u64, to: u64) -> u64 {
    (from..=to).fold(0, |set, value| set | 1 << value)
}

/// One field: `*`, values, ranges and steps, with commas between.
fn field(text: &str, low: u64, high: u64, names: &dyn Fn(&str) -> Option<usize>) -> Option<u64> {
    let value = |word: &str| {
        let value = word.parse().ok().or_else(|| names(word).map(|position| position as u64))?;
        (low..=high).contains(&value).then_some(value)
    };
    text.split(',').try_fold(0, |all, part| {
        let (range, step) = part.split_once('/').map_or((part, Some(1)), |(range, step)| (range, step.parse().ok()));
        let step: usize = step.filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            None if range == "*" => (low, high),
            None if part.contains('/') => (value(range)?, high),
            None => (value(range)?, value(range)?),
            Some((from, to)) => (value(from)?, value(to)?),
        };
        (from <= to).then(|| (from..=to).step_by(step).fold(all, |all, value| all | 1 << value))
    })
}

impl Group {
    /// Does what was due since the last time.
    pub(crate) fn run_schedules(&mut self, now: SystemTime) {
        let last = self.scheduled.replace(now).unwrap_or(now);
        if self.schedules.is_empty() || self.deleting || self.is_suspended("ScheduledActions") {
            return;
        }
        let begin = last.max(now - MISSED.min(since(SystemTime::UNIX_EPOCH, now)));
        let mut at = whole_minute(begin);
        while at <= now {
            if at > last {
                let due: Vec<_> = self
                    .schedules
                    .iter()
                    .filter(|(_, it)| is_due(it, at))
                    .map(|(name, it)| (name.clone(), it.clone()))
                    .collect();
                for (name, schedule) in due {
                    self.run_schedule(&name, &schedule, now);
                }
            }
            at += MINUTE;
        }
    }

    fn run_schedule(&mut self, name: &str, schedule: &Tree, now: SystemTime) {
        let size = |name: &str| schedule.number::<u32>(name).ok().flatten();
        let (min, max) = (size("MinSize").unwrap_or(self.min), size("MaxSize").unwrap_or(self.max));
        let desired = size("DesiredCapacity").unwrap_or(self.desired).clamp(min.min(max), max);
        let before =
            [("min size", self.min, min), ("max size", self.max, max), ("desired capacity", self.desired, desired)];
        if self.resize(min, max, desired, now).is_ok() {
            let changes: String = before
                .iter()
                .filter(|(_, from, to)| from != to)
                .map(|(what, from, to)| format!(" Setting {what} from {from} to {to}."))
                .collect();
            self.reason = Some(format!("At {} the scheduled action {name} executed.{changes}", activity::moment(now)));
        }
    }
}

fn is_due(schedule: &Tree, at: SystemTime) -> bool {
    let time = |name: &str| schedule.text(name).and_then(|text| humantime::parse_rfc3339_weak(text).ok());
    let utc = schedule.text("TimeZone").is_none_or(|zone| matches!(zone, "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT"));
    let Some(recurrence) = schedule.text("Recurrence") else {
        return time("StartTime").is_some_and(|start| start <= at && at < start + MINUTE);
    };
    let begun = time("StartTime").is_none_or(|start| at >= start);
    let over = time("EndTime").is_some_and(|end| at >= end);
    utc && begun && !over && Recurrence::read(recurrence).is_ok_and(|recurrence| recurrence.is_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    fn runs(recurrence: &str, text: &str) -> bool {
        Recurrence::read(recurrence).unwrap().is_at(at(text))
    }

    #[test]
    fn reads_cron() {
        // The guide's own: "30 0 1 1,6,12 *".
        assert!(runs("30 0 1 1,6,12 *", "2026-06-01T00:30:59Z") && !runs("30 0 1 1,6,12 *", "2026-07-01T00:30:00Z"));
        assert!(runs("0 7 * * MON-FRI", "2026-01-05T07:00:00Z") && !runs("0 7 * * MON-FRI", "2026-01-04T07:00:00Z"));
        assert!(runs("*/15 9-17 * * *", "2026-01-05T09:45:00Z") && !runs("*/15 9-17 * * *", "2026-01-05T09:46:00Z"));
        assert!(runs("0 0 * * 7", "2026-01-04T00:00:00Z") && runs("0 0 13 * FRI", "2026-01-09T00:00:00Z"));
        for wrong in ["", "* * * *", "60 * * * *", "* * * FOO *", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *"] {
            assert!(Recurrence::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn knows_when_it_is_next() {
        let next = |recurrence: &str| Recurrence::read(recurrence).unwrap().next(at("2026-01-05T07:00:30Z"));
        assert_eq!(next("0 7 * * *"), at("2026-01-06T07:00:00Z"));
        assert_eq!(next("* * * * *"), at("2026-01-05T07:01:00Z"));
    }
}
