//! Why a call to AWS did not do what it was to do, and whether asking again is any use.

use aws_sdk_autoscaling::config::http::HttpResponse;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Error, Kind};

/// Codes by which AWS says "later".
const LATER: [&str; 10] = [
    "InternalError",
    "InternalFailure",
    "InternalServiceError",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ResourceContention",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes by which AWS says "not you".
const ACCESS: [&str; 13] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Throttled, not reached, out of time: asking again may help.
    Passing,
    /// No credentials that AWS accepts, or no permission.
    Access,
    /// AWS understood and refused.
    Refusal,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of trouble.
    pub trouble: Trouble,
    /// AWS's code for it; empty where AWS did not answer.
    pub code: String,
    /// The call and what was said, for people.
    pub text: String,
}

impl Fault {
    /// What became of the call named `call`.
    pub fn of<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (trouble, code, said) = match error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or_default();
                let status = answer.raw().status().as_u16();
                let said = answer.err().message().map_or_else(|| chain(answer.err()), str::to_owned);
                (judge(code, status), code.to_owned(), said)
            }
            SdkError::ConstructionFailure(_) => (Trouble::Refusal, String::new(), chain(error)),
            _ => (Trouble::Passing, String::new(), chain(error)),
        };
        let coded = if code.is_empty() { said } else { format!("{code}: {said}") };
        Self { trouble, code, text: format!("{call}: {coded}") }
    }
}

fn judge(code: &str, status: u16) -> Trouble {
    match code {
        _ if LATER.contains(&code) => Trouble::Passing,
        _ if ACCESS.contains(&code) => Trouble::Access,
        _ if status >= 500 || status == 429 => Trouble::Passing,
        _ => Trouble::Refusal,
    }
}

/// Without another word, a fault is the end of a command.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let Fault { trouble, text, .. } = fault;
        match trouble {
            Trouble::Passing => Self::new(
                Kind::Unavailable,
                format!(
                    "AWS could not be asked for all of --patience: {text}; see AWS_REGION and AWS_ENDPOINT_URL, and try again"
                ),
            ),
            Trouble::Access => Self::new(
                Kind::Access,
                format!("AWS refuses these credentials: {text}; aws sts get-caller-identity says whose they are"),
            ),
            Trouble::Refusal => Self::refused(text),
        }
    }
}

/// An error and its causes, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_apart() {
        assert_eq!(judge("Throttling", 400), Trouble::Passing);
        assert_eq!(judge("Whatever", 503), Trouble::Passing);
        assert_eq!(judge("", 429), Trouble::Passing);
        assert_eq!(judge("AccessDenied", 403), Trouble::Access);
        assert_eq!(judge("ValidationError", 400), Trouble::Refusal);
        assert_eq!(judge("InstanceRefreshInProgress", 400), Trouble::Refusal);
    }

    #[test]
    fn each_trouble_is_an_end_of_its_own() {
        let end = |trouble| Error::from(Fault { trouble, code: String::new(), text: "x".to_owned() }).kind.exit_code();
        assert_eq!([Trouble::Passing, Trouble::Access, Trouble::Refusal].map(end), [8, 7, 2]);
    }
}
