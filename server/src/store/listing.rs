//! A page of the newest documents: the eight shards, each in id order, merged.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::failure::failure;
use super::{DynamoDb, Page, Record, StoreError, items};
use crate::model::DocumentId;

/// A page ends early once it holds this much JSON, in bytes, so that large documents cannot fill the memory: it holds at
/// most this, one document more, and what DynamoDB sends at once for each shard (1 MiB).
const PAGE_BYTES: usize = 1024 * 1024;

/// One shard's documents that are not yet on the page, newest first.
struct Shard {
    number: u8,
    fetched: VecDeque<Record>,
    rest: Rest,
}

/// What of a shard is still to be fetched.
#[derive(Clone)]
enum Rest {
    All,
    Before(String),
    Nothing,
}

impl DynamoDb {
    /// The documents whose ids come before `before` (all, without one), newest id first, `limit` of them at most.
    pub async fn list(&self, before: Option<&str>, limit: usize) -> Result<Page, StoreError> {
        let rest = before.map_or(Rest::All, |id| Rest::Before(id.to_owned()));
        let shard = |number| Shard { number, fetched: VecDeque::new(), rest: rest.clone() };
        let mut shards: Vec<Shard> = (0..DocumentId::SHARDS).map(shard).collect();
        // The ids are spread evenly, so an eighth of the page and some is nearly always enough of each shard.
        let batch = limit / usize::from(DocumentId::SHARDS) + 8;
        let mut page = Page::default();
        let mut bytes = 0;
        loop {
            // A shard with nothing at hand could hold the newest of all: ask before choosing.
            try_join_all(shards.iter_mut().map(|shard| self.refill(shard, batch))).await?;
            let newest = shards.iter_mut().max_by(|a, b| a.newest().cmp(&b.newest()));
            let Some(record) = newest.and_then(|shard| shard.fetched.pop_front()) else {
                return Ok(page);
            };
            if page.records.len() == limit || bytes >= PAGE_BYTES {
                page.more = true;
                return Ok(page);
            }
            bytes += record.json.len();
            page.records.push(record);
        }
    }

    async fn refill(&self, shard: &mut Shard, batch: usize) -> Result<(), StoreError> {
        while shard.fetched.is_empty() {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(false)
                .limit(i32::try_from(batch).unwrap_or(i32::MAX))
                .expression_attribute_names("#shard", "shard")
                .expression_attribute_values(":shard", items::data_shard(shard.number));
            let query = match &shard.rest {
                Rest::Nothing => return Ok(()),
                Rest::All => query.key_condition_expression("#shard = :shard"),
                Rest::Before(id) => query
                    .key_condition_expression("#shard = :shard AND id < :before")
                    .expression_attribute_values(":before", AttributeValue::S(id.clone())),
            };
            let output = self.call("Query", self.admit()?, query.send()).await.map_err(failure)?;
            shard.rest = match &output.last_evaluated_key {
                Some(key) => Rest::Before(items::text(key, "id")?.to_owned()),
                None => Rest::Nothing,
            };
            shard.fetched = output.items().iter().map(items::record).collect::<Result<_, _>>()?;
        }
        Ok(())
    }
}

impl Shard {
    fn newest(&self) -> Option<&DocumentId> {
        self.fetched.front().map(|record| &record.id)
    }
}
