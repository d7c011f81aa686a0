//! What stands in Redis, and how it is read.
//!
//! A document's key holds `<version>:<generation>:<json>`, or `<version>` alone: a tombstone, which says that nothing
//! older may be filled in. Whatever else is found there was not written by us and counts as nothing; the next fill or
//! invalidation overwrites it.

use bytes::Bytes;
use uuid::Uuid;

use crate::model::{DocumentId, Version};

/// The version of all this: of the keys, of the values, of what they mean. A release that changes it shares nothing
/// with one that has another, which is what a rollout needs.
const LAYOUT: &str = "1";

/// Digits of the greatest version.
const VERSION_BYTES: usize = 20;

/// Hexadecimal digits of a generation.
pub(super) const GENERATION_BYTES: usize = 32;

/// The most that stands before the JSON.
pub(super) const HEAD_BYTES: usize = VERSION_BYTES + 1 + GENERATION_BYTES + 1;

/// A document as the shared cache has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which writing of it this is.
    pub version: Version,
    /// Its JSON text.
    pub json: Bytes,
}

/// A period of the cache, named by chance: entries of another count as absent. A new one is how everything is
/// invalidated at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation(Box<str>);

/// The names of the keys of one table.
///
/// `tideline:<layout>:<table>:doc:<id>` and two more beside `doc`. Neither tables' names nor ids have a colon, so no id
/// is taken for one of those.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    /// Holds the generation.
    pub(super) generation: String,
    /// Holds the `run_id` of the server that the generation was made on.
    pub(super) server: String,
}

/// What a document's key holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing, a tombstone, or an entry of another generation.
    Nothing,
    /// A document.
    Entry(Entry),
    /// Something that we did not write.
    Malformed,
}

impl Generation {
    /// One that never was.
    pub(super) fn fresh() -> Self {
        Self(Uuid::new_v4().simple().to_string().into())
    }

    /// One as Redis has it, if it is one.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let text = std::str::from_utf8(text).ok().filter(|_| digits && text.len() == GENERATION_BYTES)?;
        Some(Self(text.into()))
    }

    /// As Redis has it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Keys {
    pub(super) fn new(table: &str) -> Self {
        let prefix = format!("tideline:{LAYOUT}:{table}:");
        Self { generation: format!("{prefix}generation"), server: format!("{prefix}server"), prefix }
    }

    pub(super) fn document(&self, id: &DocumentId) -> String {
        format!("{}doc:{}", self.prefix, id.as_str())
    }
}

/// The value of an entry.
pub(super) fn write(version: Version, generation: &Generation, json: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD_BYTES + json.len());
    value.extend_from_slice(version.to_string().as_bytes());
    value.push(b':');
    value.extend_from_slice(generation.as_str().as_bytes());
    value.push(b':');
    value.extend_from_slice(json);
    value
}

/// What a value is, of which an empty one stands for none.
pub(super) fn read(value: Vec<u8>, generation: &Generation, max_json: usize) -> Held {
    if value.is_empty() {
        return Held::Nothing;
    }
    let digits = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
    let Some(version) = version(&value[..digits]) else {
        return Held::Malformed;
    };
    if digits == value.len() {
        return Held::Nothing;
    }
    let head = digits + 1 + GENERATION_BYTES + 1;
    let Some(theirs) = value.get(digits + 1..head - 1).and_then(Generation::parse) else {
        return Held::Malformed;
    };
    if theirs != *generation {
        return Held::Nothing;
    }
    // Parsing it all would cost what the cache is to save; this much tells cut or foreign text from ours.
    let json = value.get(head..).unwrap_or_default();
    let object = value.get(head - 1) == Some(&b':') && json.first() == Some(&b'{') && json.last() == Some(&b'}');
    if !object || json.len() > max_json || std::str::from_utf8(json).is_err() {
        return Held::Malformed;
    }
    Held::Entry(Entry { version, json: Bytes::from(value).slice(head..) })
}

/// A version in the one form that we write: digits, without a sign or leading zeros.
fn version(digits: &[u8]) -> Option<Version> {
    let text = std::str::from_utf8(digits).ok()?;
    let version: Version = text.parse().ok()?;
    (version.to_string() == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let generation = Generation::fresh();
        for (number, json) in [("0", "{}"), ("18446744073709551615", r#"{"id":"a:b"}"#)] {
            let value = write(version(number), &generation, json.as_bytes());
            let entry = Entry { version: version(number), json: Bytes::from_static(json.as_bytes()) };
            assert_eq!(read(value.clone(), &generation, json.len()), Held::Entry(entry));
            assert_eq!(read(value.clone(), &Generation::fresh(), json.len()), Held::Nothing);
            assert_eq!(read(value, &generation, json.len() - 1), Held::Malformed);
        }
        assert_eq!(read(Vec::new(), &generation, 9), Held::Nothing);
        assert_eq!(read(b"7".to_vec(), &generation, 9), Held::Nothing, "a tombstone");
    }

    #[test]
    fn what_we_did_not_write_is_malformed() {
        let generation = Generation::fresh();
        let own = generation.as_str();
        let other = own.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A");
        for value in [
            "x".to_owned(),
            ":".to_owned(),
            "07".to_owned(),
            "+7".to_owned(),
            "18446744073709551616".to_owned(),
            "7:".to_owned(),
            "7:short:{}".to_owned(),
            format!("7:{other}:{{}}"),
            format!("7:{own}"),
            format!("7:{own}:"),
            format!("7:{own};{{}}"),
            format!("7:{own}:{{"),
            format!("7:{own}:[]"),
        ] {
            assert_eq!(read(value.clone().into_bytes(), &generation, 100), Held::Malformed, "{value}");
        }
        let mut value = format!("7:{own}:{{").into_bytes();
        value.extend_from_slice(b"\xff}");
        assert_eq!(read(value, &generation, 100), Held::Malformed);
    }

    #[test]
    fn no_document_has_the_key_of_something_else() {
        let keys = Keys::new("documents");
        for id in ["generation", "server"] {
            let key = keys.document(&DocumentId::parse(id).unwrap());
            assert!(key != keys.generation && key != keys.server, "{key}");
        }
    }
}
