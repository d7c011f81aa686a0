//! The steps as they are gone through: what is said on the way, and what they come to.

use std::time::Duration;

use super::outcome::{Check, EventKind, Figure, Inputs, Outcome, Step};
use super::timeline::Timeline;

/// It was stopped: a step could not be gone through, and those after it make no sense. Why is in the story.
#[derive(Debug)]
pub(super) struct Stopped;

/// What came of the steps so far.
#[derive(Debug)]
pub(super) struct Story {
    timeline: Timeline,
    steps: Vec<Step>,
}

/// What a step finds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    checks: Vec<Check>,
    figures: Vec<Figure>,
}

impl Findings {
    /// Something that must hold.
    pub(super) fn check(&mut self, what: &str, seen: impl Into<String>, passed: bool) {
        self.checks.push(Check { what: what.to_owned(), seen: seen.into(), passed });
    }

    /// A time that was measured.
    pub(super) fn took(&mut self, what: &str, seconds: f64, compressed: bool) {
        self.figure(what, seconds, "s", compressed);
    }

    /// Something else that was measured.
    pub(super) fn figure(&mut self, what: &str, value: f64, unit: &str, compressed: bool) {
        self.figures.push(Figure { what: what.to_owned(), value, unit: unit.to_owned(), compressed });
    }
}

impl Story {
    /// Nothing yet.
    pub(super) fn new(timeline: Timeline) -> Self {
        Self { timeline, steps: Vec::new() }
    }

    /// Goes through a step.
    pub(super) async fn step(
        &mut self,
        name: &str,
        body: impl AsyncFnOnce(&mut Findings) -> Result<(), String>,
    ) -> Result<(), Stopped> {
        let at = self.timeline.now();
        self.timeline.note(EventKind::Action, name);
        say(at, name);
        let mut findings = Findings::default();
        let failure = body(&mut findings).await.err();
        let seconds = self.timeline.now() - at;
        let passed = failure.is_none() && findings.checks.iter().all(|check| check.passed);
        say(at + seconds, &format!("  {} {name}, {seconds:.0} s", if passed { "✓" } else { "✗" }));
        for check in findings.checks.iter().filter(|check| !check.passed) {
            say(at + seconds, &format!("    {}: {}", check.what, check.seen));
        }
        for figure in &findings.figures {
            say(at + seconds, &format!("    {}: {:.1} {}", figure.what, figure.value, figure.unit));
        }
        if let Some(why) = &failure {
            say(at + seconds, &format!("    {why}"));
        }
        let stopped = if failure.is_some() { Err(Stopped) } else { Ok(()) };
        let Findings { checks, figures } = findings;
        self.steps.push(Step { name: name.to_owned(), at, seconds, checks, figures, failure });
        stopped
    }

    /// A step that could not even begin.
    pub(super) fn stopped(&mut self, name: &str, why: String) {
        let at = self.timeline.now();
        say(at, &format!("  ✗ {name}: {why}"));
        let (checks, figures) = (Vec::new(), Vec::new());
        self.steps.push(Step { name: name.to_owned(), at, seconds: 0.0, checks, figures, failure: Some(why) });
    }

    /// All of it.
    pub(super) fn outcome(self, inputs: Inputs) -> Outcome {
        let held = |step: &Step| step.failure.is_none() && step.checks.iter().all(|check| check.passed);
        let (events, timeline) = self.timeline.told();
        Outcome {
            schema: 1,
            began: humantime::format_rfc3339_seconds(self.timeline.epoch()).to_string(),
            seconds: self.timeline.now(),
            passed: !self.steps.is_empty() && self.steps.iter().all(held),
            inputs,
            steps: self.steps,
            events,
            timeline,
        }
    }
}

/// A line of progress.
#[expect(clippy::print_stderr, reason = "it is what the program says to its user")]
pub(super) fn say(at: f64, text: &str) {
    eprintln!("{:>7}  {text}", format!("{:.0} s", Duration::from_secs_f64(at.max(0.0)).as_secs_f64()));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rehearse::example;
    use crate::{Region, Settings};

    async fn story() -> Story {
        let region = Arc::new(Region::start(Settings::default()).await.unwrap());
        Story::new(Timeline::begin(region).0)
    }

    #[tokio::test]
    async fn a_check_that_does_not_hold_fails_it_and_goes_on() {
        let mut story = story().await;
        let step = story.step("one", async |it| {
            it.check("no request failed", "1 of 10", false);
            it.took("boot", 1.5, false);
            Ok(())
        });
        step.await.unwrap();
        story.step("two", async |_| Ok(())).await.unwrap();
        let outcome = story.outcome(example::outcome().inputs);
        assert_eq!(outcome.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!((outcome.passed, outcome.steps[0].figures[0].value), (false, 1.5));
        assert_eq!(outcome.events[0].text, "one");
    }

    #[tokio::test]
    async fn a_step_that_cannot_be_gone_through_stops_it() {
        let mut story = story().await;
        story.step("one", async |_| Ok(())).await.unwrap();
        assert!(story.step("two", async |_| Err("make destroy failed".to_owned())).await.is_err());
        let outcome = story.outcome(example::outcome().inputs);
        assert_eq!((outcome.passed, outcome.steps[1].failure.as_deref()), (false, Some("make destroy failed")));
    }

    #[tokio::test]
    async fn nothing_at_all_is_no_success() {
        let good = example::outcome().inputs;
        assert!(!story().await.outcome(good.clone()).passed);
        let mut story = story().await;
        story.step("one", async |_| Ok(())).await.unwrap();
        assert!(story.outcome(good).passed);
    }
}
