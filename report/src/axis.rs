//! The time axis that all charts of a page share.

use crate::words::clock;
use crate::{HEIGHT, WIDTH};

/// Seconds between two marks: round on a clock.
const STEPS: [f64; 18] = [
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
    21_600.0,
];
const DAY: f64 = 86_400.0;

/// Points in seconds from the start, each for the step before it.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Where it ends, seconds.
    pub span: f64,
    /// The time that a point stands for, seconds.
    pub step: f64,
    /// The points.
    pub at: Vec<f64>,
}

impl Axis {
    /// Where a time is, in units of the drawing.
    pub fn x(&self, at: f64) -> f64 {
        (at / self.span * WIDTH).clamp(0.0, WIDTH)
    }

    /// Where a time is, per cent of the width.
    pub fn percent(&self, at: f64) -> f64 {
        self.x(at) / WIDTH * 100.0
    }

    /// A line over a drawing's whole height at a time, for a path's `d`.
    pub fn line(&self, at: f64) -> String {
        format!("M{:.1} 0V{HEIGHT}", self.x(at))
    }

    /// Lines at the marks, to be drawn behind a chart.
    pub fn grid(&self) -> String {
        let lines: String = self.marks().into_iter().map(|(at, _)| self.line(at)).collect();
        format!("<path class=\"grid\" d=\"{lines}\"/>")
    }

    /// The marks' times, to stand below the charts.
    pub(crate) fn times(&self) -> String {
        let time = |(at, always): (f64, bool)| {
            let class = if always { "" } else { " class=\"wide\"" };
            let text = match self.span {
                span if span < 10.0 => format!("0:0{at:.1}").trim_end_matches(".0").to_owned(),
                span if span < 3600.0 => clock(at),
                _ => format!("{}:{:02}", (at / 3600.0).floor(), (at / 60.0).round() as u64 % 60),
            };
            format!("<span{class} style=\"left:{:.2}%\">{text}</span>", self.percent(at))
        };
        let unit = if self.span < 3600.0 { "m:ss" } else { "h:mm" };
        let times: String = self.marks().into_iter().map(time).collect();
        format!("<div class=\"times\"><span class=\"unit\">{unit}</span>{times}</div>")
    }

    /// Where it is marked, and whether the mark has its time also where there is little room.
    fn marks(&self) -> Vec<(f64, bool)> {
        let fits = |step: &f64| self.span / step <= 12.5;
        let step = STEPS.into_iter().find(fits).unwrap_or_else(|| (self.span / 12.0 / DAY).ceil() * DAY);
        let number = (self.span / step + 1e-9).floor() as u32;
        let every = number / 5 + 1;
        (0..=number).map(|mark| (f64::from(mark) * step, mark % every == 0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_round_times_are_marked() {
        for (span, number, second) in
            [(20.0, 11, 2.0), (1210.0, 11, 120.0), (86_400.0, 13, 7200.0), (1.0, 11, 0.1), (30.0 * DAY, 11, 3.0 * DAY)]
        {
            let marks = Axis { span, ..Axis::default() }.marks();
            assert_eq!((marks.len(), marks[1].0), (number, second), "{span}");
        }
    }

    #[test]
    fn a_time_has_its_place_and_no_other() {
        let axis = Axis { span: DAY, ..Axis::default() };
        assert_eq!([-1.0, DAY / 2.0, 2.0 * DAY].map(|at| axis.percent(at)), [0.0, 50.0, 100.0]);
        let times = axis.times();
        assert!(times.contains("left:50.00%\">12:00</span>") && times.contains("h:mm"), "{times}");
    }
}
