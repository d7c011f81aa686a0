//! The log: events through tracing, one line a request beside it ([`AccessLog`]), into the same file or standard error.
//!
//! Neither ever waits for the disk. What comes faster than it can be written is dropped and counted.

mod access;
mod rolling;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

pub use access::{AccessLog, Line};

/// Events that wait to be written; more are dropped.
const QUEUED_EVENTS: usize = 1024;

/// The running log. It is written out when this is dropped, within a second for each of its two writers.
#[derive(Debug)]
pub struct Logging {
    /// Where requests are logged.
    pub access: AccessLog,
    /// How many lines were lost.
    pub dropped: DroppedLines,
    _events: WorkerGuard,
}

/// Lines that were lost: they came faster than they could be written, or the disk refused them.
#[derive(Debug, Clone, Default)]
pub struct DroppedLines {
    requests: Arc<AtomicU64>,
    events: Option<ErrorCounter>,
}

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder or the file.
    #[error("cannot write the log in {folder} (TIDELINE_LOG_DIR): {source}")]
    Open {
        /// The folder.
        folder: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process has a subscriber already.
    #[error(transparent)]
    Subscriber(#[from] TryInitError),
}

/// Installs the process's tracing subscriber and starts the writers.
pub fn start(config: &LogConfig) -> Result<Logging, LogError> {
    let terminal = config.folder.is_none() && std::io::stderr().is_terminal();
    let json = match config.format {
        _ if config.folder.is_some() => true,
        LogFormat::Auto => !terminal,
        format => format == LogFormat::Json,
    };
    let output = match &config.folder {
        None => Output::new(std::io::stderr()),
        Some(folder) => {
            let fault = |source| LogError::Open { folder: folder.display().to_string(), source };
            Output::new(rolling::RollingFile::open(folder).map_err(fault)?)
        }
    };
    let (events, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_EVENTS)
        .lossy(true)
        .thread_name("log-events")
        .finish(output.clone());
    let dropped = DroppedLines { requests: Arc::default(), events: Some(events.error_counter()) };
    let filter = EnvFilter::new(&config.filter);
    let requests_wanted = filter.max_level_hint().is_none_or(|level| level >= LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(events);
    match json {
        true => registry.with(layer.json().flatten_event(true)).try_init()?,
        false => registry.with(layer.with_ansi(terminal).with_target(false)).try_init()?,
    }
    let access = match requests_wanted {
        true => AccessLog::start(output, json, dropped.requests.clone()),
        false => AccessLog::off(),
    };
    Ok(Logging { access, dropped, _events: guard })
}

impl DroppedLines {
    /// How many so far.
    pub fn count(&self) -> u64 {
        let events = self.events.as_ref().map_or(0, ErrorCounter::dropped_lines);
        self.requests.load(Ordering::Relaxed) + events as u64
    }
}

impl Collector for DroppedLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let count = ConstCounter::new(self.count());
        let help = "Log lines lost because they could not be written in time";
        count.encode(encoder.encode_descriptor("log_lines_dropped", help, None, count.metric_type())?)
    }
}

/// Where both writers write; each hands over whole lines.
#[derive(Clone)]
struct Output(Arc<Mutex<Box<dyn Write + Send>>>);

impl Output {
    fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }
}

impl Write for Output {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        // All of it under one lock, so that lines never mix.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(lines).map(|()| lines.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
