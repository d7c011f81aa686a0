//! A chart's heights.

use super::HEIGHT;

/// From its first to its last tick.
#[derive(Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    log: bool,
    high: f64,
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From zero, in round steps.
    pub(super) fn linear(most: f64) -> Self {
        let most = most.max(1.0);
        let power = 10f64.powf((most / 3.0).log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|nice| nice * power);
        let step = steps.into_iter().find(|step| *step >= most / 3.0).unwrap_or(most);
        // Half an instance is none.
        let step = if step < 1.0 { 1.0 } else { step };
        let count = (most * 1.02 / step).ceil() as u32;
        Self {
            low: 0.0,
            log: false,
            high: f64::from(count) * step,
            ticks: (0..=count).map(|tick| f64::from(tick) * step).collect(),
        }
    }

    /// Powers of ten around what there is; what is below 0.1 is drawn as 0.1.
    pub(super) fn log(least: f64, most: f64) -> Self {
        let least = if least.is_finite() { least.max(0.1) } else { 1.0 };
        let low = 10f64.powf(least.log10().floor());
        let powers: Vec<f64> = (0..=9).map(|power| low * 10f64.powi(power)).collect();
        // The end is the next 2, 5 or 10, so that no third of the chart stays empty.
        let ends = powers.iter().flat_map(|power| [power * 2.0, power * 5.0, power * 10.0]);
        let high = ends.into_iter().find(|end| *end >= most * 1.05).unwrap_or(low * 1e10);
        let ticks = powers.into_iter().filter(|tick| *tick <= high * 1.001).collect();
        Self { low, log: true, high, ticks }
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
        assert_eq!(Scale::linear(812.0).ticks, [0.0, 500.0, 1000.0]);
        assert_eq!(Scale::linear(0.0).ticks, [0.0, 1.0, 2.0]);
        let scale = Scale::log(1.3, 430.0);
        assert_eq!((scale.low, scale.high, scale.ticks.len()), (1.0, 500.0, 3));
        assert!((scale.y(1.0) - HEIGHT).abs() < 1e-9 && scale.y(500.0).abs() < 1e-9 && scale.y(0.0) <= HEIGHT);
        assert_eq!(Scale::log(f64::INFINITY, 0.0).ticks, [1.0]);
    }
}
