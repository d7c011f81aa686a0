//! How much is asked of the fleet, at any moment.

use std::fmt;
use std::time::Duration;

use tideline_report::words::whole;

/// The longest simulation.
pub const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// More requests a second than anybody needs.
pub const MAX_RATE: f64 = 1e9;

/// When the usual day is at its peak, seconds after midnight.
const PEAK_AT: f64 = 15.0 * 3600.0;

const DAY: f64 = 24.0 * 3600.0;

/// The plan of a load: a shape, and a spike upon it.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Without the spike.
    pub shape: Shape,
    /// What is multiplied for a while.
    pub spike: Option<Spike>,
}

/// A load over time.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Up and down in a day, highest at 15:00, lowest at 3:00; requests a second.
    Day {
        /// The lowest.
        trough: f64,
        /// The highest.
        peak: f64,
    },
    /// Straight lines from point to point, in seconds and requests a second; the last one's rate stays.
    Points(Vec<(f64, f64)>),
}

/// So many times the load, from one moment to the next and for so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// By what the load is multiplied.
    pub factor: f64,
    /// When it begins, after the start.
    pub at: Duration,
    /// How long it lasts.
    pub length: Duration,
}

impl Traffic {
    /// Requests a second, so many seconds after the start.
    pub fn rate(&self, at: f64) -> f64 {
        let rate = match &self.shape {
            Shape::Day { trough, peak } => {
                let phase = (at - PEAK_AT) / DAY * std::f64::consts::TAU;
                trough + (peak - trough) * (1.0 + phase.cos()) / 2.0
            }
            Shape::Points(points) => between(points, at),
        };
        let spike = self.spike.filter(|spike| {
            let from = spike.at.as_secs_f64();
            (from..from + spike.length.as_secs_f64()).contains(&at)
        });
        rate * spike.map_or(1.0, |spike| spike.factor)
    }

    /// Where the plan of points ends.
    pub fn length(&self) -> Option<Duration> {
        match &self.shape {
            Shape::Day { .. } => None,
            Shape::Points(points) => points.last().map(|(at, _)| Duration::from_secs_f64(*at)),
        }
    }
}

fn between(points: &[(f64, f64)], at: f64) -> f64 {
    let next = points.partition_point(|(time, _)| *time <= at);
    match (next.checked_sub(1).and_then(|last| points.get(last)), points.get(next)) {
        (Some((from, low)), Some((to, high))) => low + (high - low) * (at - from) / (to - from),
        (Some((_, rate)), None) | (None, Some((_, rate))) => *rate,
        (None, None) => 0.0,
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Day { trough, peak } => {
                write!(f, "a day between {} and {} requests/s", whole(*trough), whole(*peak))?;
            }
            Shape::Points(points) => {
                let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
                write!(f, "a plan of up to {} requests/s", whole(most))?;
            }
        }
        self.spike.map_or(Ok(()), |spike| {
            let (at, length) = (humantime::format_duration(spike.at), humantime::format_duration(spike.length));
            write!(f, ", {} times that for {length} from {at} on", spike.factor)
        })
    }
}

/// Reads phases, each `NAME:TIME@RATE` or `NAME:TIME@FROM..TO`, with commas between.
pub fn phases(text: &str) -> Result<Shape, String> {
    let mut points = Vec::new();
    let mut at = 0.0;
    for phase in text.split(',') {
        let wrong = || {
            format!(
                "{phase:?} is no phase: write NAME:TIME@RATE or NAME:TIME@FROM..TO, as in warm:1h@50,rush:30m@50..2000"
            )
        };
        let (time, rates) = phase.split_once(':').and_then(|(_, rest)| rest.split_once('@')).ok_or_else(wrong)?;
        let length = humantime::parse_duration(time).map_err(|_| wrong())?.as_secs_f64();
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        let (from, to) = (rate(from).ok_or_else(wrong)?, rate(to).ok_or_else(wrong)?);
        if length <= 0.0 {
            return Err(wrong());
        }
        // Two points at one moment are a step.
        points.push((at, from));
        at += length;
        points.push((at, to));
    }
    checked(points)
}

/// Reads lines of seconds and requests a second, with a comma between. A line that does not begin with a digit is passed over.
pub fn csv(text: &str) -> Result<Shape, String> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if !line.trim_start().starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let wrong = |fault: &str| format!("line {}, {line:?}: {fault}", number + 1);
        let (at, value) = line.split_once(',').ok_or_else(|| wrong("write SECONDS,RATE"))?;
        let at = rate(at).ok_or_else(|| wrong("the time is no number of seconds"))?;
        if points.last().is_some_and(|(before, _)| *before > at) {
            return Err(wrong("times must not go back"));
        }
        points.push((at, rate(value).ok_or_else(|| wrong("the rate is no number from 0"))?));
    }
    checked(points)
}

fn rate(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|rate| (0.0..=MAX_RATE).contains(rate))
}

fn checked(points: Vec<(f64, f64)>) -> Result<Shape, String> {
    match points.last() {
        Some((end, _)) if *end > 0.0 && *end <= LONGEST.as_secs_f64() => Ok(Shape::Points(points)),
        Some(_) => Err(format!("the plan must end within {}", humantime::format_duration(LONGEST))),
        None => Err("the plan has no line of SECONDS,RATE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_peak_and_a_trough_and_a_spike() {
        let spike = Spike { factor: 5.0, at: Duration::from_secs(3600), length: Duration::from_secs(60) };
        let day = Traffic { shape: Shape::Day { trough: 10.0, peak: 100.0 }, spike: Some(spike) };
        assert!((day.rate(15.0 * 3600.0) - 100.0).abs() < 1e-9 && (day.rate(3.0 * 3600.0) - 10.0).abs() < 1e-9);
        assert!(day.rate(3599.0) < 20.0 && day.rate(3600.0) > 50.0 && day.rate(3660.0) < 20.0);
    }

    #[test]
    fn phases_and_files_are_read() {
        let plan = Traffic { shape: phases("warm:60s@50,rush:40s@100..200").unwrap(), spike: None };
        assert_eq!(
            [0.0, 59.0, 60.0, 80.0, 100.0, 500.0].map(|at| plan.rate(at)),
            [50.0, 50.0, 100.0, 150.0, 200.0, 200.0]
        );
        assert_eq!(plan.length(), Some(Duration::from_secs(100)));
        let plan = Traffic { shape: csv("seconds,rate\n0,10\n\n10,20\n").unwrap(), spike: None };
        assert_eq!((plan.rate(5.0), plan.rate(99.0)), (15.0, 20.0));
        for wrong in ["", "warm", "warm:60s", "warm:60s@x", "warm:0s@1", "warm:60s@-1", "warm:99999d@1"] {
            assert!(phases(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "1", "0,1\n-", "5,1\n4,1", "0,x", "0,1"] {
            assert!(csv(wrong).is_err(), "{wrong}");
        }
    }
}
