//! `/openapi.json`: the description of the service, OpenAPI 3.1. A test calls every operation in it.

use std::sync::Arc;

use http::StatusCode;

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, json};
use crate::version::VERSION;

const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub async fn show(_: Arc<App>, _: Request) -> Result<Response, Error> {
    Ok(json(StatusCode::OK, DESCRIPTION.replace("{{version}}", VERSION)))
}
