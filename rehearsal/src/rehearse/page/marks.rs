//! What is marked along the time axis: steps above the charts, failures in them, events and compressed time below.
//!
//! Words and numbers that would lie on each other are put into lanes: one set for wide pages, one for narrow ones.

use tideline_report::words::{clock, count, escape, several};
use tideline_report::{Axis, HEIGHT};

use super::super::outcome::{Event, EventKind, Row, Step};
use super::super::words::{failures, number};

/// Lanes are filled for charts of at least this width, in pixels; the style shows words from there on.
const WIDE: f64 = 860.0;

/// The same for numbers alone: a telephone's.
const NARROW: f64 = 270.0;

/// Of a name's letters, on an average; the style's size is 12 px.
const LETTER: f64 = 6.2;

/// Of more events there is only the list.
const MARKED: usize = 100;

/// With more lanes than this, steps have their numbers alone.
const NAMES: usize = 9;

/// Marks of failures, at most.
const FAILING: usize = 24;

/// The first lane that is free where each begins; `(left, width)` are pixels, in the order of `left`.
fn lanes(places: impl Iterator<Item = (f64, f64)>, whole: f64) -> Vec<usize> {
    let mut ends: Vec<f64> = Vec::new();
    let mut place = |(left, width): (f64, f64)| {
        // What would stick out on the right is pushed in.
        let left = left.min(whole - width).max(0.0);
        let lane = ends.iter().position(|end| *end <= left).unwrap_or(ends.len());
        ends.resize(ends.len().max(lane + 1), 0.0);
        ends[lane] = left + width + 4.0;
        lane
    };
    places.map(&mut place).collect()
}

fn highest(lanes: &[usize]) -> usize {
    lanes.iter().max().map_or(0, |lane| lane + 1)
}

/// The steps' names, each above where its band begins.
pub(super) fn steps(steps: &[Step], axis: &Axis) -> String {
    let width = |number: usize, step: &Step| {
        let signs = number.to_string().len() as f64 * 7.0 + if failures(step).is_empty() { 16.0 } else { 30.0 };
        (step.name.chars().count().min(34) as f64).mul_add(LETTER, signs)
    };
    let x = |step: &Step, whole: f64| axis.percent(step.at) / 100.0 * whole;
    let wide = lanes(steps.iter().enumerate().map(|(index, step)| (x(step, WIDE), width(index + 1, step))), WIDE);
    let number = |number: usize, step: &Step| {
        (number.to_string().len() as f64).mul_add(8.0, if failures(step).is_empty() { 10.0 } else { 26.0 })
    };
    let narrow =
        lanes(steps.iter().enumerate().map(|(index, step)| (x(step, NARROW), number(index + 1, step))), NARROW);
    let (mut leaders, mut names) = (String::new(), String::new());
    for (index, step) in steps.iter().enumerate() {
        let number = index + 1;
        let (class, sign) = if failures(step).is_empty() { ("", "") } else { (" bad", "✗\u{a0}") };
        let end = if x(step, WIDE) + width(number, step) > WIDE { " end" } else { "" };
        let name = escape(&step.name);
        let style = format!("--x:{:.2}%;--wide:{};--narrow:{}", axis.percent(step.at), wide[index], narrow[index]);
        leaders += &format!("<i class=\"leader{class}\" style=\"{style}\"></i>");
        names += &format!(
            "<a class=\"name{class}{end}\" href=\"#step-{number}\" title=\"{name}\" style=\"{style}\"><b>{sign}{number}</b>\
             <span>{name}</span></a>"
        );
    }
    let dense = if highest(&wide) > NAMES { " dense" } else { "" };
    format!(
        "<nav class=\"names{dense}\" aria-label=\"Steps\" style=\"--wide:{};--narrow:{}\">{leaders}{names}</nav>\n",
        highest(&wide),
        highest(&narrow),
    )
}

/// What is behind each chart: bands for the steps, round times, events, and the seconds in which something failed.
pub(super) fn backdrop(steps: &[Step], events: &[Event], rows: &[Row], axis: &Axis) -> String {
    let band = |(index, step): (usize, &Step)| {
        let (left, right) = (axis.x(step.at), axis.x(step.at + step.seconds));
        let class = match (failures(step).is_empty(), index % 2) {
            (false, _) => "band bad",
            (true, 0) => "band",
            (true, _) => "band odd",
        };
        format!("<rect class=\"{class}\" x=\"{left:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\"/>", right - left)
    };
    let path = |class: &str, d: &str| {
        if d.is_empty() { String::new() } else { format!("<path class=\"{class}\" d=\"{d}\"/>") }
    };
    let of = |fault: bool| {
        let events = events.iter().take(MARKED).filter(|event| (event.kind == EventKind::Fault) == fault);
        events.map(|event| axis.line(event.at)).collect::<String>()
    };
    let failing = failing(rows, axis, 0.0).into_iter();
    let failing = failing.map(|(from, to, _)| format!("M{:.1} 0V{HEIGHT}H{:.1}V0Z", axis.x(from), axis.x(to)));
    steps.iter().enumerate().map(band).collect::<String>()
        + &axis.grid()
        + &path("failing", &failing.collect::<String>())
        + &path("event", &of(false))
        + &path("event fault", &of(true))
}

/// From when to when requests failed, and how many; with no more than `pause` seconds between, it is one time.
fn failing(rows: &[Row], axis: &Axis, pause: f64) -> Vec<(f64, f64, u64)> {
    let mut times: Vec<(f64, f64, u64)> = Vec::new();
    for row in rows.iter().filter(|row| row.failed > 0) {
        match times.last_mut() {
            Some((_, end, failed)) if row.at - *end <= pause + axis.step / 2.0 => {
                *end = row.at + axis.step;
                *failed += row.failed;
            }
            _ => times.push((row.at, row.at + axis.step, row.failed)),
        }
    }
    times
}

/// A mark for each time in which requests failed, with how many.
pub(super) fn failed(rows: &[Row], axis: &Axis) -> String {
    // Where they fail again and again, longer pauses are drawn over.
    let pauses = (0..).map(|doubled| 3.0 * f64::from(1 << doubled)).take(12);
    let times = pauses.map(|pause| failing(rows, axis, pause)).find(|times| times.len() <= FAILING).unwrap_or_default();
    let label = |failed: u64| format!("✗ {}", count(failed));
    let place = |whole: f64, (from, to, failed): &(f64, f64, u64)| {
        let width = (label(*failed).chars().count() as f64).mul_add(6.6, 8.0);
        ((axis.percent((from + to) / 2.0) / 100.0).mul_add(whole, -width / 2.0), width)
    };
    let wide = lanes(times.iter().map(|time| place(WIDE, time)), WIDE);
    let narrow = lanes(times.iter().map(|time| place(NARROW, time)), NARROW);
    let one = |(index, (from, to, failed)): (usize, &(f64, f64, u64))| {
        let (left, right) = (axis.percent(*from), axis.percent(*to));
        let when = format!("{} failed from {} to {}", several(*failed, "request"), clock(*from), clock(*to));
        format!(
            "<i style=\"left:{left:.2}%;width:{:.2}%\"></i><span title=\"{when}\" style=\"--x:{:.2}%;--wide:{};--narrow:{}\">{}</span>",
            right - left,
            (left + right) / 2.0,
            wide[index],
            narrow[index],
            label(*failed),
        )
    };
    if times.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"fails\" style=\"--wide:{};--narrow:{}\">{}</div>",
        highest(&wide),
        highest(&narrow),
        times.iter().enumerate().map(one).collect::<String>()
    )
}

/// The events' numbers below the charts, with the shape of their kind.
pub(super) fn events(events: &[Event], axis: &Axis) -> String {
    let marked = &events[..events.len().min(MARKED)];
    let places = |whole: f64, width: f64| {
        marked.iter().map(move |event| ((axis.percent(event.at) / 100.0).mul_add(whole, -width / 2.0), width))
    };
    let wide = lanes(places(WIDE, 20.0), WIDE);
    let narrow = lanes(places(NARROW, 8.0), NARROW);
    let one = |(index, event): (usize, &Event)| {
        let number = index + 1;
        format!(
            "<a class=\"{}\" href=\"#event-{number}\" title=\"{} {}\" style=\"--x:{:.2}%;--wide:{};--narrow:{}\"><b>{number}</b></a>",
            kind(event.kind),
            clock(event.at),
            escape(&event.text),
            axis.percent(event.at),
            wide[index],
            narrow[index],
        )
    };
    if marked.is_empty() {
        return String::new();
    }
    format!(
        "<nav class=\"marks\" aria-label=\"Events\" style=\"--wide:{};--narrow:{}\">{}</nav>\n",
        highest(&wide),
        highest(&narrow),
        marked.iter().enumerate().map(one).collect::<String>(),
    )
}

/// The kind of an event, as a class and as a word.
pub(super) fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Action => "action",
        EventKind::Fault => "fault",
        EventKind::Scaling => "scaling",
        EventKind::Rollout => "rollout",
    }
}

/// Where the region's time ran compressed.
pub(super) fn compressed(rows: &[Row], axis: &Axis) -> String {
    let mut parts: Vec<(f64, f64, f64, f64)> = Vec::new();
    for row in rows.iter().filter(|row| row.speed > 1.0) {
        match parts.last_mut() {
            Some((_, end, least, most)) if row.at - *end < axis.step / 2.0 => {
                *end = row.at + axis.step;
                (*least, *most) = (least.min(row.speed), most.max(row.speed));
            }
            _ => parts.push((row.at, row.at + axis.step, row.speed, row.speed)),
        }
    }
    let one = |(from, to, least, most): &(f64, f64, f64, f64)| {
        let speed = if most - least < 0.5 { number(*most) } else { format!("{}–{}", number(*least), number(*most)) };
        let width = axis.percent(*to) - axis.percent(*from);
        let label = if width * WIDE / 100.0 > 40.0 { format!("<span>×{speed}</span>") } else { String::new() };
        format!(
            "<i title=\"{} to {}: the region's time ran {speed} times as fast\" style=\"left:{:.2}%;width:{width:.2}%\">{label}</i>",
            clock(*from),
            clock(*to),
            axis.percent(*from),
        )
    };
    if parts.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"speed\">{}</div><p class=\"note speed-note\"><i></i>The region's time ran compressed here: nothing but waiting \
         happened.</p>\n",
        parts.iter().map(one).collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lie_on_each_other_is_in_different_lanes() {
        let places = [(0.0, 100.0), (10.0, 100.0), (20.0, 30.0), (104.0, 50.0), (195.0, 40.0), (199.0, 20.0)];
        assert_eq!(lanes(places.into_iter(), 200.0), [0, 1, 2, 0, 0, 1]);
    }

    #[test]
    fn failures_again_and_again_are_few_marks() {
        let row = |at: u32| Row {
            at: f64::from(at),
            answered: 9,
            failed: u64::from(at.is_multiple_of(10)),
            p50: None,
            p99: None,
            desired: 0,
            instances: std::collections::BTreeMap::new(),
            cpu: None,
            speed: 1.0,
        };
        let rows: Vec<_> = (0..1800).map(row).collect();
        let axis = Axis { span: 1800.0, step: 1.0, at: Vec::new() };
        assert_eq!(failing(&rows, &axis, 0.0).len(), 180);
        let drawn = failed(&rows, &axis);
        assert!(drawn.matches("<span").count() <= FAILING && drawn.contains("✗ 180"), "{drawn}");
    }
}
