//! Which files of a recipe cannot be read as abra and Docker read them. Such a recipe is refused: a file that were left out here
//! could still act on the host.

use std::collections::BTreeMap;

use super::compose::{Entry, FoundPath, Tree};

/// The largest file of a recipe that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;
/// The most bytes that are read of all files of a recipe together.
pub const MAX_TREE_BYTES: u64 = 128 << 20;

/// The kind of an entry in a recipe's folder or commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File {
        /// Its size in bytes.
        bytes: u64,
        /// Whether it can be executed.
        executable: bool,
    },
    /// A symbolic link.
    Link,
    /// Another repository at one of its commits.
    Submodule,
    /// A folder with a repository of its own.
    Repository,
    /// A pipe, a socket or a device.
    Special,
}

/// Why the entries with these names cannot be read, if they cannot: one sentence.
pub fn unreadable_entries(entries: &[(Vec<u8>, EntryKind)]) -> Option<String> {
    let mut folded: BTreeMap<String, String> = BTreeMap::new();
    let mut total: u64 = 0;
    for (path, kind) in entries {
        let Ok(path) = std::str::from_utf8(path) else {
            return Some(format!("the name of {:?} is not UTF-8", String::from_utf8_lossy(path)));
        };
        if let Some(flaw) = name_flaw(path) {
            return Some(format!("{path:?} {flaw}"));
        }
        if let Some(flaw) = kind_flaw(*kind) {
            return Some(format!("{path:?} {flaw}"));
        }
        if let EntryKind::File { bytes, .. } = kind {
            total = total.saturating_add(*bytes);
        }
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let part = &path[..at];
            match folded.insert(part.to_lowercase(), part.to_owned()) {
                Some(other) if other != part => {
                    return Some(format!("{other:?} and {part:?} differ only in upper and lower case"));
                }
                Some(_) | None => {}
            }
        }
    }
    (total > MAX_TREE_BYTES).then(|| format!("its files have {total} bytes; taster reads at most {MAX_TREE_BYTES}"))
}

fn name_flaw(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("is no path inside the recipe");
    }
    if path.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
        return Some("lies in a folder of git, which is no content of a recipe");
    }
    path.contains(is_invisible).then_some("has a control character in its name")
}

/// Characters that are not seen or that change how their neighbours are seen.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(letter, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn kind_flaw(kind: EntryKind) -> Option<String> {
    match kind {
        EntryKind::File { bytes, .. } if bytes > MAX_FILE_BYTES => {
            Some(format!("has {bytes} bytes; taster reads at most {MAX_FILE_BYTES} of a file"))
        }
        EntryKind::Submodule => Some("is a submodule, whose files are not in this repository; copy them into the recipe".into()),
        EntryKind::Repository => Some("is a repository of its own; move it out of the recipe, or ignore it in .gitignore".into()),
        EntryKind::Special => Some("is neither a file nor a folder nor a link; remove it".into()),
        EntryKind::File { .. } | EntryKind::Link => None,
    }
}

/// Why the files that abra itself reads cannot be read as abra reads them, if they cannot: one sentence.
pub fn unreadable_file(tree: &Tree) -> Option<String> {
    for path in ["abra.sh", ".env.sample"] {
        match (tree.entry(path), tree.find(path)) {
            (Some(Entry::Link(target)), FoundPath::Outside | FoundPath::Absent | FoundPath::Folder) => {
                return Some(format!("{path} is a link to {target:?}, which is no file of the recipe"));
            }
            (None, FoundPath::Folder) => return Some(format!("{path} is a folder")),
            _ => {}
        }
    }
    if let FoundPath::Opaque(bytes) = tree.find(".env.sample") {
        let line = undecodable_lines(bytes).next().unwrap_or_default();
        return Some(format!(".env.sample, line {line}: it is not UTF-8"));
    }
    let FoundPath::Opaque(bytes) = tree.find("abra.sh") else { return None };
    // abra takes the lines that export a variable, and a shell runs the rest as it is.
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let exports = |line: &&usize| lines[**line - 1].trim_ascii_start().starts_with(b"export");
    let undecodable: Vec<usize> = undecodable_lines(bytes).collect();
    let line = undecodable.iter().find(exports)?;
    Some(format!("abra.sh, line {line}: it exports a value that is not UTF-8"))
}

/// The numbers of the lines that are not UTF-8.
fn undecodable_lines(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    lines.filter(|(line, _)| std::str::from_utf8(line).is_err()).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: EntryKind = EntryKind::File { bytes: 1, executable: false };

    fn flaw_of(entries: &[(&[u8], EntryKind)]) -> Option<String> {
        unreadable_entries(&entries.iter().map(|(path, kind)| (path.to_vec(), *kind)).collect::<Vec<_>>())
    }

    #[test]
    fn ordinary_files_and_links_are_readable() {
        let executable = EntryKind::File { bytes: MAX_FILE_BYTES, executable: true };
        let entries: [(&[u8], EntryKind); 6] = [
            (b".env.sample", FILE),
            (b"abra.sh", executable),
            (b"sub/a b+c.yml", FILE),
            ("sub/größe.png".as_bytes(), FILE),
            (b".gitignore", FILE),
            (b"link", EntryKind::Link),
        ];
        assert_eq!(flaw_of(&entries), None);
    }

    #[test]
    fn entries_that_cannot_be_read_are_named() {
        let large = EntryKind::File { bytes: MAX_FILE_BYTES + 1, executable: false };
        for (path, kind, expected) in [
            (&b"caf\xe9.yml"[..], FILE, "not UTF-8"),
            (b"a\nb", FILE, "control character"),
            ("a\u{202e}b".as_bytes(), FILE, "control character"),
            ("a\u{2028}b".as_bytes(), FILE, "control character"),
            (b"sub/.git/config", FILE, "folder of git"),
            (b".GIT/config", FILE, "folder of git"),
            (b"../up", FILE, "no path inside"),
            (b"a//b", FILE, "no path inside"),
            (b"abra.sh", large, "at most"),
            (b"module", EntryKind::Submodule, "submodule"),
            (b"nested", EntryKind::Repository, "repository of its own"),
            (b"pipe", EntryKind::Special, "neither a file"),
        ] {
            let flaw = flaw_of(&[(b"compose.yml", FILE), (path, kind)]).unwrap_or_default();
            assert!(flaw.contains(expected), "{:?}: {flaw:?}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn names_that_differ_in_case_alone_are_refused() {
        for (one, other) in [("compose.yml", "Compose.yml"), ("conf/a", "Conf/b"), ("É", "é")] {
            let flaw = flaw_of(&[(one.as_bytes(), FILE), (other.as_bytes(), FILE)]).unwrap_or_default();
            assert!(flaw.contains("upper and lower case"), "{one} {other}: {flaw}");
        }
    }

    #[test]
    fn script_is_read_unless_it_exports_what_is_no_text() {
        let script = |bytes: &[u8]| [("abra.sh".to_owned(), Entry::of_bytes(bytes.to_vec()))].into_iter().collect::<Tree>();
        let comment = script(b"# caf\xe9\nexport A_VERSION=v2\n");
        assert_eq!(unreadable_file(&comment), None);
        assert!(comment.script("abra.sh").unwrap().contains("export A_VERSION=v2"));

        let exported = unreadable_file(&script(b"x=1\nexport A=caf\xe9\n"));

        assert_eq!(exported.as_deref(), Some("abra.sh, line 2: it exports a value that is not UTF-8"));
    }

    #[test]
    fn files_of_abra_that_lead_elsewhere_are_refused() {
        for (path, entry, expected) in [
            (
                "abra.sh",
                Entry::Link("/etc/passwd".into()),
                "abra.sh is a link to \"/etc/passwd\", which is no file of the recipe",
            ),
            (".env.sample", Entry::Link("gone".into()), ".env.sample is a link to \"gone\", which is no file of the recipe"),
            (".env.sample", Entry::of_bytes(b"A=1\nB=\xe9".to_vec()), ".env.sample, line 2: it is not UTF-8"),
            ("abra.sh/x", Entry::Text(String::new()), "abra.sh is a folder"),
        ] {
            let tree: Tree = [(path.to_owned(), entry)].into_iter().collect();
            assert_eq!(unreadable_file(&tree).as_deref(), Some(expected));
        }
    }
}
