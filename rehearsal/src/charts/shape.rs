//! A series as paths or rectangles.

use super::scale::Scale;
use super::{Axis, HEIGHT, Mark, Series};

/// A bar is at least so high, in units of the drawing: one failed request of a thousand is to be seen.
const LEAST: f64 = 1.0;

/// `top` is the series as it stands on what is `below` it.
pub(super) fn draw(
    series: &Series,
    top: &[Option<f64>],
    below: Option<&Vec<Option<f64>>>,
    axis: &Axis,
    scale: &Scale,
) -> String {
    let class = &series.class;
    let path = |kind: &str, d: &str| {
        if d.is_empty() { String::new() } else { format!("<path class=\"{kind} {class}\" d=\"{d}\"/>") }
    };
    let floor = vec![Some(0.0); top.len()];
    let below = below.map_or(floor.as_slice(), Vec::as_slice);
    match series.mark {
        Mark::Line | Mark::Area => {
            let (mut line, mut fill) = (String::new(), String::new());
            for run in runs(axis, top) {
                let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
                let points: Vec<_> =
                    run.iter().map(|point| format!("{:.1} {:.1}", point.right, scale.y(point.value))).collect();
                let points = points.join(" ");
                fill += &format!("M{:.1} {HEIGHT}L{points}L{:.1} {HEIGHT}Z", first.right, last.right);
                // A point alone has no line; its round end is a dot.
                line += &format!("M{points}{}", if run.len() == 1 { "h.01" } else { "" });
            }
            if series.mark == Mark::Line {
                fill.clear();
            }
            path("area", &fill) + &path("line", &line)
        }
        Mark::Steps => path(
            "line",
            &runs(axis, top).iter().map(|run| format!("M{}", join(&outline(run, scale)))).collect::<String>(),
        ),
        Mark::Stack => {
            let mut back: Vec<_> = runs(axis, below).iter().flat_map(|run| outline(run, scale)).collect();
            back.reverse();
            let front: Vec<_> = runs(axis, top).iter().flat_map(|run| outline(run, scale)).collect();
            path("layer", &format!("M{}L{}Z", join(&front), join(&back)))
        }
        Mark::Blocks => {
            let blocks = blocks(axis, top, below, scale);
            if blocks.is_empty() { blocks } else { format!("<g class=\"blocks {class}\">{blocks}</g>") }
        }
        Mark::Bars => {
            let bars = runs(axis, top).into_iter().flatten().filter(|point| point.value > 0.0);
            let bar = |point: Point| {
                let y = scale.y(point.value).min(HEIGHT - LEAST);
                format!("M{:.1} {HEIGHT}V{y:.1}H{:.1}V{HEIGHT}Z", point.left, point.right)
            };
            path("bars", &bars.map(bar).collect::<String>())
        }
    }
}

/// A value from the left to the right end of its step, in units of the drawing.
#[derive(Clone, Copy)]
struct Point {
    left: f64,
    right: f64,
    value: f64,
}

/// The points that have a value, those without a gap together.
fn runs(axis: &Axis, values: &[Option<f64>]) -> Vec<Vec<Point>> {
    let mut runs: Vec<Vec<Point>> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (at, value) in axis.at.iter().zip(values) {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        let joined = at - last <= axis.step * 1.5;
        let left = if joined { last } else { at - axis.step };
        let point = Point { left: axis.x(left), right: axis.x(*at), value };
        match runs.last_mut() {
            Some(run) if joined => run.push(point),
            _ => runs.push(vec![point]),
        }
        last = *at;
    }
    runs
}

/// Steps from point to point, drawn only where they change.
fn outline(run: &[Point], scale: &Scale) -> Vec<(f64, f64)> {
    let mut corners = Vec::new();
    for (index, point) in run.iter().enumerate() {
        let differs =
            |other: Option<&Point>| other.is_none_or(|other| (other.value - point.value).abs() > f64::EPSILON);
        if differs(index.checked_sub(1).and_then(|before| run.get(before))) {
            corners.push((point.left, scale.y(point.value)));
        }
        if differs(run.get(index + 1)) {
            corners.push((point.right, scale.y(point.value)));
        }
    }
    corners
}

fn join(corners: &[(f64, f64)]) -> String {
    corners.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect::<Vec<_>>().join(" ")
}

/// A rectangle for as long as neither of its edges moves.
fn blocks(axis: &Axis, top: &[Option<f64>], below: &[Option<f64>], scale: &Scale) -> String {
    let mut joined: Vec<(f64, f64, f64, f64)> = Vec::new();
    let points = runs(axis, top).into_iter().flatten().zip(runs(axis, below).into_iter().flatten());
    for (high, low) in points.filter(|(high, low)| high.value - low.value > f64::EPSILON) {
        let (upper, lower) = (scale.y(high.value), scale.y(low.value));
        match joined.last_mut() {
            Some((_, right, top, bottom))
                if (*right - high.left).abs() < 1e-6
                    && (*top - upper).abs() < 1e-6
                    && (*bottom - lower).abs() < 1e-6 =>
            {
                *right = high.right;
            }
            _ => joined.push((high.left, high.right, upper, lower)),
        }
    }
    let percent = |value: f64| {
        let text = format!("{value:.2}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}%")
    };
    let rectangle = |(left, right, top, bottom): &(f64, f64, f64, f64)| {
        format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            percent(left / 10.0),
            percent(*top),
            percent((right - left) / 10.0),
            percent(bottom - top),
        )
    };
    joined.iter().map(rectangle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mark: Mark, values: &[Option<f64>]) -> String {
        let axis = Axis { span: 10.0, step: 1.0, at: (1..=values.len()).map(|at| at as f64).collect() };
        let series = Series { label: String::new(), class: "c".to_owned(), mark, values: values.to_vec(), key: "" };
        draw(&series, values, None, &axis, &Scale::linear(100.0))
    }

    #[test]
    fn gaps_are_not_drawn_over_and_a_point_alone_is_a_dot() {
        let drawn = drawn(Mark::Line, &[Some(75.0), Some(75.0), None, None, Some(0.0), None]);
        assert_eq!(drawn, "<path class=\"line c\" d=\"M100.0 50.0 200.0 50.0M500.0 100.0h.01\"/>");
    }

    #[test]
    fn what_is_little_is_seen_and_what_is_not_is_not() {
        let drawn = drawn(Mark::Bars, &[Some(0.0), Some(0.01), None]);
        assert_eq!(drawn, "<path class=\"bars c\" d=\"M100.0 100V99.0H200.0V100Z\"/>");
    }
}
