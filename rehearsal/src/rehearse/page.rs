//! The outcome as one page that stands alone.

mod marks;
mod tables;
#[cfg(test)]
mod tests;
mod timeline;

use tideline_report::words::{count, escape, length, several};
use tideline_report::{Page, section, tile};

use super::outcome::Outcome;
use super::words::{Verdict, number};

/// What only this page has.
const STYLE: &str = include_str!("page/style.css");

/// The page.
pub fn page(outcome: &Outcome) -> String {
    let verdict = Verdict::of(outcome);
    let (sign, came) = if verdict.passed { ("✓", "passed") } else { ("✗", "failed") };
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
    Page { title: &format!("{sign} Rehearsal {came}"), style: STYLE, parts: &sections }.html()
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
        several(inputs.cores as u64, "core"),
        number((inputs.memory as f64 / 102.4).round() / 10.0),
        number(inputs.instance_cpus),
        inputs.instance_memory,
        escape(&outcome.began),
    )
}

fn shown(verdict: &Verdict, sign: &str) -> String {
    // A single one is in the sentence.
    let failures = if verdict.failures.len() > 1 { verdict.failures.as_slice() } else { &[] };
    let failures: Vec<String> = failures.iter().map(|failure| escape(failure)).collect();
    let class = if verdict.passed { "good" } else { "bad" };
    tideline_report::verdict(class, sign, &escape(&verdict.line), &failures)
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
        tile("Duration", &length(outcome.seconds), &several(outcome.steps.len() as u64, "step"), false),
        tile(
            "Checks",
            &if bad_checks == 0 { all.to_string() } else { format!("{} of {all}", all - bad_checks) },
            if bad_checks == 0 { "all of them held" } else { "held" },
            bad_checks > 0,
        ),
        tile("Requests", &count(answered), &format!("at most {} in a second", count(most)), false),
        tile(
            "Failed requests",
            &count(failed),
            &if failed == 0 { "in no second".to_owned() } else { format!("in {}", several(seconds as u64, "second")) },
            false,
        ),
        tile(
            "Serving at once",
            &serving.max().unwrap_or(0).to_string(),
            &format!("instances, of {}", several(builds as u64, "build")),
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
