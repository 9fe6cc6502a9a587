//! The files of a recipe at one commit, with path resolution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The maximum number of symbolic links in one path, as in Linux.
const LINKS: usize = 40;

/// An entry of a recipe's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A text file.
    Text(String),
    /// A symbolic link with its verbatim target.
    Link(String),
    /// A file that is not text, or too large.
    Opaque,
}

/// A recipe's files at one commit, by path relative to the recipe's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree(BTreeMap<String, Entry>);

/// The result of resolving a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundPath<'a> {
    /// A text file of the recipe.
    Text(&'a str),
    /// A file of the recipe that is not text.
    Opaque,
    /// A folder of the recipe.
    Folder,
    /// Nothing, inside of the recipe's folder.
    Absent,
    /// A place outside the recipe's folder: the path or a link in it is absolute or leaves the folder.
    Outside,
}

impl FromIterator<(String, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (String, Entry)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Tree {
    /// A copy with one entry added or replaced.
    pub fn with(mut self, path: &str, entry: Entry) -> Self {
        self.0.insert(path.to_owned(), entry);
        self
    }

    /// The entry at exactly this path. Links are not followed.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// The paths of all files and links.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
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
            let Some(Entry::Link(target)) = self.0.get(&here.join("/")) else { continue };
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
        match self.0.get(&path) {
            Some(Entry::Text(text)) => FoundPath::Text(text),
            Some(Entry::Opaque) => FoundPath::Opaque,
            Some(Entry::Link(_)) => FoundPath::Absent,
            None if path.is_empty() => FoundPath::Folder,
            None => match self.0.keys().any(|key| key.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))) {
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
