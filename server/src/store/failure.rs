//! What an error of the SDK means to the service.

use std::borrow::Borrow;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::StoreError;

/// Sorts an error of any operation. The texts are for the log: they may name ARNs.
pub(super) fn failure<E: ProvideErrorMetadata, R>(error: impl Borrow<SdkError<E, R>>) -> StoreError {
    let service = match error.borrow() {
        SdkError::ServiceError(service) => service.err(),
        SdkError::TimeoutError(_) => return StoreError::TimedOut("the operation's bound".to_owned()),
        SdkError::DispatchFailure(dispatch) => {
            let cause = dispatch.as_connector_error().map_or_else(String::new, |e| DisplayErrorContext(e).to_string());
            return match dispatch.is_timeout() {
                true => StoreError::TimedOut(cause),
                false => StoreError::Unavailable(format!("the request could not be sent: {cause}")),
            };
        }
        SdkError::ConstructionFailure(_) => return StoreError::Denied("no usable credentials".to_owned()),
        _ => return StoreError::Unavailable("the answer could not be read".to_owned()),
    };
    let (code, message) = (service.code().unwrap_or_default(), service.message().unwrap_or_default());
    let said = format!("{code}: {message}");
    match code {
        "ConditionalCheckFailedException" => StoreError::PreconditionFailed,
        "TransactionConflictException" | "TransactionInProgressException" | "ResourceInUseException" => {
            StoreError::Contended
        }
        "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "ThrottlingException" => {
            StoreError::Throttled(said)
        }
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "UnrecognizedClientException" => StoreError::Denied(said),
        "ResourceNotFoundException" => StoreError::TableMissing(said),
        "ValidationException" if message.contains("Item size") => StoreError::TooLarge,
        "ValidationException" | "SerializationException" => StoreError::Disagreement(said),
        _ => StoreError::Unavailable(said),
    }
}
