//! How AWS talks.

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

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}
