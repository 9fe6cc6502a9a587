//! The files of a recipe in a folder or at a commit.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::pure::recipe::compose::{Entry, Tree};

/// The largest file that is read, in bytes. All relevant files of a recipe are far smaller.
const MAX_FILE_BYTES: u64 = 256 << 10;
/// The folder of git itself, which is never content.
const GIT: &str = ".git";

/// The files in a folder, with uncommitted ones.
pub fn in_folder(folder: &Path) -> io::Result<Tree> {
    let mut entries = Vec::new();
    gather(folder, Path::new(""), &mut entries)?;
    Ok(entries.into_iter().collect())
}

fn gather(root: &Path, below: &Path, entries: &mut Vec<(String, Entry)>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path: PathBuf = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if entry.file_name() == GIT {
            continue;
        }
        let name = path.to_string_lossy().into_owned();
        if kind.is_dir() {
            gather(root, &path, entries)?;
        } else if kind.is_symlink() {
            entries.push((name, Entry::Link(fs::read_link(entry.path())?.to_string_lossy().into_owned())));
        } else if kind.is_file() && entry.metadata()?.len() <= MAX_FILE_BYTES {
            entries.push((name, text(fs::read(entry.path())?)));
        } else {
            entries.push((name, Entry::Opaque));
        }
    }
    Ok(())
}

fn text(bytes: Vec<u8>) -> Entry {
    String::from_utf8(bytes).map_or(Entry::Opaque, Entry::Text)
}

/// A file of a commit, as `git ls-tree` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    path: String,
    link: bool,
    /// The id of its content; `None` for a content that is not read.
    pub(super) content: Option<String>,
}

/// Parses the output of `git ls-tree -r -z --long`.
pub(super) fn parse_list(output: &[u8]) -> Vec<Listed> {
    let lines = output.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    lines.filter_map(|line| parse_line(&String::from_utf8_lossy(line))).collect()
}

fn parse_line(line: &str) -> Option<Listed> {
    let (head, path) = line.split_once('\t')?;
    let fields: Vec<&str> = head.split_whitespace().collect();
    let [mode, kind, id, size] = fields[..] else { return None };
    // A submodule is a commit of another repository and has no content here.
    let readable = kind == "blob" && size.parse::<u64>().is_ok_and(|size| size <= MAX_FILE_BYTES);
    Some(Listed { path: path.to_owned(), link: mode == "120000", content: readable.then(|| id.to_owned()) })
}

/// The tree of the listed files with their contents: the output of `git cat-file --batch` in the order of the list.
pub(super) fn with_contents(files: Vec<Listed>, mut contents: &[u8]) -> Tree {
    let mut entries = Vec::new();
    for file in files {
        let content = file.content.is_some().then(|| next_content(&mut contents)).flatten();
        let entry = match content {
            Some(bytes) if file.link => Entry::Link(String::from_utf8_lossy(&bytes).into_owned()),
            Some(bytes) => text(bytes),
            None => Entry::Opaque,
        };
        entries.push((file.path, entry));
    }
    entries.into_iter().collect()
}

/// The next content: a line with its size, then the bytes and a line end. A missing object has only the line.
fn next_content(contents: &mut &[u8]) -> Option<Vec<u8>> {
    let end = contents.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = (String::from_utf8_lossy(&contents[..end]), &contents[end + 1..]);
    *contents = rest;
    let size: usize = head.split_whitespace().nth(2)?.parse().ok()?;
    let bytes = rest.get(..size)?.to_vec();
    *contents = rest.get(size + 1..).unwrap_or_default();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_of_a_commit_has_links_and_no_content_of_large_files() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let list = format!(
            "100644 blob {a}       3\tcompose.yml\0120000 blob {b}       4\tlink\0100644 blob {a} 9999999\tlarge\0\
             160000 commit {b}       -\tmodule\0"
        );
        let files = parse_list(list.as_bytes());
        let tree = with_contents(files, format!("{a} blob 3\na: \n{b} blob 4\n/etc\n").as_bytes());
        assert_eq!(tree.entry("compose.yml"), Some(&Entry::Text("a: ".into())));
        assert_eq!(tree.entry("link"), Some(&Entry::Link("/etc".into())));
        assert_eq!((tree.entry("large"), tree.entry("module")), (Some(&Entry::Opaque), Some(&Entry::Opaque)));
    }

    #[test]
    fn missing_object_does_not_shift_other_contents() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let list = format!("100644 blob {a}       3\tabra.sh\0100644 blob {b}       3\tcompose.yml\0");
        let tree = with_contents(parse_list(list.as_bytes()), format!("{a} missing\n{b} blob 3\nb: \n").as_bytes());
        assert_eq!(tree.entry("abra.sh"), Some(&Entry::Opaque));
        assert_eq!(tree.entry("compose.yml"), Some(&Entry::Text("b: ".into())));
    }

    #[test]
    fn tree_of_a_folder_excludes_git() {
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
        assert_eq!(tree.entry("sub/logo.png"), Some(&Entry::Opaque));
    }
}
