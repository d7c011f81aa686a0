//! The run as one page that stands alone, made with `tideline_report`.

#[cfg(test)]
pub(super) mod example;
mod tables;
mod thin;
mod timeline;
pub(super) mod words;

use std::collections::BTreeSet;

use tideline_report::words::{clock, count, several};
use tideline_report::{Page, section, tile};

use super::{Row, Summary};
use words::{belief, clock_tenths, escape, glance, issued, millis, number, percent};

/// What only this page has.
const STYLE: &str = include_str!("html/style.css");

/// The page. `timeline` may be of any length, also empty: of more than some 1,500 rows, several are drawn as one.
pub fn page(summary: &Summary, timeline: &[Row]) -> String {
    let glance = glance(summary.verdict.outcome);
    let title = format!("{} {}: {}", glance.sign, escape(&summary.profile), glance.line);
    let sections = [
        head(summary),
        verdict(summary),
        figures(summary, timeline),
        section("Timeline", &timeline::stack(summary, timeline)),
        section("Events", &tables::events(summary)),
        section("Phases", &tables::phases(summary)),
        section("Endpoints", &tables::endpoints(summary)),
        section("Instances", &tables::instances(summary)),
        section("First failures", &tables::failures(summary)),
        section("Can the generator be believed?", &tables::generator(summary)),
    ];
    Page { title: &title, style: STYLE, parts: &sections }.html()
}

fn head(summary: &Summary) -> String {
    let Summary { run, profile, url, started, .. } = summary;
    format!(
        "<header class=\"head\"><p class=\"eyebrow\">Tideline load test</p><h1>{} <span>against {}</span></h1>\
         <p class=\"meta\">Run <code>{}</code> · started <time>{}</time></p></header>\n",
        escape(profile),
        escape(url),
        escape(run),
        escape(started),
    )
}

fn verdict(summary: &Summary) -> String {
    let glance = glance(summary.verdict.outcome);
    let reasons: Vec<String> = summary.verdict.reasons.iter().map(|reason| escape(reason)).collect();
    let line = format!("{} <small>exit code {}</small>", glance.line, summary.verdict.outcome.exit_code());
    tideline_report::verdict(glance.class, glance.sign, &line, &reasons)
}

fn figures(summary: &Summary, timeline: &[Row]) -> String {
    let total = &summary.total;
    let peak = timeline.iter().map(|row| row.ok).max().unwrap_or(0);
    let peak = if peak > 0 { format!("; at best {} ok in a second", count(peak)) } else { String::new() };
    let versions = summary.instances.iter().map(|instance| &instance.version).collect::<BTreeSet<_>>().len() as u64;
    let zones = summary.instances.iter().map(|instance| &instance.zone).collect::<BTreeSet<_>>().len() as u64;
    let answered = summary.instances.iter().map(|instance| &instance.id).collect::<BTreeSet<_>>().len() as u64;
    let once = timeline.iter().map(|row| row.versions.values().sum::<u64>()).max().unwrap_or(0);
    let once = if once > 0 { format!("; at most {} answering in a second", count(once)) } else { String::new() };
    let statuses = tables::statuses(total, |status| !(200..300).contains(&status));
    let failures = [percent(total.error_ratio()), statuses];
    let failures = failures.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    let ended = match &summary.interrupted {
        Some(signal) => format!("ended by {}", escape(signal)),
        None => several(summary.phases.len() as u64, "phase"),
    };
    let gap = (format!("{}\u{a0}s", number(summary.longest_gap)), clock_tenths(summary.longest_gap_at));
    let tiles = [
        tile("Requests", &count(summary.issued), &format!("{}{peak}", issued(summary)), false),
        tile("Failed", &count(total.failed), &failures, total.failed > 0),
        tile("Longest gap", &gap.0, &format!("without a good answer, from {}", gap.1), false),
        tile(
            "Instances",
            &count(answered),
            &format!("{} in {}{once}", several(versions, "version"), several(zones, "zone")),
            false,
        ),
        tile("Duration", &clock(summary.duration), &ended, false),
        tile(
            "Generator believed?",
            belief(summary).0.trim_end_matches('.'),
            &format!("{} at once at most", several(summary.users as u64, "user")),
            false,
        ),
    ];
    let (due, service) = (&total.since_due, &total.service);
    let rows: String = [
        ("since due", "what somebody waits who comes at that moment", due),
        ("service", "from sending to the whole answer", service),
    ]
    .into_iter()
    .map(|(name, about, times)| {
        let cells: String = [times.p50, times.p95, times.p99, times.p999, times.max]
            .into_iter()
            .map(|time| format!("<td>{}</td>", millis(time)))
            .collect();
        format!("<tr><th scope=\"row\">{name}<small>{about}</small></th>{cells}</tr>")
    })
    .collect();
    format!(
        "<section class=\"figures\"><div class=\"tiles\">{}</div><div class=\"scroll\"><table class=\"times-table\">\
         <thead><tr><th>Latency</th><th>p50</th><th>p95</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead>\
         <tbody>{rows}</tbody></table></div></section>\n",
        tiles.concat(),
    )
}

#[cfg(test)]
mod tests;
