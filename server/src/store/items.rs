//! The table's layout: which attributes an item has, where it lives, and the conditions its writes carry.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Heartbeat, IDEMPOTENCY_LIFETIME, IdempotencyKey, Precondition, Record, StoreError};
use crate::model::{Document, DocumentId, Version, shard_of, write_value};

pub(super) type Item = HashMap<String, AttributeValue>;

/// The condition of a write that must not replace anything.
pub(super) const IS_NEW: &str = "attribute_not_exists(id)";

/// Partition key of the instances' heartbeats. One partition takes 1,000 writes a second: 5,000 instances.
pub(super) const FLEET: &str = "fleet";

/// Partition key of a document's shard, `data#0` to `data#7`.
pub(super) fn data_shard(shard: u8) -> AttributeValue {
    AttributeValue::S(format!("data#{shard}"))
}

/// The key of a document's item.
pub(super) fn document_key(id: &DocumentId) -> Item {
    key(data_shard(id.shard()), id.as_str())
}

/// The key of an idempotency record: shards of its own, spread like the documents.
pub(super) fn idempotency_key(text: &str) -> Item {
    key(AttributeValue::S(format!("idempotency#{}", shard_of(text))), text)
}

/// The key of an instance's heartbeat.
pub(super) fn heartbeat_key(instance: &str) -> Item {
    key(AttributeValue::S(FLEET.to_owned()), instance)
}

/// A key that no item has: reading it tells that the table answers.
pub(super) fn probe_key() -> Item {
    key(AttributeValue::S("status".to_owned()), "probe")
}

fn key(shard: AttributeValue, id: &str) -> Item {
    HashMap::from([("shard".to_owned(), shard), ("id".to_owned(), AttributeValue::S(id.to_owned()))])
}

/// The whole item of a document written for the first time. Its times are its version's.
pub(super) fn document_item(document: Document, version: Version) -> Item {
    let mut item = document_key(document.id());
    item.insert("version".to_owned(), number(&version));
    item.insert("created_at".to_owned(), number(&version.millis()));
    item.insert("updated_at".to_owned(), number(&version.millis()));
    item.insert("doc".to_owned(), document.into_value());
    item
}

/// The record that a creation leaves, so that it can be answered again: what was made, and from which body.
pub(super) fn idempotency_item(key: &IdempotencyKey, created: &DocumentId, version: Version) -> Item {
    let mut item = idempotency_key(&key.key);
    item.insert("fingerprint".to_owned(), AttributeValue::S(key.fingerprint.clone()));
    item.insert("created".to_owned(), AttributeValue::S(created.to_string()));
    item.insert("version".to_owned(), number(&version));
    item.insert("expires_at".to_owned(), number(&(version.millis() / 1000 + IDEMPOTENCY_LIFETIME.as_secs())));
    item
}

/// The whole item of a heartbeat.
pub(super) fn heartbeat_item(heartbeat: &Heartbeat) -> Item {
    let mut item = heartbeat_key(&heartbeat.instance);
    item.insert("says".to_owned(), AttributeValue::S(heartbeat.says.clone()));
    item.insert("updated_at".to_owned(), number(&heartbeat.at));
    item.insert("expires_at".to_owned(), number(&heartbeat.expires_at));
    item
}

/// A heartbeat from its item.
pub(super) fn heartbeat(item: &Item) -> Result<Heartbeat, StoreError> {
    Ok(Heartbeat {
        instance: text(item, "id")?.to_owned(),
        at: parsed(item, "updated_at")?,
        expires_at: parsed(item, "expires_at")?,
        says: text(item, "says")?.to_owned(),
    })
}

pub(super) fn number(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A document from its item.
pub(super) fn record(item: &Item) -> Result<Record, StoreError> {
    let id = document_id(text(item, "id")?)?;
    let doc = item.get("doc").ok_or_else(|| StoreError::Disagreement(format!("item {id}: no doc")))?;
    let mut json = Vec::with_capacity(256);
    write_value(&mut json, doc);
    Ok(Record { version: version(item)?, json: json.into(), id })
}

/// An id that was checked before it was stored.
pub(super) fn document_id(text: &str) -> Result<DocumentId, StoreError> {
    DocumentId::parse(text).map_err(|fault| StoreError::Disagreement(format!("id {text:?}: {fault}")))
}

/// An item's version.
pub(super) fn version(item: &Item) -> Result<Version, StoreError> {
    parsed(item, "version")
}

/// A string attribute.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
        .ok_or_else(|| StoreError::Disagreement(format!("an item's {name} is missing or no string")))
}

/// A numeric attribute.
pub(super) fn parsed<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreError> {
    item.get(name)
        .and_then(|value| value.as_n().ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| StoreError::Disagreement(format!("an item's {name} is missing or no number of its kind")))
}

/// A condition expression and the values it names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Condition {
    pub(super) expression: String,
    pub(super) values: Item,
}

impl Precondition {
    /// The same as an expression for DynamoDB to check; none where nothing must hold.
    pub(super) fn condition(&self) -> Option<Condition> {
        self.condition_with("known")
    }

    /// The values' names begin with `prefix`.
    fn condition_with(&self, prefix: &str) -> Option<Condition> {
        let mut values = Item::new();
        let mut bind = |versions: &[Version]| {
            let names: Vec<String> = (0..versions.len()).map(|index| format!(":{prefix}{index}")).collect();
            values.extend(names.iter().cloned().zip(versions.iter().map(number)));
            names.join(", ")
        };
        let expression = match self {
            Self::None => return None,
            Self::Exists => "attribute_exists(id)".to_owned(),
            Self::Absent => IS_NEW.to_owned(),
            // An empty list: no version can be in it.
            Self::VersionIn(known) if known.is_empty() => {
                "attribute_exists(id) AND attribute_not_exists(id)".to_owned()
            }
            Self::VersionIn(known) => format!("version IN ({})", bind(known)),
            Self::VersionNotIn(known) if known.is_empty() => return None,
            Self::VersionNotIn(known) => format!("{IS_NEW} OR NOT version IN ({})", bind(known)),
            Self::Both(two) => match (two.0.condition_with("first"), two.1.condition_with("second")) {
                (Some(first), Some(second)) => {
                    values.extend(first.values.into_iter().chain(second.values));
                    format!("({}) AND ({})", first.expression, second.expression)
                }
                (first, second) => return first.or(second),
            },
            Self::UnmodifiedSince(moment) => {
                values.insert(":moment".to_owned(), number(moment));
                "updated_at <= :moment".to_owned()
            }
        };
        Some(Condition { expression, values })
    }

    /// Whether it holds of what stands in the store.
    pub(super) fn holds(&self, current: Option<Version>) -> bool {
        match (self, current) {
            (Self::Both(two), _) => two.0.holds(current) && two.1.holds(current),
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::Absent | Self::VersionNotIn(_), None) => true,
            (Self::VersionIn(known), Some(version)) => known.contains(&version),
            (Self::VersionNotIn(known), Some(version)) => !known.contains(&version),
            (Self::UnmodifiedSince(moment), Some(version)) => version.millis() <= *moment,
            (Self::Absent, Some(_)) | (Self::Exists | Self::VersionIn(_) | Self::UnmodifiedSince(_), None) => false,
        }
    }

    /// The greatest version it names, which a new one must exceed.
    pub(super) fn greatest(&self) -> Option<Version> {
        match self {
            Self::VersionIn(known) => known.iter().max().copied(),
            Self::Both(two) => two.0.greatest().max(two.1.greatest()),
            _ => None,
        }
    }
}
