//! What the service stores: a JSON object with an id.
//!
//! Validation lives here and nowhere else: a [`Document`] that exists can be stored exactly, and comes back equal.

mod id;
mod json;
mod number;
mod version;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use thiserror::Error;

pub use id::{DocumentId, shard_of};
pub use json::{write_object, write_value};
pub use version::{Version, VersionClock};

/// The largest item DynamoDB stores, in bytes, names and values together.
/// Source: "Service, account, and table quotas in Amazon DynamoDB", item size.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Objects and arrays inside each other, the document itself being the first. DynamoDB's 32 levels (the same page, "nested
/// attribute depth") count the value in the innermost as well: it refuses 32 objects or arrays inside each other.
pub const MAX_NESTING: usize = 31;

/// What the item's other attributes may take (keys, version, times, idempotency), in bytes; an upper bound.
const ENVELOPE_BYTES: usize = 512;

/// A JSON object that can be stored: at most 32 levels deep, numbers of at most 38 digits, under 400 KB.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    id: DocumentId,
    fields: HashMap<String, AttributeValue>,
}

/// Why a text is not a [`Document`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Invalid {
    /// It is not JSON at all.
    #[error("{0}")]
    Syntax(String),
    /// It is JSON, but one value in it cannot be stored as it is.
    #[error("{fault}")]
    Value {
        /// RFC 6901 pointer to the value; empty for the whole document.
        pointer: String,
        /// What is wrong with it, and what would be right.
        fault: String,
    },
    /// It is more than DynamoDB stores in one item.
    #[error("the document takes {size} bytes in the store, the most is {}; split it", MAX_ITEM_BYTES - ENVELOPE_BYTES)]
    TooLarge {
        /// Its size in the store, bytes.
        size: usize,
    },
}

impl Invalid {
    fn value(fault: impl Into<String>) -> Self {
        Self::Value { pointer: String::new(), fault: fault.into() }
    }

    /// The same fault, seen from the object or array that holds the value under `key`.
    fn within(self, key: &str) -> Self {
        match self {
            Self::Value { pointer, fault } => {
                Self::Value { pointer: format!("/{}{pointer}", key.replace('~', "~0").replace('/', "~1")), fault }
            }
            other => other,
        }
    }
}

impl Document {
    /// Reads a document whose `id` may be absent: then it gets a new UUIDv7, so that id order is the order of creation.
    pub fn parse_new(text: &[u8]) -> Result<Self, Invalid> {
        let mut fields = json::parse_object(text)?;
        let id = match fields.get("id") {
            Some(value) => DocumentId::from_value(value).map_err(|fault| Invalid::value(fault).within("id"))?,
            None => DocumentId::generate(),
        };
        fields.entry("id".to_owned()).or_insert_with(|| id.to_value());
        Self::new(id, fields)
    }

    /// Reads the document that is to stand at `id`; an `id` inside must name the same.
    pub fn parse_at(id: DocumentId, text: &[u8]) -> Result<Self, Invalid> {
        let mut fields = json::parse_object(text)?;
        if let Some(value) = fields.get("id") {
            let inside = DocumentId::from_value(value).map_err(|fault| Invalid::value(fault).within("id"))?;
            if inside != id {
                let fault = format!(
                    "the document names itself {inside:?}, the URL says {id:?}; leave `id` out or make them the same"
                );
                return Err(Invalid::value(fault).within("id"));
            }
        } else {
            fields.insert("id".to_owned(), id.to_value());
        }
        Self::new(id, fields)
    }

    fn new(id: DocumentId, fields: HashMap<String, AttributeValue>) -> Result<Self, Invalid> {
        let size = json::object_size(&fields);
        if size > MAX_ITEM_BYTES - ENVELOPE_BYTES {
            return Err(Invalid::TooLarge { size });
        }
        Ok(Self { id, fields })
    }

    /// Its id.
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// The same document under another id, where it did not bring one of its own.
    pub fn with_id(mut self, id: DocumentId) -> Self {
        self.fields.insert("id".to_owned(), id.to_value());
        self.id = id;
        self
    }

    /// The JSON text, `id` first and the other names in order.
    pub fn to_json(&self) -> Bytes {
        let mut text = Vec::with_capacity(256);
        write_object(&mut text, &self.fields);
        text.into()
    }

    /// The native DynamoDB value, for the item's `doc` attribute.
    pub fn into_value(self) -> AttributeValue {
        AttributeValue::M(self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (String, String) {
        match Document::parse_new(text.as_bytes()) {
            Err(Invalid::Value { pointer, fault }) => (pointer, fault),
            other => panic!("{text}: expected a fault with a place, got {other:?}"),
        }
    }

    #[test]
    fn a_document_without_an_id_gets_one_that_sorts_after_the_one_before() {
        let first = Document::parse_new(b"{}").unwrap();
        let second = Document::parse_new(b"{}").unwrap();
        assert!(first.id() < second.id());
        assert_eq!(first.to_json(), format!("{{\"id\":\"{}\"}}", first.id()));
    }

    #[test]
    fn an_integer_id_stays_an_integer() {
        let document = Document::parse_new(br#"{"a":1,"id":7}"#).unwrap();
        assert_eq!(document.id().as_str(), "7");
        assert_eq!(document.to_json(), r#"{"id":7,"a":1}"#);
    }

    #[test]
    fn faults_name_their_place() {
        assert_eq!(fault(r#"{"a":[{"b/c":1e126}]}"#).0, "/a/0/b~1c");
        assert_eq!(fault(r#"{"a":{"x":1,"x":2}}"#).0, "/a/x");
        assert_eq!(fault(r#"{"a":{"":1}}"#).0, "/a/");
        assert_eq!(fault(r#"{"a":"\ud800"}"#).0, "/a");
        assert_eq!(fault(r#"{"id":"a b"}"#).0, "/id");
        assert_eq!(fault(r#"{"id":1.5}"#).0, "/id");
        assert_eq!(fault("[]").0, "");
    }

    #[test]
    fn depth_is_bounded_without_recursion_on_the_input() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(Document::parse_new(nested(MAX_NESTING).as_bytes()).is_ok());
        assert!(fault(&nested(MAX_NESTING + 1)).1.contains("32"));
        assert!(fault(&nested(100_000)).1.contains("32"));
        let open = "[".repeat(100_000);
        assert!(matches!(Document::parse_new(open.as_bytes()), Err(Invalid::Syntax(_))));
    }

    #[test]
    fn size_is_checked_as_the_store_counts_it() {
        let of = |bytes: usize| format!(r#"{{"id":"a","t":"{}"}}"#, "x".repeat(bytes));
        assert!(Document::parse_new(of(MAX_ITEM_BYTES - ENVELOPE_BYTES - 20).as_bytes()).is_ok());
        assert!(matches!(Document::parse_new(of(MAX_ITEM_BYTES).as_bytes()), Err(Invalid::TooLarge { .. })));
    }

    #[test]
    fn the_id_in_the_url_and_inside_must_agree() {
        let id = DocumentId::parse("7").unwrap();
        assert!(Document::parse_at(id.clone(), br#"{"id":7}"#).is_ok());
        assert!(Document::parse_at(id.clone(), b"{}").is_ok());
        assert!(
            matches!(Document::parse_at(id, br#"{"id":8}"#), Err(Invalid::Value { pointer, .. }) if pointer == "/id")
        );
    }
}
