//! The sources of the packs, for commands that work on them.

use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// The folder with one pack per recipe: the first `recipes` with a `build.rs` in `from` or above it.
pub(crate) fn packs(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join("recipes")).find(|recipes| recipes.join("build.rs").is_file())
}

/// The folder that taster was started in.
pub(crate) fn here() -> Result<PathBuf, CommandError> {
    std::env::current_dir().map_err(|error| CommandError::host(format!("the folder that taster was started in is gone: {error}")))
}

/// The path as somebody writes it who is in the folder that taster was started in.
pub(crate) fn nearby(path: &Path) -> &Path {
    here().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
