//! What load is planned: phases, each with a rate that goes in a straight line from one value to another.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

/// The highest rate a plan may have, requests a second; one generator's CPU ends far below.
pub const MAX_RATE: f64 = 200_000.0;

/// The longest a phase may last.
pub const MAX_PHASE: Duration = Duration::from_secs(24 * 60 * 60);

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    /// What it is called in reports: letters, digits, `-`.
    pub name: String,
    /// How long it lasts; with `until`, at the most.
    #[serde(serialize_with = "seconds")]
    pub duration: Duration,
    /// Requests a second at its start.
    pub from: f64,
    /// Requests a second at its end.
    pub to: f64,
    /// What ends it early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

/// What a phase waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event", content = "of")]
pub enum Until {
    /// So many instances that had not answered at its start have answered, each for two minutes.
    ScaledOut(usize),
    /// Fewer instances answer than at its start.
    ScaledIn,
    /// This version alone has answered for a minute.
    Version(String),
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScaledOut(1) => f.write_str("a new instance has answered for long enough"),
            Self::ScaledOut(more) => write!(f, "{more} new instances have answered for long enough"),
            Self::ScaledIn => f.write_str("fewer instances answer"),
            Self::Version(version) => write!(f, "version {version} has answered alone for long enough"),
        }
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Phase {
    /// A phase of one rate.
    pub fn steady(name: &str, duration: Duration, rate: f64) -> Self {
        Self::ramp(name, duration, rate, rate)
    }

    /// A phase from one rate to another.
    pub fn ramp(name: &str, duration: Duration, from: f64, to: f64) -> Self {
        Self { name: name.to_owned(), duration, from, to, until: None }
    }

    /// The same, ended early by an event.
    pub fn until(self, until: Until) -> Self {
        Self { until: Some(until), ..self }
    }

    /// How many requests are due from its start to `at` after it.
    fn due_by(&self, at: f64) -> f64 {
        let time = self.duration.as_secs_f64();
        let at = at.min(time);
        self.from * at + (self.to - self.from) * at * at / (2.0 * time)
    }

    /// How many requests it has, when nothing ends it early.
    pub fn requests(&self) -> u64 {
        // Against what is lost in binary: 0.1 s at 30/s are three requests.
        (self.due_by(self.duration.as_secs_f64()) + 1e-6).floor() as u64
    }

    /// When the request of this number (from 0) is due, from the phase's start.
    pub fn due(&self, number: u64) -> Duration {
        // The first is due at once, and each when the rate's integral has reached it: r₀t + (r₁ - r₀)t²/2T = n.
        let (n, time) = (number as f64, self.duration.as_secs_f64());
        let half_slope = (self.to - self.from) / (2.0 * time);
        // The stable form of the root, which also serves a slope of zero.
        let root = (self.from * self.from + 4.0 * half_slope * n).max(0.0).sqrt();
        let seconds = if n == 0.0 { 0.0 } else { 2.0 * n / (self.from + root) };
        Duration::from_secs_f64(seconds.clamp(0.0, time))
    }

    /// The planned rate at a time after its start, requests a second.
    pub fn rate(&self, at: Duration) -> f64 {
        let share = at.as_secs_f64() / self.duration.as_secs_f64();
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }
}

/// Why a text is no plan.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{phase:?} is no phase: {fault}; write NAME:TIME@RATE or NAME:TIME@FROM..TO, as in warm:60s@50,spike:5m@50..2000"
)]
pub struct BadPhase {
    phase: String,
    fault: String,
}

/// The phases of a run, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan(pub Vec<Phase>);

impl Plan {
    /// The highest rate in it, requests a second.
    pub fn peak(&self) -> f64 {
        self.0.iter().map(|phase| phase.from.max(phase.to)).fold(0.0, f64::max)
    }

    /// How long it takes, when nothing ends a phase early.
    pub fn duration(&self) -> Duration {
        self.0.iter().map(|phase| phase.duration).sum()
    }

    /// The same plan with all rates times a factor.
    pub fn scaled(mut self, factor: f64) -> Self {
        for phase in &mut self.0 {
            phase.from *= factor;
            phase.to *= factor;
        }
        self
    }
}

impl FromStr for Plan {
    type Err = BadPhase;

    fn from_str(text: &str) -> Result<Self, BadPhase> {
        let mut phases: Vec<Phase> = Vec::new();
        for part in text.split(',') {
            let bad = |fault: String| BadPhase { phase: part.to_owned(), fault };
            let (name, rest) = part.split_once(':').ok_or_else(|| bad("it has no ':'".to_owned()))?;
            let (time, rates) = rest.split_once('@').ok_or_else(|| bad("it has no '@'".to_owned()))?;
            let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if name.is_empty() || !name.chars().all(word) {
                return Err(bad("its name is not of letters, digits and '-'".to_owned()));
            }
            if phases.iter().any(|phase| phase.name == name) {
                return Err(bad("its name stands twice".to_owned()));
            }
            let duration = humantime::parse_duration(time).map_err(|error| bad(format!("its time: {error}")))?;
            if duration.is_zero() || duration > MAX_PHASE {
                return Err(bad("its time is not from 1 ms to 24 h".to_owned()));
            }
            let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
            let rate = |text: &str| {
                let rate: f64 = text.parse().map_err(|_| bad(format!("{text:?} is no rate in requests a second")))?;
                let fits = (0.0..=MAX_RATE).contains(&rate);
                if fits { Ok(rate) } else { Err(bad(format!("a rate goes from 0 to {MAX_RATE}"))) }
            };
            phases.push(Phase::ramp(name, duration, rate(from)?, rate(to)?));
        }
        Ok(Self(phases))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Phase { name, duration, from, to, until }) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let until = if until.is_some() { "≤" } else { "" };
            write!(f, "{comma}{name}:{until}{}@{from}", humantime::format_duration(*duration))?;
            if from != to {
                write!(f, "..{to}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        text.parse().unwrap()
    }

    #[test]
    fn a_plan_is_read_and_written() {
        let text = "warm:1m@50,spike:5m@50..2000,rest:500ms@0.5";
        assert_eq!(plan(text).to_string(), text);
        assert_eq!(plan(text).peak(), 2000.0);
        assert_eq!(plan(text).duration(), Duration::from_millis(360_500));
        assert_eq!(plan(text).scaled(2.0).0[1].to, 4000.0);
    }

    #[test]
    fn what_is_no_plan_is_told_so() {
        for (text, part) in [
            ("", "no ':'"),
            ("a:5s", "no '@'"),
            ("a:5@5", "its time"),
            ("a:0s@5", "1 ms to 24 h"),
            ("a:48h@5", "1 ms to 24 h"),
            ("a:5s@-1", "from 0"),
            ("a:5s@1..NaN", "from 0"),
            ("a:5s@1..x", "\"x\" is no rate"),
            ("a:5s@1e9", "from 0"),
            ("a b:5s@1", "its name"),
            ("a:5s@1,a:5s@1", "twice"),
        ] {
            let fault = text.parse::<Plan>().unwrap_err().to_string();
            assert!(fault.contains(part) && fault.contains("warm:60s@50"), "{text}: {fault}");
        }
    }

    #[test]
    fn requests_are_due_evenly_at_a_steady_rate() {
        let phase = &plan("a:30s@2000").0[0];
        assert_eq!(phase.requests(), 60_000);
        assert_eq!(phase.due(0), Duration::ZERO);
        for number in [1, 2, 59_999] {
            let expected = number as f64 / 2000.0;
            assert!((phase.due(number).as_secs_f64() - expected).abs() < 1e-6);
        }
        assert_eq!(plan("a:100ms@30").0[0].requests(), 3);
        assert_eq!(plan("a:10s@0").0[0].requests(), 0);
    }

    #[test]
    fn a_ramp_has_the_area_under_its_line() {
        for (text, requests) in [("a:10s@0..100", 500), ("a:10s@100..0", 500), ("a:4s@50..150", 400)] {
            let phase = &plan(text).0[0];
            assert_eq!(phase.requests(), requests, "{text}");
            let due: Vec<f64> = (0..requests).map(|number| phase.due(number).as_secs_f64()).collect();
            assert!(
                due.is_sorted() && due.iter().all(|at| (0.0..=phase.duration.as_secs_f64()).contains(at)),
                "{text}"
            );
            // Between any two, the line's area is their distance.
            for (number, due) in due.iter().enumerate() {
                assert!((phase.due_by(*due) - number as f64).abs() < 1e-3, "{text} {number}");
            }
        }
        assert_eq!(plan("a:10s@0..100").0[0].rate(Duration::from_secs(5)), 50.0);
    }
}
