//! Digests of files and folders of the machine, and the removal of claimed ones.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    ports::{FileError, Files},
    pure::host::claim::Claim,
};

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn digests(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
        paths.iter().filter_map(|path| Some((path.clone(), digest(path)?))).collect()
    }

    fn remove(&self, claim: &Claim, path: &Path) -> Result<(), FileError> {
        // A link that was put on the way since the claim was read would lead out of the run's folder.
        let of_run = |above: &Path| above.iter().any(|part| part == claim.run().as_str());
        let above = path.parent().map(Path::canonicalize).transpose();
        let leads_elsewhere = above.is_ok_and(|above| above.is_some_and(|above| !of_run(&above)));
        if !claim.covers_path(path) || claim.what().flaw().is_some() || leads_elsewhere {
            return Err(FileError::NotCovered { path: path.to_owned(), claimed: claim.what().to_string() });
        }
        let removed = match fs::symlink_metadata(path) {
            // The standard library follows no link on its way, so nothing behind a link is removed.
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Refused { path: path.to_owned(), source }),
            _ => Ok(()),
        }
    }
}

/// The digest of a path; `None` only if nothing exists there. A file that vanishes from a folder during the reading does not make
/// the folder vanish.
fn digest(path: &Path) -> Option<String> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(error.to_string()),
    };
    let mut hash = Sha256::new();
    let read = match meta.is_file() {
        true => plain_file::read(path, DOCUMENT_LIMIT, Links::Refused).map(|bytes| hash.update(bytes)),
        false => entry(&mut hash, path),
    };
    match read {
        Ok(()) => Some(data_encoding::HEXLOWER.encode(&hash.finalize())),
        Err(error) if meta.is_file() && error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(error.to_string()),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::pure::host::claim::Claimed;

    #[test]
    fn link_on_the_way_keeps_a_file_of_others_from_being_removed() {
        let run = "20261121-101502-k3v7q2m7";
        let base = tempfile::tempdir().unwrap();
        let (folder, others) = (base.path().join(run), base.path().join("others"));
        fs::create_dir_all(folder.join("abra")).unwrap();
        fs::create_dir(&others).unwrap();
        for path in [others.join("app.env"), folder.join("abra/app.env")] {
            fs::write(path, "KEY=value").unwrap();
        }
        std::os::unix::fs::symlink(&others, folder.join("link")).unwrap();
        let remove = |path: PathBuf| {
            let claim = Claim::new(run.parse().unwrap(), "swarm1".parse().unwrap(), Claimed::Dir { path: path.clone() });
            Disk.remove(&claim, &path)
        };
        assert!(matches!(remove(folder.join("link/app.env")), Err(FileError::NotCovered { .. })));
        assert!(others.join("app.env").exists());
        remove(folder.join("abra")).unwrap();
        remove(folder.join("link")).unwrap();
        remove(folder.join("gone/app.env")).unwrap();
        assert!(others.join("app.env").exists() && !folder.join("abra").exists() && !folder.join("link").exists());
    }

    #[test]
    fn digest_of_a_folder_exists_while_files_in_it_vanish() {
        let folder = tempfile::tempdir().unwrap();
        let (path, over) = (folder.path().to_owned(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    fs::write(path.join("passing"), "").unwrap();
                    fs::remove_file(path.join("passing")).unwrap();
                }
            });
            let found = (0..20_000).filter(|_| Disk.digests(std::slice::from_ref(&path)).contains_key(&path)).count();
            over.store(true, Ordering::Relaxed);
            assert_eq!(found, 20_000);
        });
        assert!(Disk.digests(&[path.join("passing")]).is_empty());
    }
}
