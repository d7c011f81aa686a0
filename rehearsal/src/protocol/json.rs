//! What other SDKs of CloudWatch, as that of Python, ask in JSON and that is answered here.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Number, Value as Json};

use super::cbor::Value;
use super::{Failure, Tree};

/// Reads an object. Fails on anything else.
pub fn read(body: &[u8]) -> Result<Tree, Failure> {
    let invalid = |error: String| Failure::new("SerializationException", error);
    match serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))? {
        object @ Json::Object(_) => Ok(tree(object)),
        other => Err(invalid(format!("{other} is no object"))),
    }
}

fn tree(json: Json) -> Tree {
    match json {
        Json::Null => Tree::new(),
        Json::Bool(flag) => Tree::leaf(flag),
        Json::Number(number) => Tree::leaf(number),
        Json::String(text) => Tree::leaf(text),
        Json::Array(members) => Tree::list(members.into_iter().map(tree)),
        Json::Object(fields) => fields.into_iter().fold(Tree::new(), |all, (name, value)| all.with(&name, tree(value))),
    }
}

/// Writes an answer. Times are in seconds since 1970.
pub fn write(value: &Value) -> String {
    json(value).to_string()
}

fn json(value: &Value) -> Json {
    let number = |number| Number::from_f64(number).map_or(Json::Null, Json::Number);
    match value {
        Value::Text(text) => Json::String(text.clone()),
        Value::Number(value) => number(*value),
        Value::Flag(flag) => Json::Bool(*flag),
        Value::Time(at) => number(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()),
        Value::List(members) => Json::Array(members.iter().map(json).collect()),
        Value::Map(fields) => {
            Json::Object(fields.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reads_what_is_asked() {
        let tree =
            read(br#"{"AlarmNames": ["a", "b\n"], "MaxRecords": 5, "None": null, "In": {"Flag": true}}"#).unwrap();
        assert_eq!(tree.texts("AlarmNames"), ["a", "b\n"]);
        assert_eq!(tree.number("MaxRecords"), Ok(Some(5)));
        assert_eq!((tree.flag("In.Flag"), tree.text("None")), (Ok(Some(true)), None));
        for wrong in ["", "[]", "{", "1"] {
            assert_eq!(read(wrong.as_bytes()).unwrap_err().code, "SerializationException", "{wrong}");
        }
    }

    #[test]
    fn writes_what_is_answered() {
        let answer = Value::Map(vec![
            ("Name", Value::Text("a \"b\"".to_owned())),
            ("At", Value::Time(UNIX_EPOCH + Duration::from_millis(1500))),
            ("All", Value::List(vec![Value::Flag(true), Value::Number(0.5), Value::Number(f64::NAN)])),
        ]);
        let read: Json = serde_json::from_str(&write(&answer)).unwrap();
        assert_eq!(read, serde_json::json!({"Name": "a \"b\"", "At": 1.5, "All": [true, 0.5, null]}));
    }
}
