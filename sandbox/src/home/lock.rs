//! Locks on files of the sandbox's folder, held as long as the file is open.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use super::Home;
use crate::error::SandboxError;

/// The longest wait for another taster that works on the same sandbox. It may be downloading an engine.
const HOME_LOCK_TIMEOUT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);

impl Home {
    /// The lock on the whole sandbox. Creates the folder, which only its user may enter.
    pub(crate) async fn lock(&self) -> Result<File, SandboxError> {
        let root = self.root();
        fs::create_dir_all(root)
            .and_then(|()| fs::set_permissions(root, fs::Permissions::from_mode(0o700)))
            .map_err(|error| SandboxError::file(root, error))?;
        lock_file(&root.join("lock"), HOME_LOCK_TIMEOUT, || ()).await
    }
}

/// Locks a file, which is created when it is absent. Calls `on_wait` once when another process holds the lock.
pub(crate) async fn lock_file(path: &Path, timeout: Duration, mut on_wait: impl FnMut()) -> Result<File, SandboxError> {
    let started = Instant::now();
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| SandboxError::file(path, error))?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(SandboxError::file(path, error)),
        }
        if started.elapsed() > timeout {
            return Err(SandboxError::Busy { after: timeout });
        }
        if !std::mem::replace(&mut waiting, true) {
            on_wait();
        }
        tokio::time::sleep(POLL).await;
    }
}
