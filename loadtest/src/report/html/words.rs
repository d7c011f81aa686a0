//! The words that only a load test has: times in milliseconds, shares, and the verdict.

use tideline_report::words::{self, clock, count, several};

use crate::report::Summary;
use crate::verdict::Outcome;

/// Of a longer text nobody reads the rest; the whole of it is in `summary.json`.
const LONGEST_TEXT: usize = 400;

/// Foreign text for HTML, in elements and in quoted attributes, on one line.
pub(crate) fn escape(text: &str) -> String {
    let escaped = match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => words::escape(&text[..end]) + "…",
        None => words::escape(text),
    };
    escaped.replace('\n', " ")
}

/// A number with the digits that matter: `0.43`, `4.3`, `1,234`.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        size if size < 10.0 && size.fract() == 0.0 => format!("{value}"),
        size if size < 1.0 => format!("{value:.2}"),
        size if size < 10.0 => format!("{value:.1}"),
        size if value > 0.0 => count(size.round() as u64),
        _ => format!("{value:.0}"),
    }
}

/// Milliseconds with the unit that fits: `4.3 ms`, `1.24 s`.
pub(crate) fn millis(value: f64) -> String {
    match value {
        _ if value < 999.5 => format!("{}\u{a0}ms", number(value)),
        _ if value < 9_995.0 => format!("{:.2}\u{a0}s", value / 1000.0),
        _ => format!("{}\u{a0}s", number(value / 1000.0)),
    }
}

/// A share from 0 to 1 in per cent, never rounded to none.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0\u{a0}%".to_owned(),
        value if value < 0.001 => "<\u{a0}0.001\u{a0}%".to_owned(),
        value if value < 0.1 => format!("{value:.3}\u{a0}%"),
        value if value < 10.0 => format!("{value:.2}\u{a0}%"),
        value => format!("{value:.1}\u{a0}%"),
    }
}

/// Seconds from the start as `m:ss.t`, for what is shorter than a second.
pub(crate) fn clock_tenths(seconds: f64) -> String {
    let tenths = (seconds.max(0.0) * 10.0).round() as u64;
    format!("{}.{}", clock((tenths / 10) as f64), tenths % 10)
}

/// A verdict at a glance.
pub(crate) struct Glance {
    /// The page's class: `good`, `bad` or `warn`.
    pub(crate) class: &'static str,
    /// The sign, so that it is not told by colour alone.
    pub(crate) sign: &'static str,
    /// The line.
    pub(crate) line: &'static str,
}

/// What an outcome is called.
pub(crate) fn glance(outcome: Outcome) -> Glance {
    let (class, sign, line) = match outcome {
        Outcome::Pass => ("good", "✓", "Passed"),
        Outcome::Threshold => ("bad", "✕", "Failed: a threshold was crossed"),
        Outcome::Untrusted => ("warn", "!", "Not to be trusted: the generator was at its end"),
        Outcome::Expectation => ("bad", "✕", "Failed: what was to happen did not"),
        Outcome::Interrupted => ("warn", "!", "Interrupted (SIGINT)"),
        Outcome::Terminated => ("warn", "!", "Terminated (SIGTERM)"),
    };
    Glance { class, sign, line }
}

/// Whether everything that was planned was also issued.
pub(crate) fn issued(summary: &Summary) -> String {
    match summary.planned.saturating_sub(summary.issued) {
        0 => "every planned one was sent".to_owned(),
        unsent => format!("{} of {} planned never sent", count(unsent), count(summary.planned)),
    }
}

/// Whether the generator's figures can be believed: a short answer, and why.
pub(crate) fn belief(summary: &Summary) -> (&'static str, String) {
    let own = &summary.generator;
    let marks: Vec<String> = [
        (own.busy_share > 0.01, format!("it was short of CPU in {} of the time", percent(own.busy_share))),
        // One in a thousand moves no quantile that is shown, save the maximum.
        (own.late * 1000 > summary.issued, format!("it sent {} late by its own fault", several(own.late, "request"))),
        (own.overslept_ms > 100.0, format!("its clock was up to {} late", millis(own.overslept_ms))),
        (own.steal_share > 0.01, format!("its machine was denied {} of the CPU time", percent(own.steal_share))),
        (own.throttled_seconds > 0, format!("it was throttled in {}", several(own.throttled_seconds, "second"))),
    ]
    .into_iter()
    .filter_map(|(marked, text)| marked.then_some(text))
    .collect();
    let marks = marks.join("; ");
    match (summary.verdict.outcome, marks.is_empty()) {
        (Outcome::Untrusted, true) => {
            ("No.", "The generator was at its end: the times are its own as much as the target's.".into())
        }
        (Outcome::Untrusted, false) => {
            ("No.", format!("The times are the generator's own as much as the target's: {marks}."))
        }
        (_, true) => ("Yes.", "The generator had CPU to spare and kept its clock: the times are the target's.".into()),
        (_, false) => ("With care.", format!("A part of the times may be the generator's own: {marks}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_bounded() {
        assert_eq!(escape("<script>\"a\" & 'b'"), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;");
        assert_eq!(escape("a\nb\u{202e}c\0"), "a b\u{fffd}c ");
        let long = escape(&"ä".repeat(1000));
        assert!(long.chars().count() == LONGEST_TEXT + 1 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        assert_eq!(
            [0.0, 0.434, 4.0, 4.34, 43.4, 1234.4, f64::NAN].map(number),
            ["0", "0.43", "4", "4.3", "43", "1,234", "–"]
        );
        assert_eq!([4.3, 999.6, 61_000.0].map(millis), ["4.3\u{a0}ms", "1.00\u{a0}s", "61\u{a0}s"]);
        assert_eq!(
            [0.0, 1e-7, 0.0005, 0.5].map(percent).map(|text| text.replace('\u{a0}', "")),
            ["0%", "<0.001%", "0.050%", "50.0%"]
        );
        assert_eq!([0.04, 61.25, 59.97].map(clock_tenths), ["0:00.0", "1:01.3", "1:00.0"]);
    }
}
