//! The settings, checked and typed: one small struct for each concern.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::args::Args;
use crate::guard;
use crate::store::{SharedCache, SharedCacheConfig, SharedCacheError};

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: ListenConfig,
    /// Which store.
    pub store: StoreConfig,
    /// How often the instance tells the store how it is; zero: never. Default 5 s.
    pub heartbeat: Duration,
    /// The caches in front of it.
    pub cache: CacheConfig,
    /// What a client may take.
    pub limits: LimitsConfig,
    /// SHA-256 of the tokens that allow writes; empty by default: everybody may write.
    pub write_tokens: Vec<[u8; 32]>,
    /// How to end.
    pub drain: DrainConfig,
    /// The log.
    pub log: LogConfig,
}

/// The two listeners.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// The service; default 127.0.0.1:8080.
    pub public: SocketAddr,
    /// Metrics, for this machine; default 127.0.0.1:9100.
    pub admin: SocketAddr,
}

/// The store: one of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// The DynamoDB inside the process.
    Embedded {
        /// Folder of its file; default ./data.
        folder: PathBuf,
    },
    /// A table that the SDK's own settings lead to.
    Table {
        /// Its name.
        name: String,
        /// Whether to create it where it is missing.
        create: bool,
        /// How long one try of a call may take; default 500 ms.
        attempt_timeout: Duration,
        /// How long a call may take, its second try included; default 2 s.
        timeout: Duration,
    },
}

/// The caches.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// How old an answer may be; zero turns it off. Default 2 s.
    pub max_age: Duration,
    /// What it may take, in bytes. Default 64 MiB.
    pub bytes: u64,
    /// The cache that instances share; none by default. It is not yet connected.
    pub shared: Option<SharedCache>,
}

/// What a client may take.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// The largest request body, in bytes. Default 1 MiB.
    pub body: usize,
    /// Connections open at once. Default 10,000.
    pub connections: usize,
    /// What one connection's client may take: bytes of head, times.
    pub guard: guard::Limits,
    /// Requests in flight at once; more are told to come back. Default 512.
    pub in_flight: usize,
    /// How long a request may take, beside what its body takes to arrive. Default 5 s.
    pub request_time: Duration,
}

/// How to end.
#[derive(Debug, Clone)]
pub struct DrainConfig {
    /// From the signal until no connection is accepted any more. Default 0 s.
    pub delay: Duration,
    /// From then until the end, for what is in flight. Default 25 s.
    pub timeout: Duration,
}

/// The log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Folder of the rolling file; standard error without one.
    pub folder: Option<PathBuf>,
    /// How standard error looks.
    pub format: LogFormat,
    /// Which events are logged, in `EnvFilter`'s words.
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A setting that cannot be used: which, and what is wrong with it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// One that may be repeated.
    #[error("--{flag} (TIDELINE_{variable}): {value:?}: {fault}")]
    Setting {
        /// Its flag.
        flag: &'static str,
        /// Its variable, after `TIDELINE_`.
        variable: String,
        /// What it was set to.
        value: String,
        /// What is wrong with that, and what would be right.
        fault: String,
    },
    /// The shared cache's, which may hold a password.
    #[error(transparent)]
    SharedCache(#[from] SharedCacheError),
}

impl ConfigError {
    fn new(flag: &'static str, value: &str, fault: impl Into<String>) -> Self {
        let variable = flag.to_uppercase().replace('-', "_");
        Self::Setting { flag, variable, value: value.to_owned(), fault: fault.into() }
    }
}

impl Config {
    /// Checks all the settings; the first fault ends it.
    pub fn check(args: &Args) -> Result<Self, ConfigError> {
        let create = boolean("create-table", &args.create_table)?;
        let store = match &args.table {
            Some(name) => StoreConfig::Table {
                name: table_name(name)?,
                create,
                attempt_timeout: some_time("store-attempt-timeout", &args.store_attempt_timeout)?,
                timeout: some_time("store-timeout", &args.store_timeout)?,
            },
            None if create => {
                let fault = "it needs --table; the embedded store makes its own";
                return Err(ConfigError::new("create-table", &args.create_table, fault));
            }
            None => StoreConfig::Embedded { folder: folder("data-dir", &args.data_dir)? },
        };
        let shared = shared_cache(args, &store)?;
        let mebibytes: u64 = whole("cache-size", &args.cache_size, 1..=1024 * 1024)?;
        Ok(Self {
            listen: ListenConfig {
                public: address("listen", &args.listen)?,
                admin: address("admin-listen", &args.admin_listen)?,
            },
            store,
            heartbeat: time("heartbeat", &args.heartbeat)?,
            cache: CacheConfig {
                max_age: time("cache-max-age", &args.cache_max_age)?,
                bytes: mebibytes * 1024 * 1024,
                shared,
            },
            limits: LimitsConfig {
                body: whole("max-body", &args.max_body, 1..=16 * 1024 * 1024)? as usize,
                connections: whole("max-connections", &args.max_connections, 1..=1_000_000)? as usize,
                guard: guard::Limits {
                    head_bytes: whole("max-head", &args.max_head, 256..=1024 * 1024)? as usize,
                    header_lines: whole("max-headers", &args.max_headers, 1..=1000)? as usize,
                    target_bytes: whole("max-uri", &args.max_uri, 1..=1024 * 1024)? as usize,
                    head_time: some_time("head-timeout", &args.head_timeout)?,
                    body_time: some_time("body-timeout", &args.body_timeout)?,
                    write_stall: some_time("write-timeout", &args.write_timeout)?,
                    ..guard::Limits::default()
                },
                in_flight: whole("max-in-flight", &args.max_in_flight, 1..=100_000)? as usize,
                request_time: some_time("request-timeout", &args.request_timeout)?,
            },
            write_tokens: match &args.write_token_sha256 {
                None => Vec::new(),
                Some(text) => {
                    text.split(',').map(|hash| sha256("write-token-sha256", hash)).collect::<Result<_, _>>()?
                }
            },
            drain: DrainConfig {
                delay: time("drain-delay", &args.drain_delay)?,
                timeout: time("drain-timeout", &args.drain_timeout)?,
            },
            log: LogConfig {
                folder: args.log_dir.as_deref().map(|text| folder("log-dir", text)).transpose()?,
                format: match args.log_format.as_str() {
                    "auto" => LogFormat::Auto,
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    other => return Err(ConfigError::new("log-format", other, "use text, json or auto")),
                },
                filter: filter(&args.log)?,
            },
        })
    }
}

fn shared_cache(args: &Args, store: &StoreConfig) -> Result<Option<SharedCache>, ConfigError> {
    let Some(url) = &args.cache_url else { return Ok(None) };
    let table = match store {
        StoreConfig::Table { name, .. } => name,
        StoreConfig::Embedded { .. } => "embedded",
    };
    let timeout = some_time("cache-timeout", &args.cache_timeout)?;
    let config = SharedCacheConfig {
        authorities: args.cache_ca.as_deref().map(PathBuf::from),
        iam: args.cache_iam.clone(),
        ttl: some_time("cache-ttl", &args.cache_ttl)?,
        connect_timeout: timeout,
        timeout,
        ..SharedCacheConfig::new(url, table)
    };
    Ok(Some(SharedCache::new(&config)?))
}

fn address(flag: &'static str, value: &str) -> Result<SocketAddr, ConfigError> {
    let fault = "use an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    value.parse().map_err(|_| ConfigError::new(flag, value, fault))
}

fn time(flag: &'static str, value: &str) -> Result<Duration, ConfigError> {
    const LONGEST: Duration = Duration::from_secs(3600);
    let fault = "use a number with ms, s or m, such as 500ms or 25s, of an hour at the most";
    let parsed = humantime::parse_duration(value).ok().filter(|duration| *duration <= LONGEST);
    parsed.ok_or_else(|| ConfigError::new(flag, value, fault))
}

/// A time that is a bound, which cannot be zero.
fn some_time(flag: &'static str, value: &str) -> Result<Duration, ConfigError> {
    match time(flag, value)? {
        Duration::ZERO => Err(ConfigError::new(flag, value, "it must be more than nothing")),
        time => Ok(time),
    }
}

fn whole(flag: &'static str, value: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, ConfigError> {
    let parsed = value.parse().ok().filter(|number| range.contains(number));
    let fault = || format!("use a whole number from {} to {}", range.start(), range.end());
    parsed.ok_or_else(|| ConfigError::new(flag, value, fault()))
}

fn sha256(flag: &'static str, value: &str) -> Result<[u8; 32], ConfigError> {
    let mut hash = [0; 32];
    match hex::decode_to_slice(value.trim(), &mut hash) {
        Ok(()) => Ok(hash),
        // Not the value: who mistook the hash for the token would find the token in the log.
        Err(_) => Err(ConfigError::new(flag, "…", "use SHA-256 hashes of 64 hex digits, separated by commas")),
    }
}

fn boolean(flag: &'static str, value: &str) -> Result<bool, ConfigError> {
    match value {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err(ConfigError::new(flag, value, "use true or false")),
    }
}

fn folder(flag: &'static str, value: &str) -> Result<PathBuf, ConfigError> {
    match value {
        "" => Err(ConfigError::new(flag, value, "name a folder")),
        _ => Ok(PathBuf::from(value)),
    }
}

/// DynamoDB's own rule for names.
fn table_name(value: &str) -> Result<String, ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (3..=255).contains(&value.len()) && value.chars().all(allowed) {
        true => Ok(value.to_owned()),
        false => Err(ConfigError::new("table", value, "a table's name has 3 to 255 letters, digits and - _ .")),
    }
}

fn filter(value: &str) -> Result<String, ConfigError> {
    match EnvFilter::builder().parse(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(ConfigError::new("log", value, format!("no level and no list of directives: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn check(flags: &[&str]) -> Result<Config, ConfigError> {
        Config::check(&Args::parse_from([&["tideline"], flags].concat()))
    }

    #[test]
    fn no_settings_is_the_embedded_store_on_this_machine_only() {
        let config = check(&[]).unwrap();
        assert_eq!(config.store, StoreConfig::Embedded { folder: "./data".into() });
        assert!(config.listen.public.ip().is_loopback() && config.listen.admin.ip().is_loopback());
        assert_eq!(config.drain.delay, Duration::ZERO);
    }

    #[test]
    fn a_fault_names_flag_variable_and_remedy() {
        for (flags, part) in [
            (&["--listen", "8080"][..], "--listen (TIDELINE_LISTEN): \"8080\": use an IP address and a port"),
            (&["--drain-delay", "5"], "--drain-delay (TIDELINE_DRAIN_DELAY): \"5\": use a number with ms, s or m"),
            (&["--drain-timeout", "2h"], "of an hour at the most"),
            (&["--max-body", "0"], "use a whole number from 1 to"),
            (&["--max-body", "1e3"], "use a whole number"),
            (&["--write-token-sha256", "secret"], "(TIDELINE_WRITE_TOKEN_SHA256): \"…\": use SHA-256 hashes"),
            (&["--request-timeout", "0s"], "more than nothing"),
            (&["--table", "a b"], "a table's name has"),
            (&["--create-table"], "it needs --table"),
            (&["--create-table=maybe", "--table", "documents"], "use true or false"),
            (&["--table", "documents", "--store-timeout", "0s"], "more than nothing"),
            (&["--cache-url", "http://user:secret@host"], "--cache-url (TIDELINE_CACHE_URL)"),
            (&["--log-format", "xml"], "use text, json or auto"),
            (&["--log", "tideline=loud"], "no level"),
            (&["--log-dir", ""], "name a folder"),
        ] {
            let message = check(flags).expect_err("a fault").to_string();
            assert!(message.contains(part) && !message.contains("secret"), "{flags:?}: {message}");
        }
    }

    #[test]
    fn a_table_means_no_embedded_store() {
        let config = check(&["--table", "documents", "--create-table"]).unwrap();
        let (attempt_timeout, timeout) = (Duration::from_millis(500), Duration::from_secs(2));
        let name = "documents".to_owned();
        assert_eq!(config.store, StoreConfig::Table { name, create: true, attempt_timeout, timeout });
    }
}
