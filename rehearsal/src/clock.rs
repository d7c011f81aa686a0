//! Time, as fast as one likes.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// The region's time: it begins as the machine's and then runs `speed` times as fast, or stands until it is advanced.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    epoch: SystemTime,
    speed: f64,
    /// What was added by hand.
    advanced: Mutex<Duration>,
}

impl Clock {
    /// `speed` is how many of the region's seconds pass in one; 0 stands still.
    pub fn new(speed: f64) -> Self {
        Self { began: Instant::now(), epoch: SystemTime::now(), speed, advanced: Mutex::new(Duration::ZERO) }
    }

    /// The region's time now.
    pub fn now(&self) -> SystemTime {
        let advanced = *self.advanced.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.epoch + self.began.elapsed().mul_f64(self.speed) + advanced
    }

    /// Moves the region's time on by `duration` at once.
    pub fn advance(&self, duration: Duration) {
        *self.advanced.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += duration;
    }

    /// How long the machine waits while `duration` passes in the region; between 1 and 1,000 ms.
    pub fn wait(&self, duration: Duration) -> Duration {
        let wait = if self.speed > 0.0 { duration.div_f64(self.speed) } else { Duration::from_secs(1) };
        wait.clamp(Duration::from_millis(1), Duration::from_secs(1))
    }
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
        let before = clock.now();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(2) {}
        assert!(clock.now().duration_since(before).unwrap() >= Duration::from_secs(2000));
        assert_eq!(clock.wait(Duration::from_secs(1)), Duration::from_millis(1));
    }
}
