//! The sources of the packs, for commands that work on them.

use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// The folder with one pack per recipe: the first `recipes` with a `build.rs` in `from` or above it.
pub(crate) fn packs(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join("recipes")).find(|recipes| recipes.join("build.rs").is_file())
}

/// The current folder.
pub(crate) fn current_dir() -> Result<PathBuf, CommandError> {
    std::env::current_dir().map_err(|error| CommandError::host(error).context("cannot use the current folder"))
}

/// The path relative to the current folder, when it is below it.
pub(crate) fn relative(path: &Path) -> &Path {
    current_dir().ok().and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path)
}
