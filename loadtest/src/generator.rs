//! The generator's own state, second by second: is it the target that is slow, or are we?

use std::path::PathBuf;
use std::time::Instant;

use procfs::CurrentSI;

use crate::report::{Generator, Row};

/// Above this share of the CPUs it may use a second counts as busy.
const BUSY: f64 = 0.9;

/// Measures from one call to the next.
#[derive(Debug)]
pub struct Meter {
    cpus: f64,
    /// `cpu.stat` of our control group, where there is one.
    group: Option<PathBuf>,
    last: Reading,
    first: Reading,
    busy: u64,
    total: Generator,
    seconds: u64,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    /// CPU seconds of this process.
    own: f64,
    /// Ticks stolen from this machine, and all of its ticks.
    stolen: (u64, u64),
    /// How often our control group was throttled.
    throttled: u64,
}

impl Meter {
    /// Begins to measure.
    pub fn start() -> Self {
        // This knows of a control group's quota.
        let cpus = std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64);
        let group = control_group();
        let now = Reading::now(group.as_ref());
        let total = Generator { cpus, ..Generator::default() };
        Self { cpus, group, last: now, first: now, busy: 0, total, seconds: 0 }
    }

    /// Fills in the row's own part, from the last call to this one.
    pub fn fill(&mut self, row: &mut Row) {
        let now = Reading::now(self.group.as_ref());
        let time = (now.at - self.last.at).as_secs_f64();
        row.own_cpus = share(now.own - self.last.own, time);
        let (stolen, all) = (now.stolen.0 - self.last.stolen.0, now.stolen.1 - self.last.stolen.1);
        row.steal_share = share(stolen as f64, all as f64);
        row.throttled = now.throttled > self.last.throttled;
        self.last = now;
        // The kernel counts in hundredths of a second: of the rest of one at the end nothing can be said.
        if time > 0.5 {
            self.seconds += 1;
            self.busy += u64::from(row.own_cpus > BUSY * self.cpus);
        }
        self.total.throttled_seconds += u64::from(row.throttled);
        self.total.overslept_ms = self.total.overslept_ms.max(row.overslept_ms);
        self.total.late += row.late;
    }

    /// Everything, for so many requests.
    pub fn finish(self, requests: u64) -> Generator {
        let now = Reading::now(self.group.as_ref());
        let cpu_seconds = now.own - self.first.own;
        let (stolen, all) = (now.stolen.0 - self.first.stolen.0, now.stolen.1 - self.first.stolen.1);
        Generator {
            cpu_seconds,
            cpu_us_per_request: share(cpu_seconds * 1e6, requests as f64),
            busy_share: share(self.busy as f64, self.seconds as f64),
            steal_share: share(stolen as f64, all as f64),
            ..self.total
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl Reading {
    /// What cannot be read is zero: a machine without it has no such trouble to tell of.
    fn now(group: Option<&PathBuf>) -> Self {
        let own = procfs::process::Process::myself().and_then(|process| process.stat());
        let own = own.map_or(0.0, |stat| (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64);
        let stolen = procfs::KernelStats::current().map_or((0, 0), |stats| {
            let total = stats.total;
            let stolen = total.steal.unwrap_or(0);
            let busy = total.user + total.nice + total.system + total.idle;
            let others = [total.iowait, total.irq, total.softirq].into_iter().flatten().sum::<u64>();
            (stolen, busy + others + stolen)
        });
        let throttled = group.and_then(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            text.lines().find_map(|line| line.strip_prefix("nr_throttled "))?.parse().ok()
        });
        Self { at: Instant::now(), own, stolen, throttled: throttled.unwrap_or(0) }
    }
}

/// Where our control group says how often it was throttled: version 2, or the cpu controller of version 1.
fn control_group() -> Option<PathBuf> {
    let groups = procfs::process::Process::myself().ok()?.cgroups().ok()?;
    let candidates = groups.0.iter().filter_map(|group| {
        let path = group.pathname.trim_start_matches('/');
        if group.controllers.is_empty() || group.controllers.iter().all(String::is_empty) {
            Some(PathBuf::from("/sys/fs/cgroup").join(path))
        } else if group.controllers.iter().any(|controller| controller == "cpu") {
            Some(PathBuf::from("/sys/fs/cgroup/cpu").join(path))
        } else {
            None
        }
    });
    candidates.map(|folder| folder.join("cpu.stat")).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let mut meter = Meter::start();
        let started = Instant::now();
        let mut sum = 0_u64;
        while started.elapsed().as_millis() < 300 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        assert!(sum > 0);
        let mut row = Row { late: 3, overslept_ms: 7.0, ..Row::default() };
        meter.fill(&mut row);
        assert!(row.own_cpus > 0.2, "{row:?}");
        let total = meter.finish(1000);
        assert!(total.cpu_seconds > 0.1 && total.cpu_us_per_request > 100.0, "{total:?}");
        assert_eq!((total.late, total.overslept_ms), (3, 7.0));
    }
}
