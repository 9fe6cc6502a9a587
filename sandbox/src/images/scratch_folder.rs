//! Scratch folders in the cache, in which images are assembled.

use std::{
    fs,
    path::{Path, PathBuf},
    process, thread,
};

use crate::error::SandboxError;

/// The prefix of their names; the number of the process follows.
const PREFIX: &str = "making-";

/// A folder that is removed when it is dropped. A thread removes it, because ten thousands of files take minutes on some
/// disks. What it leaves when the process ends is removed by the next process that makes a scratch folder.
pub(super) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// A new folder in `cache`. Removes the folders of dead processes.
    pub(super) fn new(cache: &Path) -> Result<Self, SandboxError> {
        let make = || {
            fs::create_dir_all(cache)?;
            for entry in fs::read_dir(cache)?.flatten() {
                let name = entry.file_name();
                let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
                if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                    remove_in_background(entry.path());
                }
            }
            tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", process::id())).tempdir_in(cache)
        };
        make().map(|folder| Self(folder.keep())).map_err(|error| SandboxError::file(cache, error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        remove_in_background(std::mem::take(&mut self.0));
    }
}

fn remove_in_background(folder: PathBuf) {
    thread::spawn(move || fs::remove_dir_all(folder));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn wait_until_removed(path: &Path) {
        let started = Instant::now();
        while path.exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "{} stays", path.display());
            thread::yield_now();
        }
    }

    #[test]
    fn dropped_folder_and_folders_of_dead_processes_are_removed() {
        let cache = tempfile::tempdir().unwrap();
        // No process can have this number.
        let dead = cache.path().join("making-4194305-x");
        fs::create_dir_all(dead.join("root")).unwrap();
        let in_use = ScratchFolder::new(cache.path()).unwrap();
        wait_until_removed(&dead);
        let path = ScratchFolder::new(cache.path()).unwrap().path().to_owned();
        wait_until_removed(&path);
        assert!(in_use.path().exists(), "a folder in use stays");
    }
}
