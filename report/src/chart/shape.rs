//! A series as paths or rectangles.

use super::scale::Scale;
use super::{Layer, Mark};
use crate::{Axis, HEIGHT};

/// A bar is at least so high, in units of the drawing: one failed request of a thousand is to be seen.
const LEAST: f64 = 1.0;

/// A value from the left to the right end of its step, in units of the drawing.
#[derive(Clone, Copy)]
struct Point {
    left: f64,
    right: f64,
    top: f64,
    floor: f64,
}

/// The elements that show it.
pub(super) fn draw(layer: &Layer<'_>, axis: &Axis, scale: &Scale) -> String {
    let class = &layer.series.class;
    let path = |kind: &str, d: &str| {
        if d.is_empty() { String::new() } else { format!("<path class=\"{kind} {class}\" d=\"{d}\"/>") }
    };
    let runs = runs(layer, axis, scale);
    let each = |draw: fn(&[Point]) -> String| runs.iter().map(|run| draw(run)).collect::<String>();
    match layer.series.mark {
        Mark::Line => path("line", &each(line)) + &path("dot", &each(dot)),
        Mark::Area => path("area", &each(area)) + &path("line", &each(line)) + &path("dot", &each(dot)),
        Mark::Steps => path("line", &each(outline)),
        Mark::Stack => path("layer", &each(filled)),
        Mark::Bars => path("bars", &each(bars)),
        Mark::Blocks => {
            let blocks = each(blocks);
            if blocks.is_empty() { blocks } else { format!("<g class=\"blocks {class}\">{blocks}</g>") }
        }
    }
}

/// The points that have a value, those without a gap together. No run is empty.
fn runs(layer: &Layer<'_>, axis: &Axis, scale: &Scale) -> Vec<Vec<Point>> {
    let mut runs: Vec<Vec<Point>> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for ((at, value), floor) in axis.at.iter().zip(&layer.top).zip(&layer.floor) {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        let joined = layer.series.joins(at - last, axis);
        let left = axis.x(if joined { last } else { at - axis.step });
        let point = Point { left, right: axis.x(*at), top: scale.y(value), floor: scale.y(*floor) };
        match runs.last_mut() {
            Some(run) if joined => run.push(point),
            _ => runs.push(vec![point]),
        }
        last = *at;
    }
    runs
}

fn points(run: &[Point]) -> String {
    run.iter().map(|point| format!("{:.1} {:.1}", point.right, point.top)).collect::<Vec<_>>().join(" ")
}

/// A point alone has no line.
fn line(run: &[Point]) -> String {
    if run.len() > 1 { format!("M{}", points(run)) } else { String::new() }
}

/// The round end of next to nothing is a dot.
fn dot(run: &[Point]) -> String {
    if run.len() == 1 { format!("M{}h.01", points(run)) } else { String::new() }
}

fn area(run: &[Point]) -> String {
    match run {
        [first, .., _] => format!("M{:.1} {HEIGHT}L{}V{HEIGHT}Z", first.right, points(run)),
        _ => String::new(),
    }
}

fn outline(run: &[Point]) -> String {
    run.first().map_or_else(String::new, |first| format!("M{:.1} {:.1}{}", first.left, first.top, steps(run)))
}

/// There over its tops, and back over its floors.
fn filled(run: &[Point]) -> String {
    let turned = |point: &Point| Point { left: point.right, right: point.left, top: point.floor, ..*point };
    let back: Vec<Point> = run.iter().rev().map(turned).collect();
    back.first().map_or_else(String::new, |last| format!("{}V{:.1}{}Z", outline(run), last.top, steps(&back)))
}

/// From point to point, drawn only where they change: level runs are most of a count's life.
fn steps(run: &[Point]) -> String {
    let mut path = String::new();
    for (index, point) in run.iter().enumerate() {
        match run.get(index + 1) {
            Some(next) if (next.top - point.top).abs() < 0.05 => {}
            Some(next) => path += &format!("H{:.1}V{:.1}", point.right, next.top),
            None => path += &format!("H{:.1}", point.right),
        }
    }
    path
}

fn bars(run: &[Point]) -> String {
    let seen = run.iter().filter(|point| point.top < HEIGHT);
    let bar = |Point { left, right, top, .. }: &Point| {
        format!("M{left:.1} {HEIGHT}V{:.1}H{right:.1}V{HEIGHT}Z", top.min(HEIGHT - LEAST))
    };
    seen.map(bar).collect()
}

/// A rectangle for as long as neither of its edges moves.
fn blocks(run: &[Point]) -> String {
    let seen: Vec<Point> = run.iter().filter(|point| point.floor - point.top > 1e-6).copied().collect();
    let same = |a: &Point, b: &Point| {
        (a.right - b.left).abs() < 1e-6 && (a.top - b.top).abs() < 1e-6 && (a.floor - b.floor).abs() < 1e-6
    };
    let rectangle = |joined: &[Point]| match joined {
        [Point { left, top, floor, .. }, ..] => {
            let right = joined.last().map_or(*left, |last| last.right);
            let [x, y, width, height] = [left / 10.0, *top, (right - left) / 10.0, floor - top].map(percent);
            format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>")
        }
        [] => String::new(),
    };
    seen.chunk_by(same).map(rectangle).collect()
}

fn percent(value: f64) -> String {
    let text = format!("{value:.2}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::super::{Series, Unit};
    use super::*;

    fn drawn(mark: Mark, values: &[Option<f64>]) -> String {
        let axis = Axis { span: 10.0, step: 1.0, at: (1..=values.len()).map(|at| at as f64).collect() };
        let series = Series::new("k", "", mark, values.to_vec());
        let layer = Layer { series: &series, floor: vec![0.0; values.len()], top: values.to_vec() };
        draw(&layer, &axis, &Scale::linear(Unit::Percent, 100.0))
    }

    #[test]
    fn gaps_are_not_drawn_over_and_a_point_alone_is_a_dot() {
        let values = [Some(75.0), Some(75.0), None, None, Some(0.0), None];
        let dot = "<path class=\"dot c-k\" d=\"M500.0 100.0h.01\"/>";
        assert_eq!(drawn(Mark::Line, &values), format!("<path class=\"line c-k\" d=\"M100.0 25.0 200.0 25.0\"/>{dot}"));
        let area = drawn(Mark::Area, &values);
        assert!(area.contains("d=\"M100.0 100L100.0 25.0 200.0 25.0V100Z\"") && area.ends_with(dot), "{area}");
        assert_eq!(
            drawn(Mark::Steps, &[Some(75.0), Some(f64::NAN)]),
            "<path class=\"line c-k\" d=\"M0.0 25.0H100.0\"/>"
        );
        assert_eq!(drawn(Mark::Area, &[]), "");
    }

    #[test]
    fn what_is_little_is_seen_and_what_is_not_is_not() {
        let bars = drawn(Mark::Bars, &[Some(0.0), Some(0.01), None]);
        assert_eq!(bars, "<path class=\"bars c-k\" d=\"M100.0 100V99.0H200.0V100Z\"/>");
        let blocks = drawn(Mark::Blocks, &[Some(0.0), Some(50.0), Some(50.0), Some(0.0)]);
        assert_eq!(blocks, "<g class=\"blocks c-k\"><rect x=\"10%\" y=\"50%\" width=\"20%\" height=\"50%\"/></g>");
    }
}
