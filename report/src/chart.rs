//! One chart: series over the time axis, as SVG that stretches, with its scale and legend in HTML around it.
//!
//! The drawing has no text, so that it can be stretched to any width while letters keep their size.

mod scale;
mod shape;

pub use scale::Unit;

use crate::words::escape;
use crate::{Axis, HEIGHT, WIDTH};
use scale::Scale;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// From point to point.
    Line,
    /// The same with what is below it filled.
    Area,
    /// Level over each point's step.
    Steps,
    /// The same, filled down to the series before it that is stacked too.
    Stack,
    /// The same as rectangles, which may have a pattern: that is not stretched. For what seldom changes.
    Blocks,
    /// A bar wherever it is not zero.
    Bars,
}

impl Mark {
    fn stacks(self) -> bool {
        matches!(self, Self::Stack | Self::Blocks)
    }
}

/// One series; as many values as the axis has points.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the script finds it by, once on a page. Without one, it has no value under the pointer.
    pub key: String,
    /// Its name; foreign text. Without one, it is not in the legend.
    pub label: String,
    /// Its colour's class.
    pub class: String,
    /// How it is drawn.
    pub mark: Mark,
    /// Its values; none where nothing was seen.
    pub values: Vec<Option<f64>>,
    /// Points that are farther apart, in seconds, are not joined; 0: none that are not neighbours.
    pub bridge: f64,
    /// Whether a value lasts until the next one is seen, for `bridge` seconds at most.
    pub lasts: bool,
}

impl Series {
    /// One whose class is `c-` and its key.
    pub fn new(key: &str, label: &str, mark: Mark, values: Vec<Option<f64>>) -> Self {
        let (class, key, label) = (format!("c-{key}"), key.to_owned(), label.to_owned());
        Self { key, label, class, mark, values, bridge: 0.0, lasts: false }
    }

    /// Whether two points that are so many seconds apart are joined. Clocks are some milliseconds late, or a step.
    fn joins(&self, seconds: f64, axis: &Axis) -> bool {
        seconds <= self.bridge.max(axis.step * 2.5)
    }

    /// What is known at each point.
    pub(crate) fn known(&self, axis: &Axis) -> Vec<Option<f64>> {
        let mut last = (f64::NEG_INFINITY, None);
        let value = |(at, value): (&f64, &Option<f64>)| {
            if value.is_some() {
                last = (*at, *value);
            }
            if self.lasts && at - last.0 <= self.bridge { last.1 } else { *value }
        };
        axis.at.iter().zip(&self.values).map(value).collect()
    }
}

/// A chart.
#[derive(Debug, Default)]
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// A remark beside the title.
    pub note: String,
    /// What can be seen in it, in words, for who cannot see it.
    pub about: String,
    /// What its values are.
    pub unit: Unit,
    /// What is above it is drawn at it.
    pub cap: Option<f64>,
    /// Its height's class.
    pub height: &'static str,
    /// Its series, the last on top.
    pub series: Vec<Series>,
    /// HTML before the series' own keys.
    pub keys: String,
    /// HTML between the title and the drawing.
    pub above: String,
    /// HTML over the drawing, placed in per cent.
    pub over: String,
}

/// A series as it is drawn: what is stacked stands on what is stacked before it.
struct Layer<'a> {
    series: &'a Series,
    floor: Vec<f64>,
    top: Vec<Option<f64>>,
}

impl Chart {
    /// As HTML; `backdrop` is drawn behind it, in units of the drawing.
    pub(crate) fn draw(&self, axis: &Axis, backdrop: &str) -> String {
        let Self { title, unit, height, above, over, about, .. } = self;
        let layers = self.layers();
        let tops = layers.iter().flat_map(|layer| layer.top.iter().flatten().copied());
        let cap = self.cap.unwrap_or(f64::INFINITY);
        let scale = Scale::of(*unit, tops.filter(|value| value.is_finite()).map(|value| value.min(cap)));
        let log = if scale.log { "log scale" } else { "" };
        let note = [log, &self.note].into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(" · ");
        let keys: String = self.series.iter().filter(|series| !series.label.is_empty()).map(key).collect();
        let ticks = || scale.ticks.iter().map(|tick| (scale.y(*tick), unit.label(*tick)));
        let labels: String = ticks().map(|(y, label)| format!("<span style=\"top:{y:.2}%\">{label}</span>")).collect();
        let grid: String = ticks().map(|(y, _)| format!("<path class=\"grid\" d=\"M0 {y:.1}H{WIDTH}\"/>")).collect();
        let (mut shapes, mut blocks) = (String::new(), String::new());
        for layer in &layers {
            let drawn = shape::draw(layer, axis, &scale);
            if layer.series.mark == Mark::Blocks { &mut blocks } else { &mut shapes }.push_str(&drawn);
        }
        // Rectangles that are not stretched are between what is behind and the lines in front.
        let (behind, front) = if blocks.is_empty() {
            (String::new(), format!("{backdrop}{grid}{shapes}"))
        } else {
            let behind = format!(
                "<svg class=\"behind\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{backdrop}{grid}\
                 </svg><svg aria-hidden=\"true\">{blocks}</svg>"
            );
            (behind, shapes)
        };
        let about = if about.is_empty() { about.clone() } else { format!(": {}", escape(about)) };
        format!(
            "<section class=\"chart\"><header><h3>{title} <small>{note}</small></h3><div class=\"keys\">{}{keys}</div></header>{above}\
             <div class=\"plot {height}\"><div class=\"scale\" aria-hidden=\"true\">{labels}</div>{behind}\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title} over time{about}\">\
             {front}</svg>{over}</div></section>\n",
            self.keys,
        )
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        let mut sum: Vec<f64> = Vec::new();
        let layers = self.series.iter().map(|series| {
            let Series { mark, values, .. } = series;
            if !mark.stacks() {
                return Layer { series, floor: vec![0.0; values.len()], top: values.clone() };
            }
            sum.resize(values.len(), 0.0);
            let floor = sum.clone();
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value.unwrap_or(0.0));
            Layer { series, floor, top: sum.iter().zip(values).map(|(sum, value)| value.map(|_| *sum)).collect() }
        });
        layers.collect()
    }
}

fn key(series: &Series) -> String {
    let Series { class, key, .. } = series;
    let mark = match series.mark {
        Mark::Line | Mark::Steps => "stroke",
        Mark::Area | Mark::Stack | Mark::Blocks | Mark::Bars => "fill",
    };
    let slot = if key.is_empty() { String::new() } else { format!("<b data-key=\"{key}\"></b>") };
    format!("<span class=\"key {class}\"><i class=\"{mark}\"></i>{}{slot}</span>", escape(&series.label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mark: Mark, layers: &[&[Option<f64>]]) -> String {
        let axis = Axis { span: 2.0, step: 1.0, at: vec![1.0, 2.0] };
        let series = layers.iter().map(|values| Series::new("c", "<l>", mark, values.to_vec())).collect();
        Chart { title: "t", unit: Unit::Percent, height: "tall", series, ..Chart::default() }.draw(&axis, "")
    }

    #[test]
    fn a_stack_stands_on_what_is_below_it() {
        let layers: [&[Option<f64>]; 2] = [&[Some(25.0), Some(50.0)], &[Some(75.0), Some(50.0)]];
        let stack = drawn(Mark::Stack, &layers);
        assert!(stack.contains("d=\"M0.0 75.0H500.0V50.0H1000.0V100.0H0.0Z\""), "{stack}");
        assert!(stack.contains("d=\"M0.0 0.0H1000.0V50.0H500.0V75.0H0.0Z\""), "{stack}");
        let blocks = drawn(Mark::Blocks, &layers);
        assert!(blocks.contains("<rect x=\"50%\" y=\"0%\" width=\"50%\" height=\"50%\"/>"), "{blocks}");
        // Where one is missing, the next stands on what is below that.
        let gap = drawn(Mark::Stack, &[&[Some(25.0); 2], &[None, Some(25.0)], &[Some(25.0); 2]]);
        assert!(gap.contains("d=\"M0.0 50.0H500.0V25.0H1000.0V50.0H500.0V75.0H0.0Z\""), "{gap}");
    }

    #[test]
    fn its_legend_has_no_markup_of_others() {
        let drawn = drawn(Mark::Line, &[&[None, None]]);
        assert!(drawn.contains("&lt;l&gt;<b data-key=\"c\">") && !drawn.contains("<l>"), "{drawn}");
    }

    #[test]
    fn what_is_polled_lasts_for_a_while() {
        let axis = Axis { span: 9.0, step: 1.0, at: (1..10).map(f64::from).collect() };
        let values = [None, Some(3.0), None, None, None, None, None, Some(4.0), None];
        let polled = Series { bridge: 3.0, lasts: true, ..Series::new("k", "k", Mark::Steps, values.to_vec()) };
        let [three, four] = [Some(3.0), Some(4.0)];
        assert_eq!(polled.known(&axis), [None, three, three, three, three, None, None, four, four]);
        assert_eq!(Series { lasts: false, ..polled }.known(&axis), values);
    }
}
