//! One chart: series over the common time axis, as SVG that stretches, with its scale and legend in HTML around it.
//!
//! The SVG has no text, so that it can be stretched to any width while letters keep their size.

use super::scale::{HEIGHT, Scale, Unit};
use super::words::escape;

/// The width of a drawing in its own units; it is stretched to what there is.
pub(super) const WIDTH: f64 = 1000.0;

/// The common time axis.
#[derive(Debug, Clone, Default)]
pub(super) struct Axis {
    /// Where it ends, seconds.
    pub(super) span: f64,
    /// The time between two points, seconds.
    pub(super) step: f64,
    /// The points, seconds from the start; each stands for the step before it.
    pub(super) at: Vec<f64>,
}

impl Axis {
    /// Where a time is, in units of the drawing.
    pub(super) fn x(&self, at: f64) -> f64 {
        (at / self.span * WIDTH).clamp(0.0, WIDTH)
    }
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// From point to point.
    Line,
    /// The same with what is below it filled.
    Area,
    /// Level over each point's step.
    Steps,
    /// The same, filled down to the series below.
    Stack,
    /// A bar wherever it is not zero.
    Bars,
}

/// One series; as many values as the axis has points.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// What the script finds it by.
    pub(super) key: String,
    /// Its name; foreign text.
    pub(super) label: String,
    /// Its colour's class.
    pub(super) class: String,
    /// How it is drawn.
    pub(super) mark: Mark,
    /// Its values; none where nothing was seen.
    pub(super) values: Vec<Option<f64>>,
    /// Points that are farther apart, in seconds, are not joined.
    pub(super) bridge: f64,
}

/// A chart.
#[derive(Debug)]
pub(super) struct Chart {
    /// What it shows.
    pub(super) title: &'static str,
    /// A remark beside the title.
    pub(super) note: String,
    /// What its values are.
    pub(super) unit: Unit,
    /// Its height's class.
    pub(super) height: &'static str,
    /// Its series, the last on top.
    pub(super) series: Vec<Series>,
}

impl Chart {
    /// The series as they are drawn: what is stacked stands on what is stacked before it.
    fn stacked(&self) -> Vec<Series> {
        let mut below: Vec<f64> = Vec::new();
        let stack = |series: &Series| {
            let mut stacked = series.clone();
            if series.mark == Mark::Stack {
                below.resize(series.values.len(), 0.0);
                for (value, below) in stacked.values.iter_mut().zip(&mut below) {
                    *below += value.unwrap_or(0.0);
                    *value = value.map(|_| *below);
                }
            }
            stacked
        };
        self.series.iter().map(stack).collect()
    }

    fn scale(&self, series: &[Series]) -> Scale {
        let values = || {
            series.iter().flat_map(|series| series.values.iter().flatten().copied()).filter(|value| value.is_finite())
        };
        let most = values().fold(0.0, f64::max);
        let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        // Where the slow are many times slower than the fast, a straight scale shows only the slow.
        let log = self.unit == Unit::Millis && most > least * 12.0;
        if log { Scale::log(least, most) } else { Scale::linear(self.unit, most) }
    }

    /// The chart as HTML; `backdrop` is drawn behind it, in units of the drawing.
    pub(super) fn draw(&self, axis: &Axis, backdrop: &str) -> String {
        let Self { title, note, unit, height, .. } = self;
        let series = self.stacked();
        let scale = self.scale(&series);
        let log = if scale.log { "log scale" } else { "" };
        let notes = [log, note].into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(" · ");
        let keys: String = series.iter().map(key).collect();
        let grid: String = scale
            .ticks
            .iter()
            .map(|tick| format!("<path class=\"grid\" d=\"M0 {0:.1}H{WIDTH}\"/>", scale.y(*tick)))
            .collect();
        let labels: String = scale
            .ticks
            .iter()
            .map(|tick| format!("<span style=\"top:{:.2}%\">{}</span>", scale.y(*tick), unit.label(*tick)))
            .collect();
        let shapes: String = series
            .iter()
            .enumerate()
            .map(|(index, one)| {
                let below = series[..index].iter().rev().find(|other| other.mark == Mark::Stack);
                shape(one, below.map(|below| below.values.as_slice()), axis, &scale)
            })
            .collect();
        format!(
            "<section class=\"chart\"><header><h3>{title} <small>{notes}</small></h3><div class=\"keys\">{keys}</div></header>\
             <div class=\"plot {height}\"><div class=\"scale\" aria-hidden=\"true\">{labels}</div>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title} over time\">\
             {backdrop}{grid}{shapes}</svg></div></section>\n"
        )
    }
}

fn key(series: &Series) -> String {
    let Series { key, label, class, mark, .. } = series;
    let mark = match mark {
        Mark::Line | Mark::Steps => "stroke",
        Mark::Area | Mark::Stack | Mark::Bars => "fill",
    };
    format!("<span class=\"key {class}\"><i class=\"{mark}\"></i>{}<b data-key=\"{key}\"></b></span>", escape(label))
}

/// The series' points in units of the drawing, in runs without a gap: index, left and right end of its step, height.
fn runs(series: &Series, axis: &Axis, scale: &Scale) -> Vec<Vec<(usize, f64, f64, f64)>> {
    let mut runs: Vec<Vec<(usize, f64, f64, f64)>> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (index, (at, value)) in axis.at.iter().zip(&series.values).enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        let joined = at - last <= series.bridge;
        let left = if joined { axis.x(last) } else { axis.x(at - axis.step) };
        let point = (index, left, axis.x(*at), scale.y(value));
        match runs.last_mut() {
            Some(run) if joined => run.push(point),
            _ => runs.push(vec![point]),
        }
        last = *at;
    }
    runs
}

fn shape(series: &Series, below: Option<&[Option<f64>]>, axis: &Axis, scale: &Scale) -> String {
    let (mut line, mut fill, mut dots) = (String::new(), String::new(), String::new());
    for run in runs(series, axis, scale) {
        let Some(first) = run.first() else { continue };
        match series.mark {
            // A point alone has no line; its round end is a dot.
            Mark::Line | Mark::Area if run.len() == 1 => dots += &format!("M{:.1} {:.1}h.01", first.2, first.3),
            Mark::Line | Mark::Area => {
                let points: Vec<String> = run.iter().map(|(_, _, x, y)| format!("{x:.1} {y:.1}")).collect();
                line += &format!("M{}", points.join(" "));
                if series.mark == Mark::Area {
                    fill += &format!("M{:.1} {HEIGHT}L{}V{HEIGHT}Z", first.2, points.join(" "));
                }
            }
            Mark::Steps | Mark::Stack => {
                let tops = outline(&run);
                line += &format!("M{:.1} {:.1}{tops}", first.1, first.3);
                if series.mark == Mark::Stack {
                    let floor =
                        |index: usize| below.and_then(|below| below.get(index).copied().flatten()).unwrap_or(0.0);
                    let mut back: Vec<_> =
                        run.iter().map(|point| (0, point.2, point.1, scale.y(floor(point.0)))).collect();
                    back.reverse();
                    fill += &format!("M{:.1} {:.1}{tops}V{:.1}{}Z", first.1, first.3, back[0].3, outline(&back));
                }
            }
            Mark::Bars => {
                for (_, left, right, y) in run.iter().filter(|point| point.3 < HEIGHT) {
                    line += &format!("M{left:.1} {HEIGHT}V{y:.1}H{right:.1}V{HEIGHT}Z");
                }
            }
        }
    }
    let path = |class: &str, d: &str| {
        if d.is_empty() { String::new() } else { format!("<path class=\"{class} {}\" d=\"{d}\"/>", series.class) }
    };
    match series.mark {
        Mark::Bars => path("bars", &line),
        Mark::Stack => path("layer", &fill),
        _ => path("area", &fill) + &path("line", &line) + &path("dot", &dots),
    }
}

/// Steps from point to point, drawn only where they change: level runs are most of a count's life.
fn outline(run: &[(usize, f64, f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (_, _, right, y)) in run.iter().enumerate() {
        let next = run.get(index + 1).map(|next| next.3);
        match next {
            Some(next) if (next - y).abs() < 0.05 => {}
            Some(next) => path += &format!("H{right:.1}V{next:.1}"),
            None => path += &format!("H{right:.1}"),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(mark: Mark, values: &[Option<f64>]) -> Series {
        let (key, label, class) = ("k".to_owned(), "k".to_owned(), "c".to_owned());
        Series { key, label, class, mark, values: values.to_vec(), bridge: 2.5 }
    }

    fn axis(at: &[f64]) -> Axis {
        Axis { span: 10.0, step: 1.0, at: at.to_vec() }
    }

    #[test]
    fn gaps_are_not_drawn_over_and_a_point_alone_is_a_dot() {
        let scale = Scale::linear(Unit::Percent, 100.0);
        let values = [Some(100.0), Some(50.0), Some(0.0), None];
        let drawn = shape(&series(Mark::Line, &values), None, &axis(&[1.0, 2.0, 8.0, 9.0]), &scale);
        assert!(
            drawn.contains("d=\"M100.0 0.0 200.0 50.0\"") && drawn.contains("dot c\" d=\"M800.0 100.0h.01\""),
            "{drawn}"
        );
        assert_eq!(shape(&series(Mark::Area, &[]), None, &axis(&[]), &scale), "");
    }

    #[test]
    fn a_stack_stands_on_what_is_below_it() {
        let scale = Scale::linear(Unit::Percent, 100.0);
        let below = [Some(25.0), Some(50.0)];
        let drawn = shape(&series(Mark::Stack, &[Some(100.0), Some(100.0)]), Some(&below), &axis(&[1.0, 2.0]), &scale);
        assert!(drawn.contains("M0.0 0.0H200.0V50.0H100.0V75.0H0.0Z"), "{drawn}");
    }
}
