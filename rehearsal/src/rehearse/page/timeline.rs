//! The charts, one below the other over one time axis, with the steps above and the events below.

use tideline_report::words::{count, escape};
use tideline_report::{Axis, Chart, Mark, Series, Stack, Unit};

use super::super::outcome::{Instances, Outcome, Row};
use super::super::words::number;
use super::marks;

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
    let stack = Stack {
        charts: vec![rate(rows, &axis), latency(rows), instances(rows, &axis), cpu(rows)],
        backdrop: marks::backdrop(steps, events, rows, &axis),
        above: patterns() + &marks::steps(steps, &axis),
        below: marks::events(events, &axis) + &marks::compressed(rows, &axis),
        spans: steps.iter().map(|step| (step.at, step.at + step.seconds, step.name.as_str())).collect(),
        remarks: changes(rows, |row| match row.speed {
            speed if speed > 1.0 => format!("time ×{}", number(speed)),
            _ => String::new(),
        }),
        tips: changes(rows, serving),
        axis,
        ..Stack::default()
    };
    stack.draw()
}

/// What is told of the rows, where that changes: it is the same for minutes.
fn changes(rows: &[Row], told: impl Fn(&Row) -> String) -> Vec<(usize, String)> {
    let mut changes: Vec<_> = rows.iter().map(told).enumerate().collect();
    changes.dedup_by(|next, last| next.1 == last.1);
    changes
}

/// How many instances of each build are in which state.
fn serving(row: &Row) -> String {
    let of = |(build, instances): (&String, &Instances)| {
        let states = STATES.iter().map(|(_, word, value)| (value(instances), word)).filter(|(number, _)| *number > 0);
        let states: Vec<_> = states.map(|(number, word)| format!("{number} {word}")).collect();
        format!("{build}: {}", states.join(", "))
    };
    let builds = row.instances.iter().filter(|(_, instances)| **instances != Instances::default());
    builds.map(of).collect::<Vec<_>>().join("\n")
}

fn rate(rows: &[Row], axis: &Axis) -> Chart {
    let values = |value: fn(&Row) -> u64| rows.iter().map(|row| Some(value(row) as f64)).collect::<Vec<_>>();
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    let most = rows.iter().map(|row| row.answered).max().unwrap_or(0);
    let failures = if failed == 0 { "none failed".to_owned() } else { format!("{} failed", count(failed)) };
    Chart {
        title: "Requests",
        note: format!("a second; {failures}"),
        about: format!("at most {} in a second, {failures}", count(most)),
        height: "tall",
        series: vec![
            Series::new("answered", "answered", Mark::Area, values(|row| row.answered)),
            Series::new("failed", "failed", Mark::Bars, values(|row| row.failed)),
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
        about: format!("p99 of a second at most {} ms", number(worst)),
        unit: Unit::Millis,
        height: "tall",
        series: vec![
            Series::new("p99", "p99", Mark::Line, p99),
            Series::new("p50", "p50", Mark::Line, rows.iter().map(|row| row.p50).collect()),
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
            let class = format!("c-v{} {state}", index.min(COLOURS));
            let values = rows.iter().map(|row| of(row, build, value)).collect();
            layers.push(Series { class, ..Series::new("", "", Mark::Blocks, values) });
        }
    }
    let desired = rows.iter().map(|row| Some(f64::from(row.desired))).collect();
    layers.push(Series::new("desired", "desired", Mark::Steps, desired));
    let build = |(index, build): (usize, &&str)| {
        format!("<span class=\"key c-v{}\"><i class=\"fill\"></i>{}</span>", index.min(COLOURS), escape(build))
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
                            "<span class=\"c-v{}\" style=\"left:{left:.2}%;width:{:.2}%\"><em>{}</em></span>",
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
    format!("<div class=\"builds\" data-tip aria-hidden=\"true\">{names}</div>")
}

fn cpu(rows: &[Row]) -> Chart {
    let values: Vec<_> = rows.iter().map(|row| row.cpu).collect();
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    Chart {
        title: "CPU",
        note: "of the group's allowance, in the region's last minute".to_owned(),
        about: format!("at most {} per cent", number(most)),
        unit: Unit::Percent,
        height: "low",
        series: vec![Series::new("cpu", "CPU", Mark::Area, values)],
        ..Chart::default()
    }
}

/// Hatches and crosses in each build's colour; what is drawn with them is not stretched.
fn patterns() -> String {
    let names = (0..=COLOURS).map(|index| format!("v{index}")).chain(["state".to_owned()]);
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
