//! Document ids and where they live in the table.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

/// The name of a document: 1 to 128 characters that need no escaping in a URL (`A-Z a-z 0-9 - . _ ~`), not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(String);

/// The longest id, in characters, which are bytes here.
const MAX_LENGTH: usize = 128;

impl DocumentId {
    /// How many shards the documents are spread over. A part of the table's layout: it never changes.
    pub const SHARDS: u8 = 8;

    /// Checks an id. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(format!("an id has 1 to {MAX_LENGTH} characters, this one has {}", text.chars().count()));
        }
        if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~".contains(*c))) {
            return Err(format!("an id has letters, digits and - . _ ~ only, this one has {odd:?}"));
        }
        if matches!(text, "." | "..") {
            return Err("an id cannot be . or .., which URLs resolve away".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The id in a document's `id` member: a string, or an integer, which stands for its decimal digits.
    pub fn from_value(value: &AttributeValue) -> Result<Self, String> {
        match value {
            AttributeValue::S(text) => Self::parse(text),
            // Numbers are canonical here: an integer has neither point nor exponent.
            AttributeValue::N(digits) if digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') => Self::parse(digits),
            _ => Err("an id is a string or an integer".to_owned()),
        }
    }

    /// A new UUIDv7: ids made later sort later, within a process even in the same millisecond.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a document's `id` member.
    pub fn to_value(&self) -> AttributeValue {
        AttributeValue::S(self.0.clone())
    }

    /// The shard it lives in, 0 to 7: see [`shard_of`].
    pub fn shard(&self) -> u8 {
        shard_of(&self.0)
    }
}

/// FNV-1a (32 bits) of the name's bytes, modulo 8. Written out because it is a part of the table's layout: no
/// library's next version may change it.
pub fn shard_of(name: &str) -> u8 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % u32::from(DocumentId::SHARDS)) as u8
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_where_they_have_always_been() {
        // Fixed for ever: a change here would lose every stored document.
        let shards: Vec<u8> = ["", "a", "b", "foobar", "0192f7a0-0000-7000-8000-000000000000"].map(shard_of).into();
        assert_eq!(shards, [5, 4, 5, 0, 4]);
    }

    #[test]
    fn shards_are_even() {
        let mut counts = [0_u32; 8];
        (0..8_000).for_each(|_| counts[usize::from(DocumentId::generate().shard())] += 1);
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn ids_are_checked() {
        for good in ["a", "7", "-7", "serde-1.0.229", "~_.", &"x".repeat(128)] {
            assert!(DocumentId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", "a\0", "%41", "a\\", &"x".repeat(129)] {
            assert!(DocumentId::parse(bad).is_err(), "{bad}");
        }
    }
}
