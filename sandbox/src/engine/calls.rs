//! Calls of the engine: each has a time limit, and its error names the call.

use std::{future::Future, time::Duration};

use bollard::errors::Error;

use super::CALL_TIMEOUT;
use crate::error::{CallError, SandboxError};

/// Makes one call. `name` is the call as Docker's command line names it, for the error.
pub(crate) async fn call<T>(name: &str, future: impl Future<Output = Result<T, Error>>) -> Result<T, SandboxError> {
    call_within(CALL_TIMEOUT, name, future).await
}

/// Like [`call`], with a longer time limit.
pub(crate) async fn call_within<T>(
    timeout: Duration,
    name: &str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, SandboxError> {
    let source = match tokio::time::timeout(timeout, future).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.into(),
        Err(_) => CallError::NoAnswer(timeout),
    };
    Err(SandboxError::Engine { call: name.to_owned(), source })
}

/// Like [`call`]; `None` when the engine does not know the object.
pub(crate) async fn call_optional<T>(
    name: &str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, SandboxError> {
    call(name, async {
        match future.await {
            Ok(value) => Ok(Some(value)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}
