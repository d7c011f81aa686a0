//! What a person or a machine is told while a command runs: on a terminal a panel that stays in its place and what changes
//! above it, elsewhere a line whenever something changes, with `--json` an object for each of those on standard output.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::snapshot::{self, Snapshot};
use crate::time;

/// At least so often is something said where nothing stays in its place.
const SILENCE: Duration = Duration::from_secs(30);

const TICK: Duration = Duration::from_secs(1);

/// Where it is told.
#[derive(Debug)]
pub struct Report {
    json: bool,
    panel: Option<ProgressBar>,
    started: Instant,
    told: Mutex<Told>,
}

/// What was told last.
#[derive(Debug)]
struct Told {
    at: Instant,
    trouble: String,
    seen: Option<Snapshot>,
}

impl Report {
    /// Objects on standard output, or text on standard error.
    pub fn new(json: bool) -> Self {
        let now = Instant::now();
        let panel = (!json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
            // The template is a constant that the crate accepts.
            if let Ok(style) = ProgressStyle::with_template("{bar:40.cyan/black} {prefix}, {elapsed}\n{msg}") {
                bar.set_style(style.progress_chars("━━ "));
            }
            // The time goes on between two looks, so that nobody takes waiting for hanging.
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { json, panel, started: now, told: Mutex::new(Told { at: now, trouble: String::new(), seen: None }) }
    }

    /// Something happened: `name` and `more` are for machines, `text` is for both.
    pub fn event(&self, name: &str, text: &str, more: Value) {
        self.told().at = Instant::now();
        if self.json {
            let mut object = json!({"event": name, "at": time::rfc3339(SystemTime::now()), "text": text});
            if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
                object.extend(more);
            }
            print(&object.to_string());
            return;
        }
        let line = format!("{:>6.0} s  {text}", self.started.elapsed().as_secs_f64());
        match &self.panel {
            Some(bar) => bar.suspend(|| complain(&line)),
            None => complain(&line),
        }
    }

    /// AWS did not answer, and will be asked again. The same is told once.
    pub fn trouble(&self, text: &str) {
        if std::mem::replace(&mut self.told().trouble, text.to_owned()) != text {
            self.event("trouble", &format!("{text}; asking again"), Value::Null);
        }
    }

    /// One more look: what changed is told.
    pub fn seen(&self, look: &Snapshot) {
        let before = {
            let mut told = self.told();
            told.trouble.clear();
            told.seen.replace(look.clone())
        };
        let silent = self.panel.is_none() && self.told().at.elapsed() >= SILENCE;
        let lines = lines(before.as_ref(), look, silent);
        if self.json {
            if !lines.is_empty() {
                let more = json!({
                    "refresh": look.refresh, "instances": look.group.instances, "alarms": look.alarms, "changes": lines,
                });
                self.event("progress", &look.line(), more);
            }
        } else {
            for line in &lines {
                self.event("progress", line, Value::Null);
            }
        }
        if let Some(bar) = &self.panel {
            draw(bar, look);
        }
    }

    /// The last word of a command, and its exit code: for machines as an object, for people the success on standard output
    /// and everything else on standard error.
    pub fn verdict(&self, done: &Result<String, Error>) -> u8 {
        if let Some(bar) = &self.panel {
            bar.finish_and_clear();
        }
        let (code, text) = match done {
            Ok(text) => (0, text.as_str()),
            Err(error) => (error.kind.exit_code(), error.text.as_str()),
        };
        if self.json {
            let outcome = done.as_ref().err().map_or(json!("done"), |error| json!(error.kind));
            let refresh = self.told().seen.as_ref().and_then(|look| look.refresh.clone());
            let more = json!({"outcome": outcome, "exit_code": code, "refresh": refresh});
            self.event("verdict", text, more);
        } else if code == 0 {
            print(text);
        } else {
            complain(&format!("tideline-fleet: {text}"));
        }
        code
    }

    /// One object on standard output, and the exit code.
    pub fn object(&self, object: &impl Serialize) -> u8 {
        match serde_json::to_string(object) {
            Ok(text) => {
                print(&text);
                0
            }
            Err(error) => self.verdict(&Err(Error::new(Kind::Failed, error.to_string()))),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to say about a look: all of it at first and after a silence, else what changed.
fn lines(before: Option<&Snapshot>, look: &Snapshot, silent: bool) -> Vec<String> {
    let changes = before.map(|before| look.changes(before)).unwrap_or_default();
    if before.is_none() || (silent && changes.is_empty()) { vec![look.line()] } else { changes }
}

/// A line on standard output. Where nobody reads it any more, the command goes on all the same.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line on standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn draw(bar: &ProgressBar, look: &Snapshot) {
    let (well, _) = look.wellness();
    match &look.refresh {
        Some(refresh) => {
            bar.set_position(refresh.percent.into());
            let to = refresh.to.as_deref().map(|to| format!("version {to}: ")).unwrap_or_default();
            bar.set_prefix(format!("{to}{:?}, {} %", refresh.status, refresh.percent));
        }
        None => {
            bar.set_position((well * 100 / look.group.desired.max(1)).min(100) as u64);
            bar.set_prefix(format!("{well} of {} healthy", look.group.desired));
        }
    }
    let mut text = String::new();
    for instance in &look.group.instances {
        let version = instance.version.as_deref().unwrap_or("none");
        let _ = writeln!(
            text,
            "  {}  {}  version {version:<4} {}",
            instance.id,
            instance.zone,
            snapshot::condition(instance)
        );
    }
    if !look.alarms.is_empty() {
        let _ = writeln!(text, "  alarms: {}", look.alarms_line());
    }
    bar.set_message(text.trim_end().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::group;

    #[test]
    fn nothing_is_said_twice_but_after_a_silence() {
        let look = Snapshot { group: group("6", &["6"]), refresh: None, alarms: Vec::new() };
        let all = [look.line()];
        assert_eq!(lines(None, &look, false), all);
        assert_eq!(lines(Some(&look), &look, false), [""; 0]);
        assert_eq!(lines(Some(&look), &look, true), all);
        let mut later = look.clone();
        later.group.instances.clear();
        for silent in [false, true] {
            assert_eq!(lines(Some(&look), &later, silent), ["i-0 (version 6): gone"]);
        }
    }
}
