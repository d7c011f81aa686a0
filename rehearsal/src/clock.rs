//! Time, as fast as one likes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Faster, a machine's timer cannot follow.
const FASTEST: f64 = 100_000.0;

/// The region's time: it begins as the machine's and then runs `speed` times as fast, or stands until it is advanced.
#[derive(Debug)]
pub struct Clock(Mutex<Pace>);

/// How the time runs since it last changed how it runs.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// When that was, in the machine's time.
    since: Instant,
    /// The region's time then, and what was added by hand.
    from: SystemTime,
    speed: f64,
}

impl Pace {
    fn at(&self, instant: Instant) -> SystemTime {
        self.from + instant.duration_since(self.since).mul_f64(self.speed)
    }
}

impl Clock {
    /// `speed` is how many of the region's seconds pass in one, up to 100,000; 0 stands still.
    pub fn new(speed: f64) -> Self {
        Self(Mutex::new(Pace { since: Instant::now(), from: SystemTime::now(), speed: possible(speed) }))
    }

    /// The region's time now.
    pub fn now(&self) -> SystemTime {
        let pace = self.pace();
        pace.at(Instant::now())
    }

    /// Moves the region's time on by `duration` at once.
    pub fn advance(&self, duration: Duration) {
        self.pace().from += duration;
    }

    /// How many of the region's seconds pass in one.
    pub fn speed(&self) -> f64 {
        self.pace().speed
    }

    /// Lets it run at another speed from now on. The time that it is stays the same.
    pub fn set_speed(&self, speed: f64) {
        let (mut pace, since) = (self.pace(), Instant::now());
        *pace = Pace { since, from: pace.at(since), speed: possible(speed) };
    }

    /// How long the machine waits while `duration` passes in the region; between 1 and 1,000 ms.
    pub fn wait(&self, duration: Duration) -> Duration {
        let speed = self.speed();
        // Of a speed next to nothing, the quotient would be more than a duration has room for.
        let wait = if speed > 1e-3 { duration.div_f64(speed) } else { Duration::from_secs(1) };
        wait.clamp(Duration::from_millis(1), Duration::from_secs(1))
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn possible(speed: f64) -> f64 {
    if speed.is_nan() { 0.0 } else { speed.clamp(0.0, FASTEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_until_advanced() {
        let clock = Clock::new(0.0);
        let before = clock.now();
        clock.advance(Duration::from_secs(3600));
        assert_eq!(clock.now().duration_since(before).unwrap(), Duration::from_secs(3600));
    }

    #[test]
    fn runs_faster_than_the_machine() {
        let clock = Clock::new(1_000_000.0);
        assert_eq!(clock.speed(), 100_000.0);
        let before = clock.now();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(2) {}
        assert!(clock.now().duration_since(before).unwrap() >= Duration::from_secs(200));
        assert_eq!(clock.wait(Duration::from_secs(1)), Duration::from_millis(1));
    }

    #[test]
    fn another_speed_is_no_jump() {
        let clock = Clock::new(3600.0);
        clock.advance(Duration::from_secs(86_400));
        let mut before = clock.now();
        for speed in [1.0, 7200.0, 0.0, 60.0, f64::NAN, f64::INFINITY, -1.0] {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(1) {}
            let (was, changing) = (clock.speed(), Instant::now());
            let fast = clock.now();
            clock.set_speed(speed);
            let slow = clock.now();
            let most = changing.elapsed().mul_f64(was.max(clock.speed()));
            assert!(before <= fast && fast <= slow, "{speed}: {before:?} {fast:?} {slow:?}");
            assert!(slow.duration_since(fast).unwrap() <= most, "{speed}: {fast:?} {slow:?}, not within {most:?}");
            before = slow;
        }
        assert_eq!(clock.speed(), 0.0);
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn what_passes_is_told_by_the_speed_of_its_time() {
        let (since, from) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let later = |seconds| since + Duration::from_secs(seconds);
        let fast = Pace { since, from, speed: 60.0 };
        let slow = Pace { since: later(10), from: fast.at(later(10)), speed: 1.0 };
        assert_eq!(slow.at(later(10)), from + Duration::from_secs(600));
        assert_eq!(slow.at(later(25)), from + Duration::from_secs(615));
    }

    #[test]
    fn waits_by_the_speed_that_is() {
        let clock = Clock::new(0.0);
        let half = Duration::from_millis(500);
        assert_eq!(clock.wait(half), Duration::from_secs(1));
        clock.set_speed(1.0);
        assert_eq!(clock.wait(half), half);
        clock.set_speed(50.0);
        assert_eq!(clock.wait(half), Duration::from_millis(10));
        clock.set_speed(f64::MIN_POSITIVE);
        assert_eq!(clock.wait(half), Duration::from_secs(1));
    }
}
