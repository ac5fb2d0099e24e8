//! What the SDK's errors mean to us: the only place that knows error codes.
//!
//! Rule: when it is unclear whether a request took effect, it is in doubt.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::model::{Failure, Gap, Outcome};

/// A missing answer as a gap of what `source` (`ecs:DescribeServices`) should have told.
pub(super) fn gap<E>(source: &str, error: &SdkError<E, HttpResponse>) -> Gap
where
    E: ProvideErrorMetadata + Error + 'static,
{
    Gap { source: source.to_owned(), failure: of(source, error) }
}

/// Something in an answer that cannot be true.
pub(super) fn implausible(source: &str, message: impl Into<String>) -> Gap {
    Gap { source: source.to_owned(), failure: Failure::Implausible { message: message.into() } }
}

/// Folds an error of the call `source` into what it asks of us.
pub(super) fn of<E>(source: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(credentials) = find::<CredentialsError>(error) {
        return Failure::Credentials { message: DisplayErrorContext(credentials).to_string() };
    }
    match error {
        SdkError::TimeoutError(_) => Failure::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Failure::Timeout,
        SdkError::ServiceError(answer) => {
            let said = answer.err();
            let message = said.message().unwrap_or_default();
            let status = answer.raw().status().as_u16();
            of_code(source, said.code().unwrap_or_default(), message, status)
        }
        SdkError::ResponseError(answer) if answer.raw().status().as_u16() < 500 => {
            Failure::Implausible { message: DisplayErrorContext(error).to_string() }
        }
        SdkError::ConstructionFailure(_) => {
            Failure::Refused { message: DisplayErrorContext(error).to_string() }
        }
        _ => Failure::Unavailable { message: DisplayErrorContext(error).to_string() },
    }
}

/// Folds a service's error code; codes are those of the API references of ECS, EC2, EC2 Auto
/// Scaling, Application Auto Scaling, Elastic Load Balancing, SSM, SNS and S3 and of their common errors.
pub(super) fn of_code(source: &str, code: &str, message: &str, status: u16) -> Failure {
    let text = if message.is_empty() {
        format!("{code} (HTTP {status})")
    } else {
        format!("{code}: {message}")
    };
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "LimitExceededException"
            if is_rate(code, message) =>
        {
            Failure::Throttled
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "Blocked" => Failure::AccessDenied { action: source.to_owned() },
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "RequestExpired"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Failure::Credentials { message: text },
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacity"
        | "SpotMaxPriceTooLow"
        | "MaxSpotInstanceCountExceeded"
        | "VcpuLimitExceeded"
        | "InstanceLimitExceeded" => Failure::NoCapacity { message: text },
        "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "TargetNotFoundException"
        | "ResourceNotFoundException"
        | "ObjectNotFoundException"
        | "NoSuchBucket"
        | "NoSuchKey" => Failure::NotFound { what: text },
        // Load balancers name what is lacking: `RuleNotFound`.
        _ if code.ends_with("NotFound") || code.contains("NotFoundException") => {
            Failure::NotFound { what: text }
        }
        // Auto Scaling says so of groups and instances that are gone.
        "ValidationError" if message.contains("not found") => Failure::NotFound { what: text },
        // ECS says so of a family without revisions.
        "ClientException" if message.contains("Unable to describe task definition") => {
            Failure::NotFound { what: text }
        }
        _ if status == 429 => Failure::Throttled,
        _ if status >= 500 => Failure::Unavailable { message: text },
        _ => Failure::Refused { message: text },
    }
}

/// `LimitExceededException` names a quota unless it speaks of a rate.
fn is_rate(code: &str, message: &str) -> bool {
    code != "LimitExceededException" || message.to_ascii_lowercase().contains("rate")
}

/// What an error means for the one request that was to change something.
pub(super) fn outcome<E>(source: &str, error: &SdkError<E, HttpResponse>) -> Outcome
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let failure = of(source, error);
    let in_doubt = match error {
        SdkError::ConstructionFailure(_) => false,
        // EC2 throttles with a 503: a clear no all the same.
        SdkError::ServiceError(answer) => {
            answer.raw().status().as_u16() >= 500 && failure != Failure::Throttled
        }
        SdkError::DispatchFailure(_) => !never_left(error),
        _ => true,
    };
    if in_doubt {
        Outcome::InDoubt { message: format!("{source}: {failure}") }
    } else if never_left(error) && !matches!(failure, Failure::Credentials { .. }) {
        Outcome::Refused {
            failure: Failure::Unavailable { message: format!("{source}: no connection") },
        }
    } else {
        Outcome::Refused { failure }
    }
}

/// Whether AWS cannot have seen the request: no credentials to sign it, or no connection.
pub(super) fn never_left(error: &(dyn Error + 'static)) -> bool {
    let refused = |e: &io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    find::<CredentialsError>(error).is_some()
        || find::<hyper_util::client::legacy::Error>(error).is_some_and(|e| e.is_connect())
        || find::<io::Error>(error).is_some_and(refused)
}

/// The first error of this type among an error's causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, message: &str, status: u16, kind: &str) {
        let failure = of_code("ecs:ListTasks", code, message, status);
        let json = serde_json::to_value(&failure).unwrap();
        assert_eq!(json["kind"], kind, "{code} {status}: {failure}");
    }

    #[test]
    fn each_error_code_asks_for_its_own_reaction() {
        check("ThrottlingException", "Rate exceeded", 400, "throttled");
        check("RequestLimitExceeded", "", 503, "throttled");
        check("Throttling", "Rate exceeded", 400, "throttled");
        check("", "", 429, "throttled");
        check("AccessDeniedException", "no", 400, "access_denied");
        check("UnauthorizedOperation", "no", 403, "access_denied");
        check("ExpiredTokenException", "", 400, "credentials");
        check("ClusterNotFoundException", "", 400, "not_found");
        check("InvalidInstanceID.NotFound", "", 400, "not_found");
        check("ValidationError", "AutoScalingGroup name not found", 400, "not_found");
        check("RuleNotFound", "", 400, "not_found");
        check("ClientException", "Unable to describe task definition.", 400, "not_found");
        check("ClientException", "Unable to do it.", 400, "refused");
        check("PriorityInUse", "", 400, "refused");
        check("ValidationError", "New SetDesiredCapacity value 9 is above max", 400, "refused");
        check("LimitExceededException", "quota", 400, "refused");
        check("ScalingActivityInProgress", "", 400, "refused");
        check("InsufficientInstanceCapacity", "", 500, "no_capacity");
        check("ServerException", "", 500, "unavailable");
        check("InternalFailure", "", 500, "unavailable");
    }
}
