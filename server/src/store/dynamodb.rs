//! The one store: a DynamoDB table, wherever it is: on AWS, at `AWS_ENDPOINT_URL`, or inside this process.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::breaker::{Breaker, Permit};
use super::failure::failure;
use super::items::{self, Item};
use super::{Precondition, Put, Record, StoreError};
use crate::metrics::StoreMetrics;
use crate::model::{Document, DocumentId, Version, VersionClock};

/// How often a put tries again when it finds a version from a clock that stands ahead of ours.
const PUT_ATTEMPTS: usize = 4;

/// A DynamoDB table and the client that reaches it. `connect.rs` makes it.
#[derive(Debug)]
pub struct DynamoDb {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) backend: &'static str,
    pub(super) clock: VersionClock,
    pub(super) metrics: StoreMetrics,
    pub(super) breaker: Breaker,
}

impl DynamoDb {
    /// `embedded` or `dynamodb`.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Asks the table for an item that does not exist: how long an answer takes, or why there is none.
    pub async fn probe(&self) -> Result<Duration, StoreError> {
        let started = Instant::now();
        let request = self.client.get_item().table_name(&self.table).set_key(Some(items::probe_key()));
        self.call("GetItem", self.admit()?, request.send()).await.map_err(failure)?;
        Ok(started.elapsed())
    }

    /// Reads a document; a write acknowledged before is seen.
    pub async fn get(&self, id: &DocumentId) -> Result<Option<Record>, StoreError> {
        let key = items::document_key(id);
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        let output = self.call("GetItem", self.admit()?, request.send()).await.map_err(failure)?;
        output.item.as_ref().map(items::record).transpose()
    }

    /// Stores a document whose id must be new.
    pub async fn create(&self, document: Document) -> Result<Version, StoreError> {
        let version = self.clock.after(None);
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(items::document_item(document, version)))
            .condition_expression(items::IS_NEW)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = self.call("PutItem", self.admit()?, request.send()).await else {
            return Ok(version);
        };
        match error.as_service_error() {
            // Our own write: its first answer was lost and the SDK sent it again.
            Some(PutItemError::ConditionalCheckFailedException(e)) if is_version(e.item(), version) => Ok(version),
            Some(PutItemError::ConditionalCheckFailedException(_)) => Err(StoreError::AlreadyExists),
            _ => Err(failure(error)),
        }
    }

    /// Stores a document, new or in place of the one before, where the precondition holds.
    pub async fn put(&self, document: Document, precondition: &Precondition) -> Result<Put, StoreError> {
        let key = items::document_key(document.id());
        let doc = document.into_value();
        let mut version = self.clock.after(precondition.greatest());
        for _ in 0..PUT_ATTEMPTS {
            // A version only ever grows, whatever the writers' clocks say.
            let mut condition = precondition.condition().unwrap_or_default();
            condition.expression = match condition.expression.as_str() {
                "" => format!("{} OR version < :version", items::IS_NEW),
                held => format!("({held}) AND ({} OR version < :version)", items::IS_NEW),
            };
            condition.values.extend([
                (":doc".to_owned(), doc.clone()),
                (":version".to_owned(), items::number(&version)),
                (":now".to_owned(), items::number(&version.millis())),
            ]);
            let request = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression(
                    "SET doc = :doc, version = :version, updated_at = :now, \
                     created_at = if_not_exists(created_at, :now)",
                )
                .condition_expression(condition.expression)
                .set_expression_attribute_values(Some(condition.values))
                .return_values(ReturnValue::UpdatedOld)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match self.call("UpdateItem", self.admit()?, request.send()).await {
                Ok(output) => {
                    let created = output.attributes.is_none_or(|before| !before.contains_key("version"));
                    return Ok(Put { version, created });
                }
                Err(error) => error,
            };
            let Some(UpdateItemError::ConditionalCheckFailedException(e)) = error.as_service_error() else {
                return Err(failure(error));
            };
            if let Some(item) = e.item().filter(|item| is_version(Some(item), version)) {
                // Our own write: its first answer was lost and the SDK sent it again.
                let created = items::parsed(item, "created_at").ok() == Some(version.millis());
                return Ok(Put { version, created });
            }
            let current = e.item().map(items::version).transpose()?;
            if !precondition.holds(current) {
                return Err(StoreError::PreconditionFailed);
            }
            version = self.clock.after(current);
        }
        Err(StoreError::Contended)
    }

    /// Removes a document where the precondition holds; one that is gone already stays gone, and that is no error. The
    /// version is above the removed one.
    pub async fn delete(&self, id: &DocumentId, precondition: &Precondition) -> Result<Version, StoreError> {
        let mut request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(items::document_key(id)))
            .return_values(ReturnValue::AllOld);
        if let Some(condition) = precondition.condition() {
            request = request
                .condition_expression(format!("{} OR ({})", items::IS_NEW, condition.expression))
                .set_expression_attribute_values((!condition.values.is_empty()).then_some(condition.values));
        }
        let output = self.call("DeleteItem", self.admit()?, request.send()).await.map_err(failure)?;
        Ok(self.clock.after(output.attributes.as_ref().map(items::version).transpose()?))
    }

    /// A version above that of every write that was begun here: for one whose outcome is not known.
    pub fn version_now(&self) -> Version {
        self.clock.after(None)
    }

    /// Whether a call would be made now, or refused at once.
    pub(super) fn admits(&self) -> bool {
        self.breaker.admits()
    }

    /// Leave to make one call, unless the store failed too often in a row: then nobody waits for it.
    pub(super) fn admit(&self) -> Result<Permit, StoreError> {
        self.breaker.admit().ok_or(StoreError::Resting)
    }

    /// Makes one call, counts it and tells the breaker.
    pub(super) async fn call<T, E: ProvideErrorMetadata, R>(
        &self,
        operation: &'static str,
        permit: Permit,
        request: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, SdkError<E, R>> {
        let started = Instant::now();
        let result = request.await;
        let fault = result.as_ref().err().map(|error| failure(error));
        self.metrics.observe(operation, fault.as_ref().map_or("ok", StoreError::label), started.elapsed());
        match fault.filter(StoreError::is_outage) {
            Some(fault) => {
                if permit.failure() {
                    self.metrics.breaker_open.set(1);
                    tracing::error!(%fault, operation, "the store failed too often in a row: it rests for a moment");
                }
            }
            None => {
                if permit.success() {
                    self.metrics.breaker_open.set(0);
                    tracing::info!(operation, "the store answers again");
                }
            }
        }
        result
    }
}

fn is_version(item: Option<&Item>, version: Version) -> bool {
    item.is_some_and(|item| items::version(item).ok() == Some(version))
}
