//! The lock of a run's folder. A run that is alive holds it, so a folder whose lock is free is the folder of a dead run.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::disk::plain_file::{self, Links};

/// The lock's file in a run's folder.
const FILE: &str = "lock";
/// How long a new run waits for its own lock. Only a janitor that reads the fresh folder can hold it, for an instant.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The exclusive lock of one run's folder. The kernel releases it when the value is dropped or the process dies.
#[derive(Debug)]
pub struct RunLock {
    run_dir: PathBuf,
    _file: File,
}

/// Why a lock cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is held: the run is alive, or is being cleaned up", path.display())]
    Held {
        /// The lock's file.
        path: PathBuf,
    },
    /// Another process replaced the file while it was being locked, and holds the lock of the new one.
    #[error("{} was replaced by another process", path.display())]
    Replaced {
        /// The lock's file.
        path: PathBuf,
    },
    /// Its path is not a file.
    #[error("{} is not a file", path.display())]
    NoFile {
        /// Its place.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot lock {}", path.display())]
    System {
        /// The lock's file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl RunLock {
    /// Takes the lock of a fresh folder, waiting a while for a janitor that reads it.
    pub fn take(run_dir: &Path) -> Result<Self, LockError> {
        Self::within(run_dir, LOCK_TIMEOUT)
    }

    /// Takes the lock, waiting up to `timeout` for another holder.
    pub fn within(run_dir: &Path, timeout: Duration) -> Result<Self, LockError> {
        let until = Instant::now() + timeout;
        loop {
            match Self::attempt(run_dir) {
                Err(LockError::Held { .. } | LockError::Replaced { .. }) if Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5));
                }
                done => return done,
            }
        }
    }

    /// Takes the lock if it is free. Holding it proves that the run is dead and that no other process cleans up after it.
    pub fn attempt(run_dir: &Path) -> Result<Self, LockError> {
        let path = run_dir.join(FILE);
        // `std` opens with close-on-exec, so no child process keeps the lock alive.
        let system = |source: io::Error| LockError::System { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(super::PRIVATE);
        let file = match plain_file::opened(&path, Links::Refused, &mut options) {
            Ok(file) => file,
            Err(_) if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) => return Err(LockError::NoFile { path }),
            Err(error) => return Err(system(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { path }),
            Err(TryLockError::Error(error)) => return Err(system(error)),
        }
        // A lock on a file that was unlinked meanwhile guards nothing: the next process would lock another file of that name.
        match (file.metadata(), std::fs::metadata(&path)) {
            (Ok(held), Ok(there)) if (held.dev(), held.ino()) == (there.dev(), there.ino()) => {
                Ok(Self { run_dir: run_dir.to_owned(), _file: file })
            }
            (Err(error), _) => Err(system(error)),
            _ => Err(LockError::Replaced { path }),
        }
    }

    /// Whether a process holds the lock of a folder, which is then the folder of a living run. A folder without a lock file is
    /// not.
    pub fn held(run_dir: &Path) -> bool {
        let lock = plain_file::open(&run_dir.join(FILE), Links::Refused);
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The run's folder.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}
