//! `/fleet`: the instances that are there, each in its own last words.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, json, with_header};

#[derive(Serialize)]
struct Fleet {
    instances: Vec<Map<String, Value>>,
}

/// `GET /fleet`: at most a second old, beside the age of each word itself.
pub async fn show(app: Arc<App>, _: Request) -> Result<Response, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let mut instances = Vec::new();
    for heartbeat in app.fleet.known(&app).await?.iter() {
        let says = serde_json::from_str::<Map<String, Value>>(&heartbeat.says);
        let mut instance =
            says.map_err(|error| Error::Internal(format!("the word of {}: {error}", heartbeat.instance)))?;
        // By two clocks: the instance's and ours.
        instance.insert("seen_seconds_ago".to_owned(), (now.saturating_sub(heartbeat.at) / 1000).into());
        instances.push(instance);
    }
    let text = serde_json::to_vec(&Fleet { instances }).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(with_header(json(StatusCode::OK, text), CACHE_CONTROL, HeaderValue::from_static("no-store")))
}
