//! `/metrics` on the admin listener, in Prometheus's text format.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, json, with_header};
use crate::metrics;

/// `GET /metrics`.
pub async fn show(app: Arc<App>, _: Request) -> Result<Response, Error> {
    let text = app.metrics.render(app.cache.size()).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(with_header(json(StatusCode::OK, text), CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE)))
}
