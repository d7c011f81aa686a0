//! The outcome as one page that stands alone.

use tideline_report::words::{count, escape, length, short, whole};
use tideline_report::{Axis, Chart, HEIGHT, Mark, Page, Series, Stack, Unit, WIDTH, section, tile};

use super::outcome::{Event, Outcome, Row, clock, share};

/// What only this page has.
const STYLE: &str = include_str!("style.css");

/// A drawing is hardly wider than this many pixels.
const POINTS: usize = 720;

/// Of more events, the list has the first and the last.
const LISTED: usize = 200;

/// The page.
pub fn page(outcome: &Outcome) -> String {
    let title = format!("Simulation: {}", escape(&outcome.inputs.traffic));
    let body = [
        head(outcome),
        tiles(outcome),
        section("Timeline", &stack(outcome)),
        section("Events", &events(outcome)),
        inputs(outcome),
    ];
    Page { title: &title, style: STYLE, parts: &body }.html()
}

fn head(outcome: &Outcome) -> String {
    let inputs = &outcome.inputs;
    let mut traffic = inputs.traffic.clone();
    if let Some(first) = traffic.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!(
        "<header><p class=\"eyebrow\">Tideline simulation</p><h1>{}</h1><p class=\"meta\">{} of modelled instances, {} to {}, scaled by \
         the rules of EC2 Auto Scaling. A model, no measurement: the store and the balancer have no limits here.</p></header>\n",
        escape(&traffic),
        outcome.simulated(),
        count(inputs.min.into()),
        count(inputs.max.into()),
    )
}

fn tiles(outcome: &Outcome) -> String {
    let totals = &outcome.totals;
    let number = |value: u32| count(value.into());
    let mut tiles = vec![
        tile(
            "Requests",
            &short(totals.requests),
            &format!("{} a second in the mean", whole(totals.requests / outcome.inputs.seconds.max(1) as f64)),
            false,
        ),
        tile(
            "Refused",
            &share(totals.refused, totals.requests),
            &format!("{} with a 503, being too many", whole(totals.refused)),
            totals.refused >= 0.5,
        ),
        tile(
            "Above target",
            &length(totals.seconds_above_target),
            &format!("overloaded for {}", length(totals.seconds_overloaded)),
            totals.seconds_overloaded > 0.0,
        ),
        tile(
            "Instances",
            &format!("{}–{}", number(totals.least_serving), number(totals.most_serving)),
            &format!("serving; {} times out, {} times in", totals.scale_outs, totals.scale_ins),
            false,
        ),
        tile(
            "Utilisation",
            &format!("{:.0} %", totals.mean_utilisation),
            &format!("in the mean; the target is {} %", outcome.inputs.cpu_target),
            false,
        ),
        tile(
            "Cost",
            &format!("${}", money(totals.cost_per_month)),
            &format!("a month, ${} a day, of the instances alone", money(totals.cost_per_day)),
            false,
        ),
    ];
    if let Some(status) = totals.rollout {
        tiles.insert(
            2,
            tile("Rollout", status, &format!("{} requests failed by it", whole(totals.failed)), status != "Successful"),
        );
    }
    let class = if tiles.len() > 6 { "tiles seven" } else { "tiles" };
    format!("<div class=\"{class}\">{}</div>\n", tiles.concat())
}

fn money(dollars: f64) -> String {
    if dollars < 100.0 { format!("{dollars:.2}") } else { whole(dollars) }
}

/// As many rows in one as are needed: rates as means, the worst load, counts as they were last.
fn thin(rows: &[Row]) -> Vec<Row> {
    let size = rows.len().div_ceil(POINTS).max(1);
    let join = |rows: &[Row]| {
        let mut joined = rows.last().cloned().unwrap_or_default();
        let mean = |value: fn(&Row) -> f64| rows.iter().map(value).sum::<f64>() / rows.len().max(1) as f64;
        (joined.offered, joined.capacity) = (mean(|row| row.offered), mean(|row| row.capacity));
        (joined.refused, joined.failed) = (mean(|row| row.refused), mean(|row| row.failed));
        joined.utilisation = rows.iter().map(|row| row.utilisation).fold(0.0, f64::max);
        joined
    };
    rows.chunks(size).map(join).collect()
}

fn stack(outcome: &Outcome) -> String {
    let rows = thin(&outcome.timeline);
    let step = rows.first().map_or(60.0, |row| row.at);
    let axis = Axis { span: outcome.inputs.seconds.max(1) as f64, step, at: rows.iter().map(|row| row.at).collect() };
    let stack = Stack {
        charts: charts(outcome, &rows),
        backdrop: backdrop(outcome, &axis),
        above: flags(&outcome.events, &axis),
        under: strip(&outcome.events, &axis),
        axis,
        ..Stack::default()
    };
    format!(
        "{}<p class=\"note\">Each point is {}: rates are means, the load is the worst of it, instances are as they were at its end.</p>\n",
        stack.draw(),
        length(step),
    )
}

fn charts(outcome: &Outcome, rows: &[Row]) -> Vec<Chart> {
    let series = |label: &str, key: &str, mark, value: &dyn Fn(&Row) -> f64| {
        Series::new(key, label, mark, rows.iter().map(|row| Some(value(row))).collect())
    };
    let target = outcome.inputs.cpu_target;
    let old = |row: &Row| f64::from(row.serving - row.new.min(row.serving));
    let rolls = outcome.inputs.rollout.is_some();
    let mut instances = vec![series("serving", "serving", Mark::Stack, &old)];
    if rolls {
        instances.push(series("serving, new version", "new", Mark::Stack, &|row| f64::from(row.new)));
    }
    instances.extend([
        series("starting", "pending", Mark::Stack, &|row| f64::from(row.pending)),
        series("stopping", "stopping", Mark::Stack, &|row| f64::from(row.terminating)),
        series("desired", "desired", Mark::Steps, &|row| f64::from(row.desired)),
    ]);
    let lost = rows.iter().any(|row| row.refused + row.failed > 0.0);
    let mut charts = vec![
        Chart {
            title: "Load and capacity",
            note: "requests a second".to_owned(),
            height: "tall",
            series: vec![
                series("load", "load", Mark::Area, &|row| row.offered),
                series("capacity", "capacity", Mark::Steps, &|row| row.capacity),
            ],
            ..Chart::default()
        },
        Chart {
            title: "Utilisation",
            note: "of the instances that serve; above 100 % requests are refused".to_owned(),
            unit: Unit::Percent,
            cap: Some(200.0),
            height: "middle",
            series: vec![
                series("load", "utilisation", Mark::Line, &|row| row.utilisation),
                series("target", "target", Mark::Line, &|_| target),
            ],
            ..Chart::default()
        },
        Chart { title: "Instances", height: "tall", series: instances, ..Chart::default() },
    ];
    if lost {
        let mut series_of = vec![series("refused", "refused", Mark::Bars, &|row| row.refused)];
        if rolls {
            series_of.push(series("failed by the new version", "failed", Mark::Bars, &|row| row.failed));
        }
        let note = "requests a second".to_owned();
        charts.insert(
            2,
            Chart { title: "Refused and failed", note, height: "low", series: series_of, ..Chart::default() },
        );
    }
    charts
}

/// What is behind each chart: round times, and what happened to the rollout.
fn backdrop(outcome: &Outcome, axis: &Axis) -> String {
    let events = outcome.events.iter().filter(|event| event.kind == "rollout").map(|event| {
        let title = format!("{} {}", clock(event.at), escape(&event.text));
        format!("<g><title>{title}</title><path class=\"event\" d=\"{}\"/></g>", axis.line(event.at))
    });
    std::iter::once(axis.grid()).chain(events).collect()
}

/// The rollout's events above the charts, as words where there is room.
fn flags(events: &[Event], axis: &Axis) -> String {
    let mut end = f64::NEG_INFINITY;
    let mut lane = 0;
    let mut flags = String::new();
    for event in events.iter().filter(|event| event.kind == "rollout" && !event.text.ends_with("Pending")) {
        let left = axis.percent(event.at);
        lane = if left < end { (lane + 1) % 3 } else { 0 };
        end = left + 14.0;
        let word = event.text.split(':').next().unwrap_or_default().replace("Instance refresh ", "");
        let side = if left > 86.0 { " left" } else { "" };
        flags += &format!("<span class=\"lane{lane}{side}\" style=\"left:{left:.2}%\">{}</span>", escape(&word));
    }
    if flags.is_empty() { flags } else { format!("<div class=\"flags\">{flags}</div>") }
}

/// When the group was made larger or smaller, below the charts.
fn strip(events: &[Event], axis: &Axis) -> String {
    let lines = |kind: &str, class: &str, from: u32, to: u32| {
        let marks: String = events
            .iter()
            .filter(|event| event.kind == kind)
            .map(|event| format!("M{:.1} {from}V{to}", axis.x(event.at)))
            .collect();
        if marks.is_empty() { marks } else { format!("<path class=\"line {class}\" d=\"{marks}\"/>") }
    };
    let marks = lines("scale-out", "c-out", 0, 46) + &lines("scale-in", "c-in", 54, 100);
    if marks.is_empty() {
        return marks;
    }
    format!(
        "<section class=\"chart\"><header><h3>Decisions</h3><div class=\"keys\"><span class=\"key c-out\"><i class=\"stroke\"></i>scaled out\
         </span><span class=\"key c-in\"><i class=\"stroke\"></i>scaled in</span></div></header><div class=\"plot flat\">\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Scaling decisions over time\">{marks}</svg>\
         </div></section>\n"
    )
}

fn events(outcome: &Outcome) -> String {
    let all = Event::joined(&outcome.events);
    let skipped = all.len().saturating_sub(LISTED);
    let mut items = String::new();
    for (number, event) in all.iter().enumerate() {
        if skipped == 0 || number < LISTED / 2 || number >= LISTED / 2 + skipped {
            items += &format!(
                "<li class=\"{}\"><time>{}</time><span>{}</span></li>\n",
                event.kind,
                clock(event.at),
                escape(&event.text)
            );
        } else if number == LISTED / 2 {
            items += &format!("<li><time>…</time><span>{skipped} more, in report.json</span></li>\n");
        }
    }
    if items.is_empty() { items } else { format!("<ul class=\"events\">{items}</ul>\n") }
}

fn inputs(outcome: &Outcome) -> String {
    let inputs = &outcome.inputs;
    let row = |name: &str, value: String| format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value));
    let seconds = |seconds: u64| length(seconds as f64);
    let mut rows = vec![
        row("Requests/s of a vCPU at full load", whole(inputs.requests_per_vcpu)),
        row("Instance", format!("{} vCPUs, ${} an hour", inputs.vcpus, inputs.price)),
        row("Sizes", format!("{} to {}", inputs.min, inputs.max)),
        row("CPU target", format!("{} %", inputs.cpu_target)),
        row("Warm-up", seconds(inputs.warmup)),
        row("From launch to first request", seconds(inputs.start)),
        row("Metrics known after", seconds(inputs.metric_delay)),
    ];
    rows.extend(inputs.requests_target.map(|target| row("Requests a target and minute", whole(target))));
    rows.extend(inputs.rollout.clone().map(|rollout| row("Rollout", rollout)));
    rows.extend(inputs.schedules.iter().map(|schedule| row("Schedule", schedule.clone())));
    section("Inputs", &format!("<dl class=\"own\">{}</dl>\n", rows.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_become_few_and_lose_no_peak() {
        let row = |at: u32| Row {
            at: f64::from(at),
            utilisation: if at == 77 { 300.0 } else { 10.0 },
            offered: 1.0,
            ..Row::default()
        };
        let rows: Vec<_> = (1..=5000).map(row).collect();
        let thin = thin(&rows);
        assert!(thin.len() <= POINTS && thin.last().is_some_and(|last| last.at == 5000.0));
        assert!(thin.iter().any(|row| row.utilisation == 300.0) && thin.iter().all(|row| row.offered == 1.0));
    }
}
