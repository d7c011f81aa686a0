//! Reaching the store: the client, its bounds, and the table where one is to be made.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{self, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use thiserror::Error;

use super::breaker::{self, Breaker};
use super::failure::failure;
use super::{DynamoDb, StoreError};
use crate::config::StoreConfig;
use crate::metrics::StoreMetrics;
use crate::model::VersionClock;

/// Five failures in a row, and the store is not asked for a second: then one call at a time finds out.
const BREAKER: breaker::Settings = breaker::Settings { failures: 5, open_for: Duration::from_secs(1) };

/// Retries are a tenth of the calls that succeed, and this many at once: when the store is down, trying twice only makes
/// it twice as busy.
const RETRY_BURST: usize = 50;

/// How long the creation of a table may take, until it is active.
const CREATE_TABLE_BOUND: Duration = Duration::from_secs(60);

/// Why the store cannot be used at all, found at the start.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The embedded store's file.
    #[error("cannot open the embedded store in {folder} (TIDELINE_DATA_DIR): {reason}")]
    Open {
        /// The folder of `TIDELINE_DATA_DIR`.
        folder: String,
        /// What the system or the engine said.
        reason: String,
    },
    /// The SDK found no region anywhere.
    #[error("no AWS region: set AWS_REGION, or `region` in the AWS configuration file")]
    NoRegion,
    /// This build has no embedded engine.
    #[error("this build has no embedded store: name a DynamoDB table with TIDELINE_TABLE")]
    NoEngine,
    /// The table cannot be created.
    #[error("cannot create table {table}: {reason}")]
    CreateTable {
        /// Its name.
        table: String,
        /// What DynamoDB said.
        reason: StoreError,
    },
}

impl DynamoDb {
    /// Makes the client, opens the embedded engine where that is the store, and creates the table where that was asked.
    pub async fn connect(config: &StoreConfig, metrics: StoreMetrics) -> Result<Self, ConnectError> {
        let clock = VersionClock::default();
        let breaker = Breaker::new(BREAKER);
        let (store, create) = match config {
            #[cfg(feature = "embedded")]
            StoreConfig::Embedded { folder } => {
                let (client, table) = super::embedded::open(folder)?;
                (Self { client, table, backend: "embedded", clock, metrics, breaker }, true)
            }
            #[cfg(not(feature = "embedded"))]
            StoreConfig::Embedded { .. } => return Err(ConnectError::NoEngine),
            StoreConfig::Table { name, create, attempt_timeout, timeout } => {
                let client = remote_client(*attempt_timeout, *timeout).await?;
                (Self { client, table: name.clone(), backend: "dynamodb", clock, metrics, breaker }, *create)
            }
        };
        if create {
            let bound = tokio::time::timeout(CREATE_TABLE_BOUND, store.create_table()).await;
            let created = bound.unwrap_or_else(|_| Err(StoreError::TimedOut("it did not become active".to_owned())));
            created.map_err(|reason| ConnectError::CreateTable { table: store.table.clone(), reason })?;
        }
        Ok(store)
    }

    /// Creates the table unless it exists, and waits until it can be used.
    async fn create_table(&self) -> Result<(), StoreError> {
        match self.table_status().await {
            Ok(_) => return Ok(()),
            Err(StoreError::TableMissing(_)) => {}
            Err(error) => return Err(error),
        }
        let mut request = self.client.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("shard", KeyType::Hash), ("id", KeyType::Range)] {
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
            let attribute = AttributeDefinition::builder().attribute_name(name);
            let attribute = attribute.attribute_type(ScalarAttributeType::S).build();
            request =
                request.key_schema(key.map_err(disagreement)?).attribute_definitions(attribute.map_err(disagreement)?);
        }
        match request.send().await.map_err(failure) {
            // Contended: another instance was quicker.
            Ok(_) | Err(StoreError::Contended) => {}
            Err(error) => return Err(error),
        }
        while self.table_status().await? != Some(TableStatus::Active) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build();
        let request = self.client.update_time_to_live().table_name(&self.table);
        request.time_to_live_specification(expiry.map_err(disagreement)?).send().await.map_err(failure)?;
        Ok(())
    }

    async fn table_status(&self) -> Result<Option<TableStatus>, StoreError> {
        let described = self.client.describe_table().table_name(&self.table).send().await.map_err(failure)?;
        Ok(described.table.and_then(|table| table.table_status))
    }
}

/// The client for AWS, or for what `AWS_ENDPOINT_URL` names.
async fn remote_client(attempt_timeout: Duration, timeout: Duration) -> Result<Client, ConnectError> {
    // Unless told otherwise the SDK waits without bound, tries three times and backs off from a second.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(attempt_timeout)
        .operation_timeout(timeout)
        .build();
    let retries = RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(25));
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(retries)
        // It watches the throughput of long streams; here every body is small and every attempt has a bound.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await;
    if shared.region().is_none() {
        return Err(ConnectError::NoRegion);
    }
    let budget = TokenBucket::builder()
        .capacity(RETRY_BURST)
        .retry_cost(1)
        .timeout_retry_cost(1)
        .throttling_retry_cost(1)
        .success_reward(0.1)
        .build();
    let partition = RetryPartition::custom("tideline").token_bucket(budget).build();
    Ok(Client::from_conf(config::Builder::from(&shared).retry_partition(partition).build()))
}

fn disagreement(error: impl std::fmt::Display) -> StoreError {
    StoreError::Disagreement(error.to_string())
}
