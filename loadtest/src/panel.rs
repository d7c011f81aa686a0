//! What a person sees while it runs: on a terminal one panel that stays in its place, elsewhere a line every 5 s.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::call::Run;
use crate::record::{Window, histogram};
use crate::report::Row;
use crate::session::Settings;

/// Without a terminal, a line every so many seconds.
const LINE_EVERY: u64 = 5;

/// Failures that are told as they come.
const TOLD_FAILURES: usize = 5;

/// The panel, or the lines.
#[derive(Debug)]
pub struct Panel {
    bar: Option<ProgressBar>,
    quiet: bool,
    seconds: u64,
    failures: usize,
}

impl Panel {
    /// On standard error: a panel where that is a terminal.
    pub fn new(quiet: bool) -> Self {
        let bar = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is a constant that the crate accepts.
            if let Ok(style) = ProgressStyle::with_template("{bar:40.cyan/black} {prefix}\n{msg}") {
                bar.set_style(style.progress_chars("━━ "));
            }
            bar
        });
        Self { bar, quiet, seconds: 0, failures: 0 }
    }

    /// One line that stays.
    #[expect(clippy::print_stderr, reason = "it is what the program says to its user")]
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None if self.quiet => {}
            None => eprintln!("{text}"),
        }
    }

    /// One more second has passed. `recent` are the last ten of them, `start` is when the phase began.
    pub fn second(&mut self, settings: &Settings, run: &Run, row: &Row, recent: &VecDeque<Window>, start: f64) {
        self.tell_failures(run);
        self.seconds += 1;
        let view = View::new(settings, row, recent, start);
        match &self.bar {
            Some(bar) => {
                bar.set_length(view.phase_time.as_secs().max(1));
                bar.set_position((row.at - start).max(0.0) as u64);
                bar.set_prefix(view.phase_line());
                bar.set_message(view.panel());
            }
            None if self.seconds.is_multiple_of(LINE_EVERY) => self.say(&view.line()),
            None => {}
        }
    }

    fn tell_failures(&mut self, run: &Run) {
        let from = self.failures;
        let fresh = run
            .recorder
            .look(|records| records.failures.iter().take(TOLD_FAILURES).skip(from).cloned().collect::<Vec<_>>());
        for failure in fresh {
            self.failures += 1;
            let who = if failure.instance.is_empty() { "nobody" } else { &failure.instance };
            self.say(&format!("failed at {:.1} s: {} by {who}: {}", failure.at, failure.endpoint, failure.error));
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The figures of the last seconds.
struct View<'a> {
    row: &'a Row,
    phase_time: Duration,
    left: f64,
    waits: bool,
    /// A second, over the last ones.
    sent: f64,
    failed: u64,
    /// p50, p95, p99 since due, milliseconds.
    times: [f64; 3],
}

impl<'a> View<'a> {
    fn new(settings: &Settings, row: &'a Row, recent: &VecDeque<Window>, start: f64) -> Self {
        let mut since_due = histogram();
        for window in recent {
            since_due += &window.since_due;
        }
        let phase = settings.plan.0.iter().find(|phase| phase.name == row.phase);
        let phase_time = phase.map_or(Duration::ZERO, |phase| phase.duration);
        Self {
            row,
            phase_time,
            left: (phase_time.as_secs_f64() - (row.at - start)).max(0.0),
            waits: phase.is_some_and(|phase| phase.until.is_some()),
            sent: recent.iter().map(|window| window.sent).sum::<u64>() as f64 / recent.len().max(1) as f64,
            failed: recent.iter().map(|window| window.failed).sum(),
            times: [0.5, 0.95, 0.99].map(|share| since_due.value_at_quantile(share) as f64 / 1000.0),
        }
    }

    fn phase_line(&self) -> String {
        let left = humantime::format_duration(Duration::from_secs(self.left as u64));
        let at_most = if self.waits { "at most " } else { "" };
        format!("{}, {at_most}{left} left", self.row.phase)
    }

    fn panel(&self) -> String {
        let Row { planned_rate, in_flight, waiting, own_cpus, desired, in_service, healthy, fleet_cpu, .. } = self.row;
        let [p50, p95, p99] = self.times;
        let mut text = format!(
            "  rate      {:.0}/s of {planned_rate:.0}/s   in flight {in_flight}   waiting {waiting}   failed {} in 10 s\n",
            self.sent, self.failed
        );
        let _ = writeln!(text, "  answers   p50 {p50:.1} ms   p95 {p95:.1} ms   p99 {p99:.1} ms since due");
        let _ = writeln!(text, "  instances {}   zones {}", list(&self.row.versions), list(&self.row.zones));
        let known =
            |what: &str, value: Option<String>| value.map(|value| format!("{what} {value}   ")).unwrap_or_default();
        let fleet = known("desired", desired.map(|count| count.to_string()))
            + &known("in service", in_service.map(|count| count.to_string()))
            + &known("healthy", healthy.map(|count| count.to_string()))
            + &known("CPU", fleet_cpu.map(|cpu| format!("{cpu:.0} %")));
        if !fleet.is_empty() {
            let _ = writeln!(text, "  fleet     {fleet}");
        }
        let _ = write!(text, "  generator {own_cpus:.2} CPUs");
        text
    }

    fn line(&self) -> String {
        let Row { at, phase, planned_rate, in_flight, waiting, own_cpus, versions, .. } = self.row;
        let [p50, _, p99] = self.times;
        format!(
            "{at:>6.0} s  {phase:<8} {:>6.0}/s of {planned_rate:<6.0} failed {:<4} p50 {p50:.1} ms  p99 {p99:.1} ms  \
             in flight {in_flight}  waiting {waiting}  instances {}  own CPU {own_cpus:.2}",
            self.sent,
            self.failed,
            list(versions)
        )
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{count}×{name}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" ") }
}
