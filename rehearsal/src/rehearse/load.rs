//! A load beside what happens: the load test as a make target of the checkout, and what it counted second by second.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::checkout::{Checkout, Make};

/// A load that runs.
#[derive(Debug)]
pub(super) struct Load {
    make: Make,
    out: PathBuf,
}

/// What came of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Loaded {
    /// When it began, in seconds since 1970.
    pub(super) began: f64,
    /// Each second of it.
    pub(super) rows: Vec<Second>,
}

/// A row of `timeline.csv`, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Second {
    /// When it ended, in seconds since the load began.
    pub(super) at: f64,
    /// The phase of the plan.
    pub(super) phase: String,
    pub(super) ok: u64,
    pub(super) failed: u64,
    /// Milliseconds since due.
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

impl Load {
    /// Begins a load of these phases (`NAME:TIME@RATE,…`), which must last longer than it is wanted.
    pub(super) fn begin(checkout: &Checkout, name: &str, phases: &str) -> Result<Self, String> {
        Self::of(checkout, name, "run", &format!("--phases {phases}"))
    }

    /// Begins a load of a profile.
    pub(super) fn of(checkout: &Checkout, name: &str, profile: &str, options: &str) -> Result<Self, String> {
        let out = checkout.folder().join("target/load").join(name);
        let _none = fs::remove_dir_all(&out);
        let (options, folder) = (format!("{options} --quiet"), out.display().to_string());
        let variables = [("PROFILE", profile), ("ARGS", options.as_str()), ("OUT", folder.as_str())];
        Ok(Self { make: checkout.make(&format!("load-{name}"), "load-test", &variables)?, out })
    }

    /// Ends it, and gives what it counted.
    pub(super) async fn end(self) -> Result<Loaded, String> {
        self.make.interrupt();
        self.counted().await
    }

    /// Waits for its own end.
    pub(super) async fn counted(self) -> Result<Loaded, String> {
        // What it thinks of the service is not asked here: each step has conditions of its own.
        let (_, said) = self.make.end().await?;
        read(&self.out).map_err(|error| format!("the load left no figures: {error}\n{said}"))
    }
}

impl Loaded {
    /// Requests that were answered, and of them those that failed.
    pub(super) fn requests(&self) -> (u64, u64) {
        let failed: u64 = self.rows.iter().map(|row| row.failed).sum();
        (self.rows.iter().map(|row| row.ok).sum::<u64>() + failed, failed)
    }

    /// When a phase began, in seconds since 1970.
    pub(super) fn phase(&self, name: &str) -> Option<f64> {
        let before = self.rows.iter().take_while(|row| row.phase != name).last().map_or(0.0, |row| row.at);
        self.rows.iter().any(|row| row.phase == name).then_some(self.began + before)
    }
}

#[derive(Deserialize)]
struct Summary {
    started: String,
}

fn read(folder: &Path) -> Result<Loaded, String> {
    let get = |name: &str| fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    let Summary { started } = serde_json::from_str(&get("summary.json")?).map_err(|error| error.to_string())?;
    let began = humantime::parse_rfc3339(&started).map_err(|error| error.to_string())?;
    let began = began.duration_since(std::time::UNIX_EPOCH).map_err(|error| error.to_string())?;
    Ok(Loaded { began: began.as_secs_f64(), rows: rows(&get("timeline.csv")?)? })
}

/// The names of columns come first; no cell that matters here has a comma.
fn rows(csv: &str) -> Result<Vec<Second>, String> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        names.iter().position(|each| *each == name).ok_or_else(|| format!("timeline.csv has no column {name}"))
    };
    let [at, phase, ok, failed, p50, p99] = ["at", "phase", "ok", "failed", "p50_ms", "p99_ms"].map(column);
    let (at, phase, ok, failed, p50, p99) = (at?, phase?, ok?, failed?, p50?, p99?);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |index: usize| cells.get(index).copied().unwrap_or_default();
        let count = |index: usize| cell(index).parse().map_err(|_| format!("timeline.csv: no number in {line}"));
        Ok(Second {
            at: cell(at).parse().map_err(|_| format!("timeline.csv: no time in {line}"))?,
            phase: cell(phase).to_owned(),
            ok: count(ok)?,
            failed: count(failed)?,
            p50: cell(p50).parse().ok(),
            p99: cell(p99).parse().ok(),
        })
    };
    lines.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_load_test_writes() {
        let csv = "at,phase,planned_rate,ok,failed,p50_ms,p95_ms,p99_ms,versions\n\
                   1.0,warm,20,19,1,1.5,2,90.25,0.1.0=1\n2.0,spike,200,0,0,,,,\n";
        let rows = rows(csv).unwrap();
        assert_eq!((rows[0].ok, rows[0].failed, rows[0].p99), (19, 1, Some(90.25)));
        assert_eq!((rows[1].phase.as_str(), rows[1].p50), ("spike", None));
        let loaded = Loaded { began: 100.0, rows };
        assert_eq!((loaded.requests(), loaded.phase("spike"), loaded.phase("none")), ((20, 1), Some(101.0), None));
        assert!(super::rows("at,phase\n").is_err());
    }
}
