//! HTTP's own matters, apart from what any one resource means: bodies, problem documents, conditional requests, answers.

mod body;
mod conditional;
mod idempotency;
mod problem;
mod request_id;
mod response;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};

pub use body::read_json;
pub use conditional::{Freshness, entity_tag, freshness, precondition};
pub use idempotency::idempotency_key;
pub use problem::Problem;
pub use request_id::RequestIds;
pub use response::{empty, json, last_modified, with_header};

/// A request as it comes from the connection.
pub type Request = http::Request<Incoming>;

/// An answer, its body whole: a page of documents is the largest, and has a bound.
pub type Response = http::Response<Full<Bytes>>;
