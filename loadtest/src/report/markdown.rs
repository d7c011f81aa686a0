//! The run as a comment on a pull request.

use tideline_report::words::{clock, count};

use super::html::words::{belief, clock_tenths, glance, issued, millis, number, percent};
use super::{Summary, Times};

/// Failures that are listed.
const FAILURES: usize = 5;

/// Of a longer text nobody reads the rest in a comment.
const LONGEST_TEXT: usize = 200;

/// The comment, in GitHub's Markdown.
pub fn page(summary: &Summary) -> String {
    let Summary { profile, url, run, started, total, .. } = summary;
    let glance = glance(summary.verdict.outcome);
    let sign = match glance.class {
        "good" => "✅",
        "bad" => "❌",
        _ => "⚠️",
    };
    let reasons: String = summary.verdict.reasons.iter().map(|reason| format!("- {}\n", text(reason))).collect();
    let (answer, why) = belief(summary);
    let due = &total.since_due;
    let figures = table(
        &["Figure", "Value"],
        1,
        [
            ("Requests", format!("{} ({})", count(summary.issued), issued(summary))),
            ("Failed", format!("{} ({})", count(total.failed), percent(total.error_ratio()))),
            ("p50 / p95 / p99 since due", [due.p50, due.p95, due.p99].map(millis).join(" / ")),
            ("max since due", millis(due.max)),
            (
                "p50 / p95 / p99 service",
                [total.service.p50, total.service.p95, total.service.p99].map(millis).join(" / "),
            ),
            (
                "Longest gap",
                format!("{} s, from {}", number(summary.longest_gap), clock_tenths(summary.longest_gap_at)),
            ),
            ("Instances", count(summary.instances.len() as u64)),
            ("Duration", clock(summary.duration)),
        ]
        .map(|(name, value)| vec![name.to_owned(), value]),
    );
    let phase_columns =
        ["Phase", "Time", "Planned/s", "Requests", "Failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "Awaited"];
    let phases = summary.phases.iter().map(|phase| {
        let Times { ok, failed, since_due, .. } = &phase.total;
        let [from, to] = phase.rates.map(number);
        let awaited = match phase.reached {
            Some(true) => "✓",
            Some(false) => "✕ not reached",
            None => "",
        };
        let mut row = vec![
            text(&phase.name),
            format!("{}–{}", clock(phase.start), clock(phase.end)),
            if from == to { from } else { format!("{from} → {to}") },
            count(ok + failed),
            count(*failed),
        ];
        row.extend([since_due.p50, since_due.p95, since_due.p99, since_due.max].map(number));
        row.push(awaited.to_owned());
        row
    });
    let phases = table(&phase_columns, 2, phases);
    let rows = summary.failures.iter().take(FAILURES).map(|failure| {
        let status = if failure.status == 0 { "none".to_owned() } else { failure.status.to_string() };
        vec![clock_tenths(failure.at), code(&failure.endpoint), code(&failure.instance), status, code(&failure.error)]
    });
    let failures = match summary.failures.len() {
        0 => String::new(),
        _ => {
            format!("\n#### First failures\n\n{}", table(&["Time", "Endpoint", "Instance", "Status", "Error"], 5, rows))
        }
    };
    format!(
        "### {sign} {}: {} against {}\n\n{reasons}\n{figures}\n#### Phases\n\nMilliseconds since due.\n\n{phases}{failures}\n\
         **Can the generator be believed? {answer}** {why}\n\n<sub>Run {}, started {}.</sub>\n",
        glance.line,
        text(profile),
        code(url),
        code(run),
        text(started),
    )
}

/// A table; columns after the first `texts` are numbers.
fn table(columns: &[&str], texts: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let rules: Vec<String> =
        (0..columns.len()).map(|index| if index < texts { "---" } else { "--:" }.to_owned()).collect();
    line(&heads) + &line(&rules) + &rows.into_iter().map(|row| line(&row)).collect::<String>()
}

fn bounded(foreign: &str) -> String {
    let mut text: String = foreign.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if foreign.chars().nth(LONGEST_TEXT).is_some() {
        text.push('…');
    }
    text
}

/// Foreign text, in which nothing is Markdown or HTML, and nobody is mentioned.
fn text(foreign: &str) -> String {
    let mut escaped = String::new();
    for c in bounded(foreign).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // GitHub looks for mentions and issues after Markdown is done, so a backslash would not do.
            '@' | '#' => escaped.extend([c, '\u{200b}']),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Foreign text as it is; a pipe ends a table's cell even here.
fn code(foreign: &str) -> String {
    let code = bounded(foreign).replace('`', "'").replace('|', "\\|");
    if code.trim().is_empty() { String::new() } else { format!("`{code}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::example;

    #[test]
    fn the_comment_has_what_decides() {
        let page = page(&example::summary(true));
        assert!(page.starts_with("### ❌ Failed: a threshold was crossed: scale-out against `https://"), "{page}");
        for part in ["\n- p99 since due was", "| Requests | ", "| hold | ", "#### First failures", "With care."] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.lines().filter(|line| line.contains("GET /data/{id}` |")).count(), FAILURES);
        assert!(!super::page(&example::summary(false)).contains("First failures"));
    }

    #[test]
    fn foreign_text_breaks_no_table_and_mentions_nobody() {
        let mut summary = example::summary(true);
        summary.failures[0].error = "a|b\n| c `d` <script>".to_owned();
        summary.verdict.reasons = vec!["@all\n# <script> a|b".to_owned()];
        summary.phases[0].name = "a|b\r\nc".to_owned();
        let page = page(&summary);
        assert!(page.contains("| `a\\|b \\| c 'd' <script>` |"), "{page}");
        assert!(page.contains("- @\u{200b}all #\u{200b} &lt;script&gt; a\\|b\n"), "{page}");
        assert!(page.contains("| a\\|b  c | "), "{page}");
    }
}
