//! The cache in the process: what `/product` reads through.
//!
//! An entry counts from the moment its read of the store *began*, so what is served is never older than the bound, and
//! many readers of the same document make one read of the store. Only while the store is out, what was read last is served
//! beyond the bound, and says so by its age.

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
    entries: Option<Entries>,
    max_age: Duration,
    metrics: CacheMetrics,
}

#[derive(Debug)]
struct Entries {
    /// Not older than the bound.
    fresh: Moka<DocumentId, Entry>,
    /// The last known, whatever its age, for when the store is out. The documents are the same, not copies.
    last: Moka<DocumentId, Entry>,
}

/// How long what was read last may stand in for a store that is out.
const OUTAGE: Duration = Duration::from_secs(60 * 60);

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
    /// Where it came from.
    pub source: Source,
}

/// Where an answer of the cache came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The cache, within its bound.
    Hit,
    /// The cache, beyond its bound, because the store is out.
    Stale,
    /// The store.
    Store,
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

/// What an entry takes, in bytes. 200: what it takes in the cache's own tables, roughly.
fn weight(id: &DocumentId, entry: &Entry) -> u32 {
    let json = entry.record.as_ref().map_or(0, |record| record.json.len());
    u32::try_from(id.as_str().len() * 2 + json + 200).unwrap_or(u32::MAX)
}

impl Cache {
    /// An empty cache.
    pub fn new(config: &CacheConfig, metrics: CacheMetrics) -> Self {
        let holding =
            |time| Moka::builder().max_capacity(config.bytes).weigher(weight).expire_after(SinceRead(time)).build();
        let entries = (!config.max_age.is_zero())
            .then(|| Entries { fresh: holding(config.max_age), last: holding(config.max_age.max(OUTAGE)) });
        Self { entries, max_age: config.max_age, metrics }
    }

    /// The document, from here or from the store.
    pub async fn read(&self, store: &DynamoDb, id: &DocumentId) -> Result<Lookup, Arc<StoreError>> {
        let load = async {
            let read_at = Instant::now();
            Ok::<_, StoreError>(Entry { record: store.get(id).await?.map(Arc::new), read_at })
        };
        let Some(entries) = &self.entries else {
            let entry = load.await.map_err(Arc::new)?;
            return Ok(self.found(entry, Source::Store));
        };
        match entries.fresh.entry_by_ref(id).or_try_insert_with(load).await {
            Ok(entry) if entry.is_fresh() => {
                let entry = entry.into_value();
                entries.last.insert(id.clone(), entry.clone()).await;
                Ok(self.found(entry, Source::Store))
            }
            Ok(entry) => Ok(self.found(entry.into_value(), Source::Hit)),
            Err(error) if error.is_outage() => match entries.last.get(id).await {
                Some(entry) => Ok(self.found(entry, Source::Stale)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn found(&self, entry: Entry, source: Source) -> Lookup {
        let (age, count) = match source {
            Source::Store => (Duration::ZERO, &self.metrics.misses),
            Source::Hit => (entry.read_at.elapsed(), &self.metrics.hits),
            Source::Stale => (entry.read_at.elapsed(), &self.metrics.stale),
        };
        count.inc();
        Lookup { record: entry.record, age, ttl: self.max_age.saturating_sub(age), source }
    }

    /// Forgets a document, because it was written.
    pub async fn invalidate(&self, id: &DocumentId) {
        if let Some(entries) = &self.entries {
            entries.fresh.invalidate(id).await;
            entries.last.invalidate(id).await;
        }
    }

    /// How old what it serves may be.
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Entries and bytes held now, roughly.
    pub fn size(&self) -> (u64, u64) {
        // The last known are all there is: the fresh are among them.
        self.entries.as_ref().map_or((0, 0), |entries| (entries.last.entry_count(), entries.last.weighted_size()))
    }
}
