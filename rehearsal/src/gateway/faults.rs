//! What a test makes go wrong.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::protocol::Failure;

/// What happens to a call instead of, or before, being answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Refused for the rate of calls: 400, `Throttling`.
    Throttle,
    /// Refused for a fault of the service: 500, `InternalFailure`.
    InternalFailure,
    /// Refused for want of permission: 403, `AccessDenied`.
    AccessDenied,
    /// Refused with this code and message, 400.
    Refuse(String, String),
    /// Answered, but only after so long, in the machine's time.
    Slow(Duration),
    /// The connection is closed without an answer, and nothing is done.
    Hangup,
    /// It is done, and the connection is closed without an answer.
    Lost,
}

/// The faults that are waiting for their calls, and how many calls there were.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Mutex<BTreeMap<String, VecDeque<Fault>>>,
    calls: Mutex<BTreeMap<String, usize>>,
}

/// More would be a mistake of the test.
const MOST: usize = 100_000;

impl Faults {
    /// The next `times` calls of `action` meet `fault`, after those that were asked for before.
    pub(crate) fn add(&self, action: &str, fault: &Fault, times: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = waiting.entry(action.to_owned()).or_default();
        for _ in 0..times.min(MOST.saturating_sub(queue.len())) {
            queue.push_back(fault.clone());
        }
    }

    pub(crate) fn clear(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a call, and says what it meets.
    pub(crate) fn meet(&self, action: &str) -> Option<Fault> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(action.to_owned()).or_default() += 1;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get_mut(action)?.pop_front()
    }

    pub(crate) fn calls(&self, action: &str) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(action).copied().unwrap_or_default()
    }
}

impl Fault {
    /// The refusal that it is. Of a fault that is none, an internal failure.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Throttle => Failure::new("Throttling", "Rate exceeded"),
            Self::AccessDenied => {
                Failure::new("AccessDenied", "User is not authorized to perform this action").status(403)
            }
            Self::Refuse(code, message) => Failure::new(code, message),
            Self::InternalFailure | Self::Slow(_) | Self::Hangup | Self::Lost => {
                Failure::new("InternalFailure", "An internal error has occurred").status(500)
            }
        }
    }
}
