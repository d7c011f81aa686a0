//! Problem documents, RFC 9457.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::Response;

/// An error as the client sees it.
#[derive(Debug)]
pub struct Problem {
    /// The answer's status.
    pub status: StatusCode,
    /// A short name that never changes: the `type` is `urn:tideline:problem:` and this.
    pub name: &'static str,
    /// What kind of thing went wrong, the same for every occurrence.
    pub title: &'static str,
    /// What went wrong this time, and what to do.
    pub detail: String,
    /// RFC 6901 pointer to the place in the body.
    pub pointer: Option<String>,
    /// A header that belongs to the status: `Allow`, `Retry-After`, `Accept-Post`.
    pub header: Option<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    request_id: &'a str,
}

impl Problem {
    /// A problem with neither a place nor a header.
    pub fn new(status: StatusCode, name: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, title, detail: detail.into(), pointer: None, header: None }
    }

    /// The same, for something that will pass: `Retry-After` one second.
    pub fn with_retry(self) -> Self {
        self.with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The same with the header that belongs to its status.
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// The answer, with the id under which the log has the request.
    pub fn response(self, request_id: &str) -> Response {
        let document = Document {
            r#type: format!("urn:tideline:problem:{}", self.name),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            pointer: self.pointer.as_deref(),
            request_id,
        };
        // Strings and a number always serialise.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}
