//! Small files of the sandbox's folder: TOML, replaced as a whole.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::SandboxError;

/// Reads a small TOML file; one that is not there or cut short is as good as none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    toml::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Writes a small TOML file in one piece.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), SandboxError> {
    let text = toml::to_string(value).map_err(|error| SandboxError::file(path, io::Error::other(error)))?;
    replace(path, text.as_bytes(), 0o600)
}

/// Puts a file in place in one piece, so that no reader sees half of it. A file that holds the same is left alone.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SandboxError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let beside = path.with_extension(format!("new{}", std::process::id()));
    let put = || {
        let _ = fs::remove_file(&beside);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(bytes)?;
        fs::rename(&beside, path)
    };
    put().map_err(|error| SandboxError::file(path, error))
}
