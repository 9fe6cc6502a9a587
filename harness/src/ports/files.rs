//! The files and folders that a run claims or watches.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use crate::pure::host::claim::Claim;

/// The files and folders that a run claims or watches.
pub trait Files: Send + Sync {
    /// Those of `paths` that exist, each with a digest that changes when it does: of a file its bytes, of a folder the names,
    /// sizes and times of all that is in it. The digest of one that cannot be read is the system's message.
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String>;
    /// Removes a file or a whole folder that the claim covers. One that is gone already is not an error. Symbolic links are
    /// removed, never followed.
    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError>;
}

/// Why a file could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The claim is not of this file.
    #[error("cannot remove {}: the claim of {claimed} does not cover it", path.display())]
    NotCovered {
        /// The file or folder.
        path: PathBuf,
        /// What the claim is of.
        claimed: String,
    },
    /// The system refuses.
    #[error("cannot remove {}", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}
