//! `/health`, which the balancer asks, and `/live`, which this machine asks. Neither asks the store: when DynamoDB is
//! out, a fleet that serves errors is worth more than one that is being terminated.

use std::sync::Arc;

use http::StatusCode;

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, empty};
use crate::lifecycle::Phase;

/// `GET /health`: 200 while requests are welcome, 503 before and after.
pub async fn ready(app: Arc<App>, _: Request) -> Result<Response, Error> {
    let welcome = app.lifecycle.phase() == Phase::Ready;
    Ok(empty(if welcome { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }))
}

/// `GET /live`: 200 as long as anything answers.
pub async fn live(_: Arc<App>, _: Request) -> Result<Response, Error> {
    Ok(empty(StatusCode::OK))
}
