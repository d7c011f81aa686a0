//! When each request is due, whatever the answers take: an open model.
//!
//! One thread of its own walks through the plan and puts each request's slot into a queue when it is due. Users take
//! slots from the queue; when all are busy, slots wait there and are taken late, and none is ever dropped silently.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::Plan;

/// How long the thread sleeps at least: waking for each of many thousand slots a second would cost a core.
const TICK: Duration = Duration::from_micros(300);

/// How long the thread sleeps at the most: an event that ends a phase is noticed within it.
const NAP: Duration = Duration::from_millis(20);

/// One request's place in the plan.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// When it is due.
    pub due: Instant,
    /// The index of its phase.
    pub phase: usize,
}

/// Where a phase began and ended, seconds from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Its first moment.
    pub start: f64,
    /// Its last, when it is over.
    pub end: Option<f64>,
    /// Whether an event ended it before its time.
    pub early: bool,
}

/// The run's slots, as users and watchers see them.
#[derive(Debug, Clone)]
pub struct Pacer {
    slots: flume::Receiver<Slot>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    /// The phase that is running.
    phase: AtomicUsize,
    /// The phase after which events have asked to go on; ahead of `phase` while it has not been left.
    leave: AtomicUsize,
    stop: AtomicBool,
    due: AtomicU64,
    /// The longest that the thread overslept since it was last asked, microseconds.
    overslept: AtomicU64,
    spans: Mutex<Vec<Span>>,
}

impl Pacer {
    /// Starts the clock of `plan` now.
    pub fn start(plan: Plan) -> std::io::Result<Self> {
        let (sender, slots) = flume::unbounded();
        let shared = Arc::new(Shared {
            started: Instant::now(),
            phase: AtomicUsize::new(0),
            leave: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            due: AtomicU64::new(0),
            overslept: AtomicU64::new(0),
            spans: Mutex::default(),
        });
        let pacing = shared.clone();
        std::thread::Builder::new().name("pacer".to_owned()).spawn(move || pacing.walk(&plan, &sender))?;
        Ok(Self { slots, shared })
    }

    /// The next slot that is due, as soon as there is one; none when the plan is over and every slot is taken, or the run
    /// was stopped.
    pub async fn take(&self) -> Option<Slot> {
        let slot = self.slots.recv_async().await.ok()?;
        (!self.stopped()).then_some(slot)
    }

    /// Ends the run now; slots that wait are not taken any more.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Whether it was stopped.
    pub fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// Ends a phase early, if it is still running.
    pub fn leave(&self, phase: usize) {
        self.shared.leave.fetch_max(phase + 1, Ordering::AcqRel);
    }

    /// The phase that is running, or the number of phases when all are over.
    pub fn phase(&self) -> usize {
        self.shared.phase.load(Ordering::Acquire)
    }

    /// When the run started.
    pub fn started(&self) -> Instant {
        self.shared.started
    }

    /// Slots that have become due so far.
    pub fn due(&self) -> u64 {
        self.shared.due.load(Ordering::Acquire)
    }

    /// Slots that are due and wait for a user.
    pub fn waiting(&self) -> usize {
        self.slots.len()
    }

    /// By how much the clock was late at the most, since this was last asked.
    pub fn overslept(&self) -> Duration {
        Duration::from_micros(self.shared.overslept.swap(0, Ordering::AcqRel))
    }

    /// The phases that have begun.
    pub fn spans(&self) -> Vec<Span> {
        self.shared.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn walk(&self, plan: &Plan, sender: &flume::Sender<Slot>) {
        let mut begin = self.started;
        for (index, phase) in plan.0.iter().enumerate() {
            self.phase.store(index, Ordering::Release);
            self.note(|spans| spans.push(Span { start: self.at(begin), end: None, early: false }));
            let end = begin + phase.duration;
            let (mut number, requests) = (0, phase.requests());
            let mut wake = begin;
            let left = loop {
                let now = self.sleep_until(wake);
                if self.stop.load(Ordering::Acquire) || self.leave.load(Ordering::Acquire) > index {
                    break Some(now);
                }
                while number < requests {
                    let due = begin + phase.due(number);
                    if due > now {
                        break;
                    }
                    // Before it can be taken: whoever counts what was issued never finds more than was due.
                    self.due.fetch_add(1, Ordering::AcqRel);
                    // It cannot fail while this run holds the other end.
                    let _ = sender.send(Slot { due, phase: index });
                    number += 1;
                }
                if now >= end {
                    break None;
                }
                let next = if number < requests { begin + phase.due(number) } else { end };
                wake = next.clamp(now + TICK, now + NAP).min(end.max(now));
            };
            begin = left.unwrap_or(end);
            self.note(|spans| {
                if let Some(span) = spans.last_mut() {
                    (span.end, span.early) = (Some(self.at(begin)), left.is_some());
                }
            });
            if self.stop.load(Ordering::Acquire) {
                break;
            }
        }
        self.phase.store(plan.0.len(), Ordering::Release);
    }

    fn at(&self, moment: Instant) -> f64 {
        moment.duration_since(self.started).as_secs_f64()
    }

    fn note(&self, change: impl FnOnce(&mut Vec<Span>)) {
        change(&mut self.spans.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sleeps to a moment and notes by how much it was overslept.
    #[expect(
        clippy::disallowed_methods,
        reason = "the pacer has a thread of its own: tokio's timer counts milliseconds"
    )]
    fn sleep_until(&self, wake: Instant) -> Instant {
        std::thread::sleep(wake.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let late = now.saturating_duration_since(wake).as_micros();
        self.overslept.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::AcqRel);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Until;

    fn start(plan: &str) -> Pacer {
        Pacer::start(plan.parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn every_slot_comes_once_when_it_is_due() {
        let pacer = start("a:300ms@1000,b:200ms@0..500");
        let mut slots = Vec::new();
        while let Some(slot) = pacer.take().await {
            assert!(Instant::now() >= slot.due, "before its time");
            slots.push(slot);
        }
        assert_eq!((slots.len(), pacer.due(), pacer.waiting()), (350, 350, 0));
        assert!(slots.is_sorted_by_key(|slot| slot.due));
        assert_eq!(slots.iter().filter(|slot| slot.phase == 1).count(), 50);
        let spans = pacer.spans();
        assert_eq!((spans[0].end, spans[1].start, spans[1].end), (Some(0.3), 0.3, Some(0.5)));
        assert_eq!(pacer.phase(), 2);
    }

    #[tokio::test]
    async fn slots_wait_for_whoever_is_late() {
        let pacer = start("a:100ms@1000");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(pacer.waiting(), 100);
        let first = pacer.take().await.unwrap();
        assert_eq!(first.due, pacer.started());
    }

    #[tokio::test]
    async fn a_phase_is_left_early_and_the_next_begins() {
        let mut plan: Plan = "hold:60s@1000,end:100ms@1000".parse().unwrap();
        plan.0[0].until = Some(Until::ScaledIn);
        let pacer = Pacer::start(plan).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        pacer.leave(0);
        let mut ends = 0;
        while let Some(slot) = pacer.take().await {
            ends += usize::from(slot.phase == 1);
        }
        assert_eq!(ends, 100);
        let hold = pacer.spans()[0];
        assert!(hold.early && hold.end.unwrap() < 1.0, "{hold:?}");
    }

    #[tokio::test]
    async fn stopped_it_gives_no_more() {
        let pacer = start("a:60s@1000");
        assert!(pacer.take().await.is_some());
        pacer.stop();
        assert!(pacer.take().await.is_none());
        assert!(pacer.take().await.is_none());
    }
}
