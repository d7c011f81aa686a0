//! What the SDKs of CloudWatch ask in CBOR (Smithy's RPC v2) and that is answered here: DescribeAlarms, GetMetricStatistics.

use std::time::{SystemTime, UNIX_EPOCH};

use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};

use super::{Failure, Tree};

/// Deeper is no call of AWS.
const DEPTH: usize = 16;

/// Reads a map of texts, numbers, flags, times and lists of them. Fails on anything else.
pub fn read(body: &[u8]) -> Result<Tree, Failure> {
    if body.is_empty() {
        return Ok(Tree::new());
    }
    value(&mut Decoder::new(body), 0).map_err(|error| Failure::new("SerializationException", error.to_string()))
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Tree, minicbor::decode::Error> {
    if depth > DEPTH {
        return Err(minicbor::decode::Error::message("too deep"));
    }
    Ok(match decoder.datatype()? {
        Type::Map | Type::MapIndef => {
            let (mut tree, length) = (Tree::new(), decoder.map()?);
            let mut read = 0;
            while !ended(decoder, length, read)? {
                let name = text(decoder)?;
                tree.push(&name, value(decoder, depth + 1)?);
                read += 1;
            }
            tree
        }
        Type::Array | Type::ArrayIndef => {
            let (mut members, length) = (Vec::new(), decoder.array()?);
            while !ended(decoder, length, members.len() as u64)? {
                members.push(value(decoder, depth + 1)?);
            }
            Tree::list(members)
        }
        Type::String | Type::StringIndef => Tree::leaf(text(decoder)?),
        Type::Bool => Tree::leaf(decoder.bool()?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            Tree::leaf(decoder.i64()?)
        }
        Type::F16 | Type::F32 | Type::F64 => Tree::leaf(decoder.f64()?),
        // A time, in seconds since 1970.
        Type::Tag => {
            decoder.tag()?;
            value(decoder, depth + 1)?
        }
        Type::Null => {
            decoder.null()?;
            Tree::new()
        }
        other => return Err(minicbor::decode::Error::message(format!("unexpected {other}"))),
    })
}

/// Whether a map or list is at its end: by its length, or by the mark that it has in its place.
fn ended(decoder: &mut Decoder<'_>, length: Option<u64>, read: u64) -> Result<bool, minicbor::decode::Error> {
    match length {
        Some(length) => Ok(read >= length),
        None if decoder.datatype()? == Type::Break => decoder.skip().map(|()| true),
        None => Ok(false),
    }
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, minicbor::decode::Error> {
    if decoder.datatype()? == Type::StringIndef {
        return decoder.str_iter()?.collect();
    }
    decoder.str().map(str::to_owned)
}

/// A value of an answer.
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// A flag.
    Flag(bool),
    /// A point in time.
    Time(SystemTime),
    /// A list.
    List(Vec<Value>),
    /// Named values.
    Map(Vec<(&'static str, Value)>),
}

/// Writes an answer.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _infallible = encode(&mut Encoder::new(&mut out), value);
    out
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn encode(encoder: &mut Encoder<&mut Vec<u8>>, value: &Value) -> Encoded {
    match value {
        Value::Text(text) => encoder.str(text).map(drop),
        Value::Number(number) => encoder.f64(*number).map(drop),
        Value::Flag(flag) => encoder.bool(*flag).map(drop),
        Value::Time(time) => {
            let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            encoder.tag(Tag::new(1))?.f64(seconds).map(drop)
        }
        Value::List(members) => {
            encoder.array(members.len() as u64)?;
            members.iter().try_for_each(|member| encode(encoder, member))
        }
        Value::Map(entries) => {
            encoder.map(entries.len() as u64)?;
            entries.iter().try_for_each(|(name, value)| encode(encoder.str(name)?, value))
        }
    }
}

/// The body of a refusal.
pub fn error(failure: &Failure) -> Vec<u8> {
    write(&Value::Map(vec![
        ("__type", Value::Text(failure.code.clone())),
        ("message", Value::Text(failure.message.clone())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_maps_and_lists_of_either_kind() {
        let mut body = Vec::new();
        let mut encoder = Encoder::new(&mut body);
        encoder
            .begin_map()
            .unwrap()
            .str("AlarmNames")
            .unwrap()
            .begin_array()
            .unwrap()
            .str("a")
            .unwrap()
            .str("b")
            .unwrap();
        encoder.end().unwrap().str("MaxRecords").unwrap().u8(3).unwrap().end().unwrap();
        let tree = read(&body).unwrap();
        assert_eq!(tree.texts("AlarmNames"), ["a", "b"]);
        assert_eq!(tree.number("MaxRecords"), Ok(Some(3)));
    }

    #[test]
    fn refuses_rubbish_and_depth() {
        assert!(read(&[0xbf, 0x61]).is_err());
        assert_eq!(read(&[0x81; 64]).unwrap_err().code, "SerializationException");
        assert_eq!(read(&[]).unwrap(), Tree::new());
    }
}
