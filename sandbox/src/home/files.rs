//! Small files of the sandbox's folder, each written as a whole.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::SandboxError;

/// Reads a TOML file; `None` when it is absent or cannot be parsed.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    toml::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Writes a TOML file that only its user can read.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), SandboxError> {
    let text = toml::to_string(value).map_err(|error| SandboxError::file(path, io::Error::other(error)))?;
    replace(path, text.as_bytes(), 0o600)
}

/// Replaces a file by a rename, so that no reader sees half of it. A file with the same content stays untouched.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SandboxError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let temporary = path.with_extension(format!("new{}", std::process::id()));
    let put = || {
        let _ = fs::remove_file(&temporary);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    put().map_err(|error| SandboxError::file(path, error))
}
