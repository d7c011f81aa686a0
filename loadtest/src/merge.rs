//! Joining what several generators saw of one run, for fleets that one generator cannot load.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::record::{Figures, Instance, KEPT_FAILURES};
use crate::report::files::{Report, Run, read};
use crate::report::{Event, Generator, PhaseSummary, Row, SCHEMA, Summary, Times};
use crate::summary::total;
use crate::verdict::{Outcome, Verdict};

/// Why reports could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them cannot be read.
    #[error("{0}")]
    Read(String),
    /// They are not of one plan.
    #[error("{0}")]
    Different(String),
    /// The joined one could not be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// Reads the reports in `folders`, joins them, and writes the joined one to `out`.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<Summary, MergeError> {
    let read = |folder: &PathBuf| read(folder).map_err(|error| MergeError::Read(error.to_string()));
    let runs = folders.iter().map(read).collect::<Result<Vec<Run>, _>>()?;
    let (summary, timeline, figures) = join(&runs)?;
    Report { summary: &summary, timeline: &timeline, figures: &figures }.write(out)?;
    Ok(summary)
}

fn join(runs: &[Run]) -> Result<Run, MergeError> {
    let names = |summary: &Summary| -> Vec<String> { summary.phases.iter().map(|phase| phase.name.clone()).collect() };
    let first = &runs[0].0;
    if let Some((other, ..)) =
        runs.iter().find(|(summary, ..)| names(summary) != names(first) || summary.url != first.url)
    {
        let [one, two] =
            [first, other].map(|summary| format!("{} with {:?} on {}", summary.run, names(summary), summary.url));
        return Err(MergeError::Different(format!("these are not of one plan: {one}, and {two}")));
    }
    let begin = runs.iter().map(|(summary, ..)| start(summary)).min().unwrap_or(SystemTime::UNIX_EPOCH);
    let later = |summary: &Summary| start(summary).duration_since(begin).map_or(0.0, |time| time.as_secs_f64());
    let mut figures = vec![BTreeMap::<String, Figures>::new(); first.phases.len()];
    for (_, _, of_run) in runs {
        for (phase, of_phase) in figures.iter_mut().zip(of_run) {
            for (endpoint, more) in of_phase {
                phase.entry(endpoint.clone()).or_default().merge(more);
            }
        }
    }
    let phases = first.phases.iter().enumerate().map(|(index, phase)| PhaseSummary {
        name: phase.name.clone(),
        start: least(runs.iter().map(|(summary, ..)| summary.phases[index].start + later(summary))),
        end: most(runs.iter().map(|(summary, ..)| summary.phases[index].end + later(summary))),
        rates: [0, 1].map(|end| runs.iter().map(|(summary, ..)| summary.phases[index].rates[end]).sum()),
        reached: phase.reached.map(|_| runs.iter().all(|(summary, ..)| summary.phases[index].reached == Some(true))),
        total: (&total(figures[index].values())).into(),
        endpoints: figures[index].iter().map(|(endpoint, figures)| (endpoint.clone(), figures.into())).collect(),
    });
    let longest = runs.iter().max_by(|one, two| one.0.longest_gap.total_cmp(&two.0.longest_gap));
    let summary = Summary {
        schema: SCHEMA,
        run: runs.iter().map(|(summary, ..)| summary.run.as_str()).collect::<Vec<_>>().join("+"),
        profile: first.profile.clone(),
        url: first.url.clone(),
        started: humantime::format_rfc3339_seconds(begin).to_string(),
        duration: most(runs.iter().map(|(summary, ..)| summary.duration + later(summary))),
        interrupted: runs.iter().find_map(|(summary, ..)| summary.interrupted.clone()),
        planned: runs.iter().map(|(summary, ..)| summary.planned).sum(),
        issued: runs.iter().map(|(summary, ..)| summary.issued).sum(),
        users: runs.iter().map(|(summary, ..)| summary.users).sum(),
        total: Times::from(&total(figures.iter().flat_map(BTreeMap::values))),
        phases: phases.collect(),
        instances: instances(runs, later),
        longest_gap: longest.map_or(0.0, |(summary, ..)| summary.longest_gap),
        longest_gap_at: longest.map_or(0.0, |(summary, ..)| summary.longest_gap_at + later(summary)),
        generator: generator(runs),
        events: events(runs, later),
        failures: Vec::new(),
        verdict: verdict(runs),
    };
    let mut failures: Vec<_> = runs
        .iter()
        .flat_map(|(summary, ..)| {
            let shift = later(summary);
            summary.failures.iter().cloned().map(move |mut failure| {
                failure.at += shift;
                failure
            })
        })
        .collect();
    failures.sort_by(|one, two| one.at.total_cmp(&two.at));
    failures.truncate(KEPT_FAILURES);
    let timeline = timeline(runs, later);
    Ok((Summary { failures, ..summary }, timeline, figures))
}

fn start(summary: &Summary) -> SystemTime {
    humantime::parse_rfc3339(&summary.started).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

fn instances(runs: &[Run], later: impl Fn(&Summary) -> f64) -> Vec<Instance> {
    let mut all: BTreeMap<(String, String), Instance> = BTreeMap::new();
    for (summary, ..) in runs {
        for instance in &summary.instances {
            let (first, last) = (instance.first + later(summary), instance.last + later(summary));
            let key = (instance.id.clone(), instance.version.clone());
            let entry = all.entry(key).or_insert_with(|| Instance { answers: 0, first, last, ..instance.clone() });
            (entry.first, entry.last) = (entry.first.min(first), entry.last.max(last));
            entry.answers += instance.answers;
        }
    }
    all.into_values().collect()
}

fn generator(runs: &[Run]) -> Generator {
    let of = || runs.iter().map(|(summary, ..)| &summary.generator);
    let (cpu_seconds, issued) =
        (of().map(|each| each.cpu_seconds).sum::<f64>(), runs.iter().map(|run| run.0.issued).sum::<u64>());
    Generator {
        cpu_seconds,
        cpus: of().map(|each| each.cpus).sum(),
        cpu_us_per_request: cpu_seconds * 1e6 / issued.max(1) as f64,
        busy_share: most(of().map(|each| each.busy_share)),
        late: of().map(|each| each.late).sum(),
        overslept_ms: most(of().map(|each| each.overslept_ms)),
        steal_share: most(of().map(|each| each.steal_share)),
        throttled_seconds: of().map(|each| each.throttled_seconds).sum(),
    }
}

fn events(runs: &[Run], later: impl Fn(&Summary) -> f64) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (summary, ..) in runs {
        for event in &summary.events {
            // All of them watch the same fleet.
            if !events.iter().any(|known| known.text == event.text) {
                events.push(Event { at: event.at + later(summary), ..event.clone() });
            }
        }
    }
    events.sort_by(|one, two| one.at.total_cmp(&two.at));
    events
}

/// The worst of theirs; each reason with the run it is of.
fn verdict(runs: &[Run]) -> Verdict {
    let order = |outcome: Outcome| match outcome {
        Outcome::Pass => 0,
        Outcome::Expectation => 1,
        Outcome::Threshold => 2,
        Outcome::Untrusted => 3,
        Outcome::Interrupted => 4,
        Outcome::Terminated => 5,
    };
    let worst = runs.iter().map(|(summary, ..)| summary.verdict.outcome).max_by_key(|outcome| order(*outcome));
    let reasons = runs.iter().flat_map(|(summary, ..)| {
        summary.verdict.reasons.iter().map(move |reason| format!("{}: {reason}", summary.run))
    });
    Verdict { outcome: worst.unwrap_or(Outcome::Pass), reasons: reasons.collect() }
}

/// Second by second: counts are summed; of times, which cannot be, the longest stands.
fn timeline(runs: &[Run], later: impl Fn(&Summary) -> f64) -> Vec<Row> {
    let mut seconds: BTreeMap<u64, Row> = BTreeMap::new();
    for (summary, rows, _) in runs {
        for row in rows {
            let at = row.at + later(summary);
            let all = seconds.entry(at.round() as u64).or_insert_with(|| Row { at: at.round(), ..Row::default() });
            all.phase.clone_from(&row.phase);
            all.planned_rate += row.planned_rate;
            all.due += row.due;
            all.sent += row.sent;
            all.ok += row.ok;
            all.failed += row.failed;
            all.in_flight += row.in_flight;
            all.waiting += row.waiting;
            all.late += row.late;
            all.own_cpus += row.own_cpus;
            all.p50_ms = all.p50_ms.max(row.p50_ms);
            all.p95_ms = all.p95_ms.max(row.p95_ms);
            all.p99_ms = all.p99_ms.max(row.p99_ms);
            all.service_p50_ms = all.service_p50_ms.max(row.service_p50_ms);
            all.overslept_ms = all.overslept_ms.max(row.overslept_ms);
            all.steal_share = all.steal_share.max(row.steal_share);
            all.throttled |= row.throttled;
            for (all, of_run) in [(&mut all.versions, &row.versions), (&mut all.zones, &row.zones)] {
                for (name, count) in of_run {
                    let most = all.entry(name.clone()).or_default();
                    *most = (*most).max(*count);
                }
            }
            all.desired = all.desired.or(row.desired);
            all.in_service = all.in_service.or(row.in_service);
            all.healthy = all.healthy.or(row.healthy);
            all.fleet_cpu = all.fleet_cpu.or(row.fleet_cpu);
        }
    }
    seconds.into_values().collect()
}
