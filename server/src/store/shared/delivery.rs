//! Delivers invalidations, at once or later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::warn;

use super::Inner;
use super::stats::add;
use crate::model::{DocumentId, Version};

/// Ids in one call: what Redis does in well under a millisecond.
const BATCH: usize = 100;

/// From one attempt to the next, unless the breaker makes it longer.
const RETRY: Duration = Duration::from_millis(100);

/// An invalidation that is pending. Dropped without [`Undelivered::delivered`], as when its caller goes away, it is left
/// to the task that delivers later.
pub(super) struct Undelivered<'a> {
    inner: &'a Arc<Inner>,
    id: DocumentId,
    version: Version,
}

impl<'a> Undelivered<'a> {
    /// Keeps an invalidation until it is delivered.
    pub(super) fn hold(inner: &'a Arc<Inner>, id: &DocumentId, version: Version) -> Self {
        if inner.pending.hold(id, version) {
            add(&inner.counters.overflows);
            warn!("the shared cache misses too many invalidations: all of it will be invalidated");
        }
        Self { inner, id: id.clone(), version }
    }

    /// It has arrived.
    pub(super) fn delivered(self) {
        self.inner.pending.delivered(&[(self.id.clone(), self.version)]);
    }
}

impl Drop for Undelivered<'_> {
    fn drop(&mut self) {
        if self.inner.pending.holds(&self.id) {
            self.inner.start_delivery();
        }
    }
}

impl Inner {
    /// Delivers some invalidations; true if they have arrived.
    pub(super) async fn invalidate(&self, batch: &[(DocumentId, Version)]) -> bool {
        let mut script = self.server.scripts.invalidate.prepare_invoke();
        script.arg(self.ttl_millis());
        for (id, version) in batch {
            script.key(self.server.keys.document(id)).arg(version.to_string());
        }
        self.call(async |mut connection| script.invoke_async::<usize>(&mut connection).await).await.is_some()
    }

    /// Begins a new generation; true if it has begun.
    async fn renew(&self) -> bool {
        self.call(async |connection| self.server.generation(connection, true).await).await.is_some()
    }

    /// One step; true if it got somewhere.
    async fn deliver_some(&self) -> bool {
        if self.pending.begin_renewal() {
            let underway = Renewing { inner: self };
            if self.renew().await {
                underway.done();
                return true;
            }
            return false;
        }
        let batch = self.pending.batch(BATCH);
        let delivered = !batch.is_empty() && self.invalidate(&batch).await;
        if delivered {
            self.pending.delivered(&batch);
        }
        delivered
    }

    /// Delivers until nothing is left.
    pub(super) async fn deliver_all(&self) {
        while self.pending.len() > 0 {
            if !self.deliver_some().await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Has a task deliver what is pending, if none does. It ends when nothing is left, or with the cache.
    pub(super) fn start_delivery(self: &Arc<Self>) {
        // Outside a runtime the process is ending, and nothing runs any more.
        let Ok(runtime) = Handle::try_current() else { return };
        if self.delivering.swap(true, Ordering::AcqRel) {
            return;
        }
        let cache = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(inner) = cache.upgrade() {
                if inner.pending.len() == 0 {
                    inner.delivering.store(false, Ordering::Release);
                    // One that came in just now found the task still running, so it is for this one to see to it.
                    if inner.pending.len() == 0 || inner.delivering.swap(true, Ordering::AcqRel) {
                        return;
                    }
                }
                if !inner.deliver_some().await {
                    drop(inner);
                    tokio::time::sleep(RETRY).await;
                }
            }
        });
    }
}

/// A new generation that is underway, and due again if its attempt is dropped.
struct Renewing<'a> {
    inner: &'a Inner,
}

impl Renewing<'_> {
    fn done(self) {
        self.inner.pending.renewed(true);
    }
}

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        // Changes nothing after `done`.
        self.inner.pending.renewed(false);
    }
}
