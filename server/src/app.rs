//! What a request may use: one of each for the process.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;

use crate::config::{Config, LimitsConfig};
use crate::heartbeat::Fleet;
use crate::http::RequestIds;
use crate::identity::Whoami;
use crate::lifecycle::Lifecycle;
use crate::logging::{AccessLog, DroppedLines};
use crate::metrics::Metrics;
use crate::store::{Cache, ConnectError, DynamoDb};

/// The parts that layers and handlers share.
#[derive(Debug)]
pub struct App {
    /// Where documents are.
    pub store: DynamoDb,
    /// What `/product` reads through.
    pub cache: Cache,
    /// Every metric.
    pub metrics: Metrics,
    /// Who answers.
    pub whoami: Whoami,
    /// Who else is there.
    pub fleet: Fleet,
    /// CPUs that the process may use.
    pub cpus: usize,
    /// Where in its life the process is.
    pub lifecycle: Lifecycle,
    /// Where requests are logged.
    pub access: AccessLog,
    /// What a client may take.
    pub limits: LimitsConfig,
    /// One for each request that may be in flight.
    pub slots: Arc<Semaphore>,
    /// SHA-256 of the tokens that allow writes; none: everybody may write.
    pub write_tokens: Vec<[u8; 32]>,
    /// Names for requests.
    pub request_ids: RequestIds,
    /// When the process started.
    pub started: Instant,
}

impl App {
    /// Connects the store and puts the parts together.
    pub async fn start(config: &Config, access: AccessLog, dropped: DroppedLines) -> Result<Arc<Self>, ConnectError> {
        let started = Instant::now();
        let metrics = Metrics::new(dropped, config.cache.shared.clone());
        Ok(Arc::new(Self {
            store: DynamoDb::connect(&config.store, metrics.store.clone()).await?,
            cache: Cache::new(&config.cache, metrics.cache.clone()),
            metrics,
            whoami: Whoami::host(),
            fleet: Fleet::new(config.heartbeat),
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            lifecycle: Lifecycle::default(),
            access,
            slots: Arc::new(Semaphore::new(config.limits.in_flight)),
            limits: config.limits.clone(),
            write_tokens: config.write_tokens.clone(),
            request_ids: RequestIds::new(),
            started,
        }))
    }
}
