//! What the instances of a fleet tell each other through the table: each how it is, every few seconds. `/fleet` shows it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::error::Error;
use crate::lifecycle::Phase;
use crate::metrics::cpu_seconds;
use crate::store::{Heartbeat, StoreError};
use crate::version::VERSION;

/// After this many times its interval without a word an instance is taken for gone.
const MISSED: u32 = 3;

/// How long an answer about the fleet is passed on before the table is asked again.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// How long the last word, or taking it away, may hold up the end of the process.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The fleet as this instance knows it.
#[derive(Debug)]
pub struct Fleet {
    every: Duration,
    last: std::sync::Mutex<Sample>,
    known: tokio::sync::Mutex<Option<(Instant, Arc<[Heartbeat]>)>>,
}

/// Counters at some moment: from one to the next are the rates.
#[derive(Debug)]
struct Sample {
    at: Instant,
    cpu_seconds: f64,
    answered: u64,
}

/// What an instance says.
#[derive(Debug, Serialize)]
struct Word<'a> {
    id: &'a str,
    zone: &'a str,
    r#type: &'a str,
    version: &'static str,
    state: &'static str,
    uptime_seconds: u64,
    /// Since its word before; so is the next.
    requests_per_second: f64,
    /// Of all the CPUs that it may use; null where it cannot be read.
    cpu_percent: Option<f64>,
    in_flight: u64,
}

impl Fleet {
    /// One that tells of this instance `every` so often; zero: never.
    pub fn new(every: Duration) -> Self {
        let last = Sample { at: Instant::now(), cpu_seconds: 0.0, answered: 0 };
        Self { every, last: last.into(), known: None.into() }
    }

    /// The instances that are there, by id; at most a second old.
    pub async fn known(&self, app: &App) -> Result<Arc<[Heartbeat]>, StoreError> {
        // Whoever comes while one asks waits for that answer; the request's own time bounds it.
        let mut known = self.known.lock().await;
        if let Some((at, fleet)) = known.as_ref()
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(fleet.clone());
        }
        let fleet: Arc<[Heartbeat]> = app.store.heartbeats(now().as_secs()).await?.into();
        *known = Some((Instant::now(), fleet.clone()));
        Ok(fleet)
    }

    /// This instance's word now.
    fn word(&self, app: &App) -> Result<Heartbeat, Error> {
        let now = now();
        let identity = app.whoami.get();
        let (requests_per_second, cpu_percent) = self.rates(app);
        let word = Word {
            id: &identity.id,
            zone: &identity.zone,
            r#type: &identity.kind,
            version: VERSION,
            state: match app.lifecycle.phase() {
                Phase::Starting => "starting",
                Phase::Ready => "ready",
                Phase::Draining => "draining",
            },
            uptime_seconds: app.started.elapsed().as_secs(),
            requests_per_second,
            cpu_percent,
            in_flight: app.metrics.listener("public").requests_in_flight(),
        };
        Ok(Heartbeat {
            instance: identity.id.clone(),
            at: now.as_millis() as u64,
            expires_at: (now + self.every * MISSED).as_secs() + 1,
            says: serde_json::to_string(&word).map_err(|error| Error::Internal(error.to_string()))?,
        })
    }

    /// Requests a second and percent of CPU since the last call.
    fn rates(&self, app: &App) -> (f64, Option<f64>) {
        let cpu = cpu_seconds().ok();
        let sample =
            Sample { at: Instant::now(), cpu_seconds: cpu.unwrap_or_default(), answered: app.metrics.answered.get() };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = sample.at.duration_since(last.at).as_secs_f64().max(1e-3);
        let answered = sample.answered.saturating_sub(last.answered) as f64 / seconds;
        let busy = (sample.cpu_seconds - last.cpu_seconds) / seconds / app.cpus as f64;
        *last = sample;
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        (tenths(answered), cpu.map(|_| tenths(busy.clamp(0.0, 1.0) * 100.0)))
    }
}

/// Tells the table how this instance is, again and again, until it is aborted.
pub async fn keep(app: Arc<App>) {
    if app.fleet.every.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval(app.fleet.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tell(&app).await;
    }
}

/// The word that this instance is draining, at once. It does not wait for longer than it is worth.
pub async fn draining(app: &App) {
    if !app.fleet.every.is_zero() {
        let _ = tokio::time::timeout(LAST_WORD, tell(app)).await;
    }
}

/// Takes this instance's word away, so that nobody waits for it to expire.
pub async fn leave(app: &App) {
    if app.fleet.every.is_zero() {
        return;
    }
    match tokio::time::timeout(LAST_WORD, app.store.forget(&app.whoami.get().id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the fleet is not told that this instance left"),
        Err(_) => tracing::debug!("the fleet is not told in time that this instance left"),
    }
}

async fn tell(app: &App) {
    let told = match app.fleet.word(app) {
        Ok(word) => app.store.beat(&word).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    // The store's own troubles are in the log by then, once; not one line every few seconds.
    if let Err(error) = told {
        tracing::debug!(%error, "the fleet is not told how this instance is");
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
