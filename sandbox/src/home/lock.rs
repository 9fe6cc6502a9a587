//! Locks on files of the sandbox's folder, held as long as the file is open.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use super::Home;
use crate::error::SandboxError;

/// How long another taster at work on the same sandbox is waited for. An engine's download is in it.
const BUSY: Duration = Duration::from_secs(300);

/// The lock of the folder, held as long as the file is open.
pub(crate) async fn of_home(home: &Home) -> Result<File, SandboxError> {
    let root = home.root();
    fs::create_dir_all(root)
        .and_then(|()| fs::set_permissions(root, fs::Permissions::from_mode(0o700)))
        .map_err(|error| SandboxError::file(root, error))?;
    of_file(&root.join("lock"), BUSY, || ()).await
}

/// The lock of a file, held as long as it is open. `wait` is called once if somebody else has it.
pub(crate) async fn of_file(path: &Path, patience: Duration, mut wait: impl FnMut()) -> Result<File, SandboxError> {
    let started = Instant::now();
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| SandboxError::file(path, error))?;
    let mut waits = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(SandboxError::file(path, error)),
        }
        if started.elapsed() > patience {
            return Err(SandboxError::Busy { after: patience });
        }
        if !std::mem::replace(&mut waits, true) {
            wait();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
