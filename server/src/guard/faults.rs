//! What was refused, and the way from the connection's bytes to its service.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, StatusCode};
use uuid::Uuid;

/// The header that marks a request of the guard's own making. From a client it means nothing.
pub(super) const REFUSED: &str = "x-tideline-refused";

/// What kind of rule was broken: for labels and names, of which there must be few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A line does not end in CRLF.
    LineEnd,
    /// The request line is no method, target and version.
    RequestLine,
    /// The method cannot be used here at all.
    Method,
    /// The target has a form or a byte it may not have.
    Target,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    Version,
    /// A header or trailer line is malformed.
    Field,
    /// `Host` is missing, repeated, invalid, or not the target's.
    Host,
    /// It cannot be told for certain where the body ends.
    Framing,
    /// `Expect` asks for something else than `100-continue`.
    Expectation,
    /// Over a limit in bytes or lines.
    TooLarge,
    /// Over a limit in time.
    Slow,
    /// The client stopped sending in the middle.
    Incomplete,
}

impl Kind {
    /// A short name that never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::LineEnd => "bad-line-end",
            Self::RequestLine => "bad-request-line",
            Self::Method => "bad-method",
            Self::Target => "bad-target",
            Self::Version => "bad-version",
            Self::Field => "bad-field",
            Self::Host => "bad-host",
            Self::Framing => "bad-framing",
            Self::Expectation => "bad-expectation",
            Self::TooLarge => "request-too-large",
            Self::Slow => "request-too-slow",
            Self::Incomplete => "request-incomplete",
        }
    }
}

/// A broken rule, before it is known whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) kind: Kind,
    pub(super) detail: &'static str,
}

impl Fault {
    pub(super) const fn new(status: StatusCode, kind: Kind, detail: &'static str) -> Self {
        Self { status, kind, detail }
    }

    /// 400, which most of them are.
    pub(super) const fn bad(kind: Kind, detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail)
    }
}

/// A request that the service has to refuse, because hyper would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The answer's status.
    pub status: StatusCode,
    /// The rule that was broken.
    pub kind: Kind,
    /// For the client: what to send instead.
    pub detail: &'static str,
    /// For the log: the method, if the request line was in order. Of a body, the service has the request itself.
    pub method: Option<String>,
    /// For the log: the path, likewise.
    pub path: Option<String>,
}

impl From<Fault> for Refusal {
    fn from(Fault { status, kind, detail }: Fault) -> Self {
        Self { status, kind, detail, method: None, path: None }
    }
}

/// What the guard of a connection tells the service of that connection.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFaults(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot {
    /// Whether there is anything at all, so that a good request costs no lock.
    any: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// With the nonce of the request that stands in its place.
    head: Option<(String, Refusal)>,
    body: Option<Refusal>,
}

impl ConnectionFaults {
    /// The refusal in whose place a request with these `headers` stands; `None` for a client's own request, whatever it
    /// has in them. Ask before anything else, and answer with the refusal: such a request has no other meaning.
    pub fn take_refused(&self, headers: &HeaderMap) -> Option<Refusal> {
        if !self.any() {
            return None;
        }
        let sent = headers.get(REFUSED)?;
        let mut found = self.found();
        let (nonce, refusal) = found.head.take()?;
        if sent.as_bytes() == nonce.as_bytes() {
            return Some(refusal);
        }
        found.head = Some((nonce, refusal));
        None
    }

    /// Why the body of the request being handled ended in an error, if that was the guard's doing. Answer with it, and
    /// with `Connection: close`, which hyper carries out in any case but does not say.
    pub fn body_refusal(&self) -> Option<Refusal> {
        if self.any() { self.found().body.clone() } else { None }
    }

    /// Records a head. The nonce is drawn only now, when nothing the client sends can reach hyper any more: no client can
    /// have sent it.
    pub(super) fn refuse_head(&self, refusal: Refusal) -> String {
        let nonce = Uuid::new_v4().to_string();
        self.found().head = Some((nonce.clone(), refusal));
        self.0.any.store(true, Ordering::Release);
        nonce
    }

    pub(super) fn refuse_body(&self, refusal: Refusal) {
        self.found().body = Some(refusal);
        self.0.any.store(true, Ordering::Release);
    }

    fn any(&self) -> bool {
        self.0.any.load(Ordering::Acquire)
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // Each change is one assignment: a panic elsewhere leaves nothing half done.
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
