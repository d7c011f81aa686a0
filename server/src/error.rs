//! Every way a request can fail, and the one mapping from there to a status and a problem document.
//!
//! An error's `Display` is for the log and may name internals; [`Error::problem`] is for the client and never does.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, ALLOW, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use thiserror::Error;

use crate::guard::Refusal;
use crate::http::Problem;
use crate::model::Invalid;
use crate::store::StoreError;

/// Why a request was not done.
#[derive(Debug, Error)]
pub enum Error {
    /// No route has this path.
    #[error("no such path")]
    UnknownPath,
    /// The route has no such method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The methods it has.
        allow: HeaderValue,
    },
    /// There is no document of this id.
    #[error("no such document")]
    NoDocument,
    /// The connection's guard refused it: it is no HTTP request to the letter, or too large, or too slow.
    #[error("refused: {}", .0.detail)]
    Refused(Refusal),
    /// The id in the path is none.
    #[error("bad id: {0}")]
    BadId(String),
    /// A query parameter.
    #[error("bad query: {0}")]
    BadQuery(String),
    /// A header.
    #[error("bad {name}: {fault}")]
    BadHeader {
        /// Its name.
        name: &'static str,
        /// What is wrong, and what would be right.
        fault: String,
    },
    /// The body is not declared to be JSON.
    #[error("unsupported media type {sent:?}")]
    UnsupportedMediaType {
        /// The `Content-Type`; empty where there was none.
        sent: String,
    },
    /// The body is compressed.
    #[error("unsupported content encoding {sent:?}")]
    UnsupportedEncoding {
        /// The `Content-Encoding`.
        sent: String,
    },
    /// The body is over the limit.
    #[error("the body has over {limit} bytes")]
    BodyTooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// The body did not arrive whole.
    #[error("the body did not arrive: {0}")]
    BodyBroken(String),
    /// The body is no document.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// As many requests as may be in flight are.
    #[error("too many requests in flight")]
    Overloaded,
    /// The request's time was over before its answer.
    #[error("no answer within {bound:?}")]
    TookTooLong {
        /// The time.
        bound: Duration,
    },
    /// A write without a token that is known.
    #[error("no write token, or an unknown one")]
    Unauthorized {
        /// Whether some credentials came with it.
        sent: bool,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store, for many readers at once.
    #[error(transparent)]
    SharedStore(#[from] Arc<StoreError>),
    /// A defect: the handler panicked.
    #[error("the handler panicked")]
    Panicked,
    /// A defect: metrics, say, could not be written as text.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// The client's view.
    pub fn problem(&self) -> Problem {
        use StatusCode as S;
        match self {
            Self::UnknownPath => {
                let detail = "there is nothing at this path; /openapi.json lists what there is";
                Problem::new(S::NOT_FOUND, "unknown-path", "No such path", detail)
            }
            Self::MethodNotAllowed { allow } => {
                let methods = allow.to_str().unwrap_or_default();
                let detail = format!("this path answers {methods}");
                let problem = Problem::new(S::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail);
                problem.with_header(ALLOW, allow.clone())
            }
            Self::NoDocument => {
                let detail = "there is no document of this id";
                Problem::new(S::NOT_FOUND, "no-document", "No such document", detail)
            }
            Self::Refused(refusal) => {
                Problem::new(refusal.status, refusal.kind.name(), "Request refused", refusal.detail)
            }
            Self::BadId(fault) => Problem::new(S::BAD_REQUEST, "bad-id", "Not an id", fault.clone()),
            Self::BadQuery(fault) => Problem::new(S::BAD_REQUEST, "bad-query", "Bad query parameter", fault.clone()),
            Self::BadHeader { name, fault } => {
                Problem::new(S::BAD_REQUEST, "bad-header", "Bad header", format!("{name}: {fault}"))
            }
            Self::UnsupportedMediaType { sent } => {
                let what =
                    if sent.is_empty() { "no Content-Type was sent".to_owned() } else { format!("{sent:?} was sent") };
                let detail = format!("send Content-Type: application/json ({what})");
                let status = S::UNSUPPORTED_MEDIA_TYPE;
                let problem = Problem::new(status, "unsupported-media-type", "Not declared as JSON", detail);
                let name = HeaderName::from_static("accept-post");
                problem.with_header(name, HeaderValue::from_static("application/json"))
            }
            Self::UnsupportedEncoding { sent } => {
                let detail = format!("send the body without Content-Encoding ({sent:?} was sent)");
                let status = S::UNSUPPORTED_MEDIA_TYPE;
                let problem = Problem::new(status, "unsupported-encoding", "Compressed body", detail);
                problem.with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            }
            Self::BodyTooLarge { limit } => {
                let detail = format!("a body has {limit} bytes at the most");
                Problem::new(S::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large", detail)
            }
            Self::BodyBroken(_) => {
                let detail = "the body did not arrive whole, or not in the form its headers announced";
                Problem::new(S::BAD_REQUEST, "body-broken", "Body broken off", detail)
            }
            Self::Overloaded => {
                let detail = "more requests are in flight than this instance takes; nothing was done; send it again";
                Problem::new(S::SERVICE_UNAVAILABLE, "overloaded", "Overloaded", detail).with_retry()
            }
            Self::TookTooLong { bound } => {
                let detail = format!("there was no answer within {bound:?}; a write may or may not have happened");
                Problem::new(S::SERVICE_UNAVAILABLE, "took-too-long", "Took too long", detail).with_retry()
            }
            Self::Unauthorized { sent } => {
                let (detail, challenge) = match sent {
                    false => ("writes need Authorization: Bearer TOKEN", "Bearer realm=\"tideline\""),
                    true => ("the token is not known here", "Bearer realm=\"tideline\", error=\"invalid_token\""),
                };
                let problem = Problem::new(S::UNAUTHORIZED, "unauthorized", "Write token needed", detail);
                problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
            }
            Self::Invalid(invalid) => of_document(invalid),
            Self::Store(error) => of_store(error),
            Self::SharedStore(error) => of_store(error),
            Self::Panicked | Self::Internal(_) => {
                let detail = "this is a defect of the service; the log has it under this request id";
                Problem::new(S::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
            }
        }
    }
}

fn of_document(invalid: &Invalid) -> Problem {
    let detail = invalid.to_string();
    match invalid {
        Invalid::Syntax(_) => Problem::new(StatusCode::BAD_REQUEST, "not-json", "Not JSON", detail),
        Invalid::TooLarge { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "document-too-large", "Document too large", detail)
        }
        Invalid::Value { pointer, .. } => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let problem = Problem::new(status, "invalid-document", "Not a document that can be stored", detail);
            Problem { pointer: Some(pointer.clone()), ..problem }
        }
    }
}

fn of_store(error: &StoreError) -> Problem {
    use StatusCode as S;
    match error {
        StoreError::AlreadyExists => {
            let detail = "a document of this id exists; PUT replaces it";
            Problem::new(S::CONFLICT, "already-exists", "Document exists", detail)
        }
        StoreError::PreconditionFailed => {
            let detail = "the document is not in the state the request's conditions name; read it again";
            Problem::new(S::PRECONDITION_FAILED, "precondition-failed", "Precondition failed", detail)
        }
        StoreError::KeyReused => {
            let detail = "this Idempotency-Key came with another body before; use a new key for a new document";
            Problem::new(S::UNPROCESSABLE_ENTITY, "key-reused", "Idempotency key reused", detail)
        }
        StoreError::Contended => {
            let detail = "other requests keep writing the same; send it again";
            Problem::new(S::CONFLICT, "contended", "Too many writers", detail).with_retry()
        }
        StoreError::TooLarge => {
            let detail = "the document is over the store's limit of 400 KB; split it";
            Problem::new(S::PAYLOAD_TOO_LARGE, "document-too-large", "Document too large", detail)
        }
        StoreError::Disagreement(_) => {
            let detail = "this is a defect of the service or of its table; the log has it under this request id";
            Problem::new(S::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
        }
        StoreError::Throttled(_)
        | StoreError::Denied(_)
        | StoreError::TableMissing(_)
        | StoreError::Resting
        | StoreError::TimedOut(_)
        | StoreError::Unavailable(_) => {
            let detail = "the store cannot be used now, and a write may or may not have happened; send it again later";
            Problem::new(S::SERVICE_UNAVAILABLE, "store-unavailable", "Store unavailable", detail).with_retry()
        }
    }
}
