//! The files of a recipe in a folder or at a commit. What cannot be read is an error, because a file that is left out here could
//! still be read by abra or Docker.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use crate::{
    ports::CheckoutError,
    pure::recipe::{
        compose::{Entry, Tree},
        readable::{EntryKind, MAX_FILE_BYTES, unreadable_entries, unreadable_file},
    },
};

/// The folder of git itself, which is never content.
const GIT: &str = ".git";
/// The executable bit of a file's owner, by which git decides whether a file is executable.
const EXECUTABLE: u32 = 0o100;

/// The files in a folder, all but git's own.
pub(super) fn in_folder(folder: &Path) -> Result<Tree, CheckoutError> {
    let mut paths = Vec::new();
    gather(folder, Path::new(""), &mut paths).map_err(|error| unreadable_folder(folder, &error))?;
    of_paths(folder, paths)
}

fn gather(root: &Path, below: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_name() == GIT {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => gather(root, &path, paths)?,
            false => paths.push(path),
        }
    }
    Ok(())
}

/// The files of these paths below `folder`; a path that is gone is left out.
pub(super) fn of_paths(folder: &Path, paths: Vec<PathBuf>) -> Result<Tree, CheckoutError> {
    let mut entries = Vec::new();
    for path in paths {
        match fs::symlink_metadata(folder.join(&path)) {
            Ok(found) => entries.push((path.into_os_string().into_vec(), kind(&found))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable_folder(&folder.join(&path), &error)),
        }
    }
    entries.extend(beside(folder, &entries)?);
    if let Some(sentence) = unreadable_entries(&entries) {
        return Err(CheckoutError::Unreadable { sentence });
    }
    let mut files = Vec::new();
    for (path, kind) in entries {
        let path = String::from_utf8_lossy(&path).into_owned();
        let bytes = match kind {
            EntryKind::Link => fs::read_link(folder.join(&path)).map(|target| target.into_os_string().into_vec()),
            _ => read_file(&folder.join(&path)),
        };
        files.push((path.clone(), kind, bytes.map_err(|error| unreadable_folder(&folder.join(path), &error))?));
    }
    tree(files)
}

fn kind(found: &Metadata) -> EntryKind {
    let file_type = found.file_type();
    if file_type.is_file() {
        return EntryKind::File { bytes: found.len(), executable: found.permissions().mode() & EXECUTABLE != 0 };
    }
    match (file_type.is_symlink(), file_type.is_dir()) {
        (true, _) => EntryKind::Link,
        // git lists a folder only where it has a repository of its own.
        (_, true) => EntryKind::Repository,
        (false, false) => EntryKind::Special,
    }
}

/// What git does not list and a deploy could still meet in the folders of the listed files: repositories, pipes, devices.
fn beside(folder: &Path, listed: &[(Vec<u8>, EntryKind)]) -> Result<Vec<(Vec<u8>, EntryKind)>, CheckoutError> {
    let path = |(path, _): &(Vec<u8>, EntryKind)| PathBuf::from(std::ffi::OsStr::from_bytes(path));
    let known: BTreeSet<PathBuf> = listed.iter().map(path).collect();
    let parents: BTreeSet<PathBuf> = known.iter().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
    let mut found = Vec::new();
    for parent in parents.into_iter().chain([PathBuf::new()]) {
        let whole = folder.join(&parent);
        let entries = fs::read_dir(&whole).map_err(|error| unreadable_folder(&whole, &error))?;
        for entry in entries.flatten() {
            let path = parent.join(entry.file_name());
            let is_git = entry.file_name() == GIT && !parent.as_os_str().is_empty();
            let Ok(file_type) = entry.file_type() else { continue };
            let special = !file_type.is_file() && !file_type.is_dir() && !file_type.is_symlink();
            if is_git {
                found.push((parent.clone().into_os_string().into_vec(), EntryKind::Repository));
            } else if special && !known.contains(&path) {
                found.push((path.into_os_string().into_vec(), EntryKind::Special));
            }
        }
    }
    Ok(found)
}

/// The bytes of a file, without following a link and without waiting for a pipe that replaced it.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= MAX_FILE_BYTES {
        true => Ok(bytes),
        false => Err(io::Error::other("it is too large")),
    }
}

fn unreadable_folder(path: &Path, error: &io::Error) -> CheckoutError {
    CheckoutError::File { path: path.display().to_string(), message: error.to_string() }
}

/// A file of a commit, as `git ls-tree` lists it, with the id of its content.
pub(super) type Listed = (Vec<u8>, EntryKind, String);

/// Parses the output of `git ls-tree -r -z --long`. An error for files that cannot be read.
pub(super) fn parse_list(output: &[u8]) -> Result<Vec<Listed>, CheckoutError> {
    let lines = output.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    let odd = || CheckoutError::Git { action: "ls-tree".into(), message: "it lists something that taster does not know".into() };
    let files: Vec<Listed> = lines.map(|line| parse_line(line).ok_or_else(odd)).collect::<Result<_, _>>()?;
    let entries: Vec<(Vec<u8>, EntryKind)> = files.iter().map(|(path, kind, _)| (path.clone(), *kind)).collect();
    match unreadable_entries(&entries) {
        Some(sentence) => Err(CheckoutError::Unreadable { sentence }),
        None => Ok(files),
    }
}

fn parse_line(line: &[u8]) -> Option<Listed> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (head, path) = (std::str::from_utf8(&line[..tab]).ok()?, line[tab + 1..].to_vec());
    let fields: Vec<&str> = head.split_whitespace().collect();
    let [mode, _, id, size] = fields[..] else { return None };
    let kind = match mode {
        "120000" => EntryKind::Link,
        "160000" => EntryKind::Submodule,
        mode => {
            let mode = u32::from_str_radix(mode, 8).ok()?;
            EntryKind::File { bytes: size.parse().ok()?, executable: mode & EXECUTABLE != 0 }
        }
    };
    Some((path, kind, id.to_owned()))
}

/// The tree of the listed files with their contents: the output of `git cat-file --batch` in the order of the list.
pub(super) fn with_contents(files: Vec<Listed>, mut contents: &[u8]) -> Result<Tree, CheckoutError> {
    let mut entries = Vec::new();
    for (path, kind, id) in files {
        let path = String::from_utf8_lossy(&path).into_owned();
        let Some(bytes) = next_content(&mut contents, &id) else {
            let sentence = format!("the repository lacks the content of {path:?}; {FETCH_ALL}");
            return Err(CheckoutError::Unreadable { sentence });
        };
        entries.push((path, kind, bytes));
    }
    tree(entries)
}

/// The remedy for a repository without some of its objects.
pub(super) const FETCH_ALL: &str = "fetch all of it, with `git fetch --refetch --no-filter` for a partial clone";

fn tree(files: Vec<(String, EntryKind, Vec<u8>)>) -> Result<Tree, CheckoutError> {
    let (mut entries, mut executables) = (Vec::new(), Vec::new());
    for (path, kind, bytes) in files {
        let entry = match kind {
            EntryKind::Link => Entry::Link(String::from_utf8(bytes).map_err(|_| CheckoutError::Unreadable {
                sentence: format!("{path:?} is a link to a name that is not UTF-8"),
            })?),
            _ => Entry::of_bytes(bytes),
        };
        if matches!(kind, EntryKind::File { executable: true, .. }) {
            executables.push(path.clone());
        }
        entries.push((path, entry));
    }
    let mut tree: Tree = entries.into_iter().collect();
    executables.iter().for_each(|path| tree.set_executable(path));
    match unreadable_file(&tree) {
        Some(sentence) => Err(CheckoutError::Unreadable { sentence }),
        None => Ok(tree),
    }
}

/// The input of `git fast-import` for a commit of these files, on top of `from`. The same files give the same commit.
pub(super) fn fast_import(tree: &Tree, reference: &str, author: &str, from: Option<&str>) -> Vec<u8> {
    const MESSAGE: &str = "Changes that were not committed";
    let from = from.map(|commit| format!("from {commit}\n")).unwrap_or_default();
    let head = format!("commit {reference}\ncommitter {author} 0 +0000\ndata {}\n{MESSAGE}\n{from}deleteall\n", MESSAGE.len());
    let mut out = head.into_bytes();
    for (path, mode, bytes) in tree.files() {
        let quoted = path.replace('\\', "\\\\").replace('"', "\\\"");
        out.extend(format!("M {mode} inline \"{quoted}\"\ndata {}\n", bytes.len()).into_bytes());
        out.extend_from_slice(bytes);
        out.push(b'\n');
    }
    out.extend_from_slice(b"done\n");
    out
}

/// The next content: a line with its id and its size, then the bytes and a line end. A missing object has only the line.
fn next_content(contents: &mut &[u8], id: &str) -> Option<Vec<u8>> {
    let end = contents.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = (String::from_utf8_lossy(&contents[..end]), &contents[end + 1..]);
    *contents = rest;
    let mut fields = head.split_whitespace();
    let size: usize = fields.next().filter(|found| *found == id).and_then(|_| fields.nth(1))?.parse().ok()?;
    let bytes = rest.get(..size)?.to_vec();
    *contents = rest.get(size + 1..)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_of_a_commit_has_bytes_links_and_modes() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let list = format!("100755 blob {a}       3\tabra.sh\0120000 blob {b}       4\tlink\0100644 blob {a}       2\tlogo\0");
        let mut contents = format!("{a} blob 3\na: \n{b} blob 4\n/etc\n{a} blob 2\n").into_bytes();
        contents.extend([0xff, 0xfe, b'\n']);

        let tree = with_contents(parse_list(list.as_bytes()).unwrap(), &contents).unwrap();

        assert_eq!(tree.entry("abra.sh"), Some(&Entry::Text("a: ".into())));
        assert_eq!(tree.entry("link"), Some(&Entry::Link("/etc".into())));
        assert_eq!(tree.entry("logo"), Some(&Entry::Binary(vec![0xff, 0xfe])));
        let entry = |path: &str| (path.to_owned(), tree.entry(path).unwrap().clone());
        let mut plain: Tree = ["abra.sh", "link", "logo"].map(entry).into_iter().collect();
        assert_eq!(tree.difference(&plain).map(|found| found.path).as_deref(), Some("abra.sh"), "its mode differs");
        plain.set_executable("abra.sh");
        assert_eq!((tree.difference(&plain), tree.digest()), (None, plain.digest()));
    }

    #[test]
    fn missing_or_odd_object_of_a_commit_is_refused() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let list = format!("100644 blob {a}       3\tabra.sh\0100644 blob {b}       3\tcompose.yml\0");
        let contents = format!("{a} missing\n{b} blob 3\nb: \n");
        let refused = with_contents(parse_list(list.as_bytes()).unwrap(), contents.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("lacks the content of \"abra.sh\""), "{refused}");
        for line in [format!("160000 commit {b}       -\tmodule\0"), format!("100644 blob {a} 99999999999\tabra.sh\0")] {
            assert!(matches!(parse_list(line.as_bytes()), Err(CheckoutError::Unreadable { .. })), "{line}");
        }
    }

    #[test]
    fn tree_of_a_folder_excludes_its_own_repository_alone() {
        let folder = tempfile::tempdir().unwrap();
        let make = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        make("compose.yml", b"a: 1");
        make("sub/logo.png", &[0xff, 0xfe]);
        make(".git/config", b"x");
        std::os::unix::fs::symlink("../../etc/passwd", folder.path().join("sub/link")).unwrap();

        let tree = in_folder(folder.path()).unwrap();

        assert_eq!(tree.paths().collect::<Vec<_>>(), ["compose.yml", "sub/link", "sub/logo.png"]);
        assert_eq!(tree.entry("sub/link"), Some(&Entry::Link("../../etc/passwd".into())));
        assert_eq!(tree.entry("sub/logo.png"), Some(&Entry::Binary(vec![0xff, 0xfe])));

        make("sub/.git/config", b"[core]\n");
        let refused = in_folder(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("\"sub\" is a repository of its own"), "{refused}");
    }
}
