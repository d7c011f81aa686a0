//! The verdict and numbers, as the page and the terminal have them.

use tideline_report::words::{several, whole};

use super::outcome::{Outcome, Step};

/// What came of it, in a sentence.
pub(super) struct Verdict {
    pub(super) passed: bool,
    pub(super) line: String,
    /// Everything that failed, with its step.
    pub(super) failures: Vec<String>,
}

impl Verdict {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let of_step =
            |step: &Step| failures(step).into_iter().map(|failure| format!("“{}”: {failure}", step.name)).collect();
        let failures: Vec<String> = outcome.steps.iter().flat_map::<Vec<_>, _>(of_step).collect();
        let checks: usize = outcome.steps.iter().map(|step| step.checks.len()).sum();
        let line = match failures.as_slice() {
            [] if outcome.passed => {
                format!(
                    "The rehearsal passed: {} in {}.",
                    several(checks as u64, "check"),
                    several(outcome.steps.len() as u64, "step")
                )
            }
            [] => "The rehearsal failed: it did not get to its end.".to_owned(),
            [only] => format!("The rehearsal failed at {only}."),
            [first, more @ ..] => format!("The rehearsal failed at {first}; and {} more.", more.len()),
        };
        Self { passed: outcome.passed && failures.is_empty(), line, failures }
    }
}

/// Why it could not be gone through, and what did not hold.
pub(super) fn failures(step: &Step) -> Vec<String> {
    let failed = step.checks.iter().filter(|check| !check.passed);
    let checks = failed.map(|check| format!("expected “{}”, seen “{}”", check.what, check.seen));
    step.failure.iter().map(|why| why.trim_end_matches('.').to_owned()).chain(checks).collect()
}

/// With the digits that matter.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || !size.is_finite() => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    if !value.is_finite() {
        return "–".to_owned();
    }
    if digits == 0 {
        return format!("{}{}", if value < 0.0 { "-" } else { "" }, whole(value));
    }
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_verdict_names_what_failed() {
        let mut outcome = example::outcome();
        let verdict = Verdict::of(&outcome);
        assert!(!verdict.passed && verdict.failures.len() == 1);
        assert_eq!(
            verdict.line,
            "The rehearsal failed at “the power of an instance is cut”: expected “at most the requests in flight failed”, \
             seen “7, of 2 in flight”."
        );
        outcome.steps[0].failure = Some("no disk space left.".to_owned());
        assert_eq!(
            Verdict::of(&outcome).line,
            "The rehearsal failed at “build and check the image”: no disk space left; and 1 more."
        );
    }

    #[test]
    fn a_rehearsal_that_was_cut_short_has_not_passed() {
        let mut outcome = example::outcome();
        outcome.steps.truncate(2);
        assert_eq!(Verdict::of(&outcome).line, "The rehearsal failed: it did not get to its end.");
        outcome.passed = true;
        assert_eq!(Verdict::of(&outcome).line, "The rehearsal passed: 4 checks in 2 steps.");
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        assert_eq!([0.0, 0.434, 4.0, 43.44, 1234.4, f64::NAN].map(number), ["0", "0.43", "4", "43.4", "1,234", "–"]);
    }
}
