//! The tables below the charts.

use tideline_report::words::{clock, count};

use super::timeline::{MARKED_EVENTS, colours};
use super::words::{belief, clock_tenths, escape, millis, number, percent};
use crate::report::{Quantiles, Summary, Times};

/// Rows that a table has at the most; all of them are in `summary.json`.
const ROWS: usize = 200;

/// Failures that are listed.
const FAILURES: usize = 25;

/// A table's head: its columns, of which the first `texts` are no numbers, and names over several of them.
struct Head<'a> {
    texts: usize,
    columns: &'a [&'a str],
    groups: &'a [(&'a str, usize)],
}

/// A table in a box that scrolls where there is no room; `all` is how many rows there were to choose from.
fn table(head: &Head<'_>, rows: &[Vec<String>], all: usize) -> String {
    let group = |(name, columns): &(&str, usize)| format!("<th colspan=\"{columns}\">{name}</th>");
    let groups = match head.groups {
        [] => String::new(),
        groups => format!("<tr class=\"groups\">{}</tr>", groups.iter().map(group).collect::<String>()),
    };
    let class = |index: usize| if index < head.texts { "" } else { " class=\"n\"" };
    let cell = |(index, text): (usize, &String)| format!("<td{}>{text}</td>", class(index));
    let name = |(index, name): (usize, &&str)| format!("<th{}>{name}</th>", class(index));
    let names: String = head.columns.iter().enumerate().map(name).collect();
    let row = |row: &Vec<String>| format!("<tr>{}</tr>\n", row.iter().enumerate().map(cell).collect::<String>());
    let (body, more) = (rows.iter().map(row).collect::<String>(), more(all, rows.len()));
    format!(
        "<div class=\"scroll\"><table><thead>{groups}<tr>{names}</tr></thead><tbody>\n{body}</tbody></table></div>{more}\n"
    )
}

fn more(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("<p class=\"note\">And {} more: see <code>summary.json</code>.</p>", count(more as u64)),
    }
}

/// `503 × 1,234`, by status; `wanted` says which.
pub(super) fn statuses(times: &Times, wanted: fn(u16) -> bool) -> String {
    let one = |(status, number): (&u16, &u64)| match status {
        0 => format!("no\u{a0}answer\u{a0}×\u{a0}{}", count(*number)),
        status => format!("{status}\u{a0}×\u{a0}{}", count(*number)),
    };
    times.statuses.iter().filter(|(status, _)| wanted(**status)).map(one).collect::<Vec<_>>().join(", ")
}

fn quantiles(times: &Quantiles) -> [String; 4] {
    [times.p50, times.p95, times.p99, times.max].map(number)
}

fn failed(times: &Times) -> String {
    match times.failed {
        0 => "0".to_owned(),
        number => format!("<b class=\"bad\">{}</b> <small>{}</small>", count(number), percent(times.error_ratio())),
    }
}

pub(super) fn events(summary: &Summary) -> String {
    if summary.events.is_empty() {
        return String::new();
    }
    let event = |(index, event): (usize, &crate::report::Event)| {
        let (id, at, text) = (index + 1, clock(event.at), escape(&event.text));
        let flag = if index < MARKED_EVENTS { format!("<b>{id}</b>") } else { String::new() };
        format!("<li id=\"event-{id}\">{flag}<time>{at}</time><span>{text}</span></li>\n")
    };
    let events: String = summary.events.iter().take(ROWS).enumerate().map(event).collect();
    let more = more(summary.events.len(), ROWS);
    format!("<ol class=\"events\">\n{events}</ol>{more}\n")
}

pub(super) fn phases(summary: &Summary) -> String {
    let columns =
        ["Phase", "Time", "Planned/s", "Awaited event", "Requests", "Failed", "p50", "p95", "p99", "max", "p50", "p99"];
    let groups = [("", 6), ("since due, ms", 4), ("service, ms", 2)];
    let rows = summary.phases.iter().map(|phase| {
        let [from, to] = phase.rates.map(number);
        let rates = if from == to { from } else { format!("{from} → {to}") };
        let awaited = match phase.reached {
            Some(true) => format!("<span class=\"good\">✓ after {}</span>", clock(phase.end - phase.start)),
            Some(false) => "<b class=\"bad\">✕ not reached</b>".to_owned(),
            None => "–".to_owned(),
        };
        let total = &phase.total;
        let mut row = vec![
            format!("<b>{}</b>", escape(&phase.name)),
            format!("{}–{}", clock(phase.start), clock(phase.end)),
            rates,
            awaited,
            count(total.ok + total.failed),
            failed(total),
        ];
        row.extend(quantiles(&total.since_due));
        row.extend([number(total.service.p50), number(total.service.p99)]);
        row
    });
    table(&Head { texts: 4, columns: &columns, groups: &groups }, &rows.collect::<Vec<_>>(), summary.phases.len())
}

pub(super) fn endpoints(summary: &Summary) -> String {
    let columns =
        ["Phase", "Endpoint", "Answers", "Requests", "Failed", "p50", "p95", "p99", "max", "p50", "p99", "max"];
    let groups = [("", 5), ("since due, ms", 4), ("service, ms", 3)];
    let all = summary.phases.iter().flat_map(|phase| {
        phase.endpoints.iter().enumerate().map(move |(index, (endpoint, times))| {
            let name = if index == 0 { format!("<b>{}</b>", escape(&phase.name)) } else { String::new() };
            (name, endpoint, times)
        })
    });
    let rows = all.clone().take(ROWS).map(|(phase, endpoint, times)| {
        let (endpoint, requests) = (format!("<code>{}</code>", escape(endpoint)), count(times.ok + times.failed));
        let answers = format!("<div class=\"wrap\">{}</div>", statuses(times, |_| true));
        let mut row = vec![phase, endpoint, answers, requests, failed(times)];
        row.extend(quantiles(&times.since_due));
        row.extend([times.service.p50, times.service.p99, times.service.max].map(number));
        row
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        String::new()
    } else {
        table(&Head { texts: 3, columns: &columns, groups: &groups }, &rows, all.count())
    }
}

pub(super) fn instances(summary: &Summary) -> String {
    if summary.instances.is_empty() {
        return "<p class=\"note\">No answer named its instance.</p>".to_owned();
    }
    let colours = colours(summary);
    let mut instances: Vec<_> = summary.instances.iter().collect();
    instances.sort_by(|a, b| a.first.total_cmp(&b.first));
    let span = summary.duration.max(1.0);
    let rows = instances.iter().take(ROWS).map(|instance| {
        let colour = colours.get(instance.version.as_str()).copied().unwrap_or_default();
        let share = |at: f64| (at / span * 100.0).clamp(0.0, 100.0);
        let (left, width) = (share(instance.first), (share(instance.last) - share(instance.first)).max(0.5));
        vec![
            format!("<code>{}</code>", escape(&instance.id)),
            escape(&instance.zone),
            format!("<span class=\"key c-v{colour}\"><i class=\"fill\"></i>{}</span>", escape(&instance.version)),
            format!("<div class=\"life c-v{colour}\"><i style=\"left:{left:.2}%;width:{width:.2}%\"></i></div>"),
            clock(instance.first),
            clock(instance.last),
            count(instance.answers),
        ]
    });
    let columns = ["Instance", "Zone", "Version", "Life", "First answer", "Last answer", "Answers"];
    table(&Head { texts: 4, columns: &columns, groups: &[] }, &rows.collect::<Vec<_>>(), instances.len())
}

pub(super) fn failures(summary: &Summary) -> String {
    if summary.total.failed == 0 && summary.failures.is_empty() {
        return "<p class=\"note\">None.</p>".to_owned();
    }
    let rows = summary.failures.iter().take(FAILURES).map(|failure| {
        let status = if failure.status == 0 { "none".to_owned() } else { failure.status.to_string() };
        let instance = if failure.instance.is_empty() { "–".to_owned() } else { escape(&failure.instance) };
        vec![
            clock_tenths(failure.at),
            format!("<code>{}</code>", escape(&failure.endpoint)),
            format!("<code>{instance}</code>"),
            status,
            format!("<div class=\"wrap error\">{}</div>", escape(&failure.error)),
        ]
    });
    let columns = ["Time", "Endpoint", "Instance", "Status", "Error"];
    let (shown, kept) = (summary.failures.len().min(FAILURES), summary.failures.len());
    let more = match summary.total.failed.saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!(
            "<p class=\"note\">And {} more; <code>summary.json</code> has the first {}.</p>\n",
            count(more),
            count(kept as u64)
        ),
    };
    table(&Head { texts: 5, columns: &columns, groups: &[] }, &rows.collect::<Vec<_>>(), shown) + &more
}

pub(super) fn generator(summary: &Summary) -> String {
    let own = &summary.generator;
    let (answer, why) = belief(summary);
    let mean = own.cpu_seconds / (own.cpus * summary.duration).max(f64::MIN_POSITIVE);
    let rows = [
        (
            "CPU",
            format!("{} CPU seconds", number(own.cpu_seconds)),
            format!(
                "{} of its {} CPUs, {} µs for each request",
                percent(mean),
                number(own.cpus),
                number(own.cpu_us_per_request)
            ),
        ),
        ("Busy", percent(own.busy_share), "of the seconds at over 90 % of its CPUs".to_owned()),
        ("Late", count(own.late), "requests sent late though a user was free".to_owned()),
        ("Overslept", millis(own.overslept_ms), "the longest that its clock was late".to_owned()),
        ("Steal", percent(own.steal_share), "of the CPU time went to other virtual machines".to_owned()),
        ("Throttled", count(own.throttled_seconds), "seconds in which its control group was throttled".to_owned()),
    ];
    let rows: String = rows
        .into_iter()
        .map(|(name, value, about)| format!("<div><dt>{name}</dt><dd><b>{value}</b> <span>{about}</span></dd></div>\n"))
        .collect();
    format!("<p class=\"belief\"><b>{answer}</b> {why}</p>\n<dl class=\"own\">\n{rows}</dl>\n")
}
