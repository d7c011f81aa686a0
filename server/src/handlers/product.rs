//! `/product/{id}`: the same document as `/data/{id}`, through the cache.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::HeaderValue;
use http::header::{AGE, CACHE_CONTROL};

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, with_header};
use crate::routes::document_id;
use crate::store::{Lookup, Source};

use super::data::representation;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// `GET /product/{id}`: the document, how old this knowledge of it is, and whether the cache had it.
pub async fn read(app: Arc<App>, request: Request) -> Result<Response, Error> {
    let id = document_id(&request)?;
    let found = app.cache.read(&app.store, &id).await?;
    let record = found.record.as_ref().ok_or(Error::NoDocument)?;
    let answer = representation(&request, record)?;
    let max_age = match found.source {
        Source::Stale => "no-cache".to_owned(),
        _ => format!("max-age={}", (found.age + found.ttl).as_secs()),
    };
    let answer = with_header(answer, CACHE_CONTROL, value(max_age)?);
    let answer = with_header(answer, AGE, HeaderValue::from(whole_seconds(found.age)));
    Ok(with_header(answer, CACHE_STATUS, value(cache_status(&found))?))
}

/// RFC 9211.
fn cache_status(found: &Lookup) -> String {
    let ttl = found.ttl.as_secs();
    match found.source {
        Source::Hit => format!("Tideline; hit; ttl={ttl}"),
        Source::Stale => format!("Tideline; hit; ttl=-{}; detail=store-unavailable", whole_seconds(found.age)),
        Source::Store if found.ttl.is_zero() => "Tideline; fwd=bypass".to_owned(),
        Source::Store => format!("Tideline; fwd=miss; stored; ttl={ttl}"),
    }
}

/// Rounded up: an age is never told too young.
fn whole_seconds(age: Duration) -> u64 {
    age.as_secs() + u64::from(age.subsec_nanos() > 0)
}

fn value(text: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text).map_err(|error| Error::Internal(error.to_string()))
}
