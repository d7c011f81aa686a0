//! Which events the answers show: instances that come and go, a version that takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::plan::Until;
use crate::record::Origin;
use crate::verdict::Seen;

/// An instance that has not answered for so long, while others did, may still only be unlucky.
const RECENT: f64 = 10.0;

/// How long something must have been true to count, seconds.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// Instances that answer, or do not answer any more.
    pub scaling: Duration,
    /// A version that answers alone.
    pub version: Duration,
}

/// Follows who answers, second by second.
#[derive(Debug)]
pub struct Observer {
    settled: Settled,
    /// The version that is waited for.
    version: Option<String>,
    /// First and last answer of each instance.
    instances: BTreeMap<String, (f64, f64)>,
    /// Those of the first phase: what was there before the load.
    before: BTreeSet<String>,
    /// The most that were there at one time.
    peak: usize,
    /// The last answer of the wanted version, and of any other.
    wanted: Option<f64>,
    other: f64,
    seen: Seen,
}

impl Observer {
    /// Nothing seen yet.
    pub fn new(settled: Settled, version: Option<String>) -> Self {
        Self {
            settled,
            version,
            instances: BTreeMap::new(),
            before: BTreeSet::new(),
            peak: 0,
            wanted: None,
            other: 0.0,
            seen: Seen::default(),
        }
    }

    /// Takes in who answered in the second that ended `at` seconds from the start, in this phase.
    pub fn take(&mut self, at: f64, phase: usize, origins: &BTreeSet<Origin>) {
        for origin in origins {
            self.instances.entry(origin.instance.clone()).or_insert((at, at)).1 = at;
            if phase == 0 {
                self.before.insert(origin.instance.clone());
            }
            if self.version.as_ref() == Some(&origin.version) {
                self.wanted = Some(at);
            } else {
                self.other = at;
            }
        }
        let scaling = self.settled.scaling.as_secs_f64();
        let new = |(id, (first, last)): &(&String, &(f64, f64))| {
            !self.before.contains(*id) && at - last <= RECENT && last - first >= scaling
        };
        self.seen.scaled_out = self.seen.scaled_out.max(self.instances.iter().filter(new).count());
        let there = self.instances.values().filter(|(_, last)| at - last <= scaling).count();
        self.peak = self.peak.max(there);
        // With nobody left it is an outage, not a scale-in.
        self.seen.scaled_in = (1..self.peak).contains(&there);
        let alone = at - self.other >= self.settled.version.as_secs_f64();
        self.seen.version = alone && self.wanted.is_some_and(|wanted| at - wanted <= RECENT);
    }

    /// Whether an event has come.
    pub fn reached(&self, until: &Until) -> bool {
        match until {
            Until::ScaledOut(more) => self.seen.scaled_out >= *more,
            Until::ScaledIn => self.seen.scaled_in,
            Until::Version(_) => self.seen.version,
        }
    }

    /// What was seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observer(version: Option<&str>) -> Observer {
        let settled = Settled { scaling: Duration::from_secs(20), version: Duration::from_secs(10) };
        Observer::new(settled, version.map(str::to_owned))
    }

    fn origins(of: &[(&str, &str)]) -> BTreeSet<Origin> {
        let origin = |(instance, version): &(&str, &str)| Origin {
            instance: (*instance).to_owned(),
            version: (*version).to_owned(),
            ..Origin::default()
        };
        of.iter().map(origin).collect()
    }

    #[test]
    fn a_new_instance_counts_when_it_has_answered_for_long_enough() {
        let mut observer = observer(None);
        for at in 0..10 {
            observer.take(f64::from(at), 0, &origins(&[("a", "1")]));
        }
        for at in 10..30 {
            observer.take(f64::from(at), 1, &origins(&[("a", "1"), ("b", "1")]));
            assert!(!observer.reached(&Until::ScaledOut(1)), "{at}");
        }
        observer.take(30.0, 1, &origins(&[("a", "1"), ("b", "1")]));
        assert!(observer.reached(&Until::ScaledOut(1)) && !observer.reached(&Until::ScaledOut(2)));
        assert!(!observer.reached(&Until::ScaledIn));
        for at in 31..52 {
            observer.take(f64::from(at), 2, &origins(&[("a", "1")]));
        }
        assert!(observer.reached(&Until::ScaledIn));
        assert_eq!(observer.seen().scaled_out, 1, "it has been there");
    }

    #[test]
    fn silence_of_all_is_no_scale_in() {
        let mut observer = observer(None);
        observer.take(0.0, 0, &origins(&[("a", "1"), ("b", "1")]));
        observer.take(100.0, 0, &origins(&[]));
        assert!(!observer.reached(&Until::ScaledIn));
    }

    #[test]
    fn a_version_counts_when_it_has_been_alone_for_long_enough() {
        let mut observer = observer(Some("2"));
        let until = Until::Version("2".to_owned());
        for at in 0..5 {
            observer.take(f64::from(at), 0, &origins(&[("a", "1"), ("b", "2")]));
        }
        for at in 5..14 {
            observer.take(f64::from(at), 0, &origins(&[("b", "2")]));
            assert!(!observer.reached(&until), "{at}");
        }
        observer.take(14.0, 0, &origins(&[("b", "2")]));
        assert!(observer.reached(&until));
        // The old one comes back.
        observer.take(15.0, 0, &origins(&[("a", "1"), ("b", "2")]));
        assert!(!observer.reached(&until) && !observer.seen().version);
    }
}
