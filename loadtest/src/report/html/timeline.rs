//! The charts of a run, one below the other over one time axis, with its phases and events behind them all.

use std::collections::BTreeMap;

use tideline_report::words::{clock, length};
use tideline_report::{Axis, Chart, HEIGHT, Mark, Series, Stack, Unit};

use super::thin::{Point, thin};
use super::words::{escape, number};
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
    let note = match rows.len() {
        0 => "<p class=\"note\">No timeline was recorded.</p>\n".to_owned(),
        _ if width > 1.0 => {
            let mean = "rates and CPU are means, times and failures the worst second's";
            format!("<p class=\"note\">Each point is {}: {mean}.</p>\n", length(width))
        }
        _ => String::new(),
    };
    let stack = Stack {
        charts: charts(summary, &points, &axis),
        backdrop: backdrop(summary, &axis),
        above: format!(
            "<div class=\"strip\">{}</div><div class=\"flags\">{}</div>",
            phases(summary, &axis),
            flags(summary, &axis)
        ),
        spans: summary.phases.iter().map(|phase| (phase.start, phase.end, phase.name.as_str())).collect(),
        axis,
        ..Stack::default()
    };
    stack.draw() + &note
}

fn charts(summary: &Summary, points: &[Point], axis: &Axis) -> Vec<Chart> {
    let series = |key: &str, label: &str, mark, value: &dyn Fn(&Point) -> Option<f64>| {
        Series::new(key, label, mark, points.iter().map(value).collect())
    };
    let polled = axis.step.mul_add(1.5, POLLED);
    let polled = |series: Series| Series { bridge: polled, lasts: true, ..series };
    let rate = vec![
        series("ok", "ok", Mark::Area, &|point| Some(point.ok)),
        series("sent", "sent", Mark::Line, &|point| Some(point.sent)),
        series("planned", "planned", Mark::Line, &|point| Some(point.planned)),
    ];
    // Where little is asked, there are seconds without an answer.
    let seldom = |series| Series { bridge: axis.step.mul_add(2.5, 8.0), ..series };
    let latency = vec![
        seldom(series("p99", "p99", Mark::Line, &|point| point.p99)),
        seldom(series("p95", "p95", Mark::Line, &|point| point.p95)),
        seldom(series("p50", "p50", Mark::Line, &|point| point.p50)),
    ];
    let failed = vec![series("failed", "failed", Mark::Bars, &|point| Some(point.failed))];
    let mut instances = versions(summary, axis);
    instances.extend([
        polled(series("desired", "desired", Mark::Steps, &|point| point.desired)),
        polled(series("in-service", "in service", Mark::Steps, &|point| point.in_service)),
    ]);
    let cpus = if summary.generator.cpus > 0.0 { summary.generator.cpus } else { 1.0 };
    let cpu = vec![
        polled(series("fleet", "fleet", Mark::Area, &|point| point.fleet_cpu)),
        series("own", "generator", Mark::Line, &|point| Some(point.own_cpus / cpus * 100.0)),
    ];
    let none = points.iter().all(|point| point.failed == 0.0) && !points.is_empty();
    let (low, note) = if none { ("flat", "none") } else { ("low", "") };
    let chart = |title, note: &str, unit, height, mut series: Vec<Series>| {
        series.retain(|series| series.values.iter().any(|value| value.is_some()));
        Chart { title, note: note.to_owned(), unit, height, series, ..Chart::default() }
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
        Series::new(&format!("v{colour}"), &name(colour), Mark::Stack, values)
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
            "<rect class=\"{class}\" x=\"{from:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\"><title>{title}</title></rect>"
        )
    });
    let events = summary.events.iter().take(MARKED_EVENTS).map(|event| {
        let (line, title) = (axis.line(event.at), format!("{} {}", clock(event.at), escape(&event.text)));
        // A wide line that nobody sees, for the pointer to find.
        format!("<g><title>{title}</title><path class=\"event\" d=\"{line}\"/><path class=\"hit\" d=\"{line}\"/></g>")
    });
    bands.chain([axis.grid()]).chain(events).collect()
}

fn about(phase: &PhaseSummary) -> String {
    let [from, to] = phase.rates.map(number);
    let rates = if from == to { from } else { format!("{from} → {to}") };
    format!("{}: {}–{}, {rates} per second", escape(&phase.name), clock(phase.start), clock(phase.end))
}

fn phases(summary: &Summary, axis: &Axis) -> String {
    let label = |phase: &PhaseSummary| {
        let (left, right) = (axis.percent(phase.start), axis.percent(phase.end));
        let width = (right - left).max(0.0);
        let (title, name) = (about(phase), escape(&phase.name));
        format!("<span style=\"left:{left:.2}%;width:{width:.2}%\" title=\"{title}\">{name}</span>")
    };
    summary.phases.iter().map(label).collect()
}

/// The events' numbers above the charts, in up to three lanes where they are close.
fn flags(summary: &Summary, axis: &Axis) -> String {
    let mut lanes = [f64::NEG_INFINITY; 3];
    let flag = |(index, event): (usize, &crate::report::Event)| {
        let left = axis.percent(event.at);
        let lane = lanes.iter().position(|last| left - last >= 2.2).unwrap_or(0);
        lanes[lane] = left;
        let (id, title) = (index + 1, format!("{} {}", clock(event.at), escape(&event.text)));
        format!("<a class=\"lane{lane}\" style=\"left:{left:.2}%\" href=\"#event-{id}\" title=\"{title}\">{id}</a>")
    };
    summary.events.iter().take(MARKED_EVENTS).enumerate().map(flag).collect()
}
