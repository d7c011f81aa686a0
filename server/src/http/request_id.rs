//! The name of a request, in its answer, its log line and its problem document.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

/// The longest id that is taken over, in characters.
const MAX_LENGTH: usize = 128;

/// Makes ids: a part drawn once for the process and a count, which costs less than drawing each.
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    count: AtomicU64,
}

impl RequestIds {
    /// The ids of a new process.
    pub fn new() -> Self {
        Self { process: Uuid::new_v4().as_fields().0, count: AtomicU64::new(0) }
    }

    /// The id that came with a request, if it is a valid one (1 to 128 letters, digits and `- . _ ~`), else a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        headers.get("x-request-id").filter(|value| is_valid(value.as_bytes())).cloned().unwrap_or_else(|| self.next())
    }

    fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:08x}-{count:x}", self.process);
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unnamed"))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

fn is_valid(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    !id.is_empty() && id.len() <= MAX_LENGTH && id.iter().all(allowed)
}
