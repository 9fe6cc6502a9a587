//! The folder of a run and what lies where in it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::model::{
    names::{Domain, RunId},
    outcome::Subject,
};

/// The most that a file has that is taken over from a child, in bytes.
const MOST_ADOPTED: u64 = 8 << 20;

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
    pub fn keep(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let file = Path::new("evidence").join(name);
        std::fs::create_dir_all(self.root.join("evidence"))?;
        self.replace(&file, text)?;
        Ok(file)
    }

    /// Copies a file that a child left below the run's own folder to `name` below `evidence/`, and returns its path relative to the run's
    /// folder. A text goes through `filter`, and is returned, too.
    ///
    /// # Errors
    /// When it lies elsewhere, is larger than [`MOST_ADOPTED`], or cannot be read or written.
    pub fn adopt(&self, name: &str, left: &Path, filter: impl Fn(&str) -> String) -> io::Result<(PathBuf, Option<String>)> {
        let (left, own) = (left.canonicalize()?, self.abra_dir().canonicalize()?);
        if !left.starts_with(&own) || !left.is_file() {
            return Err(io::Error::other("it is no file of its own"));
        }
        if left.metadata()?.len() > MOST_ADOPTED {
            return Err(io::Error::other(format!("it has more than {} MiB", MOST_ADOPTED >> 20)));
        }
        let raw = std::fs::read(&left)?;
        let file = Path::new("evidence").join(name);
        std::fs::create_dir_all(self.root.join("evidence"))?;
        match String::from_utf8(raw) {
            Ok(text) => {
                let text = filter(&text);
                self.replace(&file, &text)?;
                Ok((file, Some(text)))
            }
            Err(binary) => {
                self.replace(&file, binary.as_bytes())?;
                Ok((file, None))
            }
        }
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn only_what_lies_in_the_runs_own_folder_is_taken_over() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), &"20261121-101502-k3v7q2m7".parse().unwrap());
        let room = folder.abra_dir().join("pack");
        fs::create_dir_all(&room).unwrap();
        let file = |path: PathBuf, content: &[u8]| {
            fs::write(&path, content).unwrap();
            path
        };
        let outside = file(state.path().join("outside"), b"not yours");
        let (text, picture) = (file(room.join("text"), b"a secret word"), file(room.join("picture"), b"\x89PNG\xff"));
        let (link, large) = (room.join("link"), room.join("large"));
        symlink(&outside, &link).unwrap();
        fs::File::create(&large).unwrap().set_len(MOST_ADOPTED + 1).unwrap();
        let hide = |text: &str| text.replace("secret", "hidden");

        let (kept, told) = folder.adopt("a.txt", &text, hide).unwrap();
        assert_eq!((kept.to_str(), told.as_deref()), (Some("evidence/a.txt"), Some("a hidden word")));
        assert_eq!(fs::read(folder.root().join(&kept)).unwrap(), b"a hidden word");
        let (kept, told) = folder.adopt("a.png", &picture, hide).unwrap();
        assert_eq!((fs::read(folder.root().join(&kept)).unwrap().as_slice(), told), (&b"\x89PNG\xff"[..], None));
        for (what, left) in [
            ("elsewhere", outside),
            ("a link to elsewhere", link),
            ("too large", large),
            ("a folder", room.clone()),
            ("nothing", room.join("x")),
        ] {
            assert!(folder.adopt("b", &left, hide).is_err(), "{what}");
        }
        assert_eq!(fs::read_dir(folder.root().join("evidence")).unwrap().count(), 2);
    }
}
