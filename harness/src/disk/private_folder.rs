//! Folders of one owner: others can neither read what is in them nor put something into their place.
//!
//! Cleanup acts upon what it reads in taster's state folder, so no other user may write there, nor replace one of the folders
//! above it.

use std::{
    fs::{self, DirBuilder, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

/// The mode of such a folder.
const PRIVATE: u32 = 0o700;
/// Write permission of the group and of others.
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder with this bit only the owner of an entry may replace it.
const STICKY: u32 = 0o1000;
/// The most links on the way to a folder.
const MAX_LINKS: usize = 40;

/// Why a folder is not its owner's alone.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// A folder or link on the way belongs to another user.
    #[error("{} belongs to another user", path.display())]
    OtherOwner {
        /// The folder or link.
        path: PathBuf,
    },
    /// Others can replace what is in a folder on the way.
    #[error("others can write to {}", path.display())]
    OthersWrite {
        /// The folder.
        path: PathBuf,
    },
    /// The path has a character that programs of a run read as a separator.
    #[error("the path {} contains {character:?}, which abra and docker read as a separator", path.to_string_lossy().escape_debug())]
    BadCharacter {
        /// The path.
        path: PathBuf,
        /// The character.
        character: char,
    },
    /// The system refuses.
    #[error("cannot use {}", path.display())]
    System {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Who may own and write the folders.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The user id of this process.
    uid: u32,
    /// Its group, where no other user belongs to it: such a group may write.
    own_group: Option<u32>,
}

impl Owner {
    /// The user of this process.
    pub fn current() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let table = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let private = is_private_group(uid, gid, &table("/etc/passwd"), &table("/etc/group"));
        Self { uid, own_group: private.then_some(gid) }
    }

    /// Whether another user could replace an entry that is in a folder with this metadata.
    fn lets_others_write(&self, folder: &Metadata) -> bool {
        let group = folder.mode() & GROUP_WRITE != 0 && self.own_group != Some(folder.gid());
        group || folder.mode() & OTHERS_WRITE != 0
    }

    fn trusts(&self, entry: &Metadata) -> bool {
        [0, self.uid].contains(&entry.uid())
    }
}

/// Whether `gid` is the group of the user `uid` alone, by the texts of `/etc/passwd` and `/etc/group`. Many systems give each
/// user such a group and let it write what the user makes.
fn is_private_group(uid: u32, gid: u32, passwd: &str, group: &str) -> bool {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let is = |field: Option<&String>, id: u32| field.and_then(|field| field.parse().ok()) == Some(id);
    let users: Vec<Vec<String>> = passwd.lines().map(fields).collect();
    let Some(name) = users.iter().find(|user| is(user.get(2), uid)).and_then(|user| user.first()) else { return false };
    let Some(entry) = group.lines().map(fields).find(|entry| is(entry.get(2), gid)) else { return false };
    let members = entry.get(3).map_or("", String::as_str).split(',').filter(|member| !member.is_empty());
    gid != 0
        && members.into_iter().all(|member| member == name)
        && users.iter().all(|user| is(user.get(2), uid) || !is(user.get(3), gid))
}

/// Makes the folder `path`, with those above it, for this user alone. Others can no longer enter one that is there.
///
/// # Errors
/// When others own it or could replace it, or when it cannot be made.
pub fn make(path: &Path, owner: &Owner) -> Result<(), NotPrivate> {
    check(path, owner)?;
    let system = |source| NotPrivate::System { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path).map_err(system)?;
    // Another user may have been quicker.
    close(path, owner)
}

/// Checks the folder `path`, as far as it exists. Others can no longer enter it then.
///
/// # Errors
/// As [`check`], and when its mode cannot be changed.
pub fn close(path: &Path, owner: &Owner) -> Result<(), NotPrivate> {
    check(path, owner)?;
    match fs::metadata(path) {
        Ok(meta) if meta.mode() & 0o777 != PRIVATE => {
            let closed = fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE));
            closed.map_err(|source| NotPrivate::System { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Checks the folder `path`, as far as it exists.
///
/// # Errors
/// When others own it or could replace it.
pub fn check(path: &Path, owner: &Owner) -> Result<(), NotPrivate> {
    if let Some(character) = bad_character(path) {
        return Err(NotPrivate::BadCharacter { path: path.to_owned(), character });
    }
    let Some(meta) = reached(path, owner)? else { return Ok(()) };
    match () {
        // The folder of root that a root process uses is its own; anybody else needs one of their own.
        () if meta.uid() != owner.uid => Err(NotPrivate::OtherOwner { path: path.to_owned() }),
        () if owner.lets_others_write(&meta) => Err(NotPrivate::OthersWrite { path: path.to_owned() }),
        () => Ok(()),
    }
}

/// The first character of a path that programs of a run read as a separator: docker reads the list of compose files as CSV, and
/// `PATH` and `COMPOSE_FILE` are separated by colons. A path that is not UTF-8 cannot be in a journal.
fn bad_character(path: &Path) -> Option<char> {
    let bad = |character: &char| [',', '"', ':', char::REPLACEMENT_CHARACTER].contains(character) || character.is_control();
    path.to_string_lossy().chars().find(bad)
}

/// The metadata of the folder that `path` leads to; absent where something on the way does not exist. Each folder and link on the
/// way must be one that only root or this user can replace.
fn reached(path: &Path, owner: &Owner) -> Result<Option<Metadata>, NotPrivate> {
    let absolute = std::path::absolute(path).map_err(|source| NotPrivate::System { path: path.to_owned(), source })?;
    let mut rest: Vec<PathBuf> = parts(&absolute);
    let mut at = PathBuf::from("/");
    let mut above = fs::metadata("/").map_err(|source| NotPrivate::System { path: at.clone(), source })?;
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == Path::new("..") {
            at.pop();
            above = fs::metadata(&at).map_err(|source| NotPrivate::System { path: at.clone(), source })?;
            continue;
        }
        let next = at.join(&part);
        let meta = match fs::symlink_metadata(&next) {
            Ok(meta) => meta,
            // What others could make here before this user does is theirs, and the check after the making sees that.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return missing_below(&at, &above, owner),
            Err(source) => return Err(NotPrivate::System { path: next, source }),
        };
        if !owner.trusts(&meta) {
            return Err(NotPrivate::OtherOwner { path: next });
        }
        if owner.lets_others_write(&above) && above.mode() & STICKY == 0 {
            return Err(NotPrivate::OthersWrite { path: at });
        }
        if meta.is_symlink() {
            links += 1;
            let target = fs::read_link(&next).map_err(|source| NotPrivate::System { path: next.clone(), source })?;
            if links > MAX_LINKS {
                return Err(unusable(&next, rustix::io::Errno::LOOP));
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
                above = fs::metadata("/").map_err(|source| NotPrivate::System { path: at.clone(), source })?;
            }
            rest.extend(parts(&target));
            continue;
        }
        if !meta.is_dir() {
            return Err(unusable(&next, rustix::io::Errno::NOTDIR));
        }
        (at, above) = (next, meta);
    }
    Ok(Some(above))
}

/// The answer where nothing exists below `at`: anybody who can write there could put a folder there first.
fn missing_below(at: &Path, above: &Metadata, owner: &Owner) -> Result<Option<Metadata>, NotPrivate> {
    match owner.lets_others_write(above) && above.mode() & STICKY == 0 {
        true => Err(NotPrivate::OthersWrite { path: at.to_owned() }),
        false => Ok(None),
    }
}

fn unusable(path: &Path, errno: rustix::io::Errno) -> NotPrivate {
    NotPrivate::System { path: path.to_owned(), source: errno.into() }
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let part = |part: Component<'_>| {
        matches!(part, Component::Normal(_) | Component::ParentDir).then(|| PathBuf::from(part.as_os_str()))
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    fn owner() -> Owner {
        Owner { uid: rustix::process::geteuid().as_raw(), own_group: None }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folder_and_those_above_it_become_private_and_an_open_one_is_closed() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("a/b/state");
        make(&state, &owner()).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
        mode(&state, 0o755);
        close(&state, &owner()).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700, "others could read it");
        assert!(close(&base.path().join("absent/state"), &owner()).is_ok(), "nothing is made by a check");
        assert!(!base.path().join("absent").exists());
    }

    #[test]
    fn folder_that_others_can_write_or_replace_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let (above, state) = (base.path().join("above"), base.path().join("above/state"));
        fs::create_dir_all(&state).unwrap();
        for (of_above, of_state, refusal) in [
            (0o755, 0o700, None),
            (0o755, 0o777, Some("others can write to .*/above/state")),
            (0o755, 0o770, Some("others can write to .*/above/state")),
            (0o777, 0o700, Some("others can write to .*/above")),
            (0o775, 0o700, Some("others can write to .*/above")),
            (0o1777, 0o700, None),
        ] {
            mode(&above, of_above);
            mode(&state, of_state);
            let refused = check(&state, &owner()).err().map(|error| error.to_string());
            let expected = refusal.map(|text| text.replace(".*", &base.path().display().to_string()));
            assert_eq!(refused, expected, "{of_above:o} {of_state:o}");
        }
        mode(&above, 0o777);
        assert!(matches!(check(&above.join("new"), &owner()), Err(NotPrivate::OthersWrite { .. })), "others could make it first");
        fs::write(base.path().join("file"), "").unwrap();
        assert!(matches!(check(&base.path().join("file"), &owner()), Err(NotPrivate::System { .. })));
    }

    #[test]
    fn folders_and_links_of_other_users_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let (state, link) = (base.path().join("state"), base.path().join("link"));
        fs::create_dir(&state).unwrap();
        symlink(&state, &link).unwrap();
        assert!(check(&link, &owner()).is_ok(), "a link of one's own");
        let stranger = Owner { uid: owner().uid + 1, own_group: None };
        assert!(matches!(check(&state, &stranger), Err(NotPrivate::OtherOwner { .. })));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
            assert!(matches!(check(&link.join("x"), &owner()), Err(NotPrivate::OtherOwner { path }) if path == link));
            chown(&state, Some(65_534), None).unwrap();
            assert!(matches!(make(&state, &owner()), Err(NotPrivate::OtherOwner { .. })));
        }
    }

    #[test]
    fn path_with_a_separator_is_refused_with_the_character() {
        for (path, character) in [("/srv/a,b", ','), ("/srv/a\"b", '"'), ("/srv/a\nb", '\n'), ("/srv/a:b", ':')] {
            let refused = check(Path::new(path), &owner());
            assert!(matches!(refused, Err(NotPrivate::BadCharacter { character: found, .. }) if found == character), "{path}");
        }
        assert!(check(Path::new("/srv/a b-c_d.é+@=~"), &owner()).is_ok());
    }

    #[test]
    fn group_of_one_user_differs_from_a_shared_one() {
        let passwd = "root:x:0:0::/root:\nann:x:1000:1000::/:\nben:x:1001:1001::/:\n";
        for (uid, gid, group, private) in [
            (1000, 1000, "ann:x:1000:\n", true),
            (1000, 1000, "ann:x:1000:ann\n", true),
            (1000, 1000, "ann:x:1000:ben\n", false),
            (1000, 100, "users:x:100:\n", true),
            (1000, 1001, "ben:x:1001:\n", false),
            (1000, 1000, "", false),
            (4000, 4000, "x:x:4000:\n", false),
            (0, 0, "root:x:0:\n", false),
        ] {
            assert_eq!(is_private_group(uid, gid, passwd, group), private, "{uid} {gid} {group:?}");
        }
    }
}
