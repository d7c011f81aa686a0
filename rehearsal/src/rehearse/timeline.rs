//! What is seen of the region while it is rehearsed, second by second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinHandle;

use super::GROUP;
use super::load::Loaded;
use super::outcome::{Event, EventKind, Instances, Row};
use crate::instances::Target;
use crate::{ActivityView, InstanceView, Region, View};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// Rows and events that are kept at the most: hours of them.
const MOST: usize = 20_000;

/// Now, in seconds of the clock that all processes of this machine share, those in its instances too.
pub(super) fn monotonic() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// The record. Copies of it are the same record.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    region: Arc<Region>,
    began: f64,
    epoch: SystemTime,
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    rows: Vec<Row>,
    events: Vec<Event>,
    loads: Vec<Loaded>,
    /// Of each instance, when it was first seen so.
    launched: BTreeMap<String, f64>,
    healthy: BTreeMap<String, f64>,
    /// What each version of the launch template runs.
    builds: BTreeMap<String, String>,
    /// What was told already.
    told: BTreeSet<String>,
}

impl Record {
    /// Puts something down once.
    fn tell(&mut self, at: f64, kind: EventKind, key: String, text: String) {
        if self.told.len() < MOST && self.told.insert(key) {
            self.events.push(Event { at, kind, text });
        }
    }
}

impl Timeline {
    /// Begins one, and a task that keeps it.
    pub(super) fn begin(region: Arc<Region>) -> (Self, JoinHandle<()>) {
        let timeline = Self { region, began: monotonic(), epoch: SystemTime::now(), record: Arc::default() };
        let kept = timeline.clone();
        let task = tokio::spawn(async move {
            let mut looks = tokio::time::interval(LOOK);
            loop {
                looks.tick().await;
                kept.look();
            }
        });
        (timeline, task)
    }

    /// Seconds since it began.
    pub(super) fn now(&self) -> f64 {
        monotonic() - self.began
    }

    /// When it began.
    pub(super) fn epoch(&self) -> SystemTime {
        self.epoch
    }

    /// Seconds of the shared clock as seconds of this record.
    pub(super) fn at(&self, monotonic: f64) -> f64 {
        monotonic - self.began
    }

    /// Seconds since 1970 as seconds of this record.
    pub(super) fn at_unix(&self, seconds: f64) -> f64 {
        seconds - self.epoch.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    /// Says what a version of the launch template runs.
    pub(super) fn names(&self, template: u32, build: &str) {
        self.record().builds.insert(template.to_string(), build.to_owned());
    }

    /// Puts something down that happens now.
    pub(super) fn note(&self, kind: EventKind, text: impl Into<String>) {
        let event = Event { at: self.now(), kind, text: text.into() };
        self.record().events.push(event);
    }

    /// Puts down what a load counted.
    pub(super) fn add(&self, load: &Loaded) {
        self.record().loads.push(load.clone());
    }

    /// When an instance was launched, and when it was first healthy behind the load balancer.
    pub(super) fn sighted(&self, id: &str) -> (Option<f64>, Option<f64>) {
        let record = self.record();
        (record.launched.get(id).copied(), record.healthy.get(id).copied())
    }

    /// All of it, with what the loads counted in its rows.
    pub(super) fn told(&self) -> (Vec<Event>, Vec<Row>) {
        let mut record = self.record();
        let (mut rows, loads) = (record.rows.clone(), std::mem::take(&mut record.loads));
        for load in &loads {
            for second in &load.rows {
                // It began a second before its time.
                let at = self.at_unix(load.began) + second.at - 1.0;
                let row = rows.iter_mut().rev().find(|row| row.at <= at);
                let Some(row) = row.filter(|row| row.at > at - 1.5) else { continue };
                row.answered += second.ok + second.failed;
                row.failed += second.failed;
                row.p50 = higher(row.p50, second.p50);
                row.p99 = higher(row.p99, second.p99);
            }
        }
        record.events.sort_by(|one, other| one.at.total_cmp(&other.at));
        (record.events.clone(), rows)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let now = self.now();
        let view = self.region.observe(GROUP);
        let activities = self.region.activities(GROUP);
        let refreshes = self.region.refreshes(GROUP);
        let mut record = self.record();
        // What it is on the way to is of no interest.
        let over = |activity: &&ActivityView| matches!(activity.status.as_str(), "Successful" | "Failed" | "Cancelled");
        for activity in activities.iter().rev().filter(over) {
            let told = format!("{}: {}", activity.description, activity.status);
            record.tell(now, EventKind::Scaling, format!("{:?} {told}", activity.start), told);
        }
        for refresh in refreshes.iter().rev() {
            let why = refresh.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let status = refresh.status.as_str();
            record.tell(
                now,
                EventKind::Rollout,
                format!("{} {status}", refresh.id),
                format!("instance refresh {status}{why}"),
            );
        }
        if let (Some(view), Some((at, before))) = (&view, record.rows.last().map(|row| (row.at, row.desired)))
            && view.desired != before
        {
            let told = format!("desired capacity {before} → {}", view.desired);
            record.tell(now, EventKind::Scaling, format!("{at} {told}"), told);
        }
        for instance in view.iter().flat_map(|view| &view.instances).filter(|it| !it.id.is_empty()) {
            record.launched.entry(instance.id.clone()).or_insert_with(monotonic);
            if instance.target == Target::Healthy {
                record.healthy.entry(instance.id.clone()).or_insert_with(monotonic);
            }
        }
        if record.rows.last().is_none_or(|row| now >= row.at + 1.0) && record.rows.len() < MOST {
            let row = row(now.floor(), view.as_ref(), &record.builds);
            record.rows.push(row);
        }
    }
}

fn row(at: f64, view: Option<&View>, builds: &BTreeMap<String, String>) -> Row {
    let mut instances: BTreeMap<String, Instances> = BTreeMap::new();
    for instance in view.iter().flat_map(|view| &view.instances) {
        let build = builds.get(&instance.version).unwrap_or(&instance.version);
        let count = instances.entry(build.clone()).or_default();
        *match stage(instance) {
            Stage::Starting => &mut count.starting,
            Stage::Healthy => &mut count.healthy,
            Stage::Unhealthy => &mut count.unhealthy,
            Stage::Leaving => &mut count.leaving,
        } += 1;
    }
    Row {
        at,
        answered: 0,
        failed: 0,
        p50: None,
        p99: None,
        desired: view.map_or(0, |view| view.desired),
        instances,
        cpu: view.and_then(|view| view.cpu).map(|(_, per_cent)| per_cent),
        speed: view.map_or(1.0, |view| view.speed),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Healthy,
    Unhealthy,
    Leaving,
}

fn stage(instance: &InstanceView) -> Stage {
    match (&instance.target, instance.state.starts_with("Terminat")) {
        (_, true) | (Target::Draining, _) => Stage::Leaving,
        (Target::Healthy, _) => Stage::Healthy,
        (Target::Unhealthy { .. }, _) => Stage::Unhealthy,
        (Target::Initial | Target::Unused, _) => Stage::Starting,
    }
}

fn higher(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::rehearse::load::Second;

    #[tokio::test]
    async fn what_loads_count_is_in_the_second_that_it_was_in() {
        let region = Arc::new(Region::start(Settings { speed: 60.0, ..Settings::default() }).await.unwrap());
        region.group(GROUP).desired(2).create().unwrap();
        let (timeline, looking) = Timeline::begin(Arc::clone(&region));
        timeline.names(1, "0.1.0+1a2b3c4");
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        looking.abort();
        let began = timeline.epoch().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let second = |at, ok, failed, p99| Second { at, phase: "steady".to_owned(), ok, failed, p50: None, p99 };
        // Two at a time, and one that is over before any of it was looked at.
        for load in [
            [second(1.1, 10, 1, Some(5.0)), second(2.1, 20, 0, None)],
            [second(1.1, 5, 0, Some(9.0)), second(90.0, 7, 7, None)],
        ] {
            timeline.add(&Loaded { began, rows: load.into() });
        }
        let (_, rows) = timeline.told();
        assert_eq!((rows[0].answered, rows[0].failed, rows[0].p99), (16, 1, Some(9.0)));
        assert_eq!((rows[1].answered, rows[1].failed), (20, 0));
        assert_eq!(rows.iter().map(|row| row.failed).sum::<u64>(), 1);
        assert_eq!(rows[1].instances["0.1.0+1a2b3c4"].healthy, 2);
        assert_eq!(rows[1].desired, 2);
    }
}
