//! Waiting, but not forever.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A time limit that costs nothing until something has to be waited for.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    /// Kept for the next time.
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Deadline {
    /// Whether `limit` has passed since the first call after [`disarm`](Self::disarm). If not, the task is woken then.
    pub(super) fn has_passed(&mut self, cx: &mut Context<'_>, limit: Duration) -> bool {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.armed {
            sleep.as_mut().reset(Instant::now() + limit);
            self.armed = true;
        }
        sleep.as_mut().poll(cx).is_ready()
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}
