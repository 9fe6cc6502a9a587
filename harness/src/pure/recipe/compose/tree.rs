//! The files of a recipe at one commit, with path resolution.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use sha2::{Digest, Sha256};

/// The maximum number of symbolic links in one path, as in Linux.
const LINKS: usize = 40;

/// An entry of a recipe's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A text file.
    Text(String),
    /// A symbolic link with its verbatim target.
    Link(String),
    /// A file that is not UTF-8.
    Binary(Vec<u8>),
}

impl Entry {
    /// A file with these bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Binary(error.into_bytes()), Self::Text)
    }

    /// The bytes of the file, or of the target of the link.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Entry::Text(text) | Entry::Link(text) => text.as_bytes(),
            Entry::Binary(bytes) => bytes,
        }
    }
}

/// A recipe's files at one commit, by path relative to the recipe's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
    /// The files that can be executed.
    executable: BTreeSet<String>,
}

/// The first difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeDifference {
    /// The path.
    pub path: String,
    /// The difference, as a phrase: `has other content`.
    pub difference: &'static str,
}

/// The result of resolving a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundPath<'a> {
    /// A text file of the recipe.
    Text(&'a str),
    /// A file of the recipe that is not text, with its bytes.
    Opaque(&'a [u8]),
    /// A folder of the recipe.
    Folder,
    /// Nothing, inside of the recipe's folder.
    Absent,
    /// A place outside the recipe's folder: the path or a link in it is absolute or leaves the folder.
    Outside,
}

impl FromIterator<(String, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (String, Entry)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect(), executable: BTreeSet::new() }
    }
}

impl Tree {
    /// A copy with one entry added or replaced.
    pub fn with(mut self, path: &str, entry: Entry) -> Self {
        self.entries.insert(path.to_owned(), entry);
        self.executable.remove(path);
        self
    }

    /// All files and links with their modes, as git writes them, and their bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, &'static str, &[u8])> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), self.mode(path, entry), entry.bytes()))
    }

    /// Marks a file as one that can be executed.
    pub fn set_executable(&mut self, path: &str) {
        self.executable.insert(path.to_owned());
    }

    /// The text of the script that abra reads (`abra.sh`), byte by byte as a shell does: bytes that are no UTF-8 stand as U+FFFD,
    /// and do not hide the rest of the script.
    pub fn script(&self, path: &str) -> Option<Cow<'_, str>> {
        match self.find(path) {
            FoundPath::Text(text) => Some(Cow::Borrowed(text)),
            FoundPath::Opaque(bytes) => Some(String::from_utf8_lossy(bytes)),
            FoundPath::Folder | FoundPath::Absent | FoundPath::Outside => None,
        }
    }

    /// The SHA-256 over paths, modes and bytes, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut all = Sha256::new();
        for (path, mode, bytes) in self.files() {
            all.update(format!("{mode}\0{path}\0{}\0", bytes.len()));
            all.update(bytes);
        }
        all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How `found` differs from this tree, at the first path where it does.
    pub fn difference(&self, found: &Self) -> Option<TreeDifference> {
        let paths: BTreeSet<&String> = self.entries.keys().chain(found.entries.keys()).collect();
        paths.into_iter().find_map(|path| {
            let difference = match (self.entries.get(path), found.entries.get(path)) {
                (Some(_), None) => "is gone",
                (None, _) => "was added",
                (Some(own), Some(other)) if self.mode(path, own) != found.mode(path, other) => "has another mode",
                (Some(own), Some(other)) if own.bytes() != other.bytes() => "has other content",
                (Some(_), Some(_)) => return None,
            };
            Some(TreeDifference { path: path.clone(), difference })
        })
    }

    /// The mode as git has it.
    fn mode(&self, path: &str, entry: &Entry) -> &'static str {
        match (entry, self.executable.contains(path)) {
            (Entry::Link(_), _) => "120000",
            (_, true) => "100755",
            (_, false) => "100644",
        }
    }

    /// The entry at exactly this path. Links are not followed.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The paths of all files and links.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Resolves `path`, following links as the system does.
    pub fn find(&self, path: &str) -> FoundPath<'_> {
        if path.starts_with('/') {
            return FoundPath::Outside;
        }
        let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut here: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." if here.pop().is_none() => return FoundPath::Outside,
                ".." => continue,
                _ => here.push(part),
            }
            let Some(Entry::Link(target)) = self.entries.get(&here.join("/")) else { continue };
            links += 1;
            if target.starts_with('/') {
                return FoundPath::Outside;
            }
            if links > LINKS {
                return FoundPath::Absent;
            }
            here.pop();
            ahead.extend(target.split('/').rev().map(str::to_owned));
        }
        let path = here.join("/");
        match self.entries.get(&path) {
            Some(Entry::Text(text)) => FoundPath::Text(text),
            Some(Entry::Binary(bytes)) => FoundPath::Opaque(bytes),
            Some(Entry::Link(_)) => FoundPath::Absent,
            None if path.is_empty() => FoundPath::Folder,
            None => match self.entries.keys().any(|key| key.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))) {
                true => FoundPath::Folder,
                false => FoundPath::Absent,
            },
        }
    }
}

/// Joins `folder` and `path` and removes `.` and `..` as Go's `filepath.Join` does.
pub(super) fn join(folder: &str, path: &str) -> String {
    let joined = match path.starts_with('/') || folder.is_empty() {
        true => path.to_owned(),
        false => format!("{folder}/{path}"),
    };
    let absolute = joined.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            other => parts.push(other),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// The folder of a file; empty for the recipe's root.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
