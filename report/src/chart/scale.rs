//! A chart's heights.

use crate::HEIGHT;
use crate::words::short;

/// What a chart's values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Requests a second, or a number of something.
    #[default]
    Number,
    /// Milliseconds.
    Millis,
    /// Per cent.
    Percent,
}

impl Unit {
    /// What the script writes behind a value.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Millis => "ms",
            Self::Percent => "%",
        }
    }

    /// A tick's text.
    pub(super) fn label(self, value: f64) -> String {
        match self {
            Self::Number => short(value),
            Self::Millis if value >= 1000.0 => format!("{}\u{a0}s", value / 1000.0),
            Self::Millis => format!("{value}\u{a0}ms"),
            Self::Percent => format!("{value}\u{a0}%"),
        }
    }
}

/// From its first to its last tick.
#[derive(Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Whether it goes by powers of ten.
    pub(super) log: bool,
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// The one that fits: where the slow are many times slower than the fast, a straight scale shows only the slow.
    pub(super) fn of(unit: Unit, values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        let least = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        if unit == Unit::Millis && most > least * 12.0 { Self::log(least, most) } else { Self::linear(unit, most) }
    }

    /// From zero, in round steps; per cent always to a hundred.
    pub(super) fn linear(unit: Unit, most: f64) -> Self {
        let most = if unit == Unit::Percent { most.max(100.0) } else { most.max(1.0) };
        let rough = most / 3.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|nice| nice * power).into_iter().find(|step| *step >= rough);
        // Half an instance is none.
        let whole = |step: f64| if unit == Unit::Number { step.max(1.0).ceil() } else { step };
        let step = if unit == Unit::Percent && most <= 100.0 { 50.0 } else { whole(step.unwrap_or(rough)) };
        // With some room above: a line at the very edge is half a line.
        let room = if unit == Unit::Percent { 1.0 } else { 1.04 };
        let steps = (most * room / step).ceil() as u32;
        let ticks = (0..=steps).map(|tick| f64::from(tick) * step).collect();
        Self { low: 0.0, high: f64::from(steps) * step, log: false, ticks }
    }

    /// Powers of ten around what there is.
    fn log(least: f64, most: f64) -> Self {
        // From a tenth of a millisecond: below, it is the clock that is measured.
        let low = 10f64.powf(least.max(0.1).log10().floor());
        let powers: Vec<f64> = (0..=9).map(|power| low * 10f64.powi(power)).collect();
        // The end is the next 2, 5 or 10, so that no third of the chart stays empty.
        let ends = powers.iter().flat_map(|power| [power * 2.0, power * 5.0, power * 10.0]);
        let high = ends.into_iter().find(|end| *end >= most).unwrap_or(most);
        let ticks = powers.into_iter().filter(|tick| *tick <= high * 1.001).collect();
        Self { low, high, log: true, ticks }
    }

    /// Where a value is, in units of the drawing: 0 is on top.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        HEIGHT - share.clamp(0.0, 1.0) * HEIGHT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_what_they_show() {
        let scale = Scale::linear(Unit::Number, 812.0);
        assert_eq!((scale.high, scale.ticks.len(), scale.y(0.0)), (1000.0, 3, HEIGHT));
        assert_eq!(Scale::linear(Unit::Number, 4.0).ticks, [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(Scale::linear(Unit::Number, 0.0).ticks, [0.0, 1.0, 2.0]);
        assert_eq!(Scale::linear(Unit::Percent, 12.0).ticks, [0.0, 50.0, 100.0]);
        let scale = Scale::log(1.3, 430.0);
        assert_eq!((scale.low, scale.high), (1.0, 500.0));
        assert!((scale.y(1.0) - HEIGHT).abs() < 1e-9 && scale.y(500.0).abs() < 1e-9 && scale.y(1e9) >= 0.0);
    }

    #[test]
    fn only_times_that_are_far_apart_go_by_powers_of_ten() {
        let log = |unit, values: &[f64]| Scale::of(unit, values.iter().copied()).log;
        assert!(log(Unit::Millis, &[0.0, 1.0, 13.0]));
        assert!(!log(Unit::Millis, &[2.0, 13.0]) && !log(Unit::Millis, &[]) && !log(Unit::Number, &[1.0, 1e6]));
    }

    #[test]
    fn ticks_are_short() {
        let labels = |unit: Unit, values: [f64; 3]| values.map(|value| unit.label(value).replace('\u{a0}', " "));
        assert_eq!(labels(Unit::Number, [0.0, 2.0, 20_000.0]), ["0", "2", "20k"]);
        assert_eq!(labels(Unit::Millis, [0.1, 10.0, 1000.0]), ["0.1 ms", "10 ms", "1 s"]);
        assert_eq!(labels(Unit::Percent, [0.0, 50.0, 150.0]), ["0 %", "50 %", "150 %"]);
    }
}
