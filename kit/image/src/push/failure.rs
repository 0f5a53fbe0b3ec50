//! Translates errors of the registry client.

use oci_client::errors::{OciDistributionError, OciErrorCode};

use crate::error::Error;
use crate::reference::ImageReference;

pub fn explain(
    error: &OciDistributionError,
    image: &ImageReference,
    with_credentials: bool,
) -> Error {
    let registry = image.registry().to_owned();
    let repository = image.repository().to_owned();
    let reason = reasons(error);
    match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::ServerError { code: 401, .. } => Error::Unauthorized {
            registry,
            with_credentials,
            reason,
        },
        OciDistributionError::ServerError { code: 404, .. } => Error::RepositoryNotFound {
            registry,
            repository,
            reason,
        },
        OciDistributionError::RegistryError { envelope, .. }
            if envelope
                .errors
                .iter()
                .any(|error| error.code == OciErrorCode::NameUnknown) =>
        {
            Error::RepositoryNotFound {
                registry,
                repository,
                reason,
            }
        }
        OciDistributionError::ServerError {
            code: 403 | 405, ..
        }
        | OciDistributionError::RegistryError { .. } => Error::Denied {
            registry,
            repository,
            reason,
        },
        OciDistributionError::RequestError(_) => Error::Connection { registry, reason },
        _ => Error::Push { registry, reason },
    }
}

/// The messages of an error and its causes, for example "connection refused".
fn reasons(error: &OciDistributionError) -> String {
    let mut reasons = vec![error.to_string().trim().to_owned()];
    let mut source = std::error::Error::source(error);
    while let Some(reason) = source {
        reasons.push(reason.to_string());
        source = reason.source();
    }
    reasons.dedup();
    reasons.join(": ")
}
