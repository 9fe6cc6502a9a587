//! One call of the engine with a time limit and an error that names the call.

use std::{future::Future, time::Duration};

use bollard::errors::Error;

use super::PATIENCE;
use crate::error::SandboxError;

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
    let refused = |message: String| SandboxError::Engine { call: call.to_owned(), message };
    match tokio::time::timeout(patience, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Error::DockerResponseServerError { message, .. })) => Err(refused(message)),
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_) => Err(refused(format!("no answer within {patience:?}"))),
    }
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
