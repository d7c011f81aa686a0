//! What happened: every answer, by phase, endpoint, instance and second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Failures that are kept with all there is to say; of more there is only the number.
pub const KEPT_FAILURES: usize = 100;

/// Instances that are told apart; a target that names a new one in each answer is not worth the memory.
pub const KEPT_INSTANCES: usize = 10_000;

/// A request that is started this long after a user was free for it and it was due is late by our own fault. One tick of
/// tokio's timer and one of the scheduler are well within it.
pub const LATE: Duration = Duration::from_millis(10);

/// The longest time that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Three significant digits of microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    // The bounds are constants that the crate accepts.
    let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
    histogram.unwrap_or_else(|_| unreachable!("constant bounds"))
}

/// Who answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// `x-tideline-instance`.
    pub instance: String,
    /// `x-tideline-zone`.
    pub zone: String,
    /// `x-tideline-version`.
    pub version: String,
}

/// One request and what came of it.
#[derive(Debug)]
pub struct Sample {
    /// The index of its phase.
    pub phase: usize,
    /// What was asked, as a template: `GET /data/{id}`.
    pub endpoint: &'static str,
    /// When it was due.
    pub due: Instant,
    /// When a user was free for it.
    pub free: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// When its answer was whole, or was given up.
    pub done: Instant,
    /// The status, when there was one.
    pub status: Option<u16>,
    /// Who answered, when somebody did.
    pub origin: Option<Origin>,
    /// What was wrong.
    pub fault: Option<String>,
}

/// The figures of one kind of request.
#[derive(Debug, Clone)]
pub struct Figures {
    /// From sending to the whole answer, microseconds.
    pub service: Histogram<u64>,
    /// From when it was due to the whole answer, microseconds.
    pub since_due: Histogram<u64>,
    /// Answers as they should be.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Answers by status; 0 where there was none.
    pub statuses: BTreeMap<u16, u64>,
}

impl Default for Figures {
    fn default() -> Self {
        Self { service: histogram(), since_due: histogram(), ok: 0, failed: 0, statuses: BTreeMap::new() }
    }
}

impl Figures {
    fn add(&mut self, sample: &Sample) {
        self.service.saturating_record(micros(sample.done - sample.sent));
        self.since_due.saturating_record(micros(sample.done.saturating_duration_since(sample.due)));
        *if sample.fault.is_none() { &mut self.ok } else { &mut self.failed } += 1;
        *self.statuses.entry(sample.status.unwrap_or(0)).or_default() += 1;
    }

    /// These and others together.
    pub fn merge(&mut self, other: &Self) {
        self.service += &other.service;
        self.since_due += &other.since_due;
        self.ok += other.ok;
        self.failed += other.failed;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// One instance, as its answers showed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its availability zone.
    pub zone: String,
    /// Its version.
    pub version: String,
    /// Its first answer, seconds from the start of the run.
    pub first: f64,
    /// Its last answer, seconds from the start of the run.
    pub last: f64,
    /// Its answers.
    pub answers: u64,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// When, seconds from the start of the run.
    pub at: f64,
    /// What was asked.
    pub endpoint: String,
    /// Who answered, if anybody did.
    pub instance: String,
    /// The status, 0 where there was none.
    pub status: u16,
    /// What was wrong.
    pub error: String,
}

/// What was counted in a stretch of time.
#[derive(Debug, Clone)]
pub struct Window {
    /// Requests sent.
    pub sent: u64,
    /// Answers as they should be.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Requests that we sent late by our own fault.
    pub late: u64,
    /// Times since due, microseconds.
    pub since_due: Histogram<u64>,
    /// Service times, microseconds.
    pub service: Histogram<u64>,
    /// Who answered.
    pub origins: BTreeSet<Origin>,
}

impl Default for Window {
    fn default() -> Self {
        let (since_due, service) = (histogram(), histogram());
        Self { sent: 0, ok: 0, failed: 0, late: 0, since_due, service, origins: BTreeSet::new() }
    }
}

/// Everything that was recorded.
#[derive(Debug, Default)]
pub struct Records {
    /// By phase and endpoint.
    pub phases: Vec<BTreeMap<&'static str, Figures>>,
    /// By id and version: one that is updated in its place is two.
    pub instances: BTreeMap<(String, String), Instance>,
    /// The first of them.
    pub failures: Vec<Failure>,
    /// Requests late by our own fault.
    pub late: u64,
    /// The longest time without a good answer, seconds, and when it began.
    pub longest_gap: (f64, f64),
    last_ok: f64,
    window: Window,
}

/// Takes samples from all users.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    records: Mutex<Records>,
}

impl Recorder {
    /// For a run of so many phases that starts now.
    pub fn new(started: Instant, phases: usize) -> Self {
        let records = Records { phases: vec![BTreeMap::new(); phases], ..Records::default() };
        Self { started, records: Mutex::new(records) }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request is being sent.
    pub fn sent(&self) {
        self.records().window.sent += 1;
    }

    /// Takes one request's outcome.
    pub fn take(&self, sample: Sample) {
        let at = sample.done.saturating_duration_since(self.started).as_secs_f64();
        let late = sample.sent.saturating_duration_since(sample.due.max(sample.free)) > LATE;
        let mut records = self.records();
        let records = &mut *records;
        if let Some(phase) = records.phases.get_mut(sample.phase) {
            phase.entry(sample.endpoint).or_default().add(&sample);
        }
        records.late += u64::from(late);
        let window = &mut records.window;
        window.late += u64::from(late);
        window.since_due.saturating_record(micros(sample.done.saturating_duration_since(sample.due)));
        window.service.saturating_record(micros(sample.done - sample.sent));
        if let Some(error) = sample.fault {
            window.failed += 1;
            if records.failures.len() < KEPT_FAILURES {
                let instance = sample.origin.as_ref().map(|origin| origin.instance.clone()).unwrap_or_default();
                let (endpoint, status) = (sample.endpoint.to_owned(), sample.status.unwrap_or(0));
                records.failures.push(Failure { at, endpoint, instance, status, error });
            }
        } else {
            window.ok += 1;
            records.longest_gap = longer(records.longest_gap, records.last_ok, at);
            records.last_ok = records.last_ok.max(at);
        }
        let Some(origin) = sample.origin else { return };
        let known = records.instances.len();
        let key = (origin.instance.clone(), origin.version.clone());
        if known < KEPT_INSTANCES || records.instances.contains_key(&key) {
            let instance = records.instances.entry(key).or_insert_with(|| Instance {
                id: origin.instance.clone(),
                zone: origin.zone.clone(),
                version: origin.version.clone(),
                first: at,
                last: at,
                answers: 0,
            });
            instance.last = instance.last.max(at);
            instance.answers += 1;
            window.origins.insert(origin);
        }
    }

    /// What was counted since this was last asked.
    pub fn window(&self) -> Window {
        std::mem::take(&mut self.records().window)
    }

    /// Looks at everything so far.
    pub fn look<T>(&self, at: impl FnOnce(&Records) -> T) -> T {
        at(&self.records())
    }

    /// Everything, when the run ended `at` seconds after its start.
    pub fn finish(&self, at: f64) -> Records {
        let mut records = std::mem::take(&mut *self.records());
        records.longest_gap = longer(records.longest_gap, records.last_ok, at);
        records
    }
}

fn longer(longest: (f64, f64), from: f64, to: f64) -> (f64, f64) {
    if to - from > longest.0 { (to - from, from) } else { longest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(started: Instant, due: u64, sent: u64, done: u64) -> Sample {
        let at = |millis| started + Duration::from_millis(millis);
        Sample {
            phase: 0,
            endpoint: "GET /",
            due: at(due),
            free: at(0),
            sent: at(sent),
            done: at(done),
            status: Some(200),
            origin: Some(Origin { instance: "i".into(), zone: "z".into(), version: "1".into() }),
            fault: None,
        }
    }

    #[test]
    fn service_time_and_time_since_due_are_told_apart() {
        let started = Instant::now();
        let recorder = Recorder::new(started, 1);
        recorder.take(sample(started, 100, 2100, 2150));
        let records = recorder.finish(3.0);
        let figures = &records.phases[0]["GET /"];
        assert!((figures.service.max() as f64 / 50_000.0 - 1.0).abs() < 0.001);
        assert!((figures.since_due.max() as f64 / 2_050_000.0 - 1.0).abs() < 0.001);
        assert_eq!((figures.ok, figures.failed, figures.statuses[&200]), (1, 0, 1));
    }

    #[test]
    fn a_user_that_was_busy_is_not_our_fault_and_one_that_was_free_is() {
        let started = Instant::now();
        let recorder = Recorder::new(started, 1);
        recorder.take(sample(started, 0, 100, 110));
        let mut busy = sample(started, 0, 100, 110);
        busy.free = started + Duration::from_millis(99);
        recorder.take(busy);
        assert_eq!(recorder.window().late, 1);
    }

    #[test]
    fn the_longest_gap_also_ends_with_the_run() {
        let started = Instant::now();
        let recorder = Recorder::new(started, 1);
        for done in [100, 200, 900, 1000] {
            recorder.take(sample(started, 0, 0, done));
        }
        let mut failed = sample(started, 0, 0, 4000);
        failed.fault = Some("503".to_owned());
        recorder.take(failed);
        assert_eq!(recorder.look(|records| records.longest_gap), (0.7, 0.2));
        let records = recorder.finish(5.0);
        assert_eq!(records.longest_gap, (4.0, 1.0));
        assert_eq!((records.failures.len(), records.failures[0].error.as_str()), (1, "503"));
    }

    #[test]
    fn instances_are_counted_by_id_and_version() {
        let started = Instant::now();
        let recorder = Recorder::new(started, 1);
        recorder.take(sample(started, 0, 0, 100));
        let mut updated = sample(started, 0, 0, 300);
        updated.origin = Some(Origin { version: "2".into(), ..updated.origin.unwrap() });
        recorder.take(updated);
        assert_eq!(recorder.window().origins.len(), 2);
        assert_eq!(recorder.window().origins.len(), 0);
        let records = recorder.finish(1.0);
        assert_eq!(records.instances.len(), 2);
        assert_eq!(records.instances[&("i".to_owned(), "2".to_owned())].first, 0.3);
    }
}
