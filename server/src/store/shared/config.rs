//! What can be set about the shared cache.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::store::breaker::Settings;

/// What can be set about the shared cache.
#[derive(Clone)]
pub struct SharedCacheConfig {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Not a cluster.
    pub url: String,
    /// PEM file of the authorities that vouch for a `rediss://` server, in place of the platform's (which
    /// `SSL_CERT_FILE` names, but for the AWS SDK as well, so that it cannot name a private authority alone).
    pub authorities: Option<PathBuf>,
    /// ElastiCache replication group to sign in to with the AWS credentials of the process, as the URL's user.
    pub iam: Option<String>,
    /// The table whose documents these are; part of the keys.
    pub table: String,
    /// How long entries and tombstones live. Default 1 h.
    pub ttl: Duration,
    /// The largest document that is stored, in bytes of JSON. Default 64 KiB; DynamoDB has none above 400 KiB, but its
    /// JSON may be longer.
    pub max_json: usize,
    /// How long a connection may take, TLS and sign-in included. Default 50 ms.
    pub connect_timeout: Duration,
    /// How long an answer may take. Default 50 ms.
    pub timeout: Duration,
    /// Default 5 failures and 1 s.
    pub breaker: Settings,
    /// Ids whose invalidation is kept while it cannot be delivered. Default 10,000, which take about 2 MB.
    pub pending: usize,
}

impl SharedCacheConfig {
    /// The defaults, for a URL and a table.
    pub fn new(url: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            authorities: None,
            iam: None,
            table: table.into(),
            ttl: Duration::from_secs(60 * 60),
            max_json: 64 * 1024,
            connect_timeout: Duration::from_millis(50),
            timeout: Duration::from_millis(50),
            breaker: Settings { failures: 5, open_for: Duration::from_secs(1) },
            pending: 10_000,
        }
    }
}

impl fmt::Debug for SharedCacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, authorities, iam, table, ttl, max_json, connect_timeout, timeout, breaker, pending } = self;
        f.debug_struct("SharedCacheConfig")
            .field("url", &"(may have a password)")
            .field("authorities", authorities)
            .field("iam", iam)
            .field("table", table)
            .field("ttl", ttl)
            .field("max_json", max_json)
            .field("connect_timeout", connect_timeout)
            .field("timeout", timeout)
            .field("breaker", breaker)
            .field("pending", pending)
            .finish()
    }
}
