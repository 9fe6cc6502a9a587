//! Files and folders of the machine.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    claim::Claim,
    ports::{FileError, Files},
};

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        let digest = |path: &PathBuf| match digest(path) {
            Ok(digest) => Some((path.clone(), digest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some((path.clone(), error.to_string())),
        };
        paths.iter().filter_map(digest).collect()
    }

    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError> {
        let refused = |message: String| FileError { path: path.to_owned(), message };
        if !claim.covers_path(path) || claim.what().flaw().is_some() {
            return Err(refused(format!("the claim of {} does not cover it", claim.what())));
        }
        let removed = match fs::symlink_metadata(path) {
            // It opens each folder on its way without following links, so nothing behind a link is lost.
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused(error.to_string())),
            _ => Ok(()),
        }
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let meta = fs::symlink_metadata(path)?;
    if meta.is_file() {
        hash.update(fs::read(path)?);
    } else {
        entry(&mut hash, path)?;
    }
    Ok(data_encoding::HEXLOWER.encode(&hash.finalize()))
}

fn entry(hash: &mut Sha256, path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    hash.update(path.as_os_str().as_encoded_bytes());
    for number in [i64::from(meta.mode()), meta.size().cast_signed(), meta.mtime(), meta.mtime_nsec()] {
        hash.update(number.to_le_bytes());
    }
    if meta.is_dir() {
        let mut inside = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        inside.sort();
        for path in inside {
            entry(hash, &path)?;
        }
    }
    Ok(())
}
