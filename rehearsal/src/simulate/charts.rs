//! Charts over one time axis, as SVG that stretches, with their scales in HTML around them.
//!
//! The drawings have no text, so that they can be stretched to any width while letters keep their size. In the manner of the load
//! test's report, whose own charts belong to its rows and come with a load generator.

/// The size of a drawing in its own units; it is stretched to what there is.
pub(super) const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// From point to point.
    Line,
    /// The same with what is below it filled.
    Area,
    /// Level over each point's step.
    Steps,
    /// The same, filled down to the series before it that is stacked too.
    Stack,
    /// A bar wherever it is not zero.
    Bars,
}

/// One series; as many values as the axis has points.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) label: &'static str,
    /// Its colour's class.
    pub(super) class: &'static str,
    pub(super) mark: Mark,
    pub(super) values: Vec<f64>,
}

/// A chart.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) note: String,
    /// Behind a tick's number.
    pub(super) unit: &'static str,
    /// Where its scale ends, if it is not to follow the values.
    pub(super) most: Option<f64>,
    pub(super) height: &'static str,
    pub(super) series: Vec<Series>,
}

/// The common time axis: points in seconds, each for the step before it.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) span: f64,
    pub(super) at: Vec<f64>,
}

impl Axis {
    /// Where a time is, in units of the drawing.
    pub(super) fn x(&self, at: f64) -> f64 {
        (at / self.span * WIDTH).clamp(0.0, WIDTH)
    }

    /// Round times, some eight of them.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let steps = [60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0];
        let step = steps
            .into_iter()
            .find(|step| self.span / step <= 9.0)
            .unwrap_or_else(|| (self.span / 8.0 / 86_400.0).ceil() * 86_400.0);
        (0..=(self.span / step) as u32).map(|tick| f64::from(tick) * step).collect()
    }
}

/// Where a scale is marked; the last mark is its end.
fn marks(most: f64) -> Vec<f64> {
    let most = most.max(1.0);
    let power = 10f64.powf((most / 3.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|nice| nice * power);
    let step = steps.into_iter().find(|step| *step >= most / 3.0).unwrap_or(most);
    // Half an instance is none.
    let step = if step < 1.0 { 1.0 } else { step };
    let count = (most * 1.02 / step).ceil() as u32;
    (0..=count).map(|mark| f64::from(mark) * step).collect()
}

/// A number for a tick.
pub(super) fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "\u{a0}bn"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{value:.1}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

impl Chart {
    /// As HTML; `backdrop` is drawn behind it, in units of the drawing.
    pub(super) fn draw(&self, axis: &Axis, backdrop: &str) -> String {
        let Self { title, note, unit, height, .. } = self;
        let tops = self.stacked();
        let most = tops.iter().flatten().copied().fold(0.0, f64::max);
        let marks = marks(self.most.unwrap_or(most).min(most.max(self.most.unwrap_or(0.0))));
        let end = marks.last().copied().unwrap_or(1.0);
        let y = |value: f64| HEIGHT - (value / end).clamp(0.0, 1.0) * HEIGHT;
        let keys: String = self.series.iter().map(key).collect();
        let labels: String = marks
            .iter()
            .map(|mark| format!("<span style=\"top:{:.2}%\">{}{unit}</span>", y(*mark), short(*mark)))
            .collect();
        let grid: String =
            marks.iter().map(|mark| format!("<path class=\"grid\" d=\"M0 {:.1}H{WIDTH}\"/>", y(*mark))).collect();
        let mut shapes = String::new();
        let mut below: Option<&Vec<f64>> = None;
        for (series, top) in self.series.iter().zip(&tops) {
            shapes += &shape(series, top, below, axis, &y);
            if series.mark == Mark::Stack {
                below = Some(top);
            }
        }
        format!(
            "<section class=\"chart\"><header><h3>{title} <small>{note}</small></h3><div class=\"keys\">{keys}</div></header>\
             <div class=\"plot {height}\"><div class=\"scale\" aria-hidden=\"true\">{labels}</div>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title} over time\">\
             {backdrop}{grid}{shapes}</svg></div></section>\n"
        )
    }

    /// The values as they are drawn: what is stacked stands on what is stacked before it.
    fn stacked(&self) -> Vec<Vec<f64>> {
        let mut below: Vec<f64> = Vec::new();
        let mut stack = |series: &Series| {
            if series.mark != Mark::Stack {
                return series.values.clone();
            }
            below.resize(series.values.len(), 0.0);
            below.iter_mut().zip(&series.values).for_each(|(below, value)| *below += value);
            below.clone()
        };
        self.series.iter().map(&mut stack).collect()
    }
}

fn key(series: &Series) -> String {
    let mark = match series.mark {
        Mark::Line | Mark::Steps => "stroke",
        Mark::Area | Mark::Stack | Mark::Bars => "fill",
    };
    format!("<span class=\"key {}\"><i class=\"{mark}\"></i>{}</span>", series.class, series.label)
}

fn shape(series: &Series, top: &[f64], below: Option<&Vec<f64>>, axis: &Axis, y: &dyn Fn(f64) -> f64) -> String {
    let class = series.class;
    let path = |kind: &str, d: &str| format!("<path class=\"{kind} {class}\" d=\"{d}\"/>");
    match series.mark {
        Mark::Line | Mark::Area => {
            let points: Vec<_> =
                axis.at.iter().zip(top).map(|(at, value)| format!("{:.1} {:.1}", axis.x(*at), y(*value))).collect();
            let (Some(first), Some(last)) = (axis.at.first(), axis.at.last()) else { return String::new() };
            let line = points.join(" ");
            let fill = format!("M{:.1} {HEIGHT}L{line}L{:.1} {HEIGHT}Z", axis.x(*first), axis.x(*last));
            let fill = if series.mark == Mark::Area { path("area", &fill) } else { String::new() };
            fill + &path("line", &format!("M{line}"))
        }
        Mark::Steps => path("line", &format!("M{}", outline(axis, top, y, false))),
        Mark::Stack => {
            let floor = vec![0.0; top.len()];
            let below = below.map_or(floor.as_slice(), Vec::as_slice);
            path("layer", &format!("M{}L{}Z", outline(axis, top, y, false), outline(axis, below, y, true)))
        }
        Mark::Bars => {
            let mut bars = String::new();
            for (index, value) in top.iter().enumerate().filter(|(_, value)| **value > 0.0) {
                let left = index.checked_sub(1).and_then(|before| axis.at.get(before)).copied().unwrap_or(0.0);
                let right = axis.at.get(index).copied().unwrap_or(left);
                bars += &format!(
                    "M{:.1} {HEIGHT}V{:.1}H{:.1}V{HEIGHT}Z",
                    axis.x(left),
                    y(*value).min(HEIGHT - 1.0),
                    axis.x(right)
                );
            }
            if bars.is_empty() { bars } else { path("bars", &bars) }
        }
    }
}

/// Steps from point to point, drawn only where they change; forwards or backwards.
fn outline(axis: &Axis, values: &[f64], y: &dyn Fn(f64) -> f64, back: bool) -> String {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    let mut left = 0.0;
    for (index, (at, value)) in axis.at.iter().zip(values).enumerate() {
        let changes = values.get(index + 1).is_none_or(|next| (next - value).abs() > f64::EPSILON);
        let starts = index == 0 || values.get(index - 1).is_none_or(|before| (before - value).abs() > f64::EPSILON);
        if starts {
            corners.push((axis.x(left), y(*value)));
        }
        if changes {
            corners.push((axis.x(*at), y(*value)));
        }
        left = *at;
    }
    if back {
        corners.reverse();
    }
    corners.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_what_they_show() {
        assert_eq!(marks(812.0), [0.0, 500.0, 1000.0]);
        assert_eq!(marks(0.0), [0.0, 1.0, 2.0]);
        assert_eq!([0.0, 2.5, 999.0, 12_000.0, 1_500_000.0].map(short), ["0", "2.5", "999", "12k", "1.5M"]);
        let axis = Axis { span: 86_400.0, at: Vec::new() };
        assert_eq!((axis.ticks().len(), axis.x(43_200.0)), (9, 500.0));
    }

    #[test]
    fn a_stack_stands_on_what_is_below_it() {
        let series = |values: &[f64]| Series { label: "l", class: "c", mark: Mark::Stack, values: values.to_vec() };
        let chart = Chart {
            title: "t",
            note: String::new(),
            unit: "",
            most: Some(4.0),
            height: "tall",
            series: vec![series(&[1.0, 2.0]), series(&[1.0, 1.0])],
        };
        let drawn = chart.draw(&Axis { span: 2.0, at: vec![1.0, 2.0] }, "");
        assert!(
            drawn.contains("M0.0 66.7 500.0 66.7 500.0 50.0 1000.0 50.0L1000.0 66.7 500.0 66.7 500.0 83.3 0.0 83.3Z"),
            "{drawn}"
        );
    }
}
