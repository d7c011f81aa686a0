//! What a run comes to: thresholds, expectations, and whether the generator can be believed.

use serde::{Deserialize, Serialize};

use crate::report::{Generator, PhaseSummary, Summary};

/// The share of seconds in which the generator may be at the end of its CPU.
const BUSY_SHARE: f64 = 0.1;

/// A last quarter's p99 that is longer than the first's by less than this, milliseconds, is chance, whatever the ratio.
const CHANCE: f64 = 5.0;

/// The end of a run, as its exit code says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything as it should be.
    Pass,
    /// A threshold was crossed.
    Threshold,
    /// The generator was at its end, so the figures are not to be trusted.
    Untrusted,
    /// What was to happen did not.
    Expectation,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Outcome {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Threshold => 1,
            Self::Untrusted => 3,
            Self::Expectation => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// The outcome, and every reason for it that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// In words, the worst first; on a pass, what was held.
    pub reasons: Vec<String>,
}

/// What must not be crossed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thresholds {
    /// The share of failed requests, from 0 to 1.
    pub error_ratio: f64,
    /// The share of requests that may be late by our own fault, before the times say more of us than of the target.
    pub late_ratio: f64,
    /// The 99th percentile since due, milliseconds: of the whole run, or of one phase.
    pub p99: Vec<(Option<String>, f64)>,
}

/// What must happen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expectations {
    /// So many instances more than at the start.
    pub scale_out: Option<usize>,
    /// Fewer instances at the end than at the peak.
    pub scale_in: bool,
    /// This version alone at the end.
    pub version: Option<String>,
    /// A last phase whose p99 is at most so many times the first's.
    pub drift: Option<f64>,
}

/// What of the expected was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The most instances that were new and settled at one time.
    pub scaled_out: usize,
    /// Whether fewer instances answered in the end.
    pub scaled_in: bool,
    /// Whether the expected version was alone for long enough.
    pub version: bool,
}

/// Judges a run: the worst that is true of it is its outcome.
pub fn judge(summary: &Summary, thresholds: &Thresholds, expectations: &Expectations, seen: &Seen) -> Verdict {
    let untrusted = untrusted(summary, thresholds);
    let crossed = crossed(summary, thresholds);
    let missing = missing(summary, expectations, seen);
    let outcome = match summary.interrupted.as_deref() {
        Some("SIGTERM") => Outcome::Terminated,
        Some(_) => Outcome::Interrupted,
        // Failures are failures whoever was slow; a time, though, is worth nothing from a generator at its end.
        None if !untrusted.is_empty() => Outcome::Untrusted,
        None if !crossed.is_empty() => Outcome::Threshold,
        None if !missing.is_empty() => Outcome::Expectation,
        None => Outcome::Pass,
    };
    let interrupted = summary.interrupted.iter().map(|signal| format!("ended by {signal} before its time"));
    let mut reasons: Vec<String> = interrupted.chain(untrusted).chain(crossed).chain(missing).collect();
    if reasons.is_empty() {
        let Summary { issued, total, .. } = summary;
        reasons.push(format!(
            "{issued} requests as planned, {} failed, 99 % answered within {:.1} ms of when they were due",
            total.failed, total.since_due.p99
        ));
    }
    Verdict { outcome, reasons }
}

fn untrusted(summary: &Summary, thresholds: &Thresholds) -> Vec<String> {
    let Generator { late, busy_share, steal_share, throttled_seconds, .. } = summary.generator;
    let mut reasons = Vec::new();
    if late as f64 > thresholds.late_ratio * summary.issued as f64 {
        let why = format!("{late} of {} requests were sent late though a user was free", summary.issued);
        reasons.push(format!("the generator is at its end: {why}; use more CPU, or several generators and `merge`"));
    }
    if busy_share > BUSY_SHARE {
        let share = busy_share * 100.0;
        reasons.push(format!("the generator used all of its CPU in {share:.0} % of the seconds"));
    }
    if !reasons.is_empty() && (steal_share > 0.05 || throttled_seconds > 0) {
        let steal = steal_share * 100.0;
        reasons.push(format!("its machine: {steal:.1} % of CPU time stolen, throttled in {throttled_seconds} s"));
    }
    reasons
}

fn crossed(summary: &Summary, thresholds: &Thresholds) -> Vec<String> {
    let mut reasons = Vec::new();
    let (failed, ratio) = (summary.total.failed, summary.total.error_ratio());
    if ratio > thresholds.error_ratio {
        let allowed = thresholds.error_ratio * 100.0;
        let first =
            summary.failures.first().map(|failure| format!("; the first: {} {}", failure.endpoint, failure.error));
        let first = first.unwrap_or_default();
        reasons.push(format!("{failed} requests failed, {:.3} %, allowed {allowed} %{first}", ratio * 100.0));
    }
    if summary.interrupted.is_none() && summary.issued < summary.planned {
        let missing = summary.planned - summary.issued;
        reasons.push(format!(
            "{missing} of {} requests were never sent: all {} users waited for the target",
            summary.planned, summary.users
        ));
    }
    if summary.issued == 0 && summary.interrupted.is_none() {
        reasons.push("nothing was asked".to_owned());
    }
    for (phase, limit) in &thresholds.p99 {
        let of = |phase: &PhaseSummary| (format!("phase {}", phase.name), phase.total.since_due.p99);
        let (what, p99) = match phase {
            None => ("the run".to_owned(), summary.total.since_due.p99),
            Some(name) => match summary.phases.iter().find(|phase| phase.name == *name) {
                Some(phase) => of(phase),
                None => continue,
            },
        };
        if p99 > *limit {
            reasons.push(format!("p99 of {what} is {p99:.1} ms since due, allowed {limit} ms"));
        }
    }
    reasons
}

fn missing(summary: &Summary, expectations: &Expectations, seen: &Seen) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(wanted) = expectations.scale_out.filter(|wanted| seen.scaled_out < *wanted) {
        reasons.push(format!("{} new instances answered for long enough, expected {wanted}", seen.scaled_out));
    }
    if expectations.scale_in && !seen.scaled_in {
        reasons.push("the number of instances that answer did not go down again".to_owned());
    }
    if let Some(version) = expectations.version.as_ref().filter(|_| !seen.version) {
        let others: std::collections::BTreeSet<&str> =
            summary.instances.iter().map(|instance| instance.version.as_str()).collect();
        reasons.push(format!("version {version} was never alone for long enough; {others:?} answered"));
    }
    if let (Some(drift), [first, .., last]) = (expectations.drift, &summary.phases[..]) {
        let (before, after) = (first.total.since_due.p99, last.total.since_due.p99);
        if after > before * drift && after > before + CHANCE {
            let times = format!("from {before:.1} ms in the first quarter to {after:.1} ms in the last");
            reasons.push(format!("p99 went {times}, allowed is {drift} times"));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Quantiles, SCHEMA, Times};

    fn phase(name: &str, p99: f64) -> PhaseSummary {
        let since_due = Quantiles { p99, ..Quantiles::default() };
        PhaseSummary {
            name: name.to_owned(),
            start: 0.0,
            end: 1.0,
            rates: [1.0, 1.0],
            reached: None,
            total: Times { ok: 100, since_due, ..Times::default() },
            endpoints: Default::default(),
        }
    }

    fn summary() -> Summary {
        Summary {
            schema: SCHEMA,
            run: String::new(),
            profile: String::new(),
            url: String::new(),
            started: String::new(),
            duration: 1.0,
            interrupted: None,
            planned: 1000,
            issued: 1000,
            users: 16,
            total: Times { ok: 1000, ..phase("", 50.0).total },
            phases: vec![phase("first", 50.0), phase("last", 60.0)],
            instances: Vec::new(),
            longest_gap: 0.0,
            longest_gap_at: 0.0,
            generator: Generator::default(),
            events: Vec::new(),
            failures: Vec::new(),
            verdict: Verdict { outcome: Outcome::Pass, reasons: Vec::new() },
        }
    }

    fn strict() -> (Thresholds, Expectations) {
        let thresholds = Thresholds { error_ratio: 0.0, late_ratio: 0.01, p99: Vec::new() };
        (thresholds, Expectations::default())
    }

    #[test]
    fn each_fault_has_its_outcome_and_its_words() {
        type Change = fn(&mut Summary, &mut Thresholds, &mut Expectations);
        let rows: [(Change, Outcome, &str); 12] = [
            (|_, _, _| {}, Outcome::Pass, "1000 requests as planned"),
            (|s, _, _| s.total.failed = 1, Outcome::Threshold, "1 requests failed, 0.100 %"),
            (|s, _, _| s.issued = 990, Outcome::Threshold, "10 of 1000 requests were never sent"),
            (|s, _, _| (s.planned, s.issued) = (0, 0), Outcome::Threshold, "nothing was asked"),
            (|_, t, _| t.p99.push((None, 49.0)), Outcome::Threshold, "p99 of the run is 50.0 ms"),
            (|_, t, _| t.p99.push((Some("last".into()), 59.0)), Outcome::Threshold, "p99 of phase last is 60.0 ms"),
            (|s, _, _| s.generator.late = 11, Outcome::Untrusted, "11 of 1000 requests were sent late"),
            (|s, _, _| s.generator.busy_share = 0.2, Outcome::Untrusted, "all of its CPU in 20 %"),
            (|_, _, e| e.scale_in = true, Outcome::Expectation, "did not go down"),
            (|_, _, e| e.drift = Some(1.1), Outcome::Expectation, "from 50.0 ms in the first quarter to 60.0 ms"),
            (|s, _, _| s.interrupted = Some("SIGINT".into()), Outcome::Interrupted, "ended by SIGINT"),
            (|s, _, _| s.interrupted = Some("SIGTERM".into()), Outcome::Terminated, "ended by SIGTERM"),
        ];
        for (change, outcome, words) in rows {
            let (mut summary, (mut thresholds, mut expectations)) = (summary(), strict());
            change(&mut summary, &mut thresholds, &mut expectations);
            let verdict = judge(&summary, &thresholds, &expectations, &Seen::default());
            assert_eq!(verdict.outcome, outcome, "{verdict:?}");
            assert!(verdict.reasons[0].contains(words), "{words}: {verdict:?}");
        }
    }

    #[test]
    fn chance_and_what_is_allowed_are_no_faults() {
        let (mut summary, (mut thresholds, mut expectations)) = (summary(), strict());
        (summary.total.failed, thresholds.error_ratio) = (10, 0.01);
        summary.generator.late = 10;
        thresholds.p99 = vec![(None, 50.0), (Some("first".into()), 50.0)];
        expectations.drift = Some(1.2);
        assert_eq!(judge(&summary, &thresholds, &expectations, &Seen::default()).outcome, Outcome::Pass);
        (summary.phases[0].total.since_due.p99, summary.phases[1].total.since_due.p99) = (1.0, 5.9);
        assert_eq!(judge(&summary, &thresholds, &expectations, &Seen::default()).outcome, Outcome::Pass);
    }
}
