//! How a command ends when it does not end well: what kind of end it is, its exit code, and what to do next.

use serde::Serialize;

/// The kinds of ends, each with an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The refresh failed, or its rollback did.
    Failed,
    /// Refused before anything was changed.
    Refused,
    /// The new version was taken back.
    RolledBack,
    /// Somebody cancelled it.
    Cancelled,
    /// Not over within the deadline; what was started goes on.
    Deadline,
    /// Another refresh is in progress.
    InProgress,
    /// No credentials, or no permission.
    Access,
    /// AWS could not be reached, or would not be asked.
    Unavailable,
    /// SIGINT; what was started goes on.
    Interrupted,
    /// SIGTERM; what was started goes on.
    Terminated,
}

impl Kind {
    /// The exit code, as `--help` lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Refused => 2,
            Self::RolledBack => 3,
            Self::Cancelled => 4,
            Self::Deadline => 5,
            Self::InProgress => 6,
            Self::Access => 7,
            Self::Unavailable => 8,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// The end of a command that is no success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// What kind of end.
    pub kind: Kind,
    /// What happened, and what to do.
    pub text: String,
}

impl Error {
    /// An end of this kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Refused before anything was changed.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(Kind::Refused, text)
    }

    /// The same, with more to say.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.text = format!("{}; {more}", self.text);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_an_exit_code_of_its_own() {
        use Kind::*;
        let all = [
            Failed,
            Refused,
            RolledBack,
            Cancelled,
            Deadline,
            InProgress,
            Access,
            Unavailable,
            Interrupted,
            Terminated,
        ];
        let codes: std::collections::HashSet<u8> = all.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes.len(), all.len());
        assert!(!codes.contains(&0));
    }
}
