//! The asynchronous runtime of a command.

use crate::error::CommandError;

/// Runs `future` to its end on this thread. Children must be started from the main thread alone: a child's parent-death signal is
/// tied to the thread that started it, and another thread can end before the process.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::host(error).context("cannot start the runtime"))?;
    Ok(runtime.block_on(future))
}
