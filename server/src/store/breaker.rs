//! A breaker: it keeps something that fails from being waited for by everyone.
//!
//! Closed, it lets every call through and counts failures in a row. At the limit it opens: no call is let through for a
//! while. Then it is half open: one call at a time goes through as a probe, and what becomes of it closes or opens the
//! breaker again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open it; 0 counts as 1.
    pub failures: u32,
    /// How long it stays open, give or take a quarter: so a fleet that lost the same thing does not ask for it again
    /// all at once.
    pub open_for: Duration,
}

/// What it does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All go through.
    Closed,
    /// None goes through.
    Open,
    /// One at a time goes through.
    HalfOpen,
}

/// The breaker of one dependency. Clones are the same breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: Settings,
    inner: Arc<Mutex<Inner>>,
}

/// Leave for one call, to be returned with its verdict. Dropped without one, it says nothing about the dependency: the
/// caller went away. A probe is bounded by its caller: as long as it lives there is no other.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as no verdict"]
pub struct Permit {
    breaker: Breaker,
    period: u64,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// Grows with each change of phase, so that a verdict on a call from before it is told apart: a call that began
    /// while all was well and fails late must not open the breaker that a probe has just closed.
    period: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Success,
    Failure,
    None,
}

impl Breaker {
    /// A closed one.
    pub fn new(settings: Settings) -> Self {
        let inner = Inner { phase: Phase::Closed { failures: 0 }, period: 0 };
        Self { settings, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Leave for a call, or None: then it must not be made.
    pub fn admit(&self) -> Option<Permit> {
        self.admit_at(Instant::now())
    }

    /// Whether a call would be let through now; it takes no leave.
    pub fn admits(&self) -> bool {
        match self.lock().phase {
            Phase::Closed { .. } => true,
            Phase::Open { until } => Instant::now() >= until,
            Phase::HalfOpen { probing } => !probing,
        }
    }

    /// What it does with calls now.
    pub fn state(&self) -> State {
        self.state_at(Instant::now())
    }

    // The clock comes in as an argument from here on, so that tests own it.

    fn admit_at(&self, now: Instant) -> Option<Permit> {
        let mut inner = self.lock();
        match inner.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } if now >= until => inner.enter(Phase::HalfOpen { probing: true }),
            Phase::HalfOpen { probing: false } => inner.phase = Phase::HalfOpen { probing: true },
            Phase::Open { .. } | Phase::HalfOpen { probing: true } => return None,
        }
        Some(Permit { breaker: self.clone(), period: inner.period })
    }

    fn state_at(&self, now: Instant) -> State {
        match self.lock().phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } if now < until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Takes a verdict; true if it opened or closed the breaker.
    fn settle(&self, period: u64, verdict: Verdict, now: Instant) -> bool {
        let mut inner = self.lock();
        if inner.period != period {
            return false;
        }
        match (inner.phase, verdict) {
            (Phase::Closed { failures }, Verdict::Failure) => {
                let failures = failures.saturating_add(1);
                inner.phase = Phase::Closed { failures };
                if failures < self.settings.failures {
                    return false;
                }
                inner.enter(Phase::Open { until: now + self.open_time() });
                true
            }
            (Phase::HalfOpen { .. }, Verdict::Failure) => {
                inner.enter(Phase::Open { until: now + self.open_time() });
                // Open again after a probe is no news.
                false
            }
            (Phase::HalfOpen { .. }, Verdict::Success) => {
                inner.enter(Phase::Closed { failures: 0 });
                true
            }
            (Phase::Closed { .. }, Verdict::Success) => {
                inner.phase = Phase::Closed { failures: 0 };
                false
            }
            (Phase::HalfOpen { .. }, Verdict::None) => {
                inner.phase = Phase::HalfOpen { probing: false };
                false
            }
            // No permit is of a period in which the breaker is open.
            (Phase::Closed { .. }, Verdict::None) | (Phase::Open { .. }, _) => false,
        }
    }

    /// The open time, give or take a quarter. The standard library seeds its hash maps by chance; that is chance enough.
    fn open_time(&self) -> Duration {
        let chance = RandomState::new().build_hasher().finish() as u32;
        self.settings.open_for.mul_f64(0.75 + 0.5 * f64::from(chance) / f64::from(u32::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.period += 1;
    }
}

impl Permit {
    /// The call succeeded. True if that closed the breaker.
    pub fn success(self) -> bool {
        self.settle(Verdict::Success, Instant::now())
    }

    /// The call failed. True if that opened the breaker; a probe that fails leaves it as it was.
    pub fn failure(self) -> bool {
        self.settle(Verdict::Failure, Instant::now())
    }

    fn settle(mut self, verdict: Verdict, now: Instant) -> bool {
        let changed = self.breaker.settle(self.period, verdict, now);
        // What `drop` says of this permit after this concerns no period.
        self.period = u64::MAX;
        changed
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.settle(self.period, Verdict::None, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(4);
    const LONGEST: Duration = Duration::from_secs(5);
    const SHORTEST: Duration = Duration::from_secs(3);

    fn breaker() -> Breaker {
        Breaker::new(Settings { failures: 3, open_for: OPEN_FOR })
    }

    fn fail(breaker: &Breaker, now: Instant) -> bool {
        breaker.admit_at(now).expect("a permit").settle(Verdict::Failure, now)
    }

    fn opened(now: Instant) -> Breaker {
        let breaker = breaker();
        assert_eq!([fail(&breaker, now), fail(&breaker, now), fail(&breaker, now)], [false, false, true]);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_starts_over() {
        let (breaker, now) = (breaker(), Instant::now());
        for _ in 0..5 {
            fail(&breaker, now);
            fail(&breaker, now);
            breaker.admit_at(now).unwrap().settle(Verdict::Success, now);
        }
        fail(&breaker, now);
        fail(&breaker, now);
        drop(breaker.admit_at(now).unwrap());
        assert_eq!(breaker.state_at(now), State::Closed, "a permit without a verdict counts as neither");
        assert!(fail(&breaker, now));
        assert_eq!(breaker.state_at(now), State::Open);
        assert!(breaker.admit_at(now).is_none());
    }

    #[test]
    fn the_open_time_is_spread_around_its_setting() {
        let now = Instant::now();
        let mut admitted_early = 0;
        for _ in 0..100 {
            let breaker = opened(now);
            assert!(breaker.admit_at(now + SHORTEST - Duration::from_millis(1)).is_none());
            admitted_early += u32::from(breaker.admit_at(now + OPEN_FOR).is_some());
            assert_eq!(breaker.state_at(now + LONGEST), State::HalfOpen);
        }
        assert!((20..80).contains(&admitted_early), "{admitted_early} of 100 in the first half");
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let now = Instant::now();
        let breaker = opened(now);
        let later = now + LONGEST;
        let probe = breaker.admit_at(later).expect("a probe");
        assert!(breaker.admit_at(later).is_none(), "a second probe");
        assert!(!probe.settle(Verdict::Failure, later), "open again is no news");
        assert!(breaker.admit_at(later).is_none());

        let later = later + LONGEST;
        drop(breaker.admit_at(later).expect("a probe"));
        let probe = breaker.admit_at(later).expect("a probe that is dropped makes room for the next");
        assert!(probe.settle(Verdict::Success, later));
        assert_eq!(breaker.state_at(later), State::Closed);
        let both = (breaker.admit_at(later), breaker.admit_at(later));
        assert!(both.0.is_some() && both.1.is_some());
    }

    #[test]
    fn verdicts_on_calls_from_an_earlier_period_are_ignored() {
        let now = Instant::now();
        let breaker = breaker();
        let [slow_failure, slow_success] = [breaker.admit_at(now).unwrap(), breaker.admit_at(now).unwrap()];
        assert!((0..3).any(|_| fail(&breaker, now)));
        slow_success.settle(Verdict::Success, now);
        assert_eq!(breaker.state_at(now), State::Open);

        let later = now + LONGEST;
        let probe = breaker.admit_at(later).unwrap();
        slow_failure.settle(Verdict::Failure, later);
        assert!(breaker.admit_at(later).is_none(), "it neither opens nor frees the probe's place");
        assert!(probe.settle(Verdict::Success, later));
    }

    #[test]
    fn no_failures_allowed_means_the_first_one_opens_it() {
        let breaker = Breaker::new(Settings { failures: 0, open_for: OPEN_FOR });
        let clone = breaker.clone();
        assert!(breaker.admit().unwrap().failure());
        assert_eq!((breaker.state(), clone.state()), (State::Open, State::Open));
    }

    #[test]
    fn threads_get_one_probe_between_them() {
        let now = Instant::now();
        let breaker = opened(now);
        let probes: Vec<Permit> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| breaker.admit_at(now + LONGEST))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(probes.len(), 1);
    }
}
