//! A chart's vertical scale.

use super::words::{millis, number};

/// The height of a drawing in its own units.
pub(super) const HEIGHT: f64 = 100.0;

/// What a chart's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Requests a second, or a number of something.
    Number,
    /// Milliseconds.
    Millis,
    /// Per cent.
    Percent,
}

impl Unit {
    /// A tick's text.
    pub(super) fn label(self, value: f64) -> String {
        match self {
            Unit::Number if value >= 10_000.0 => format!("{}k", number(value / 1000.0)),
            // The ticks of a decade below one need no second decimal.
            Unit::Millis if value < 1.0 => format!("{value} ms"),
            Unit::Millis if value >= 1000.0 => format!("{} s", value / 1000.0),
            Unit::Millis => millis(value),
            Unit::Percent => format!("{value}\u{a0}%"),
            Unit::Number => number(value),
        }
    }
}

/// A vertical scale with its ticks.
#[derive(Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Whether it goes by powers of ten.
    pub(super) log: bool,
    /// Where it is marked.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From zero; per cent always to a hundred.
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
    pub(super) fn log(least: f64, most: f64) -> Self {
        // From a tenth of a millisecond: below, it is the clock that is measured.
        let low = 10f64.powf(least.max(0.1).log10().floor());
        let marks: Vec<f64> = (0..=9).map(|power| low * 10f64.powi(power)).collect();
        // The end is the next 2, 5 or 10, so that no third of the chart stays empty.
        let ends = marks.iter().flat_map(|mark| [mark * 2.0, mark * 5.0, mark * 10.0]);
        let high = ends.into_iter().find(|end| *end >= most).unwrap_or(most);
        let ticks = marks.into_iter().filter(|mark| *mark <= high * 1.001).collect();
        Self { low, high, log: true, ticks }
    }

    /// Where a value is, in units of the drawing.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
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
        assert_eq!(Scale::linear(Unit::Percent, 12.0).ticks, [0.0, 50.0, 100.0]);
        let scale = Scale::log(1.3, 430.0);
        assert_eq!((scale.low, scale.high), (1.0, 500.0));
        assert!((scale.y(1.0) - HEIGHT).abs() < 1e-9 && scale.y(500.0).abs() < 1e-9 && scale.y(1e9) >= 0.0);
    }
}
