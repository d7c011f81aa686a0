//! What `/product` reads through: a cache in the process, then the one that instances share, then the store.
//!
//! An entry counts from the moment its read of the store *began*, so what is served is never older than the bound, and
//! many readers of the same document make one read of the store. Only while the store is out, what was read last is served
//! beyond the bound, and says so by its age.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache as Moka;

use super::{DynamoDb, Found, Record, SharedCache, StoreError, shared};
use crate::config::CacheConfig;
use crate::metrics::CacheMetrics;
use crate::model::{DocumentId, Version};

/// Documents read lately.
#[derive(Debug)]
pub struct Cache {
    /// None where the bound is zero: every read goes to the store.
    entries: Option<Entries>,
    shared: Option<SharedCache>,
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
        Self { entries, shared: config.shared.clone(), max_age: config.max_age, metrics }
    }

    /// The document, from here or from the store.
    pub async fn read(&self, store: &DynamoDb, id: &DocumentId) -> Result<Lookup, Arc<StoreError>> {
        let load = self.load(store, id);
        let Some(entries) = &self.entries else {
            let entry = load.await.map_err(Arc::new)?;
            return Ok(self.found(entry, Source::Store));
        };
        if let Some(entry) = entries.fresh.get(id).await {
            return Ok(self.found(entry, Source::Hit));
        }
        let read = if store.admits() {
            let joined = entries.fresh.entry_by_ref(id).or_try_insert_with(load).await;
            joined.map(|entry| (entry.is_fresh(), entry.into_value()))
        } else {
            // Nobody joins the read of whoever is probing a store in trouble: it may take as long as a call may.
            load.await.map(|entry| (true, entry)).map_err(Arc::new)
        };
        match read {
            Ok((true, entry)) => {
                entries.last.insert(id.clone(), entry.clone()).await;
                Ok(self.found(entry, Source::Store))
            }
            Ok((false, entry)) => Ok(self.found(entry, Source::Hit)),
            Err(error) if error.is_outage() => match entries.last.get(id).await {
                Some(entry) => Ok(self.found(entry, Source::Stale)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Reads past the cache in the process. The age counts from here: what the shared cache has is as current as what the
    /// store has, because every write invalidates it.
    async fn load(&self, store: &DynamoDb, id: &DocumentId) -> Result<Entry, StoreError> {
        let read_at = Instant::now();
        let ticket = match &self.shared {
            None => None,
            Some(shared) => match shared.get(id).await {
                Found::Entry(shared::Entry { version, json }) => {
                    let record = Record { id: id.clone(), version, json };
                    return Ok(Entry { record: Some(Arc::new(record)), read_at });
                }
                Found::Nothing(ticket) => ticket,
            },
        };
        let record = store.get(id).await?;
        if let (Some(shared), Some(ticket), Some(record)) = (&self.shared, ticket, &record) {
            shared.fill(ticket, record.version, &record.json).await;
        }
        Ok(Entry { record: record.map(Arc::new), read_at })
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

    /// Forgets what a write replaced, before its client hears of it. Of a write whose outcome is not known it is assumed
    /// that it happened.
    pub async fn wrote(&self, id: &DocumentId, outcome: Result<Version, &StoreError>, store: &DynamoDb) {
        let version = match outcome {
            Ok(version) => version,
            Err(error) if error.is_outage() => store.version_now(),
            Err(_) => return,
        };
        if let Some(shared) = &self.shared {
            shared.invalidate(id, version).await;
        }
        if let Some(entries) = &self.entries {
            entries.fresh.invalidate(id).await;
            entries.last.invalidate(id).await;
        }
    }

    /// Delivers what the shared cache has not been told yet, within a bound: afterwards nobody else can.
    pub async fn end(&self, bound: Duration) {
        if let Some(shared) = &self.shared {
            let left = shared.drain(bound).await;
            if left > 0 {
                tracing::error!(left, "the shared cache could not be told of these writes");
            }
        }
    }

    /// The cache that instances share.
    pub fn shared(&self) -> Option<&SharedCache> {
        self.shared.as_ref()
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
