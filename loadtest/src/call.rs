//! The one way in which every scenario asks: in its turn, read to the end, judged, and recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use goose::goose::{GooseUser, TransactionError, TransactionResult};

use crate::pacer::{Pacer, Slot};
use crate::record::{Recorder, Sample};
use crate::scenarios::Hot;
use crate::target::{Answer, Ask, Target};
use crate::written::Written;

/// One connection in so many requests is closed: a load balancer's addresses change as it scales, and only a new
/// connection asks for them again.
const CLOSE_EVERY: u64 = 200;

/// A run, as all its users share it.
#[derive(Debug)]
pub struct Run {
    /// What is asked.
    pub target: Target,
    /// When.
    pub pacer: Pacer,
    /// What came of it.
    pub recorder: Recorder,
    /// What it has written there.
    pub written: Arc<Written>,
    /// What it reads again and again.
    pub hot: Hot,
    issued: AtomicU64,
    in_flight: AtomicU64,
}

/// A request failed, and is recorded; or the run is over. Whatever a scenario was doing, it ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The answer was not as it should be.
    Failed,
    /// There are no more slots.
    Over,
}

impl Run {
    /// A run whose clock starts now.
    pub fn new(target: Target, pacer: Pacer, phases: usize, written: Arc<Written>, hot: Hot) -> Arc<Self> {
        let recorder = Recorder::new(pacer.started(), phases);
        Arc::new(Self {
            target,
            pacer,
            recorder,
            written,
            hot,
            issued: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
        })
    }

    /// Requests that were sent.
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Acquire)
    }

    /// Requests that are in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// One user of goose's, as scenarios see it.
#[derive(Debug)]
pub struct Caller<'a> {
    /// The run it is part of.
    pub run: Arc<Run>,
    user: &'a mut GooseUser,
    /// The request whose outcome is not recorded yet.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    slot: Slot,
    endpoint: &'static str,
    free: Instant,
    sent: Instant,
    _in_flight: InFlight,
}

/// A request in flight; it is over when this is dropped, whatever ends it.
#[derive(Debug)]
struct InFlight(Arc<Run>);

impl InFlight {
    fn begin(run: &Arc<Run>) -> Self {
        run.in_flight.fetch_add(1, Ordering::AcqRel);
        run.issued.fetch_add(1, Ordering::AcqRel);
        run.recorder.sent();
        Self(run.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<'a> Caller<'a> {
    /// A user of a run.
    pub fn new(run: Arc<Run>, user: &'a mut GooseUser) -> Self {
        Self { run, user, open: None }
    }

    /// Waits for a slot, asks, reads the whole answer, and holds it to `judge`, which says what is wrong with it.
    pub async fn call(
        &mut self,
        mut ask: Ask,
        judge: impl FnOnce(&Answer) -> Result<(), String>,
    ) -> Result<Answer, Ended> {
        let free = Instant::now();
        let slot = self.run.pacer.take().await.ok_or(Ended::Over)?;
        let in_flight = InFlight::begin(&self.run);
        ask.close |= self.run.issued().is_multiple_of(CLOSE_EVERY);
        self.open = Some(Open { slot, endpoint: ask.endpoint, free, sent: Instant::now(), _in_flight: in_flight });
        let answer = self.run.target.send(&ask).await;
        let fault = match &answer {
            Ok(answer) => judge(answer).err().map(|fault| format!("{}: {fault}", answer.status.as_u16())),
            Err(error) => Some(error.clone()),
        };
        let failed = fault.is_some();
        self.record(answer.as_ref().ok(), fault).await;
        match answer {
            Ok(answer) if !failed => Ok(answer),
            _ => Err(Ended::Failed),
        }
    }

    /// Records a request that a panic left open.
    pub async fn panicked(&mut self, what: &str) {
        self.record(None, Some(format!("panic: {what}"))).await;
    }

    async fn record(&mut self, answer: Option<&Answer>, fault: Option<String>) {
        let Some(Open { slot, endpoint, free, sent, _in_flight }) = self.open.take() else { return };
        let (done, status) = (Instant::now(), answer.map(|answer| answer.status.as_u16()));
        // goose's own reports have the time since it was due: what somebody who came at that moment waits.
        let (method, path) = endpoint.split_once(' ').unwrap_or(("GET", endpoint));
        let time = done.saturating_duration_since(slot.due);
        let told =
            self.user.record_custom_request_duration(method, path, time, fault.is_none(), status, fault.as_deref());
        // It fails when goose has already ended; our own figures do not depend on it.
        let _: TransactionResult = told.await;
        let origin = answer.and_then(Answer::origin);
        let Slot { due, phase } = slot;
        self.run.recorder.take(Sample { phase, endpoint, due, free, sent, done, status, origin, fault });
    }
}

impl From<Ended> for Box<TransactionError> {
    fn from(ended: Ended) -> Self {
        Box::new(TransactionError::Custom(format!("{ended:?}")))
    }
}

/// An answer of one of these statuses.
pub fn status(answer: &Answer, wanted: &[u16]) -> Result<(), String> {
    if wanted.contains(&answer.status.as_u16()) {
        return Ok(());
    }
    // A problem document says why.
    let detail = answer.json().ok().and_then(|problem| problem["detail"].as_str().map(str::to_owned));
    Err(detail.unwrap_or_else(|| format!("wanted {wanted:?}")))
}
