//! The charts of a run, one below the other over one time axis, with its phases and events behind them all.

use std::collections::BTreeMap;

use serde_json::json;

use super::chart::{Axis, Chart, Mark, Series, WIDTH};
use super::scale::Unit;
use super::thin::{Point, thin};
use super::words::{clock, escape, number};
use crate::report::{PhaseSummary, Row, Summary};

/// Versions that have a colour of their own; all further ones share one.
const COLOURS: usize = 6;

/// Events that are marked; of more there is only the list.
pub(super) const MARKED_EVENTS: usize = 100;

/// What is polled comes once a minute at the slowest; after three it is missing.
const POLLED: f64 = 180.0;

/// All charts, and below them the data for the script.
pub(super) fn stack(summary: &Summary, rows: &[Row]) -> String {
    let (points, width) = thin(rows);
    let ends = rows.iter().map(|row| row.at).chain(summary.phases.iter().map(|phase| phase.end));
    // Of a run of no length, a second is drawn.
    let span = ends.chain([summary.duration, 1.0]).fold(0.0, f64::max);
    let axis = Axis { span, step: width, at: points.iter().map(|point| point.at).collect() };
    let charts = charts(summary, &points, &axis);
    let backdrop = backdrop(summary, &axis);
    let drawn: String = charts.iter().map(|chart| chart.draw(&axis, &backdrop)).collect();
    let note = match rows.len() {
        0 => "<p class=\"note\">No timeline was recorded.</p>".to_owned(),
        _ if width > 1.0 => {
            let mean = "rates and CPU are means, times and failures the worst second's";
            format!("<p class=\"note\">Each point is {}: {mean}.</p>", length(width))
        }
        _ => String::new(),
    };
    let unit = if span < 3600.0 { "m:ss" } else { "h:mm" };
    format!(
        "<div class=\"stack\" id=\"stack\"><div class=\"strip\">{}</div><div class=\"flags\">{}</div>\n{drawn}\
         <div class=\"times\"><span class=\"unit\">{unit}</span>{}</div></div>{note}\n\
         <script type=\"application/json\" id=\"points\">{}</script>\n",
        phases(summary, &axis),
        flags(summary, &axis),
        times(&axis),
        data(&charts, summary, &axis),
    )
}

fn charts(summary: &Summary, points: &[Point], axis: &Axis) -> Vec<Chart> {
    let step = axis.step;
    let series = |key: &str, label: &str, mark, bridge: f64, value: &dyn Fn(&Point) -> Option<f64>| {
        let (key, class) = (key.to_owned(), format!("c-{key}"));
        Series { key, label: label.to_owned(), class, mark, values: points.iter().map(value).collect(), bridge }
    };
    let near = step * 2.5;
    let rate = vec![
        series("ok", "ok", Mark::Area, near, &|point| Some(point.ok)),
        series("sent", "sent", Mark::Line, near, &|point| Some(point.sent)),
        series("planned", "planned", Mark::Line, near, &|point| Some(point.planned)),
    ];
    // Where little is asked, there are seconds without an answer.
    let seldom = near + 8.0;
    let latency = vec![
        series("p99", "p99", Mark::Line, seldom, &|point| point.p99),
        series("p95", "p95", Mark::Line, seldom, &|point| point.p95),
        series("p50", "p50", Mark::Line, seldom, &|point| point.p50),
    ];
    let failed = vec![series("failed", "failed", Mark::Bars, near, &|point| Some(point.failed))];
    let polled = step.mul_add(1.5, POLLED);
    let mut instances = versions(summary, axis);
    instances.extend([
        series("desired", "desired", Mark::Steps, polled, &|point| point.desired),
        series("in-service", "in service", Mark::Steps, polled, &|point| point.in_service),
    ]);
    let cpus = if summary.generator.cpus > 0.0 { summary.generator.cpus } else { 1.0 };
    let cpu = vec![
        series("fleet", "fleet", Mark::Area, polled, &|point| point.fleet_cpu),
        series("own", "generator", Mark::Line, near, &|point| Some(point.own_cpus / cpus * 100.0)),
    ];
    let none = points.iter().all(|point| point.failed == 0.0) && !points.is_empty();
    let (low, note) = if none { ("flat", "none") } else { ("low", "") };
    let chart = |title, note: &str, unit, height, mut series: Vec<Series>| {
        series.retain(|series| series.values.iter().any(|value| value.is_some()));
        Chart { title, note: note.to_owned(), unit, height, series }
    };
    let mut charts = vec![
        chart("Requests per second", "", Unit::Number, "tall", rate),
        chart("Latency since due", "", Unit::Millis, "tall", latency),
        chart("Failures per second", note, Unit::Number, low, failed),
        chart("Instances", "each from its first answer to its last", Unit::Number, "middle", instances),
        chart("CPU", "", Unit::Percent, "low", cpu),
    ];
    charts.retain(|chart| !matches!(chart.title, "Instances" | "CPU") || !chart.series.is_empty());
    charts
}

/// Every version with its colour's number, in the order of their first answers.
pub(super) fn colours(summary: &Summary) -> BTreeMap<&str, usize> {
    let mut first: Vec<_> = summary.instances.iter().collect();
    first.sort_by(|a, b| a.first.total_cmp(&b.first));
    let mut colours = BTreeMap::new();
    for instance in first {
        let next = colours.len().min(COLOURS);
        colours.entry(instance.version.as_str()).or_insert(next);
    }
    colours
}

/// From the instances and not from the rows: at two requests a second, one of four answers in no second.
fn versions(summary: &Summary, axis: &Axis) -> Vec<Series> {
    let colours = colours(summary);
    let Some(last) = colours.values().max() else { return Vec::new() };
    let mut counts = vec![vec![0i64; axis.at.len() + 1]; last + 1];
    for instance in &summary.instances {
        // It answers in the steps from that of its first answer to that of its last.
        let from = axis.at.partition_point(|at| *at < instance.first);
        // What answered a moment before the end did not go before it.
        let last = if instance.last + 10.0 >= axis.span { axis.span } else { instance.last };
        let to = axis.at.partition_point(|at| at - axis.step < last).max(from);
        let counts = &mut counts[colours[instance.version.as_str()]];
        counts[from] += 1;
        counts[to] -= 1;
    }
    let name = |colour: usize| match colours.iter().find(|(_, own)| **own == colour) {
        Some((name, _)) if colour < COLOURS => (*name).to_owned(),
        _ => "others".to_owned(),
    };
    let series = counts.into_iter().enumerate().map(|(colour, counts)| {
        let mut now = 0;
        let mut add = |change: &i64| {
            now += change;
            Some(now as f64)
        };
        let values = counts.iter().take(axis.at.len()).map(&mut add).collect();
        let (key, class, bridge) = (format!("v{colour}"), format!("c-v{colour}"), axis.step * 2.5);
        Series { key, label: name(colour), class, mark: Mark::Stack, values, bridge }
    });
    series.collect()
}

/// Phases and events, in units of the drawing.
fn backdrop(summary: &Summary, axis: &Axis) -> String {
    let bands = summary.phases.iter().enumerate().map(|(index, phase)| {
        let (from, to) = (axis.x(phase.start), axis.x(phase.end));
        let class = if index % 2 == 0 { "band" } else { "band odd" };
        let width = (to - from).max(0.0);
        let title = about(phase);
        format!(
            "<rect class=\"{class}\" x=\"{from:.1}\" width=\"{width:.1}\" height=\"100\"><title>{title}</title></rect>"
        )
    });
    let ticks =
        ticks(axis.span).into_iter().map(|(at, _)| format!("<path class=\"grid\" d=\"M{:.1} 0V100\"/>", axis.x(at)));
    let events = summary.events.iter().take(MARKED_EVENTS).map(|event| {
        let (x, title) = (axis.x(event.at), format!("{} {}", clock(event.at), escape(&event.text)));
        // A wide line that nobody sees, for the pointer to find.
        format!(
            "<g><title>{title}</title><path class=\"event\" d=\"M{x:.1} 0V100\"/><path class=\"hit\" d=\"M{x:.1} 0V100\"/></g>"
        )
    });
    bands.chain(ticks).chain(events).collect()
}

fn about(phase: &PhaseSummary) -> String {
    let [from, to] = phase.rates.map(number);
    let rates = if from == to { from } else { format!("{from} → {to}") };
    format!("{}: {}–{}, {rates} per second", escape(&phase.name), clock(phase.start), clock(phase.end))
}

fn phases(summary: &Summary, axis: &Axis) -> String {
    let label = |phase: &PhaseSummary| {
        let (left, width) = (axis.x(phase.start) / WIDTH, (axis.x(phase.end) - axis.x(phase.start)) / WIDTH);
        let (left, width) = (left * 100.0, width.max(0.0) * 100.0);
        let (title, name) = (about(phase), escape(&phase.name));
        format!("<span style=\"left:{left:.2}%;width:{width:.2}%\" title=\"{title}\">{name}</span>")
    };
    summary.phases.iter().map(label).collect()
}

/// The events' numbers above the charts, in up to three lanes where they are close.
fn flags(summary: &Summary, axis: &Axis) -> String {
    let mut lanes = [f64::NEG_INFINITY; 3];
    let flag = |(index, event): (usize, &crate::report::Event)| {
        let left = axis.x(event.at) / WIDTH * 100.0;
        let lane = lanes.iter().position(|last| left - last >= 2.2).unwrap_or(0);
        lanes[lane] = left;
        let (id, title) = (index + 1, format!("{} {}", clock(event.at), escape(&event.text)));
        format!("<a class=\"lane{lane}\" style=\"left:{left:.2}%\" href=\"#event-{id}\" title=\"{title}\">{id}</a>")
    };
    summary.events.iter().take(MARKED_EVENTS).enumerate().map(flag).collect()
}

/// Where the axis is marked, and whether it has its number also where there is little room.
fn ticks(span: f64) -> Vec<(f64, bool)> {
    const STEPS: [f64; 18] = [
        0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
        21_600.0,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| span / step <= 12.5)
        .unwrap_or_else(|| (span / 12.0 / 86_400.0).ceil() * 86_400.0);
    let number = (span / step + 1e-9).floor() as u32;
    let every = (number / 5 + 1).max(1);
    (0..=number).map(|tick| (f64::from(tick) * step, tick % every == 0)).collect()
}

fn times(axis: &Axis) -> String {
    let time = |(at, always): (f64, bool)| {
        let class = if always { "" } else { " class=\"wide\"" };
        let text = match axis.span {
            span if span < 10.0 => format!("0:0{at:.1}").trim_end_matches(".0").to_owned(),
            span if span < 3600.0 => clock(at),
            _ => format!("{}:{:02}", (at / 3600.0).floor(), (at / 60.0).round() as u64 % 60),
        };
        format!("<span{class} style=\"left:{:.2}%\">{text}</span>", axis.x(at) / WIDTH * 100.0)
    };
    ticks(axis.span).into_iter().map(time).collect()
}

fn length(seconds: f64) -> String {
    match seconds {
        60.0 => "a minute".to_owned(),
        _ if seconds < 60.0 => format!("{seconds:.0} seconds"),
        _ => format!("{:.0} minutes", seconds / 60.0),
    }
}

/// A series' values; of what is polled, in between, what was last seen.
fn known(series: &Series, axis: &Axis) -> Vec<Option<f64>> {
    let mut last = (f64::NEG_INFINITY, None);
    let value = |(at, value): (&f64, &Option<f64>)| {
        if value.is_some() {
            last = (*at, *value);
        }
        let lasts = series.bridge >= POLLED && at - last.0 <= series.bridge;
        if lasts { last.1 } else { *value }
    };
    axis.at.iter().zip(&series.values).map(value).collect()
}

/// What the script shows at a moment; without `<`, so that nothing in it ends the element that it stands in.
fn data(charts: &[Chart], summary: &Summary, axis: &Axis) -> String {
    let round = |value: Option<f64>| value.map(|value| (value * 100.0).round() / 100.0);
    let series: BTreeMap<&str, _> = charts
        .iter()
        .flat_map(|chart| chart.series.iter().map(move |series| (chart.unit, series)))
        .map(|(unit, series)| {
            let unit = match unit {
                Unit::Number => "",
                Unit::Millis => "ms",
                Unit::Percent => "%",
            };
            let values: Vec<_> = known(series, axis).into_iter().map(round).collect();
            (series.key.as_str(), json!({ "unit": unit, "values": values }))
        })
        .collect();
    let phases: Vec<_> = summary.phases.iter().map(|phase| json!([phase.start, phase.end, phase.name])).collect();
    let at: Vec<_> = axis.at.iter().map(|at| round(Some(*at))).collect();
    json!({ "span": axis.span, "step": axis.step, "at": at, "series": series, "phases": phases })
        .to_string()
        .replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_a_few_round_times() {
        for (span, number, second) in [(20.0, 11, 2.0), (1210.0, 11, 120.0), (86_400.0, 13, 7200.0), (1.0, 11, 0.1)] {
            let ticks = ticks(span);
            assert_eq!((ticks.len(), ticks[1].0), (number, second), "{span}");
        }
    }
}
