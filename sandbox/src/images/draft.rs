//! Folders of the cache in which something is made.

use std::{
    fs,
    path::{Path, PathBuf},
    process, thread,
};

use crate::error::SandboxError;

/// What their names begin with; the process's number follows.
const PREFIX: &str = "making-";

/// A folder that goes when it is dropped. It goes by and by: on some disks ten thousands of files take minutes, for which nobody has to
/// wait, and what is left when the process ends the next one removes.
pub(crate) struct Draft(PathBuf);

impl Draft {
    /// A new folder in `cache`. Those that dead processes left are removed.
    pub(crate) fn new(cache: &Path) -> Result<Self, SandboxError> {
        let make = || {
            fs::create_dir_all(cache)?;
            for left in fs::read_dir(cache)?.flatten() {
                let name = left.file_name();
                let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
                if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                    remove(left.path());
                }
            }
            tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", process::id())).tempdir_in(cache)
        };
        make().map(|folder| Self(folder.keep())).map_err(|error| SandboxError::file(cache, error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        remove(std::mem::take(&mut self.0));
    }
}

fn remove(folder: PathBuf) {
    thread::spawn(move || fs::remove_dir_all(folder));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn gone(path: &Path) {
        let started = Instant::now();
        while path.exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "{} stays", path.display());
            thread::yield_now();
        }
    }

    #[test]
    fn what_is_done_with_and_what_dead_processes_left_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        // No process can have this number.
        let dead = cache.path().join("making-4194305-x");
        fs::create_dir_all(dead.join("root")).unwrap();
        let one = Draft::new(cache.path()).unwrap();
        gone(&dead);
        let path = Draft::new(cache.path()).unwrap().path().to_owned();
        gone(&path);
        assert!(one.path().exists(), "one that is in use stays");
    }
}
