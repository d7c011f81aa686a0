//! What is counted, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{ErrorKind, RedisError};

use crate::store::breaker::State;

/// Why the shared cache did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection: nobody there, no TLS, or not in time.
    Connect,
    /// No answer in time.
    TimedOut,
    /// The connection ended.
    Closed,
    /// It refuses our credentials, or what they may do.
    Denied,
    /// Its memory is full. It works otherwise, so this does not open the breaker.
    Full,
    /// It answers that it cannot: loading, read-only, busy.
    Refused,
    /// What it answers is not Redis's protocol, or no answer to what was asked.
    Protocol,
}

/// What happened since the start, and what is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Reads that found the document.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Reads not made: the breaker is open, or an invalidation is still to be delivered.
    pub passed_by: u64,
    /// Documents stored.
    pub fills: u64,
    /// Documents not stored, because something newer is known.
    pub refused_fills: u64,
    /// Values found that we did not write; each also counts as a miss.
    pub malformed: u64,
    /// Failures, by kind.
    pub failures: [(Failure, u64); Failure::ALL.len()],
    /// Ids whose invalidation is still to be delivered.
    pub pending: usize,
    /// Times that more were to be delivered than is kept, so that everything is invalidated instead.
    pub overflows: u64,
    /// The breaker.
    pub breaker: State,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) passed_by: AtomicU64,
    pub(super) fills: AtomicU64,
    pub(super) refused_fills: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) overflows: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl Failure {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Connect, Self::TimedOut, Self::Closed, Self::Denied, Self::Full, Self::Refused, Self::Protocol];

    /// The `result` label of the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Denied => "denied",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
        }
    }

    /// What kind an error of the client library is.
    pub(super) fn of(error: &RedisError) -> Self {
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => Self::Denied,
            (_, Some("OOM")) => Self::Full,
            (_, Some(_)) => Self::Refused,
            (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => Self::Protocol,
            (_, None) => Self::Closed,
        }
    }
}

impl Counters {
    pub(super) fn failed(&self, failure: Failure) {
        if let Some(counter) = self.failures.get(failure as usize) {
            add(counter);
        }
    }

    pub(super) fn snapshot(&self, pending: usize, breaker: State) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            passed_by: read(&self.passed_by),
            fills: read(&self.fills),
            refused_fills: read(&self.refused_fills),
            malformed: read(&self.malformed),
            failures: Failure::ALL.map(|kind| (kind, self.failures.get(kind as usize).map_or(0, read))),
            pending,
            overflows: read(&self.overflows),
            breaker,
        }
    }
}

/// Counts one.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
