//! The folder of a run on the disk.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    disk::plain_file::{self, DOCUMENT_LIMIT, Links},
    model::names::RunId,
    ports::{FolderError, RunFolder, SecretFile},
};

/// The folder of one run, `runs/<run_id>` in taster's state folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    run: RunId,
}

impl Folder {
    /// The folder of `run` below `runs`. Nothing is created yet.
    pub fn of(runs: &Path, run: &RunId) -> Self {
        Self { root: runs.join(run.as_str()), run: run.clone() }
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(&self.root)?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        draft.persist(file)?;
        Ok(())
    }
}

impl RunFolder for Folder {
    fn run(&self) -> &RunId {
        &self.run
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, FolderError> {
        let file = Path::new("evidence").join(name);
        let folder = self.root.join("evidence");
        std::fs::create_dir_all(&folder).map_err(|source| FolderError { path: folder, source })?;
        self.replace(&file, bytes)?;
        Ok(file)
    }

    fn replace(&self, file: &Path, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.root.join(file);
        self.write(&path, bytes).map_err(|source| FolderError { path, source })
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        plain_file::read(&self.root.join(file), DOCUMENT_LIMIT, Links::Refused)
    }

    fn texts(&self) -> Vec<(String, String)> {
        let is_text = |name: &str| [".txt", ".jsonl", ".log"].iter().any(|end| name.ends_with(end));
        let mut names: Vec<String> = ["", "transcripts/", "evidence/"]
            .iter()
            .flat_map(|below| {
                let entries = std::fs::read_dir(self.root.join(below)).into_iter().flatten().flatten();
                entries.filter_map(move |entry| Some(format!("{below}{}", entry.file_name().to_str()?)))
            })
            .filter(|name| is_text(name))
            .collect();
        names.sort();
        let read = |name: String| {
            let bytes = self.read(Path::new(&name)).ok()?;
            Some((name, String::from_utf8_lossy(&bytes).into_owned()))
        };
        names.into_iter().filter_map(read).collect()
    }

    fn secret_file(&self, value: &str) -> Result<SecretFile, FolderError> {
        let folder = self.abra_dir();
        let create = || {
            std::fs::create_dir_all(&folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            file.write_all(value.as_bytes())?;
            Ok(file)
        };
        let file = create().map_err(|source| FolderError { path: folder.clone(), source })?;
        Ok(SecretFile::new(file.path().to_owned(), file))
    }
}
