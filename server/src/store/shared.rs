//! The cache that the instances share: a Redis or Valkey between the cache in the process and DynamoDB.
//!
//! It is passed by when it fails, never waited for: each call is bounded by two short timeouts, and after a few
//! failures in a row a breaker makes them return at once. No call is an error for its caller.
//!
//! # Why what it answers is current
//!
//! 1. Every write invalidates its id: whatever is older than the write's version gives way to a *tombstone* of that
//!    version. A document is filled in only where nothing of a greater version stands. So a reader that was slower than
//!    a write cannot bring back what it read before it.
//! 2. Every entry names the *generation* it was filled in, and a fill names the one its reader found before it read the
//!    store ([`Ticket`]). A new generation therefore invalidates all entries, and all fills that are on their way. One
//!    begins by itself where Redis has lost its keys, has restarted or has handed over to a replica: then tombstones may
//!    be lost. A ticket is good for five seconds, should Redis have evicted a tombstone.
//! 3. An invalidation that could not be delivered is kept and tried again until it is. Meanwhile this instance does not
//!    read that id here. Where there are too many of them, a new generation is owed instead, and nothing is read here
//!    until it has begun.
//!
//! # What may be stale even so
//!
//! - A writer that cannot reach Redis leaves the entry to the instances that can: until it is reachable, and then for
//!   as long as the next attempt takes (a tenth of a second, or until the breaker's next probe).
//! - If such a writer ends first, or any writer between DynamoDB's answer and its invalidation: until the entry's time
//!   to live has passed, an hour from its fill by default.
//! - The same bound holds for what changes the table without Tideline (a restore, a table made anew under the same
//!   name); for a write whose outcome its caller never learned and did not invalidate; for a primary that is cut off
//!   and goes on serving beside its successor; and for a Redis that goes back to older data under the same `run_id`.
//!
//! To each of these add the bound of the cache in the process, which reads through this one.

mod config;
mod delivery;
mod entry;
mod iam;
mod link;
mod pending;
mod scripts;
mod stats;
mod target;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use tracing::{info, warn};

use crate::model::{DocumentId, Version};
use crate::store::breaker::Breaker;

use delivery::Undelivered;
use entry::{Generation, HEAD_BYTES, Held, Keys};
use link::Server;
use pending::Pending;
use stats::{Counters, add};
use target::Target;

pub use config::SharedCacheConfig;
pub use entry::Entry;
pub use stats::{Failure, Stats};
pub use target::ConfigError;

/// From a read that missed until its fill, at the most; longer than the store may take for the read between them.
const TICKET_LIFETIME: Duration = Duration::from_secs(5);

/// The cache that the instances share. Clones are the same cache.
#[derive(Debug, Clone)]
pub struct SharedCache(Arc<Inner>);

/// What a read found.
#[derive(Debug)]
pub enum Found {
    /// The document.
    Entry(Entry),
    /// Nothing; with it the right to fill in what the store has, if the cache could be asked.
    Nothing(Option<Ticket>),
}

/// The right to fill in one id, given to a reader before it reads the store and good for a few seconds.
#[derive(Debug)]
pub struct Ticket {
    id: DocumentId,
    generation: Generation,
    since: Instant,
}

#[derive(Debug)]
struct Inner {
    server: Server,
    breaker: Breaker,
    pending: Pending,
    counters: Counters,
    ttl: Duration,
    max_json: usize,
    /// Whether a task delivers what is pending.
    delivering: AtomicBool,
}

impl SharedCache {
    /// A cache that connects when it is first used: a start does not wait for it. The settings are checked here.
    pub fn new(config: &SharedCacheConfig) -> Result<Self, ConfigError> {
        let target = Target::parse(&config.url, config.authorities.as_deref(), config.iam.as_deref())?;
        Ok(Self(Arc::new(Inner {
            server: Server::new(target, Keys::new(&config.table), config.connect_timeout, config.timeout),
            breaker: Breaker::new(config.breaker),
            pending: Pending::new(config.pending),
            counters: Counters::default(),
            ttl: config.ttl,
            max_json: config.max_json,
            delivering: AtomicBool::new(false),
        })))
    }

    /// The document, if the cache has it and can be asked.
    ///
    /// Call it before the store is read: the ticket of a miss vouches that what is read *after* it is current.
    pub async fn get(&self, id: &DocumentId) -> Found {
        let inner = &self.0;
        if inner.pending.holds(id) {
            add(&inner.counters.passed_by);
            return Found::Nothing(None);
        }
        let since = Instant::now();
        let Some((held, generation)) = inner.call(async |connection| inner.read(connection, id).await).await else {
            return Found::Nothing(None);
        };
        match held {
            Held::Entry(entry) => {
                add(&inner.counters.hits);
                return Found::Entry(entry);
            }
            Held::Malformed => add(&inner.counters.malformed),
            Held::Nothing => {}
        }
        add(&inner.counters.misses);
        Found::Nothing(Some(Ticket { id: id.clone(), generation, since }))
    }

    /// Stores what the store had, unless something newer is known by now. A document that is too large is left out.
    pub async fn fill(&self, ticket: Ticket, version: Version, json: &Bytes) {
        let inner = &self.0;
        if json.len() > inner.max_json {
            return;
        }
        if ticket.since.elapsed() > TICKET_LIFETIME || inner.pending.holds(&ticket.id) {
            add(&inner.counters.refused_fills);
            return;
        }
        let Server { keys, scripts, .. } = &inner.server;
        let mut fill = scripts.fill.prepare_invoke();
        fill.key(keys.document(&ticket.id)).key(&keys.generation);
        fill.arg(version.to_string()).arg(ticket.generation.as_str()).arg(inner.ttl_millis());
        fill.arg(entry::write(version, &ticket.generation, json));
        match inner.call(async |mut connection| fill.invoke_async::<bool>(&mut connection).await).await {
            Some(true) => add(&inner.counters.fills),
            Some(false) => add(&inner.counters.refused_fills),
            None => {}
        }
    }

    /// Sees to it that nothing older than this version is read here any more.
    ///
    /// Call it when the store has acknowledged a write, before the client hears of it; and also when a write's outcome
    /// is unknown. For a removal give a version above the removed one. It returns when the invalidation has arrived, or
    /// has not in time: then, or if this call is dropped, it is delivered later.
    pub async fn invalidate(&self, id: &DocumentId, version: Version) {
        let inner = &self.0;
        let undelivered = Undelivered::hold(inner, id, version);
        if inner.invalidate(&[(id.clone(), version)]).await {
            undelivered.delivered();
        }
    }

    /// Delivers what is still to be delivered, before the process ends; the number of ids that are left after `bound`.
    pub async fn drain(&self, bound: Duration) -> usize {
        let inner = &self.0;
        if inner.pending.len() > 0 {
            // The outcome is the number.
            let _ = tokio::time::timeout(bound, inner.deliver_all()).await;
        }
        inner.pending.len()
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot(self.0.pending.len(), self.0.breaker.state())
    }
}

impl Inner {
    /// Runs a call if the breaker lets it, and tells the breaker. None is a failure, counted.
    async fn call<T>(&self, operation: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>) -> Option<T> {
        let Some(permit) = self.breaker.admit() else {
            add(&self.counters.passed_by);
            return None;
        };
        let fault = match self.server.call(operation).await {
            Ok(value) => {
                if permit.success() {
                    info!("the shared cache answers again");
                }
                return Some(value);
            }
            Err(fault) => fault,
        };
        self.counters.failed(fault.kind);
        if fault.kind == Failure::Full {
            permit.success();
        } else if permit.failure() {
            warn!(error = %fault, "the shared cache fails and is passed by");
        }
        None
    }

    /// Reads an id, and the generation that stands.
    async fn read(
        &self,
        mut connection: MultiplexedConnection,
        id: &DocumentId,
    ) -> Result<(Held, Generation), RedisError> {
        let keys = &self.server.keys;
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(&keys.generation);
        // Not GET: a value that is larger than any of ours must not get as far as our memory. It reads one byte more.
        pipe.cmd("GETRANGE").arg(keys.document(id)).arg(0).arg(HEAD_BYTES + self.max_json);
        let answers = connection.send_packed_commands(&pipe, 0, 2).await?;
        let Ok([generation, value]) = <[Value; 2]>::try_from(answers) else {
            return Err(unexpected());
        };
        let generation = match generation {
            Value::BulkString(text) => Generation::parse(&text),
            Value::Nil => None,
            other => wrong_type(other)?,
        };
        let Some(generation) = generation else {
            // Lost, as with FLUSHALL, or never there. A fresh one invalidates whatever else is.
            return Ok((Held::Nothing, self.server.generation(connection, false).await?));
        };
        let held = match value {
            Value::BulkString(value) => entry::read(value, &generation, self.max_json),
            other => wrong_type(other)?.unwrap_or(Held::Malformed),
        };
        Ok((held, generation))
    }

    fn ttl_millis(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// None where a key holds a list or the like, which is not ours; an error for every other answer that is no text.
fn wrong_type<T>(answer: Value) -> Result<Option<T>, RedisError> {
    match answer {
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(None),
        Value::ServerError(error) => Err(error.into()),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, "no answer to what was asked").into()
}
