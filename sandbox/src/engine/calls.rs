//! One call of the engine with a time limit and an error that names the call.

use std::{future::Future, time::Duration};

use bollard::errors::Error;

use super::PATIENCE;
use crate::error::{CallError, SandboxError};

/// Waits for one answer of the engine; `call` is what a reader of the error sees.
pub(crate) async fn answer<T>(call: &str, future: impl Future<Output = Result<T, Error>>) -> Result<T, SandboxError> {
    answer_within(PATIENCE, call, future).await
}

/// Like [`answer`], for a call that may take longer.
pub(crate) async fn answer_within<T>(
    patience: Duration,
    call: &str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, SandboxError> {
    let failure = match tokio::time::timeout(patience, future).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.into(),
        Err(_) => CallError::NoAnswer(patience),
    };
    Err(SandboxError::Engine { call: call.to_owned(), source: failure })
}

/// Like [`answer`], but what the engine does not know is `None`.
pub(crate) async fn found<T>(call: &str, future: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, SandboxError> {
    answer(call, async {
        match future.await {
            Ok(value) => Ok(Some(value)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}
