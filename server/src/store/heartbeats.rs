//! What instances say of themselves, each in an item of its own: the table is the one thing that they all know.

use aws_sdk_dynamodb::types::AttributeValue;

use super::failure::failure;
use super::{DynamoDb, StoreError, items};

/// Pages of a fleet that are read, of 1 MiB each: some 3,000 instances in one.
const PAGES: usize = 4;

/// One instance's last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The instance's id; there is one item for each.
    pub instance: String,
    /// When it was written, in milliseconds since 1970, by the instance's clock.
    pub at: u64,
    /// From when on it is taken for gone, in seconds since 1970.
    pub expires_at: u64,
    /// What it says, as a JSON object. Instances of two versions need not say the same.
    pub says: String,
}

impl DynamoDb {
    /// Puts an instance's word in place of its last one.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(&self.table).set_item(Some(items::heartbeat_item(heartbeat)));
        self.call("PutItem", self.admit()?, request.send()).await.map_err(failure)?;
        Ok(())
    }

    /// Takes an instance's word away.
    pub async fn forget(&self, instance: &str) -> Result<(), StoreError> {
        let key = items::heartbeat_key(instance);
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        self.call("DeleteItem", self.admit()?, request.send()).await.map_err(failure)?;
        Ok(())
    }

    /// The last words of all instances that are not gone at `now`, in seconds since 1970, by id.
    pub async fn heartbeats(&self, now: u64) -> Result<Vec<Heartbeat>, StoreError> {
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..PAGES {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#shard = :shard")
                // What expired may stand for days before DynamoDB removes it.
                .filter_expression("expires_at > :now")
                .expression_attribute_names("#shard", "shard")
                .expression_attribute_values(":shard", AttributeValue::S(items::FLEET.to_owned()))
                .expression_attribute_values(":now", items::number(&now))
                .set_exclusive_start_key(next);
            let output = self.call("Query", self.admit()?, query.send()).await.map_err(failure)?;
            for item in output.items() {
                found.push(items::heartbeat(item)?);
            }
            next = output.last_evaluated_key;
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }
}
