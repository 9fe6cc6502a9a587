//! The lock that tells a living run from a dead one.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The lock's file in a run's folder.
const FILE: &str = "lock";
/// The longest that a new run waits for its own lock. Only a janitor that looks into the fresh folder can hold it, for an instant.
const PATIENCE: Duration = Duration::from_secs(10);

/// The exclusive lock of one run's folder. It ends when the value is dropped or the process dies, whichever way.
#[derive(Debug)]
pub struct RunLock {
    run_dir: PathBuf,
    _file: File,
}

/// Why a lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("{} is held: the run is alive, or is being swept", path.display())]
    Held {
        /// The lock's file.
        path: PathBuf,
    },
    /// The file was replaced while it was being locked, so its new owner is alive.
    #[error("{} was replaced by somebody else", path.display())]
    Replaced {
        /// The lock's file.
        path: PathBuf,
    },
    /// Something else than a file is in its place.
    #[error("{} is no file", path.display())]
    NoFile {
        /// What is in its place.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot lock {}: {message}", path.display())]
    System {
        /// The lock's file.
        path: PathBuf,
        /// The system's sentence.
        message: String,
    },
}

impl RunLock {
    /// Takes the lock of a folder that is the caller's own, waiting a while for whoever looks into it.
    pub fn take(run_dir: &Path) -> Result<Self, LockError> {
        Self::within(run_dir, PATIENCE)
    }

    /// Takes the lock, waiting so long for whoever holds it.
    pub fn within(run_dir: &Path, patience: Duration) -> Result<Self, LockError> {
        let until = Instant::now() + patience;
        loop {
            match Self::attempt(run_dir) {
                Err(LockError::Held { .. } | LockError::Replaced { .. }) if Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5));
                }
                done => return done,
            }
        }
    }

    /// Takes the lock if nobody holds it. Holding it proves that the run is dead and that nobody else sweeps it.
    pub fn attempt(run_dir: &Path) -> Result<Self, LockError> {
        let path = run_dir.join(FILE);
        // `std` opens with close-on-exec, so no child of ours keeps the lock alive.
        let system = |error: io::Error| LockError::System { path: path.clone(), message: error.to_string() };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(_) if path.is_dir() => return Err(LockError::NoFile { path }),
            Err(error) => return Err(system(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { path }),
            Err(TryLockError::Error(error)) => return Err(system(error)),
        }
        // A lock on a file that was unlinked meanwhile guards nothing: the next one would lock another file of that name.
        match (file.metadata(), std::fs::metadata(&path)) {
            (Ok(held), Ok(there)) if (held.dev(), held.ino()) == (there.dev(), there.ino()) => {
                Ok(Self { run_dir: run_dir.to_owned(), _file: file })
            }
            (Err(error), _) => Err(system(error)),
            _ => Err(LockError::Replaced { path }),
        }
    }

    /// Whether somebody holds the lock of a folder, which is then the folder of a living run. A folder without a lock is none.
    pub fn held(run_dir: &Path) -> bool {
        let lock = OpenOptions::new().read(true).open(run_dir.join(FILE));
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The run's folder.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}
