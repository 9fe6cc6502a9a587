//! Reads plain files of a limited size.
//!
//! What is in the place of a file may be a pipe that never ends, a device, a link that leads elsewhere, or more than fits in
//! memory. Such a thing is refused before a byte of it is read, with a sentence, and nothing waits for it.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// The most bytes of a journal that are read. A run of an hour writes less than a hundredth of it.
pub const JOURNAL_LIMIT: u64 = 32 << 20;
/// The most bytes of a report, a context or an answer that are read.
pub const DOCUMENT_LIMIT: u64 = 32 << 20;
/// The most bytes of a settings file or a sample that are read.
pub const SETTINGS_LIMIT: u64 = 1 << 20;

/// Whether a symbolic link in the place of a file is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It is refused: taster made the file and makes no links.
    Refused,
    /// It is followed: a person named the file.
    Followed,
}

/// Opens a plain file for reading, without waiting.
///
/// # Errors
/// When it is absent, cannot be read, or is not a plain file.
pub fn open(path: &Path, links: Links) -> io::Result<File> {
    opened(path, links, OpenOptions::new().read(true))
}

/// Opens a plain file by `options`, without waiting.
///
/// # Errors
/// As [`open`].
pub fn opened(path: &Path, links: Links, options: &mut OpenOptions) -> io::Result<File> {
    let no_links = if links == Links::Refused { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | no_links;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| explained(path, error))?;
    let meta = file.metadata()?;
    match meta.is_file() {
        true => Ok(file),
        false => Err(not_plain(&meta)),
    }
}

/// The bytes of a plain file of at most `limit` bytes.
///
/// # Errors
/// As [`open`], and when the file is larger.
pub fn read(path: &Path, limit: u64, links: Links) -> io::Result<Vec<u8>> {
    let file = open(path, links)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    if size <= limit {
        // A file may grow while it is read.
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    match u64::try_from(bytes.len()).is_ok_and(|read| read <= limit) && size <= limit {
        true => Ok(bytes),
        false => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {} MiB, which no such file of taster has", limit >> 20),
        )),
    }
}

/// The text of a plain file of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64, links: Links) -> io::Result<String> {
    String::from_utf8(read(path, limit, links)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// The error of an open call, with the reason where the system's own sentence does not name it.
fn explained(path: &Path, error: io::Error) -> io::Error {
    let reason = path.symlink_metadata().ok().filter(|meta| !meta.is_file() && error.kind() != io::ErrorKind::NotFound);
    reason.map_or(error, |meta| not_plain(&meta))
}

fn not_plain(meta: &Metadata) -> io::Error {
    let kind = meta.file_type();
    let what = match () {
        () if kind.is_dir() => return io::ErrorKind::IsADirectory.into(),
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    io::Error::other(format!("it is {what} and not a plain file"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn only_plain_files_within_the_limit_are_read_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link to a pipe")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        File::create(path("huge")).unwrap().set_len(1 << 40).unwrap();
        let refusal = |name: &str, links| read(&path(name), 5, links).unwrap_err().to_string();

        assert_eq!(read(&path("file"), 5, Links::Refused).unwrap(), b"12345");
        assert_eq!(read(&path("link"), 5, Links::Followed).unwrap(), b"12345");
        for (name, sentence) in [
            ("link", "it is a symbolic link and not a plain file"),
            ("pipe", "it is a pipe and not a plain file"),
            ("socket", "it is a socket and not a plain file"),
            ("folder", "is a directory"),
            ("huge", "it has more than 0 MiB, which no such file of taster has"),
        ] {
            assert_eq!(refusal(name, Links::Refused), sentence, "{name}");
        }
        assert_eq!(refusal("link to a pipe", Links::Followed), "it is a pipe and not a plain file");
        let device = read(Path::new("/dev/zero"), 5, Links::Refused).unwrap_err();
        assert_eq!(device.to_string(), "it is a device and not a plain file");
        assert_eq!(read(&path("absent"), 5, Links::Refused).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read(&path("file"), 4, Links::Refused).is_err(), "one byte more than the limit");
    }
}
