//! What the service asks of a store, in the store's own words: nothing here knows HTTP.
//!
//! There is one implementation, [`DynamoDb`]; the table's layout is in `docs/ARCHITECTURE.md`.

pub mod breaker;
mod cache;
mod connect;
mod dynamodb;
#[cfg(feature = "embedded")]
mod embedded;
mod failure;
mod heartbeats;
mod idempotency;
mod items;
mod listing;
mod shared;

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::model::{DocumentId, Version};

pub use cache::{Cache, Lookup, Source};
pub use connect::ConnectError;
pub use dynamodb::DynamoDb;
pub use heartbeats::Heartbeat;
pub use shared::{
    ConfigError as SharedCacheError, Entry, Failure, Found, SharedCache, SharedCacheConfig, Stats, Ticket,
};

/// A document as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: DocumentId,
    /// Which writing of it this is.
    pub version: Version,
    /// Its JSON text, `id` included.
    pub json: Bytes,
}

/// What must hold of the stored document for a write to happen; the store checks it in the same step as it writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// There is one.
    Exists,
    /// There is none.
    Absent,
    /// It is one of these versions.
    VersionIn(Vec<Version>),
    /// There is none, or it is none of these versions.
    VersionNotIn(Vec<Version>),
    /// Both of these.
    Both(Box<(Precondition, Precondition)>),
    /// There is one, and it was not written after this moment, in milliseconds since 1970.
    UnmodifiedSince(u64),
}

/// What a client names a write by, so that sending it again does not repeat it.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request's body, in hex: the same key with another body is a mistake.
    pub fingerprint: String,
}

/// How long a store remembers an [`IdempotencyKey`].
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What became of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was done.
    New(Version),
    /// It had been done before under the same key: the id and version it got then.
    Replayed(DocumentId, Version),
}

impl Created {
    /// The version that the document got.
    pub fn version(&self) -> Version {
        match self {
            Self::New(version) | Self::Replayed(_, version) => *version,
        }
    }
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The version it got.
    pub version: Version,
    /// Whether there was no document before.
    pub created: bool,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// The documents, newest id first.
    pub records: Vec<Record>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A document of this id exists.
    #[error("a document of this id exists")]
    AlreadyExists,
    /// The [`Precondition`] does not hold.
    #[error("the precondition does not hold")]
    PreconditionFailed,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// Others kept writing the same thing at the same time.
    #[error("others kept writing the same item")]
    Contended,
    /// The item is over the store's limit.
    #[error("the item is over the store's limit")]
    TooLarge,
    /// The store asks for fewer requests.
    #[error("the store throttles: {0}")]
    Throttled(String),
    /// The store refuses our credentials or their permissions.
    #[error("the store denies access: {0}")]
    Denied(String),
    /// The table does not exist.
    #[error("the table does not exist: {0}")]
    TableMissing(String),
    /// It has failed so often in a row that it is not asked for a moment.
    #[error("the store is not asked: it failed too often")]
    Resting,
    /// No answer in time.
    #[error("the store did not answer in time: {0}")]
    TimedOut(String),
    /// It cannot be reached, or answers that it is broken.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It refuses what we sent, or holds what we did not write: a defect of ours or of the table's.
    #[error("the store and the service disagree: {0}")]
    Disagreement(String),
}

impl StoreError {
    /// Whether the store is out, as far as one call can tell: not that it refused this one.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Resting | Self::TimedOut(_) | Self::Unavailable(_))
    }

    /// The `result` label of the store's metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::AlreadyExists | Self::PreconditionFailed | Self::KeyReused => "condition_failed",
            Self::Contended => "contended",
            Self::TooLarge => "too_large",
            Self::Throttled(_) => "throttled",
            Self::Denied(_) => "denied",
            Self::TableMissing(_) => "table_missing",
            Self::Resting => "resting",
            Self::TimedOut(_) => "timed_out",
            Self::Unavailable(_) => "unavailable",
            Self::Disagreement(_) => "error",
        }
    }
}
