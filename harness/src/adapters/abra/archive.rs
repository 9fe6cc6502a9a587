//! The archive that the download of a snapshot leaves.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

/// The name of the archive in abra's working folder (docs/reference/abra.md 7.3).
pub(super) const FILE: &str = "backup.tar.gz";

/// The size of all files of the archive at `path`, which names a volume, in bytes. Compressed files count with their uncompressed
/// size. `None` when the archive has nothing at `path`: the service keeps one archive for all apps, so it may be that of another
/// app.
pub(super) fn size(file: &Path, path: &str) -> io::Result<Option<u64>> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(File::open(file)?));
    let wanted = path.rsplit_once("/volumes/").map_or(path, |(_, below)| below).trim_matches('/');
    let mut sum = None;
    for entry in archive.entries()? {
        let entry = entry?;
        let place = format!("/{}/", entry.path()?.to_string_lossy().trim_matches('/'));
        if !place.contains(&format!("/{wanted}/")) {
            continue;
        }
        let sum = sum.get_or_insert(0);
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let packed = entry.path()?.extension().is_some_and(|extension| extension == "gz");
        // A dump that is not a valid gzip file holds nothing to restore.
        *sum += if packed { length(MultiGzDecoder::new(entry)).unwrap_or(0) } else { entry.size() };
    }
    Ok(sum)
}

fn length(mut from: impl Read) -> io::Result<u64> {
    io::copy(&mut from, &mut io::sink())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn size_counts_files_below_the_path_uncompressed() {
        for (name, bytes, counts) in [
            ("dump.sql", b"create".to_vec(), 6),
            ("dump.sql", Vec::new(), 0),
            ("dump.sql.gz", packed(b"create"), 6),
            ("dump.sql.gz", packed(b""), 0),
            ("dump.sql.gz", b"no gzip".to_vec(), 0),
        ] {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let place = format!("./var/lib/docker/volumes/shop_db/_data/dumps/{name}");
            tar.append_data(&mut header, place, bytes.as_slice()).unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), packed(&tar.into_inner().unwrap())).unwrap();
            for (path, expected) in [
                (format!("shop_db/_data/dumps/{name}"), Some(counts)),
                ("shop_db/_data/dumps".to_owned(), Some(counts)),
                ("shop_db/_data/dump".to_owned(), None),
                (format!("blog_db/_data/dumps/{name}"), None),
            ] {
                let path = format!("/var/lib/docker/volumes/{path}");
                assert_eq!(size(file.path(), &path).unwrap(), expected, "{path} of {} bytes", bytes.len());
            }
        }
    }
}
