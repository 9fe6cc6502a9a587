//! A repository that is not the run's own, read as data: nothing of its configuration or its hooks takes effect.
//!
//! git itself would start programs that the repository's configuration names. So the files are read here: where the repository
//! lies, its branches and tags, its HEAD. Its objects are read by git through a repository of the run's own.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The largest file of references that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The deepest folder of branches or tags.
const MAX_DEPTH: usize = 32;

/// A repository that is not the run's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignRepository {
    /// Whether it has no work tree.
    pub(super) bare: bool,
    /// The folder with its HEAD.
    git_dir: PathBuf,
    /// The folder with its objects and references, which the work trees of a repository share.
    common_dir: PathBuf,
}

/// The references of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct References {
    /// Branches, tags and branches of the remote `origin` by their full names, each with the id of its object.
    pub(super) by_name: BTreeMap<String, String>,
    /// The commit of HEAD; absent where it has none yet.
    pub(super) head: Option<String>,
}

impl ForeignRepository {
    /// The repository whose top folder this is, or which this folder is; absent without one.
    pub(super) fn of(folder: &Path) -> io::Result<Option<Self>> {
        let dot_git = folder.join(".git");
        let (git_dir, bare) = match fs::metadata(&dot_git) {
            Ok(found) if found.is_dir() => (dot_git, false),
            // A further work tree, or a submodule.
            Ok(found) if found.is_file() => match small_text(&dot_git)?.trim_end().strip_prefix("gitdir: ") {
                Some(elsewhere) => (folder.join(elsewhere), false),
                None => return Err(io::Error::other(".git is a file that names no repository")),
            },
            Ok(_) => return Err(io::Error::other(".git is neither a folder nor a file")),
            Err(_) if is_git_dir(folder) => (folder.to_owned(), true),
            Err(_) => return Ok(None),
        };
        let common_dir = match fs::read_to_string(git_dir.join("commondir")) {
            Ok(elsewhere) => git_dir.join(elsewhere.trim_end()),
            Err(_) => git_dir.clone(),
        };
        if !is_git_dir(&common_dir) {
            return Err(io::Error::other("it has a .git that is no repository"));
        }
        if common_dir.join("reftable").exists() {
            return Err(io::Error::other(
                "its references are in the format reftable, which taster does not read; clone it first",
            ));
        }
        Ok(Some(Self { bare, git_dir, common_dir }))
    }

    /// The folder of its objects, as an absolute path.
    pub(super) fn objects(&self) -> io::Result<PathBuf> {
        fs::canonicalize(self.common_dir.join("objects"))
    }

    /// The commits where its history is cut off; absent for a whole history.
    pub(super) fn shallow(&self) -> Option<String> {
        small_text(&self.common_dir.join("shallow")).ok().filter(|text| !text.trim().is_empty())
    }

    /// The patterns of files that it ignores in addition to those in its files.
    pub(super) fn exclude(&self) -> Option<String> {
        small_text(&self.common_dir.join("info/exclude")).ok()
    }

    /// The branch that HEAD names, also one without a commit.
    fn head_text(&self) -> io::Result<String> {
        small_text(&self.git_dir.join("HEAD")).map(|text| text.trim_end().to_owned())
    }

    /// Its references.
    pub(super) fn references(&self) -> io::Result<References> {
        let mut by_name = BTreeMap::new();
        let packed = self.common_dir.join("packed-refs");
        if packed.exists() {
            by_name.extend(small_text(&packed)?.lines().filter_map(packed_line));
        }
        for kind in ["refs/heads", "refs/tags", "refs/remotes/origin"] {
            gather(&self.common_dir, kind, 0, &mut by_name)?;
        }
        by_name.retain(|name, _| is_kept(name));
        let text = self.head_text()?;
        let head = match text.strip_prefix("ref: ") {
            Some(name) => by_name.get(name.trim()).cloned(),
            None => Some(text).filter(|text| is_id(text)),
        };
        Ok(References { by_name, head })
    }
}

/// Whether a folder has what git demands of a repository.
fn is_git_dir(folder: &Path) -> bool {
    let is_dir = |name: &str| folder.join(name).is_dir();
    folder.join("HEAD").is_file() && is_dir("objects") && is_dir("refs")
}

/// Adds the loose references below `name`. What is no reference is left out, as git does.
fn gather(root: &Path, name: &str, depth: usize, by_name: &mut BTreeMap<String, String>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(name)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        let (name, kind) = (format!("{name}/{file}"), entry.file_type()?);
        if kind.is_dir() && depth < MAX_DEPTH {
            gather(root, &name, depth + 1, by_name)?;
        } else if kind.is_file() {
            let text = small_text(&entry.path())?;
            if is_id(text.trim_end()) {
                by_name.insert(name, text.trim_end().to_owned());
            }
        }
    }
    Ok(())
}

/// A line of `packed-refs`: id and name. Comments and the lines of peeled tags are none.
fn packed_line(line: &str) -> Option<(String, String)> {
    let (id, name) = line.split_once(' ')?;
    is_id(id).then(|| (name.to_owned(), id.to_owned()))
}

/// Whether a reference is a branch, a tag or a branch of `origin`, with a name that git accepts.
fn is_kept(name: &str) -> bool {
    let kinds = ["refs/heads/", "refs/tags/", "refs/remotes/origin/"];
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let odd = |letter: char| letter.is_control() || " ~^:?*[\\".contains(letter);
    kinds.iter().any(|kind| name.starts_with(kind))
        && name.split('/').all(part)
        && !name.contains(odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
}

fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The text of a regular file of a bounded size.
fn small_text(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    match found.is_file() && found.len() <= MAX_FILE_BYTES {
        true => Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned()),
        false => Err(io::Error::other(format!("{} is no file of ordinary size", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn repository(root: &Path) {
        write(root, "HEAD", "ref: refs/heads/main\n");
        fs::create_dir_all(root.join("objects")).unwrap();
        fs::create_dir_all(root.join("refs/heads")).unwrap();
    }

    #[test]
    fn loose_references_take_precedence_and_odd_names_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        repository(&git);
        write(
            &git,
            "packed-refs",
            &format!("# pack-refs\n{A} refs/heads/main\n{A} refs/tags/1.0.0+1\n^{B}\n{A} refs/replace/{B}\n"),
        );
        write(&git, "refs/heads/main", &format!("{B}\n"));
        write(&git, "refs/heads/a..b", A);
        write(&git, "refs/heads/x.lock", A);
        write(&git, "refs/tags/deep/tag", A);
        write(&git, "refs/remotes/origin/HEAD", "ref: refs/remotes/origin/main\n");
        write(&git, "refs/remotes/other/main", A);

        let found = ForeignRepository::of(dir.path()).unwrap().unwrap().references().unwrap();

        let names: Vec<(&str, &str)> = found.by_name.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
        assert_eq!(names, [("refs/heads/main", B), ("refs/tags/1.0.0+1", A), ("refs/tags/deep/tag", A)]);
        assert_eq!(found.head.as_deref(), Some(B));
    }

    #[test]
    fn work_tree_has_its_own_head_and_shares_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        repository(&dir.path().join("main/.git"));
        write(dir.path(), "main/.git/refs/heads/main", A);
        write(dir.path(), "main/.git/worktrees/two/HEAD", B);
        write(dir.path(), "main/.git/worktrees/two/commondir", "../..\n");
        write(dir.path(), "two/.git", &format!("gitdir: {}\n", dir.path().join("main/.git/worktrees/two").display()));

        let found = ForeignRepository::of(&dir.path().join("two")).unwrap().unwrap().references().unwrap();

        assert_eq!((found.head.as_deref(), found.by_name.len()), (Some(B), 1));
    }

    #[test]
    fn folder_without_a_whole_repository_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ForeignRepository::of(dir.path()).unwrap(), None);
        repository(dir.path());
        assert!(ForeignRepository::of(dir.path()).unwrap().unwrap().bare);
        fs::create_dir(dir.path().join(".git")).unwrap();
        assert!(ForeignRepository::of(dir.path()).is_err());
    }
}
