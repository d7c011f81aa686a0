//! How AWS talks: forms in and XML out (the Query protocol), and CBOR or JSON both ways where CloudWatch's SDKs prefer it.

pub mod cbor;
pub mod json;
pub mod query;
pub mod tree;
pub mod xml;

pub use tree::Tree;

/// Why a call was refused: HTTP status, code and message as AWS has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// As `ValidationError`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A fault of the caller's: status 400.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into() }
    }

    /// A parameter that is not as it must be: `ValidationError`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Whose fault it is, in the Query protocol's words.
    pub(crate) fn party(&self) -> &'static str {
        if self.status < 500 { "Sender" } else { "Receiver" }
    }
}
