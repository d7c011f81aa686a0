//! Creation under a client's key: the document and the record of the key are written together or not at all.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put as PutAction, TransactWriteItem};

use super::failure::failure;
use super::items::{self, Item};
use super::{Created, DynamoDb, IdempotencyKey, StoreError};
use crate::model::{Document, Version};

/// Tries before a key that others keep writing is given up on; between them 20, 40 and 60 ms.
const ATTEMPTS: u32 = 4;

impl DynamoDb {
    /// Stores a document whose id must be new, once for a key: the second time it is what the first time made.
    pub async fn create_once(&self, document: Document, key: &IdempotencyKey) -> Result<Created, StoreError> {
        for attempt in 0..ATTEMPTS {
            tokio::time::sleep(Duration::from_millis(20) * attempt).await;
            let version = self.clock.after(None);
            let Err(error) = self.try_create_once(document.clone(), key, version).await else {
                return Ok(Created::New(version));
            };
            // Also after any other refusal: the key's record says whether an earlier try did it after all.
            if let Some(earlier) = self.recorded(key, version).await? {
                return earlier;
            }
            if !matches!(error, StoreError::Contended) {
                return Err(error);
            }
        }
        Err(StoreError::Contended)
    }

    async fn try_create_once(
        &self,
        document: Document,
        key: &IdempotencyKey,
        version: Version,
    ) -> Result<(), StoreError> {
        let record = items::idempotency_item(key, document.id(), version);
        // An expired record may stand for a while: DynamoDB removes it within days, not at once.
        let record = self.put_action(record, &format!("{} OR expires_at <= :now", items::IS_NEW));
        let record = record.expression_attribute_values(":now", items::number(&(version.millis() / 1000)));
        let document = self.put_action(items::document_item(document, version), items::IS_NEW);
        let mut request = self.client.transact_write_items();
        for action in [document, record] {
            let put = action.build().map_err(|error| StoreError::Disagreement(error.to_string()))?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        let Err(error) = self.call("TransactWriteItems", self.admit()?, request.send()).await else {
            return Ok(());
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return Err(failure(error));
        };
        let codes: Vec<&str> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
        Err(match codes.as_slice() {
            // Of the key's record only: whoever wrote it tells the rest.
            ["None", "ConditionalCheckFailed"] => StoreError::Contended,
            ["ConditionalCheckFailed", _] => StoreError::AlreadyExists,
            codes if codes.contains(&"TransactionConflict") => StoreError::Contended,
            codes if codes.contains(&"ThrottlingError") => StoreError::Throttled(codes.join(", ")),
            codes if codes.contains(&"ValidationError") => StoreError::TooLarge,
            codes => StoreError::Disagreement(format!("the transaction was cancelled: {}", codes.join(", "))),
        })
    }

    fn put_action(&self, item: Item, condition: &str) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        PutAction::builder().table_name(&self.table).set_item(Some(item)).condition_expression(condition)
    }

    /// What the key's record says, if there is one that has not expired at `now`.
    async fn recorded(
        &self,
        key: &IdempotencyKey,
        now: Version,
    ) -> Result<Option<Result<Created, StoreError>>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.set_key(Some(items::idempotency_key(&key.key)));
        let output = self.call("GetItem", self.admit()?, request.send()).await.map_err(failure)?;
        let Some(item) = output.item else { return Ok(None) };
        if items::parsed::<u64>(&item, "expires_at")? <= now.millis() / 1000 {
            return Ok(None);
        }
        if items::text(&item, "fingerprint")? != key.fingerprint {
            return Ok(Some(Err(StoreError::KeyReused)));
        }
        let id = items::document_id(items::text(&item, "created")?)?;
        Ok(Some(Ok(Created::Replayed(id, items::version(&item)?))))
    }
}
