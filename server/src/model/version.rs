//! Versions of a document.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// Which writing of a document this is; a later one is greater, and no two writings share one.
///
/// The writer chooses it: 42 bits of milliseconds since 1970, then 22 bits drawn by chance. So a writer whose answer was
/// lost can tell its own write from another's, and a document that is deleted and made anew does not start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

/// Bits below the milliseconds.
const CHANCE_BITS: u32 = 22;

impl Version {
    /// When it was written, as the writer's clock had it.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.millis())
    }

    /// The same in milliseconds since 1970.
    pub fn millis(self) -> u64 {
        self.0 >> CHANCE_BITS
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Version {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Gives out versions. A process has one, so that within it uniqueness is certain, not only likely.
#[derive(Debug, Default)]
pub struct VersionClock {
    last: AtomicU64,
}

impl VersionClock {
    /// A version for a write that happens now; greater than `than`, where the stored clock stood ahead of ours.
    pub fn after(&self, than: Option<Version>) -> Version {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let chance = Uuid::new_v4().as_u128() as u64 & ((1 << CHANCE_BITS) - 1);
        let wanted = ((now << CHANCE_BITS) | chance).max(than.map_or(0, |than| than.0.saturating_add(1)));
        let last = self.last.fetch_max(wanted, Ordering::Relaxed);
        if wanted > last {
            return Version(wanted);
        }
        // Another write of this millisecond drew the greater chance: go on from there.
        Version(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_and_are_never_shared() {
        let clock = VersionClock::default();
        let mut versions: Vec<Version> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mine: Vec<Version> = (0..5_000).map(|_| clock.after(None)).collect();
                        assert!(mine.is_sorted_by(|a, b| a < b));
                        mine
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        versions.sort_unstable();
        assert!(versions.is_sorted_by(|a, b| a < b), "two writes share a version");
    }

    #[test]
    fn a_clock_behind_still_moves_forward() {
        let ahead = Version(u64::MAX / 2);
        assert!(VersionClock::default().after(Some(ahead)) > ahead);
    }
}
