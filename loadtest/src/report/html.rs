//! The run as one page that stands alone: no script is needed to read it, and nothing is fetched.

mod chart;
#[cfg(test)]
pub(super) mod example;
mod scale;
mod tables;
mod thin;
mod timeline;
pub(super) mod words;

use std::collections::BTreeSet;

use super::{Row, Summary};
use words::{belief, clock, clock_tenths, count, escape, glance, issued, millis, number, percent, several};

/// The page's looks.
const STYLE: &str = include_str!("html/style.css");

/// Shows the values under the pointer; the page is whole without it.
const SCRIPT: &str = include_str!("html/crosshair.js");

/// The page. `timeline` may be of any length, also empty: of more than some 1,500 rows, several are drawn as one.
pub fn page(summary: &Summary, timeline: &[Row]) -> String {
    let glance = glance(summary.verdict.outcome);
    let title = format!("{} {}: {}", glance.sign, escape(&summary.profile), glance.line);
    // It fetches nothing; should foreign text ever get through, then neither does that.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
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
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\n\
         <style>{STYLE}</style></head>\n<body><main>\n{}</main>\n<script>{SCRIPT}</script></body></html>\n",
        sections.concat(),
    )
}

fn section(title: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<section><h2>{title}</h2>\n{content}</section>\n") }
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
    let reasons: String = summary.verdict.reasons.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
    let reasons = if reasons.is_empty() { reasons } else { format!("<ul>{reasons}</ul>") };
    let code = summary.verdict.outcome.exit_code();
    format!(
        "<section class=\"verdict {}\"><span class=\"sign\" aria-hidden=\"true\">{}</span><div><p class=\"line\">{} \
         <small>exit code {code}</small></p>{reasons}</div></section>\n",
        glance.class, glance.sign, glance.line,
    )
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
    let bad = if total.failed > 0 { " bad" } else { "" };
    let tiles = [
        tile("Requests", &count(summary.issued), &format!("{}{peak}", issued(summary)), ""),
        tile("Failed", &count(total.failed), &failures, bad),
        tile("Longest gap", &gap.0, &format!("without a good answer, from {}", gap.1), ""),
        tile(
            "Instances",
            &count(answered),
            &format!("{} in {}{once}", several(versions, "version"), several(zones, "zone")),
            "",
        ),
        tile("Duration", &clock(summary.duration), &ended, ""),
        tile(
            "Generator believed?",
            belief(summary).0.trim_end_matches('.'),
            &format!("{} at once at most", several(summary.users as u64, "user")),
            "",
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

fn tile(name: &str, value: &str, about: &str, class: &str) -> String {
    format!(
        "<div class=\"tile{class}\"><h3>{name}</h3><p class=\"value\">{value}</p><p class=\"about\">{about}</p></div>"
    )
}

#[cfg(test)]
mod tests;
