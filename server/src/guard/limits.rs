//! The numbers.

use std::time::Duration;

/// What a connection's client may take, in bytes and time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A request's head, bytes, default 16 KiB; its trailers likewise. hyper's `max_buf_size` must be at least this.
    pub head_bytes: usize,
    /// Header lines of a request, default 100; its trailers likewise. hyper's `max_headers` must be at least this.
    pub header_lines: usize,
    /// A request's target, bytes, default 8,000: the least that RFC 9112 3 recommends.
    pub target_bytes: usize,
    /// From a request's first byte to the end of its head, default 10 s. Idling before it is hyper's
    /// `header_read_timeout`, which must be well above this.
    pub head_time: Duration,
    /// From the time a body is waited for to its end, default 10 s.
    pub body_time: Duration,
    /// For how long a client may take none of an answer, default 10 s.
    pub write_stall: Duration,
    /// After the last answer, what a client may go on sending, bytes, default 1 MiB: closing at once would make its TCP
    /// discard the answer unread.
    pub linger_bytes: usize,
    /// For how long it may, default 1 s.
    pub linger_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            header_lines: 100,
            target_bytes: 8_000,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            write_stall: Duration::from_secs(10),
            linger_bytes: 1024 * 1024,
            linger_time: Duration::from_secs(1),
        }
    }
}
