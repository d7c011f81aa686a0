//! A run from its first preflight to its verdict.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use goose::config::GooseConfiguration;
use goose::{GooseAttack, GooseError};
use tokio::sync::{SetOnce, mpsc};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::call::Run;
use crate::generator::Meter;
use crate::observe::{Observer, Settled};
use crate::pacer::Pacer;
use crate::panel::Panel;
use crate::plan::Plan;
use crate::preflight;
use crate::record::Window;
use crate::report::files::Report;
use crate::report::{Row, Summary};
use crate::scenarios::{self, Hot};
use crate::summary::{Finished, summarize};
use crate::target::Target;
use crate::verdict::{Expectations, Thresholds, Verdict};
use crate::watch::{self, Watched};
use crate::written::Written;

/// How long goose may take to start its users, and to end them.
const GOOSE: Duration = Duration::from_secs(60);

/// How long after the plan's end slots that wait may still be taken, beside the bound of one request.
const TAIL: Duration = Duration::from_secs(20);

/// The panel's figures are of so many seconds.
const RECENT: usize = 10;

/// Everything a run needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The profile's name.
    pub profile: String,
    /// Where the load goes.
    pub target: Target,
    /// The load.
    pub plan: Plan,
    /// The scenarios, by name; none means the usual mix.
    pub scenarios: Vec<String>,
    /// Requests in flight at once, at the most.
    pub users: usize,
    /// The bound of one request.
    pub timeout: Duration,
    /// Where the reports go, if anywhere.
    pub out: Option<PathBuf>,
    /// What must not be crossed.
    pub thresholds: Thresholds,
    /// What must happen.
    pub expectations: Expectations,
    /// How long it must last to count.
    pub settled: Settled,
    /// Whether a machine that is not this one may be loaded with more than a little.
    pub yes: bool,
    /// The fleet's CPU, per cent, at which the run is over.
    pub enough_cpu: Option<f64>,
    /// The Auto Scaling group to watch.
    #[cfg(feature = "aws")]
    pub group: Option<watch::aws::Group>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ran {
    /// What it comes to.
    pub summary: Summary,
    /// Second by second.
    pub timeline: Vec<Row>,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum NoRun {
    /// Something is not as it must be; nothing was loaded.
    #[error("{0}")]
    Preflight(String),
    /// goose itself failed.
    #[error("goose: {0}")]
    Goose(String),
    /// The reports could not be written; the verdict is in the text.
    #[error("{0}")]
    Report(String),
}

/// Where goose's users wait for the run to begin, and find it.
#[derive(Debug, Default)]
pub struct Gate {
    up: AtomicUsize,
    run: SetOnce<Arc<Run>>,
}

impl Gate {
    /// One more user is up.
    pub fn arrive(&self) {
        self.up.fetch_add(1, Ordering::AcqRel);
    }

    /// The run, once it has begun.
    pub async fn run(&self) -> Arc<Run> {
        self.run.wait().await.clone()
    }
}

/// Runs it. `signals` are the names of signals that end it before its time: the first in order, the second at once.
pub async fn run(
    settings: Settings,
    signals: &mut mpsc::Receiver<&'static str>,
    panel: &mut Panel,
) -> Result<Ran, NoRun> {
    let Settings { target, plan, users, .. } = &settings;
    preflight::generator(target, plan, *users, settings.yes).map_err(NoRun::Preflight)?;
    if let Some(out) = &settings.out {
        preflight::folder(out).map_err(NoRun::Preflight)?;
    }
    let version = preflight::target(target).await.map_err(NoRun::Preflight)?;
    let id: String = Uuid::new_v4().simple().to_string().chars().take(8).collect();
    panel.say(&format!(
        "run {id}: {} of {} (version {version}), {users} users: {plan}",
        settings.profile,
        target.url()
    ));
    let written = Arc::new(Written::new(&id));
    let hot = match Hot::write(target, &written).await {
        Ok(hot) => hot,
        Err(fault) => {
            let hint = if fault.contains(" 401 ") { "; --token or TIDELINE_TOKEN gives one" } else { "" };
            written.clean(target).await;
            return Err(NoRun::Preflight(format!("nothing can be written: {fault}{hint}")));
        }
    };

    let gate = Arc::new(Gate::default());
    let attack = attack(&settings, &gate).map_err(|error| NoRun::Goose(error.to_string()))?;
    let driving = async {
        let started = all_up(&gate, *users).await;
        let finished = match started {
            Ok(()) => drive(&settings, &gate, hot, written.clone(), signals, panel).await,
            Err(error) => Err(error),
        };
        // Its users are at rest; it ends them and writes its own reports.
        goose::trigger_killswitch("the plan is over");
        finished
    };
    let (goose, finished) = tokio::join!(attack.execute(), driving);
    clean(target, &written, signals, panel).await;
    if let Err(error) = goose {
        panel.say(&format!("goose could not end in order: {error}"));
    }
    let (run, finished) = finished?;
    conclude(&settings, &id, &run, finished)
}

fn attack(settings: &Settings, gate: &Arc<Gate>) -> Result<GooseAttack, GooseError> {
    let users = settings.users.to_string();
    let mut arguments = vec![
        "--host".to_owned(),
        settings.target.url().to_string(),
        "--users".to_owned(),
        users.clone(),
        "--increase-rate".to_owned(),
        users,
        // An open port without a password, figures that are dropped after the start, tables on the terminal: all of
        // them are defaults.
        "--no-telnet".to_owned(),
        "--no-reset-metrics".to_owned(),
        "--no-print-metrics".to_owned(),
        "-qq".to_owned(),
    ];
    if let Some(out) = &settings.out {
        for kind in ["html", "json", "md"] {
            arguments.extend(["--report-file".to_owned(), out.join(format!("goose.{kind}")).display().to_string()]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let configuration = GooseConfiguration::parse_args_default(&arguments).map_err(|error| {
        GooseError::InvalidOption { option: "goose".to_owned(), value: String::new(), detail: error.to_string() }
    })?;
    let client = goose::client::GooseClientBuilder::new().without_cookies();
    let attack = GooseAttack::initialize_with_config(configuration)?.set_client_builder_without_cookies(client)?;
    Ok(scenarios::chosen(&settings.scenarios, gate)?.into_iter().fold(attack, GooseAttack::register_scenario))
}

/// Waits until all users are there: the clock starts for all of them at once.
async fn all_up(gate: &Gate, users: usize) -> Result<(), NoRun> {
    let waiting = async {
        while gate.up.load(Ordering::Acquire) < users {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(GOOSE, waiting).await;
    waited.map_err(|_| {
        NoRun::Goose(format!("only {} of {users} users are up after {GOOSE:?}", gate.up.load(Ordering::Acquire)))
    })
}

/// Follows the plan second by second, to its end or to a signal.
async fn drive(
    settings: &Settings,
    gate: &Gate,
    hot: Hot,
    written: Arc<Written>,
    signals: &mut mpsc::Receiver<&'static str>,
    panel: &mut Panel,
) -> Result<(Arc<Run>, Finished), NoRun> {
    let pacer = Pacer::start(settings.plan.clone()).map_err(|error| NoRun::Preflight(format!("no thread: {error}")))?;
    let run = Run::new(settings.target.clone(), pacer, settings.plan.0.len(), written, hot);
    let wall = SystemTime::now();
    // Nobody else sets it.
    let _ = gate.run.set(run.clone());
    let started = run.pacer.started();
    let watched = Watched::new(started);
    #[cfg_attr(not(feature = "aws"), expect(unused_mut, reason = "the group's watcher comes with the feature"))]
    let mut watchers = vec![tokio::spawn(watch::target(settings.target.clone(), watched.clone()))];
    #[cfg(feature = "aws")]
    watchers.extend(settings.group.clone().map(|group| tokio::spawn(group.watch(watched.clone()))));
    let version = settings.expectations.version.clone();
    let mut follow = Follow {
        observer: Observer::new(settings.settled, version),
        meter: Meter::start(),
        timeline: Vec::new(),
        recent: VecDeque::new(),
        due: 0,
        phase: 0,
    };
    let mut interrupted = None;
    let mut over: Option<Instant> = None;
    let mut ticks = tokio::time::interval_at((started + Duration::from_secs(1)).into(), Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => follow.second(settings, &run, &watched, panel),
            // Between two seconds: the end is not to be a second late.
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            Some(signal) = signals.recv() => {
                if interrupted.replace(signal).is_some() {
                    break;
                }
                panel.say(&format!("{signal}: waiting for what is in flight; once more ends it at once"));
                run.pacer.stop();
            }
        }
        let idle = run.in_flight() == 0 && (run.pacer.stopped() || run.pacer.waiting() == 0);
        if run.pacer.phase() >= settings.plan.0.len() {
            let ended = *over.get_or_insert_with(Instant::now);
            if idle || ended.elapsed() > settings.timeout + TAIL {
                break;
            }
        }
    }
    run.pacer.stop();
    follow.second(settings, &run, &watched, panel);
    for watcher in watchers {
        watcher.abort();
    }
    let (due, issued) = (run.pacer.due(), run.issued());
    let generator = follow.meter.finish(issued);
    let finished = Finished {
        wall,
        duration: started.elapsed().as_secs_f64(),
        interrupted,
        due,
        issued,
        generator,
        events: watched.events(),
        timeline: follow.timeline,
        seen: follow.observer.seen().clone(),
    };
    Ok((run, finished))
}

/// What is kept from second to second.
struct Follow {
    observer: Observer,
    meter: Meter,
    timeline: Vec<Row>,
    recent: VecDeque<Window>,
    due: u64,
    phase: usize,
}

impl Follow {
    fn second(&mut self, settings: &Settings, run: &Run, watched: &Watched, panel: &mut Panel) {
        let at = run.pacer.started().elapsed().as_secs_f64();
        let phase = run.pacer.phase().min(settings.plan.0.len() - 1);
        let (window, seen, due) = (run.recorder.window(), watched.seen(), run.pacer.due());
        let start = run.pacer.spans().get(phase).map_or(0.0, |span| span.start);
        let planned = &settings.plan.0[phase];
        let mut row = Row {
            at,
            phase: planned.name.clone(),
            planned_rate: planned.rate(Duration::from_secs_f64((at - start).max(0.0))),
            due: due - std::mem::replace(&mut self.due, due),
            sent: window.sent,
            ok: window.ok,
            failed: window.failed,
            in_flight: run.in_flight(),
            waiting: run.pacer.waiting() as u64,
            p50_ms: window.since_due.value_at_quantile(0.5) as f64 / 1000.0,
            p95_ms: window.since_due.value_at_quantile(0.95) as f64 / 1000.0,
            p99_ms: window.since_due.value_at_quantile(0.99) as f64 / 1000.0,
            service_p50_ms: window.service.value_at_quantile(0.5) as f64 / 1000.0,
            overslept_ms: run.pacer.overslept().as_secs_f64() * 1000.0,
            late: window.late,
            desired: seen.desired,
            in_service: seen.in_service,
            healthy: seen.healthy,
            fleet_cpu: seen.fleet_cpu,
            ..Row::default()
        };
        for origin in &window.origins {
            *row.versions.entry(origin.version.clone()).or_default() += 1;
            *row.zones.entry(origin.zone.clone()).or_default() += 1;
        }
        self.meter.fill(&mut row);
        // Who answered in this second answered in the phase that it began with.
        self.observer.take(at, std::mem::replace(&mut self.phase, phase), &window.origins);
        if let Some(until) = planned.until.as_ref().filter(|until| self.observer.reached(until)) {
            watched.event(format!("{}: {until}", planned.name));
            run.pacer.leave(phase);
        }
        if settings.enough_cpu.is_some_and(|enough| seen.fleet_cpu.is_some_and(|cpu| cpu >= enough)) {
            run.pacer.stop();
        }
        self.recent.push_back(window);
        while self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        panel.second(settings, run, &row, &self.recent, start);
        self.timeline.push(row);
    }
}

/// Removes what the run has written; a signal ends that too.
async fn clean(target: &Target, written: &Written, signals: &mut mpsc::Receiver<&'static str>, panel: &mut Panel) {
    panel.say(&format!("removing {} documents of this run", written.count()));
    let left = tokio::select! {
        left = written.clean(target) => left,
        Some(_) = signals.recv() => written.count(),
    };
    if left > 0 {
        let url = target.url();
        panel.say(&format!("{left} documents are left there: tideline-loadtest clean --url {url} removes them"));
    }
}

fn conclude(settings: &Settings, id: &str, run: &Run, finished: Finished) -> Result<Ran, NoRun> {
    let records = run.recorder.finish(finished.duration);
    let mut summary = summarize(settings, id, &run.pacer.spans(), &records, &finished);
    let Finished { timeline, seen, .. } = finished;
    summary.verdict = crate::verdict::judge(&summary, &settings.thresholds, &settings.expectations, &seen);
    if let Some(out) = &settings.out {
        let figures: Vec<_> = records.phases.iter().map(crate::summary::named).collect();
        let report = Report { summary: &summary, timeline: &timeline, figures: &figures };
        report.write(out).map_err(|error| {
            let Verdict { outcome, reasons } = &summary.verdict;
            NoRun::Report(format!("{outcome:?}: {}; but {}: {error}", reasons.join("; "), out.display()))
        })?;
    }
    Ok(Ran { summary, timeline })
}
