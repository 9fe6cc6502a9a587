//! The folder of a run and what lies where in it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::model::{
    names::{Domain, RunId},
    outcome::Subject,
};

/// The folder of one run, `runs/<run_id>` in taster's state folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    run: RunId,
}

impl Folder {
    /// The folder of `run` below `runs`. Nothing is made yet.
    pub fn of(runs: &Path, run: &RunId) -> Self {
        Self { root: runs.join(run.as_str()), run: run.clone() }
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The run's own `ABRA_DIR`, so that two runs of one recipe never share a checkout.
    pub fn abra_dir(&self) -> PathBuf {
        self.root.join("abra")
    }

    /// Where what lies below `tests/` of the recipe's repository is kept as head has it.
    pub fn executables(&self) -> PathBuf {
        self.abra_dir().join("executables")
    }

    /// The `ABRA_DIR` in which base or head is linted, so that nothing else moves what lies there.
    pub fn lint_dir(&self, subject: Subject) -> PathBuf {
        self.root.join(format!("lint-{}", subject.name()))
    }

    /// abra's file for the app.
    pub fn env_file(&self, server: &str, domain: &Domain) -> PathBuf {
        self.abra_dir().join("servers").join(server).join(format!("{domain}.env"))
    }

    /// Where what abra printed is kept.
    pub fn transcripts(&self) -> PathBuf {
        self.root.join("transcripts")
    }

    /// Writes `text` to `name` below `evidence/` and returns its path relative to the run's folder.
    pub fn keep(&self, name: &str, text: impl AsRef<[u8]>) -> io::Result<PathBuf> {
        let file = Path::new("evidence").join(name);
        std::fs::create_dir_all(self.root.join("evidence"))?;
        self.replace(&file, text)?;
        Ok(file)
    }

    /// A file with `value` that only its owner can read, in the folder that is swept with the run; it goes when it is dropped.
    pub fn hidden(&self, value: &str) -> io::Result<tempfile::NamedTempFile> {
        std::fs::create_dir_all(self.abra_dir())?;
        let mut file = tempfile::NamedTempFile::new_in(self.abra_dir())?;
        file.write_all(value.as_bytes())?;
        Ok(file)
    }

    /// Writes `content` to `file` so that a reader finds either the old content or the new one, whole, also after a crash.
    pub fn replace(&self, file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(&self.root)?;
        draft.write_all(content.as_ref())?;
        draft.as_file().sync_all()?;
        draft.persist(self.root.join(file))?;
        Ok(())
    }
}
