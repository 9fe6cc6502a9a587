//! The folder of a run, and what lies where in it.

use std::{
    any::Any,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::model::{
    names::{Domain, RunId},
    outcome::Subject,
};

/// The folder of one run, `runs/<run_id>` in taster's state folder.
pub trait RunFolder: Send + Sync {
    /// The run.
    fn run(&self) -> &RunId;
    /// The folder itself.
    fn root(&self) -> &Path;
    /// Writes `bytes` to `name` below `evidence/` and returns its path relative to the run's folder.
    fn keep(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, FolderError>;
    /// Writes `bytes` to `file` so that a reader finds either the old content or the new one, whole, also after a crash.
    fn replace(&self, file: &Path, bytes: &[u8]) -> Result<(), FolderError>;
    /// The bytes of `file`, which is relative to the folder. Only a plain file of a limited size is read.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;
    /// The texts in the folder that are no reports: journal, lint, transcripts and evidence, each with its path in the folder.
    /// One that cannot be read is left out.
    fn texts(&self) -> Vec<(String, String)>;
    /// A file with `value` that only its owner can read, in the folder that cleanup removes with the run.
    fn secret_file(&self, value: &str) -> Result<SecretFile, FolderError>;

    /// The run's own `ABRA_DIR`, so that two runs of one recipe never share a checkout.
    fn abra_dir(&self) -> PathBuf {
        self.root().join("abra")
    }

    /// The copy of `tests/` of the recipe's repository as head has it.
    fn executables(&self) -> PathBuf {
        self.abra_dir().join("executables")
    }

    /// The `ABRA_DIR` in which base or head is linted, so that no other step moves its checkout.
    fn lint_dir(&self, subject: Subject) -> PathBuf {
        self.root().join(format!("lint-{}", subject.name()))
    }

    /// abra's file for the app.
    fn env_file(&self, server: &str, domain: &Domain) -> PathBuf {
        self.abra_dir().join("servers").join(server).join(format!("{domain}.env"))
    }

    /// The folder of what abra printed.
    fn transcripts(&self) -> PathBuf {
        self.root().join("transcripts")
    }
}

/// A file that holds a secret. It is removed when this value is dropped.
pub struct SecretFile {
    path: PathBuf,
    _file: Box<dyn Any + Send + Sync>,
}

impl SecretFile {
    /// The file at `path`; dropping `file` removes it.
    pub fn new(path: PathBuf, file: impl Any + Send + Sync) -> Self {
        Self { path, _file: Box::new(file) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.path.display())
    }
}

/// A file in the run's folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct FolderError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}
