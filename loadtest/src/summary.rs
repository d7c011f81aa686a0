//! From what was recorded to what is reported.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::pacer::Span;
use crate::record::{Figures, Records};
use crate::report::{Event, Generator, PhaseSummary, Row, SCHEMA, Summary, Times};
use crate::session::Settings;
use crate::verdict::{Outcome, Seen, Verdict};

/// What a run leaves beside its records.
#[derive(Debug)]
pub struct Finished {
    /// When it started.
    pub wall: SystemTime,
    /// How long it took, seconds.
    pub duration: f64,
    /// The signal that ended it.
    pub interrupted: Option<&'static str>,
    /// Requests that became due.
    pub due: u64,
    /// Requests that were sent.
    pub issued: u64,
    /// How the generator fared.
    pub generator: Generator,
    /// What was seen beside the load.
    pub events: Vec<Event>,
    /// Second by second.
    pub timeline: Vec<Row>,
    /// What of the expected was seen.
    pub seen: Seen,
}

/// The figures of a phase under their endpoints' names.
pub fn named(phase: &BTreeMap<&'static str, Figures>) -> BTreeMap<String, Figures> {
    phase.iter().map(|(endpoint, figures)| ((*endpoint).to_owned(), figures.clone())).collect()
}

/// All of some figures together.
pub fn total<'a>(figures: impl IntoIterator<Item = &'a Figures>) -> Figures {
    figures.into_iter().fold(Figures::default(), |mut all, figures| {
        all.merge(figures);
        all
    })
}

/// Puts it together; the verdict is still to be found.
pub fn summarize(settings: &Settings, run: &str, spans: &[Span], records: &Records, finished: &Finished) -> Summary {
    let Finished { wall, duration, interrupted, due, issued, generator, events, .. } = finished;
    let phases = settings.plan.0.iter().zip(spans).zip(&records.phases);
    let phases = phases.map(|((phase, span), figures)| PhaseSummary {
        name: phase.name.clone(),
        start: span.start,
        end: span.end.unwrap_or(*duration),
        rates: [phase.from, phase.to],
        reached: phase.until.as_ref().map(|_| span.early && interrupted.is_none()),
        total: (&total(figures.values())).into(),
        endpoints: figures.iter().map(|(endpoint, figures)| ((*endpoint).to_owned(), figures.into())).collect(),
    });
    Summary {
        schema: SCHEMA,
        run: run.to_owned(),
        profile: settings.profile.clone(),
        url: settings.target.url().to_string(),
        started: humantime::format_rfc3339_millis(*wall).to_string(),
        duration: *duration,
        interrupted: interrupted.map(str::to_owned),
        planned: *due,
        issued: *issued,
        users: settings.users,
        total: Times::from(&total(records.phases.iter().flat_map(BTreeMap::values))),
        phases: phases.collect(),
        instances: records.instances.values().cloned().collect(),
        longest_gap: records.longest_gap.0,
        longest_gap_at: records.longest_gap.1,
        generator: generator.clone(),
        events: events.clone(),
        failures: records.failures.clone(),
        verdict: Verdict { outcome: Outcome::Pass, reasons: Vec::new() },
    }
}
