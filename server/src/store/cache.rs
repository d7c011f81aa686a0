//! The cache in the process: what `/product` reads through.
//!
//! An entry counts from the moment its read of the store *began*, so what is served is never older than the bound, and
//! many readers of the same document make one read of the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache as Moka;

use super::{DynamoDb, Record, StoreError};
use crate::config::CacheConfig;
use crate::metrics::CacheMetrics;
use crate::model::DocumentId;

/// Documents read lately.
#[derive(Debug)]
pub struct Cache {
    /// None where the bound is zero: every read goes to the store.
    entries: Option<Moka<DocumentId, Entry>>,
    max_age: Duration,
    metrics: CacheMetrics,
}

#[derive(Debug, Clone)]
struct Entry {
    /// None where there is no such document: that is remembered too.
    record: Option<Arc<Record>>,
    read_at: Instant,
}

/// What a read through the cache found.
#[derive(Debug)]
pub struct Lookup {
    /// The document, if there is one.
    pub record: Option<Arc<Record>>,
    /// Since when it is known; zero if it was read for this.
    pub age: Duration,
    /// For how much longer it may be served.
    pub ttl: Duration,
    /// Whether the store was spared.
    pub hit: bool,
}

/// Entries end when the bound has passed since their read began.
struct SinceRead(Duration);

impl Expiry<DocumentId, Entry> for SinceRead {
    fn expire_after_create(&self, _: &DocumentId, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(self.0.saturating_sub(entry.read_at.elapsed()))
    }

    fn expire_after_update(
        &self,
        id: &DocumentId,
        entry: &Entry,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(id, entry, now)
    }
}

impl Cache {
    /// An empty cache.
    pub fn new(config: &CacheConfig, metrics: CacheMetrics) -> Self {
        let entries = (!config.max_age.is_zero()).then(|| {
            Moka::builder()
                .max_capacity(config.bytes)
                .weigher(|id: &DocumentId, entry: &Entry| {
                    // 200 bytes: what an entry takes in the cache's own tables, measured roughly.
                    let json = entry.record.as_ref().map_or(0, |record| record.json.len());
                    u32::try_from(id.as_str().len() * 2 + json + 200).unwrap_or(u32::MAX)
                })
                .expire_after(SinceRead(config.max_age))
                .build()
        });
        Self { entries, max_age: config.max_age, metrics }
    }

    /// The document, from here or from the store.
    pub async fn read(&self, store: &DynamoDb, id: &DocumentId) -> Result<Lookup, Arc<StoreError>> {
        let load = async {
            let read_at = Instant::now();
            Ok::<_, StoreError>(Entry { record: store.get(id).await?.map(Arc::new), read_at })
        };
        let (entry, hit) = match &self.entries {
            None => (load.await.map_err(Arc::new)?, false),
            Some(entries) => {
                let entry = entries.entry_by_ref(id).or_try_insert_with(load).await?;
                let fresh = entry.is_fresh();
                (entry.into_value(), !fresh)
            }
        };
        let read = if hit { &self.metrics.hits } else { &self.metrics.misses };
        read.inc();
        let age = if hit { entry.read_at.elapsed() } else { Duration::ZERO };
        Ok(Lookup { record: entry.record, age, ttl: self.max_age.saturating_sub(age), hit })
    }

    /// Forgets a document, because it was written.
    pub async fn invalidate(&self, id: &DocumentId) {
        if let Some(entries) = &self.entries {
            entries.invalidate(id).await;
        }
    }

    /// How old what it serves may be.
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Entries and bytes held now, roughly.
    pub fn size(&self) -> (u64, u64) {
        self.entries.as_ref().map_or((0, 0), |entries| (entries.entry_count(), entries.weighted_size()))
    }
}
