//! Every metric, one struct, one registry of its own.
//!
//! Labels are route templates and words of ours, never what a client sent. What is counted for every request is
//! resolved once for a route ([`EndpointMetrics`]), not looked up.

mod exposition;
mod process;
mod shared_cache;

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::logging::DroppedLines;
use crate::store::SharedCache;
use crate::version::{COMMIT, VERSION};

pub use exposition::CONTENT_TYPE;
pub use process::cpu_seconds;

/// Upper bounds of the latency buckets, in seconds: from a cached answer on loopback to the request's own bound.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<ListenerLabel, Gauge>,
    connections: Family<ListenerLabel, Gauge>,
    accepted: Family<ListenerLabel, Counter>,
    /// Requests answered, whatever they were.
    pub answered: Counter,
    /// The store's calls.
    pub store: StoreMetrics,
    /// The cache's reads.
    pub cache: CacheMetrics,
    /// Panics in handlers, each answered with 500.
    pub panics: Counter,
    cache_entries: Gauge,
    cache_bytes: Gauge,
}

/// Calls to DynamoDB.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    /// 1 while the store is not asked, because it failed too often.
    pub breaker_open: Gauge,
    calls: Family<CallLabels, Counter>,
    latency: Family<OperationLabel, Histogram, fn() -> Histogram>,
}

/// Reads through the cache.
#[derive(Debug, Clone, Default)]
pub struct CacheMetrics {
    /// Answered without the store.
    pub hits: Counter,
    /// Answered beyond the bound, because the store was out.
    pub stale: Counter,
    /// Answered by the store.
    pub misses: Counter,
}

/// One listener's connections and requests, resolved once.
#[derive(Debug, Clone)]
pub struct ListenerMetrics {
    in_flight: Gauge,
    connections: Gauge,
    accepted: Counter,
}

/// A request or a connection that counts as long as this lives.
#[derive(Debug)]
pub struct InFlight(Gauge);

/// The counters of one method on one route, resolved once.
#[derive(Debug)]
pub struct EndpointMetrics {
    labels: EndpointLabels,
    answered: Counter,
    requests: Family<RequestLabels, Counter>,
    latencies: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    /// Made with the first answer: what is never asked for does not appear.
    latency: OnceLock<Histogram>,
    /// By status, from 100 on; made with the first answer of each.
    by_status: Box<[OnceLock<Counter>]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    commit: &'static str,
}

/// The statuses that HTTP has room for, 100 to 599.
const STATUSES: std::ops::Range<usize> = 100..600;

impl Metrics {
    /// All of them at zero. What the log lost and the shared cache did is counted there and shown here.
    pub fn new(dropped: DroppedLines, shared: Option<SharedCache>) -> Self {
        let histogram = || Histogram::new(LATENCY_BUCKETS);
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(histogram as fn() -> Histogram),
            in_flight: Family::default(),
            connections: Family::default(),
            accepted: Family::default(),
            answered: Counter::default(),
            store: StoreMetrics {
                breaker_open: Gauge::default(),
                calls: Family::default(),
                latency: Family::new_with_constructor(histogram as fn() -> Histogram),
            },
            cache: CacheMetrics::default(),
            panics: Counter::default(),
            cache_entries: Gauge::default(),
            cache_bytes: Gauge::default(),
        };
        metrics.registered(dropped, shared)
    }

    fn registered(mut self, dropped: DroppedLines, shared: Option<SharedCache>) -> Self {
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: VERSION, commit: COMMIT }).set(1);
        let all = self.registry.sub_registry_with_prefix("tideline");
        all.register("requests", "Requests answered, by method, route template and status", self.requests.clone());
        let help = "From the request's head to its answer, by method and route template";
        all.register_with_unit("request_duration", help, Unit::Seconds, self.latency.clone());
        all.register("requests_in_flight", "Requests being answered now, by listener", self.in_flight.clone());
        all.register("connections", "Connections open now, by listener", self.connections.clone());
        all.register("connections_accepted", "Connections accepted, by listener", self.accepted.clone());
        all.register("panics", "Panics in handlers, each answered with 500", self.panics.clone());
        let help = "Calls to DynamoDB, by operation and result";
        all.register("store_calls", help, self.store.calls.clone());
        let help = "From a call to DynamoDB to its result, retries included, by operation";
        all.register_with_unit("store_call_duration", help, Unit::Seconds, self.store.latency.clone());
        let help = "1 while DynamoDB is not asked, because it failed too often in a row";
        all.register("store_breaker_open", help, self.store.breaker_open.clone());
        all.register("cache_hits", "Reads that the cache answered", self.cache.hits.clone());
        let help = "Reads that the cache answered beyond its bound because DynamoDB was out";
        all.register("cache_stale", help, self.cache.stale.clone());
        all.register("cache_misses", "Reads that went through the cache to the store", self.cache.misses.clone());
        all.register("cache_entries", "Entries in the cache in this process", self.cache_entries.clone());
        all.register_with_unit("cache_size", "What they take", Unit::Bytes, self.cache_bytes.clone());
        all.register("build_info", "Which build runs here", build);
        all.register_collector(Box::new(dropped));
        if let Some(shared) = shared {
            all.register_collector(Box::new(shared_cache::Shared(shared)));
        }
        self.registry.register_collector(Box::new(process::Process));
        self
    }

    /// The counters of one method on one route.
    pub fn endpoint(&self, method: &'static str, route: &'static str) -> EndpointMetrics {
        EndpointMetrics {
            labels: EndpointLabels { method, route },
            answered: self.answered.clone(),
            requests: self.requests.clone(),
            latencies: self.latency.clone(),
            latency: OnceLock::new(),
            by_status: STATUSES.map(|_| OnceLock::new()).collect(),
        }
    }

    /// The counters of one listener, by its name.
    pub fn listener(&self, listener: &'static str) -> ListenerMetrics {
        let label = ListenerLabel { listener };
        ListenerMetrics {
            in_flight: self.in_flight.get_or_create_owned(&label),
            connections: self.connections.get_or_create_owned(&label),
            accepted: self.accepted.get_or_create_owned(&label),
        }
    }

    /// Everything as Prometheus's text, with what is read only when it is asked for.
    pub fn render(&self, (cache_entries, cache_bytes): (u64, u64)) -> Result<String, std::fmt::Error> {
        self.cache_entries.set(i64::try_from(cache_entries).unwrap_or(i64::MAX));
        self.cache_bytes.set(i64::try_from(cache_bytes).unwrap_or(i64::MAX));
        exposition::render(&self.registry)
    }
}

impl ListenerMetrics {
    /// Counts a request as long as the result lives.
    pub fn begin_request(&self) -> InFlight {
        InFlight::enter(&self.in_flight)
    }

    /// Requests being answered now.
    pub fn requests_in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.get()).unwrap_or(0)
    }

    /// Counts a connection as long as the result lives.
    pub fn begin_connection(&self) -> InFlight {
        self.accepted.inc();
        InFlight::enter(&self.connections)
    }
}

impl InFlight {
    fn enter(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl EndpointMetrics {
    /// Counts one answer.
    pub fn observe(&self, status: StatusCode, elapsed: Duration) {
        let latency = self.latency.get_or_init(|| self.latencies.get_or_create_owned(&self.labels));
        latency.observe(elapsed.as_secs_f64());
        self.answered.inc();
        if let Some(counter) = self.by_status.get(usize::from(status.as_u16()) - STATUSES.start) {
            counter.get_or_init(|| self.counter(status)).inc();
        }
    }

    fn counter(&self, status: StatusCode) -> Counter {
        let EndpointLabels { method, route } = self.labels;
        self.requests.get_or_create_owned(&RequestLabels { method, route, status: status.as_u16() })
    }
}

impl StoreMetrics {
    /// Counts one call: the operation's DynamoDB name, and `ok` or what kind of failure.
    pub fn observe(&self, operation: &'static str, result: &'static str, elapsed: Duration) {
        self.calls.get_or_create(&CallLabels { operation, result }).inc();
        self.latency.get_or_create(&OperationLabel { operation }).observe(elapsed.as_secs_f64());
    }
}
