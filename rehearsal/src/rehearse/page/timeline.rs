//! The charts, one below the other over one time axis, with the steps above and the events below.

use serde_json::{Value, json};

use super::super::outcome::{Instances, Outcome, Row};
use super::super::words::{clock, number};
use super::marks;
use crate::charts::words::{count, escape};
use crate::charts::{Axis, Chart, Mark, Series};

/// Builds that have a colour of their own; all further ones share one.
const COLOURS: usize = 6;

/// A build has its name in the drawing where it is there for so much of the width, per cent.
const NAMED: f64 = 9.0;

/// An instance of a build is in one of these: class, word, how many.
type State = (&'static str, &'static str, fn(&Instances) -> u32);

const STATES: [State; 4] = [
    ("healthy", "healthy", |instances| instances.healthy),
    ("starting", "starting", |instances| instances.starting),
    ("unhealthy", "unhealthy", |instances| instances.unhealthy),
    ("leaving", "leaving", |instances| instances.leaving),
];

/// The builds that ran, in the order in which they came.
pub(super) fn builds(rows: &[Row]) -> Vec<&str> {
    let mut builds: Vec<&str> = Vec::new();
    for build in rows.iter().flat_map(|row| row.instances.keys()) {
        if !builds.contains(&build.as_str()) {
            builds.push(build);
        }
    }
    builds
}

/// The whole drawing, and the data for the script.
pub(super) fn stack(outcome: &Outcome) -> String {
    let Outcome { steps, events, timeline: rows, .. } = outcome;
    let ends = rows.iter().map(|row| row.at + 1.0).chain(steps.iter().map(|step| step.at + step.seconds));
    let span = ends.chain([outcome.seconds, 1.0]).fold(0.0, f64::max);
    let axis = Axis { span, step: 1.0, at: rows.iter().map(|row| row.at + 1.0).collect() };
    let backdrop = marks::backdrop(steps, events, rows, &axis);
    let charts = [rate(rows, &axis), latency(rows), instances(rows, &axis), cpu(rows)];
    let drawn: String = charts.iter().map(|chart| chart.draw(&axis, &backdrop)).collect();
    let times: String = axis
        .ticks()
        .iter()
        .map(|at| format!("<span style=\"left:{:.2}%\">{}</span>", axis.percent(*at), clock(*at)))
        .collect();
    format!(
        "<div class=\"stack\" id=\"stack\">{}{}{drawn}<div class=\"times\">{times}</div>{}{}</div>\n\
         <script type=\"application/json\" id=\"points\">{}</script>\n",
        patterns(),
        marks::steps(steps, &axis),
        marks::events(events, &axis),
        marks::compressed(rows, &axis),
        data(outcome, &axis),
    )
}

fn series(label: &str, class: &str, mark: Mark, key: &'static str, values: Vec<Option<f64>>) -> Series {
    Series { label: label.to_owned(), class: class.to_owned(), mark, values, key }
}

fn rate(rows: &[Row], axis: &Axis) -> Chart {
    let values = |value: fn(&Row) -> u64| rows.iter().map(|row| Some(value(row) as f64)).collect::<Vec<_>>();
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    let most = rows.iter().map(|row| row.answered).max().unwrap_or(0);
    let failures = if failed == 0 { "none failed".to_owned() } else { format!("{} failed", count(failed as f64)) };
    Chart {
        title: "Requests",
        note: format!("a second; {failures}"),
        about: format!("at most {} in a second, {failures}", count(most as f64)),
        height: "tall",
        series: vec![
            series("answered", "c-answered", Mark::Area, "answered", values(|row| row.answered)),
            series("failed", "c-failed", Mark::Bars, "failed", values(|row| row.failed)),
        ],
        above: marks::failed(rows, axis),
        ..Chart::default()
    }
}

fn latency(rows: &[Row]) -> Chart {
    let p99 = rows.iter().map(|row| row.p99).collect::<Vec<_>>();
    let worst = p99.iter().flatten().copied().fold(0.0, f64::max);
    Chart {
        title: "Latency",
        note: "log scale".to_owned(),
        about: format!("p99 of a second at most {} ms", number(worst)),
        unit: "\u{a0}ms",
        log: true,
        height: "tall",
        series: vec![
            series("p99", "c-p99", Mark::Line, "p99", p99),
            series("p50", "c-p50", Mark::Line, "p50", rows.iter().map(|row| row.p50).collect()),
        ],
        ..Chart::default()
    }
}

fn instances(rows: &[Row], axis: &Axis) -> Chart {
    let builds = builds(rows);
    let of = |row: &Row, build: &str, value: fn(&Instances) -> u32| {
        Some(f64::from(row.instances.get(build).map_or(0, value)))
    };
    let mut layers = Vec::new();
    for (index, build) in builds.iter().enumerate() {
        for (state, _, value) in STATES {
            let class = format!("c-b{} {state}", index.min(COLOURS));
            layers.push(series("", &class, Mark::Blocks, "", rows.iter().map(|row| of(row, build, value)).collect()));
        }
    }
    let desired = rows.iter().map(|row| Some(f64::from(row.desired))).collect();
    layers.push(series("desired", "c-desired", Mark::Steps, "desired", desired));
    let build = |(index, build): (usize, &&str)| {
        format!("<span class=\"key c-b{}\"><i class=\"fill\"></i>{}</span>", index.min(COLOURS), escape(build))
    };
    let state = |(class, word, _): &State| {
        format!(
            "<span class=\"key\"><svg class=\"sample\" aria-hidden=\"true\"><g class=\"blocks c-state {class}\">\
             <rect width=\"16\" height=\"10\"/></g></svg>{word}</span>"
        )
    };
    let total = |row: &Row| row.instances.values().map(|instances| instances.healthy).sum::<u32>();
    Chart {
        title: "Instances",
        note: "by build".to_owned(),
        about: format!(
            "at most {} healthy at once, of the builds {}",
            rows.iter().map(total).max().unwrap_or(0),
            builds.join(", ")
        ),
        height: "tall",
        keys: builds.iter().enumerate().map(build).chain(STATES.iter().map(state)).collect(),
        series: layers,
        over: names(rows, &builds, axis),
        ..Chart::default()
    }
}

/// Each build's name in the drawing, where it is for long: no colour alone has to tell.
fn names(rows: &[Row], builds: &[&str], axis: &Axis) -> String {
    let mut names = String::new();
    for (index, build) in builds.iter().enumerate() {
        let mut from = None;
        for row in rows.iter().map(Some).chain([None]) {
            let most = row.and_then(|row| row.instances.iter().max_by_key(|(_, instances)| instances.healthy));
            let here = most.is_some_and(|(name, instances)| name == build && instances.healthy > 0);
            match (here, from) {
                (true, None) => from = row.map(|row| row.at),
                (false, Some(start)) => {
                    let end = row.map_or(axis.span, |row| row.at);
                    let (left, right) = (axis.percent(start), axis.percent(end));
                    if right - left >= NAMED {
                        names += &format!(
                            "<span class=\"c-b{}\" style=\"left:{left:.2}%;width:{:.2}%\"><em>{}</em></span>",
                            index.min(COLOURS),
                            right - left,
                            escape(build)
                        );
                    }
                    from = None;
                }
                _ => {}
            }
        }
    }
    format!("<div class=\"builds\" aria-hidden=\"true\">{names}</div>")
}

fn cpu(rows: &[Row]) -> Chart {
    let values: Vec<_> = rows.iter().map(|row| row.cpu).collect();
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    Chart {
        title: "CPU",
        note: "of the group's allowance, in the region's last minute".to_owned(),
        about: format!("at most {} per cent", number(most)),
        unit: "\u{a0}%",
        // Up to a hundred, a hundred is the end of the scale.
        most: Some(if most <= 100.0 { 98.0 } else { most }),
        height: "low",
        series: vec![series("CPU", "c-cpu", Mark::Area, "cpu", values)],
        ..Chart::default()
    }
}

/// Hatches and crosses in each build's colour; what is drawn with them is not stretched.
fn patterns() -> String {
    let names = (0..=COLOURS).map(|index| format!("b{index}")).chain(["state".to_owned()]);
    let one = |name: String| {
        format!(
            "<pattern id=\"hatch-{name}\" class=\"c-{name}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V6\"/></pattern>\
             <pattern id=\"cross-{name}\" class=\"c-{name}\" width=\"12\" height=\"12\" patternUnits=\"userSpaceOnUse\">\
             <path class=\"cross-mark\" d=\"M3 3L9 9M9 3L3 9\"/></pattern>"
        )
    };
    format!("<svg class=\"patterns\" aria-hidden=\"true\"><defs>{}</defs></svg>", names.map(one).collect::<String>())
}

/// What the script shows under the pointer. Of instances only the changes: their rows are the same for minutes.
fn data(outcome: &Outcome, axis: &Axis) -> String {
    let rows = &outcome.timeline;
    let round = |value: Option<f64>| value.map(|value| (value * 100.0).round() / 100.0);
    let all = |value: &dyn Fn(&Row) -> Value| rows.iter().map(value).collect::<Value>();
    let builds = builds(rows).into_iter().map(|build| {
        let mut last = Instances::default();
        let mut changes = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let now = row.instances.get(build).copied().unwrap_or_default();
            if now != last {
                changes.push(json!([index, now.healthy, now.starting, now.unhealthy, now.leaving]));
                last = now;
            }
        }
        Value::from(changes)
    });
    let steps = outcome.steps.iter().map(|step| json!([step.at, step.at + step.seconds, step.name]));
    let data = json!({
        "span": axis.span,
        "at": all(&|row| json!(row.at)),
        "series": {
            "answered": all(&|row| json!(row.answered)),
            "failed": all(&|row| json!(row.failed)),
            "p50": all(&|row| json!(round(row.p50))),
            "p99": all(&|row| json!(round(row.p99))),
            "desired": all(&|row| json!(row.desired)),
            "cpu": all(&|row| json!(round(row.cpu))),
            "speed": all(&|row| json!(round(Some(row.speed)))),
        },
        "states": STATES.map(|(_, word, _)| word),
        "builds": builds.collect::<Value>(),
        "names": self::builds(rows),
        "steps": steps.collect::<Value>(),
    });
    // Within a script element, nothing may end it.
    data.to_string().replace('<', "\\u003c")
}
