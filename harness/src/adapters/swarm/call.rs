//! Calls to the engine with a time limit, and the translation of the library's errors.

use std::{future::Future, io::ErrorKind, path::Path, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};

use crate::model::engine::SwarmError;

/// The longest wait for one answer of the engine.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn connect(socket: &Path) -> Result<Docker, SwarmError> {
    let path = socket.display().to_string();
    std::os::unix::net::UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => SwarmError::NotPermitted { socket: path.clone() },
        _ => SwarmError::Absent { socket: path.clone() },
    })?;
    Docker::connect_with_unix(&path, 120, API_DEFAULT_VERSION).map_err(|error| library_error("connect", error))
}

/// Waits for one answer. `call` names the call in errors.
pub(super) async fn answer<T>(call: &str, future: impl Future<Output = Result<T, Error>>) -> Result<T, SwarmError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(library_error(call, error)),
        Err(_) => Err(SwarmError::Silent { call: call.to_owned(), after: ANSWER_TIMEOUT }),
    }
}

/// Like [`answer`], with `None` for an object that does not exist.
pub(super) async fn found<T>(call: &str, future: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, SwarmError> {
    let future = async {
        match future.await {
            Ok(value) => Ok(Some(value)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    answer(call, future).await
}

/// Translates an error of the library.
fn library_error(call: &str, error: Error) -> SwarmError {
    match error {
        Error::DockerResponseServerError { status_code, message } => status_error(call, status_code, message),
        Error::SocketNotFoundError(socket) => SwarmError::Absent { socket },
        other => failed(call, other.to_string()),
    }
}

/// The error for an unexpected status of an answer.
pub(super) fn status_error(call: &str, status: u16, message: String) -> SwarmError {
    let call = call.to_owned();
    match status {
        400 | 403 | 409 | 503 => SwarmError::Refused { call, message },
        _ => SwarmError::Failed { call, message },
    }
}

/// The error for an unusable answer.
pub(super) fn failed(call: &str, message: impl Into<String>) -> SwarmError {
    SwarmError::Failed { call: call.to_owned(), message: message.into() }
}
