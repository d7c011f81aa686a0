//! The outcome as one page that stands alone: no script is needed to read it, and nothing is fetched.

mod marks;
mod tables;
#[cfg(test)]
mod tests;
mod timeline;

use super::outcome::Outcome;
use super::words::{Verdict, number, several};
use crate::charts;
use crate::charts::words::{count, escape, length};

/// What only this page has.
const STYLE: &str = include_str!("page/style.css");

/// Shows the values under the pointer; the page is whole without it.
const SCRIPT: &str = include_str!("page/crosshair.js");

/// The page.
pub fn page(outcome: &Outcome) -> String {
    let verdict = Verdict::of(outcome);
    let (sign, came) = if verdict.passed { ("✓", "passed") } else { ("✗", "failed") };
    // It fetches nothing; should foreign text ever get through, then neither does that.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
    let sections = [
        head(outcome),
        shown(&verdict, sign),
        tiles(outcome),
        section("Timeline", &timeline::stack(outcome)),
        section("Events", &tables::events(&outcome.events)),
        section("Figures", &tables::figures(&outcome.steps)),
        section("Steps", &tables::steps(&outcome.steps)),
        section("What only AWS can show", &tables::only_aws()),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{sign} Rehearsal {came}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\n\
         <style>{}{STYLE}</style></head>\n<body><main>\n{}</main>\n<script>{SCRIPT}</script></body></html>\n",
        charts::STYLE,
        sections.concat(),
    )
}

fn section(title: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<section><h2>{title}</h2>\n{content}</section>\n") }
}

fn head(outcome: &Outcome) -> String {
    let inputs = &outcome.inputs;
    let compressed = if inputs.speed > 1.0 {
        format!(
            "While nothing but waiting happened, the region's time ran up to {} times as fast.",
            number(inputs.speed)
        )
    } else {
        "The region's time was not compressed.".to_owned()
    };
    format!(
        "<header><p class=\"eyebrow\">Tideline rehearsal</p><h1>The life of the deployment, on one machine</h1>\
         <p class=\"meta\">On {} with {} GiB of memory; each instance had {} CPUs and {} MiB. Begun <time>{}</time>. {compressed}</p>\
         </header>\n",
        several(inputs.cores, "core"),
        number((inputs.memory as f64 / 102.4).round() / 10.0),
        number(inputs.instance_cpus),
        inputs.instance_memory,
        escape(&outcome.began),
    )
}

fn shown(verdict: &Verdict, sign: &str) -> String {
    let failures: String = verdict.failures.iter().map(|failure| format!("<li>{}</li>", escape(failure))).collect();
    // A single one is in the sentence.
    let failures = if verdict.failures.len() > 1 { format!("<ul>{failures}</ul>") } else { String::new() };
    let class = if verdict.passed { "good" } else { "bad" };
    format!(
        "<section class=\"verdict {class}\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span><div><p class=\"line\">{}</p>\
         {failures}</div></section>\n",
        escape(&verdict.line),
    )
}

fn tiles(outcome: &Outcome) -> String {
    let answered: u64 = outcome.timeline.iter().map(|row| row.answered).sum();
    let failed: u64 = outcome.timeline.iter().map(|row| row.failed).sum();
    let seconds = outcome.timeline.iter().filter(|row| row.failed > 0).count();
    let most = outcome.timeline.iter().map(|row| row.answered).max().unwrap_or(0);
    let squeezed = outcome.timeline.iter().filter(|row| row.speed > 1.0).count();
    let checks = || outcome.steps.iter().flat_map(|step| &step.checks);
    let all = checks().count();
    let bad_checks = checks().filter(|check| !check.passed).count();
    let serving =
        outcome.timeline.iter().map(|row| row.instances.values().map(|instances| instances.healthy).sum::<u32>());
    let builds = timeline::builds(&outcome.timeline).len();
    let tiles = [
        tile("Duration", &length(outcome.seconds), &several(outcome.steps.len(), "step"), false),
        tile(
            "Checks",
            &if bad_checks == 0 { all.to_string() } else { format!("{} of {all}", all - bad_checks) },
            if bad_checks == 0 { "all of them held" } else { "held" },
            bad_checks > 0,
        ),
        tile("Requests", &count(answered as f64), &format!("at most {} in a second", count(most as f64)), false),
        tile(
            "Failed requests",
            &count(failed as f64),
            &if failed == 0 { "in no second".to_owned() } else { format!("in {}", several(seconds, "second")) },
            false,
        ),
        tile(
            "Serving at once",
            &serving.max().unwrap_or(0).to_string(),
            &format!("instances, of {}", several(builds, "build")),
            false,
        ),
        tile(
            "Compressed",
            &length(squeezed as f64),
            if squeezed == 0 {
                "the region's time ran as the clock does"
            } else {
                "of the duration, where all was waiting"
            },
            false,
        ),
    ];
    format!("<div class=\"tiles\">{}</div>\n", tiles.concat())
}

fn tile(title: &str, value: &str, about: &str, bad: bool) -> String {
    let class = if bad { " bad" } else { "" };
    format!(
        "<div class=\"tile{class}\"><h3>{title}</h3><p class=\"value\">{value}</p><p class=\"about\">{about}</p></div>\n"
    )
}
