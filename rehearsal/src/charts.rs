//! Charts over one time axis, as SVG that stretches, with their scales in HTML around them.
//!
//! ```text
//! charts/scale.rs   heights, linear or by powers of ten
//!        shape.rs   a series as paths or rectangles
//!        words.rs   numbers and foreign text for pages
//!        style.css  what all pages look like
//! ```
//!
//! The drawings have no text, so that they can be stretched to any width while letters keep their size. In the manner of the load
//! test's report, whose own charts belong to its rows and come with a load generator.

mod scale;
mod shape;
pub(crate) mod words;

use scale::Scale;
use words::{escape, short};

/// What the pages look like; each adds what it alone has.
pub(crate) const STYLE: &str = include_str!("charts/style.css");

/// The size of a drawing in its own units; it is stretched to what there is.
pub(crate) const WIDTH: f64 = 1000.0;
pub(crate) const HEIGHT: f64 = 100.0;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
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
pub(crate) struct Series {
    /// Foreign text. Without one, it is not in the legend.
    pub(crate) label: String,
    /// Its colour's class.
    pub(crate) class: String,
    pub(crate) mark: Mark,
    /// None where nothing was seen.
    pub(crate) values: Vec<Option<f64>>,
    /// What a script finds its place in the legend by; nothing if there is no script.
    pub(crate) key: &'static str,
}

/// A chart.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) note: String,
    /// What it shows, in words, for who cannot see it.
    pub(crate) about: String,
    /// Behind a tick's number.
    pub(crate) unit: &'static str,
    /// Where its scale ends, if it is not to follow the values.
    pub(crate) most: Option<f64>,
    /// Whether its scale goes by powers of ten.
    pub(crate) log: bool,
    pub(crate) height: &'static str,
    pub(crate) series: Vec<Series>,
    /// HTML before the series' own keys.
    pub(crate) keys: String,
    /// HTML between the title and the drawing.
    pub(crate) above: String,
    /// HTML over the drawing, placed in per cent.
    pub(crate) over: String,
}

/// The common time axis: points in seconds, each for the step before it.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) span: f64,
    /// The time that a point stands for.
    pub(crate) step: f64,
    pub(crate) at: Vec<f64>,
}

impl Axis {
    /// Where a time is, in units of the drawing.
    pub(crate) fn x(&self, at: f64) -> f64 {
        (at / self.span * WIDTH).clamp(0.0, WIDTH)
    }

    /// Where a time is, per cent of the width.
    pub(crate) fn percent(&self, at: f64) -> f64 {
        self.x(at) / WIDTH * 100.0
    }

    /// Round times, some eight of them.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let steps = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0];
        let step = steps
            .into_iter()
            .find(|step| self.span / step <= 9.0)
            .unwrap_or_else(|| (self.span / 8.0 / 86_400.0).ceil() * 86_400.0);
        (0..=(self.span / step) as u32).map(|tick| f64::from(tick) * step).collect()
    }
}

impl Chart {
    /// As HTML; `backdrop` is drawn behind it, in units of the drawing.
    pub(crate) fn draw(&self, axis: &Axis, backdrop: &str) -> String {
        let Self { title, note, unit, height, above, over, about, .. } = self;
        let tops = self.stacked();
        let scale = self.scale(&tops);
        let keys: String = self.series.iter().filter(|series| !series.label.is_empty()).map(key).collect();
        let labels: String = scale
            .ticks
            .iter()
            .map(|tick| format!("<span style=\"top:{:.2}%\">{}{unit}</span>", scale.y(*tick), short(*tick)))
            .collect();
        let grid: String = scale
            .ticks
            .iter()
            .map(|tick| format!("<path class=\"grid\" d=\"M0 {:.1}H{WIDTH}\"/>", scale.y(*tick)))
            .collect();
        let (mut shapes, mut blocks) = (String::new(), String::new());
        let mut below: Option<&Vec<Option<f64>>> = None;
        for (series, top) in self.series.iter().zip(&tops) {
            let drawn = shape::draw(series, top, below, axis, &scale);
            if series.mark == Mark::Blocks { &mut blocks } else { &mut shapes }.push_str(&drawn);
            if series.mark.stacks() {
                below = Some(top);
            }
        }
        let blocks = if blocks.is_empty() { blocks } else { format!("<svg aria-hidden=\"true\">{blocks}</svg>") };
        let about = if about.is_empty() { about.clone() } else { format!(": {}", escape(about)) };
        // Rectangles that are not stretched are between what is behind and the lines in front.
        let (behind, front) = if blocks.is_empty() {
            (String::new(), format!("{backdrop}{grid}{shapes}"))
        } else {
            let drawing = format!(
                "<svg class=\"behind\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{backdrop}{grid}</svg>"
            );
            (drawing + &blocks, shapes)
        };
        format!(
            "<section class=\"chart\"><header><h3>{title} <small>{note}</small></h3><div class=\"keys\">{}{keys}</div></header>{above}\
             <div class=\"plot {height}\"><div class=\"scale\" aria-hidden=\"true\">{labels}</div>{behind}\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title} over time{about}\">\
             {front}</svg>{over}</div></section>\n",
            self.keys,
        )
    }

    fn scale(&self, tops: &[Vec<Option<f64>>]) -> Scale {
        let values = || tops.iter().flatten().flatten().copied();
        let most = values().fold(0.0, f64::max);
        if self.log {
            Scale::log(values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min), most)
        } else {
            Scale::linear(self.most.unwrap_or(most))
        }
    }

    /// The values as they are drawn: what is stacked stands on what is stacked before it.
    fn stacked(&self) -> Vec<Vec<Option<f64>>> {
        let mut below: Vec<f64> = Vec::new();
        let mut stack = |series: &Series| {
            if !series.mark.stacks() {
                return series.values.clone();
            }
            below.resize(series.values.len(), 0.0);
            below.iter_mut().zip(&series.values).for_each(|(below, value)| *below += value.unwrap_or(0.0));
            below.iter().copied().map(Some).collect()
        };
        self.series.iter().map(&mut stack).collect()
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

    fn chart(mark: Mark) -> Chart {
        let series = |values: &[f64]| Series {
            label: "<l>".to_owned(),
            class: "c".to_owned(),
            mark,
            values: values.iter().copied().map(Some).collect(),
            key: "",
        };
        let series = vec![series(&[1.0, 2.0]), series(&[1.0, 1.0])];
        Chart { title: "t", most: Some(4.0), height: "tall", series, ..Chart::default() }
    }

    #[test]
    fn times_have_their_place() {
        let axis = Axis { span: 86_400.0, step: 60.0, at: Vec::new() };
        assert_eq!((axis.ticks().len(), axis.x(43_200.0)), (9, 500.0));
        assert_eq!(Axis { span: 800.0, step: 1.0, at: Vec::new() }.ticks().len(), 7);
    }

    #[test]
    fn a_stack_stands_on_what_is_below_it() {
        let axis = Axis { span: 2.0, step: 1.0, at: vec![1.0, 2.0] };
        let drawn = chart(Mark::Stack).draw(&axis, "");
        assert!(
            drawn.contains("M0.0 66.7 500.0 66.7 500.0 50.0 1000.0 50.0L1000.0 66.7 500.0 66.7 500.0 83.3 0.0 83.3Z"),
            "{drawn}"
        );
        assert!(drawn.contains("&lt;l&gt;") && !drawn.contains("<l>"), "{drawn}");
        let drawn = chart(Mark::Blocks).draw(&axis, "");
        let second = "<rect x=\"50%\" y=\"50%\" width=\"50%\" height=\"16.67%\"/>";
        assert!(drawn.contains(second), "{drawn}");
    }
}
