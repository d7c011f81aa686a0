//! JSON text to DynamoDB's native types and back, exactly.
//!
//! serde_json scans and unescapes; each value is taken as its raw text first, because only the text of a number is exact
//! and only so can a fault name its place. Nesting is checked on the way down, so the input cannot choose our recursion.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Invalid, MAX_NESTING, number};

/// The longest name of a member, in bytes; DynamoDB's limit for an attribute name.
const MAX_NAME_BYTES: usize = 65_535;

/// Reads one JSON object.
pub(super) fn parse_object(text: &[u8]) -> Result<HashMap<String, AttributeValue>, Invalid> {
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(Invalid::Syntax("the body begins with a byte order mark; send it without".to_owned()));
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| Invalid::Syntax(format!("the body is not UTF-8: see byte {}", error.valid_up_to())))?;
    if text.trim().is_empty() {
        return Err(Invalid::Syntax("the body is empty; send a JSON object".to_owned()));
    }
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| Invalid::Syntax(format!("the body is not JSON: {error}")))?;
    match value(raw, 1)? {
        AttributeValue::M(fields) => Ok(fields),
        _ => Err(Invalid::value("a document is a JSON object: { … }")),
    }
}

fn value(raw: &RawValue, depth: usize) -> Result<AttributeValue, Invalid> {
    let text = raw.get();
    let kind = text.as_bytes().first();
    if depth > MAX_NESTING && matches!(kind, Some(b'{' | b'[')) {
        let fault =
            format!("nested deeper than 32 levels: {MAX_NESTING} objects or arrays and a value in the innermost");
        return Err(Invalid::value(fault));
    }
    Ok(match kind {
        Some(b'{') => AttributeValue::M(object(text, depth)?),
        Some(b'[') => AttributeValue::L(array(text, depth)?),
        Some(b'"') => AttributeValue::S(token(text)?),
        Some(b't' | b'f') => AttributeValue::Bool(token(text)?),
        Some(b'n') => AttributeValue::Null(true),
        _ => AttributeValue::N(number::canonical(text).map_err(|fault| Invalid::value(fault.to_string()))?),
    })
}

/// A text that the first scan found well-formed; what is left to fail is the meaning of escapes (lone surrogates).
fn token<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Invalid> {
    serde_json::from_str(text).map_err(|error| {
        // The position that serde_json appends counts from this value, not from the body: the pointer says where.
        let message = error.to_string();
        Invalid::value(message.split(" at line ").next().unwrap_or(&message))
    })
}

fn object(text: &str, depth: usize) -> Result<HashMap<String, AttributeValue>, Invalid> {
    let Members(members) = token(text)?;
    let mut fields = HashMap::with_capacity(members.len());
    for (name, raw) in members {
        if name.is_empty() {
            return Err(Invalid::value("a member's name cannot be empty").within(&name));
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(Invalid::value(format!("a member's name has over {MAX_NAME_BYTES} bytes")));
        }
        let value = value(raw, depth + 1).map_err(|invalid| invalid.within(&name))?;
        if fields.contains_key(&name) {
            return Err(Invalid::value("this name stands twice in its object").within(&name));
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

fn array(text: &str, depth: usize) -> Result<Vec<AttributeValue>, Invalid> {
    let raws: Vec<&RawValue> = token(text)?;
    let item =
        |(index, raw): (usize, &RawValue)| value(raw, depth + 1).map_err(|invalid| invalid.within(&index.to_string()));
    raws.into_iter().enumerate().map(item).collect()
}

/// An object's members in their order, duplicates included: a map would drop them silently.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// What the fields of an object take in the store, in bytes.
/// Source: DynamoDB, "Item sizes and formats": names and strings in UTF-8; numbers a byte for two digits and one more;
/// lists and maps 3 bytes and 1 for each entry.
pub(super) fn object_size(fields: &HashMap<String, AttributeValue>) -> usize {
    3 + fields.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 2,
        AttributeValue::M(fields) => object_size(fields),
        AttributeValue::L(items) => 3 + items.iter().map(|item| 1 + value_size(item)).sum::<usize>(),
        _ => 1,
    }
}

/// Appends an object's JSON text: `id` first, then the other names in order, so that one value has one text.
pub fn write_object(out: &mut Vec<u8>, fields: &HashMap<String, AttributeValue>) {
    let mut members: Vec<_> = fields.iter().collect();
    members.sort_unstable_by_key(|(name, _)| (*name != "id", *name));
    let mut opening = b'{';
    for (name, value) in members {
        out.push(opening);
        write_string(out, name);
        out.push(b':');
        write_value(out, value);
        opening = b',';
    }
    if opening == b'{' {
        out.push(opening);
    }
    out.push(b'}');
}

/// Appends a value's JSON text. Types that JSON has no word for (binary, sets) were not written by us: `null`.
pub fn write_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => write_string(out, text),
        AttributeValue::N(digits) => match number::canonical(digits) {
            Ok(text) => out.extend_from_slice(text.as_bytes()),
            Err(_) => out.extend_from_slice(b"null"),
        },
        AttributeValue::Bool(true) => out.extend_from_slice(b"true"),
        AttributeValue::Bool(false) => out.extend_from_slice(b"false"),
        AttributeValue::M(fields) => write_object(out, fields),
        AttributeValue::L(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing to a Vec cannot fail; the result is there for writers that can.
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok());
}
