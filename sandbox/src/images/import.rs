//! Importing a tar as an image.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    time::Duration,
};

use bollard::{Docker, body_full, body_try_stream, query_parameters::CreateImageOptionsBuilder};
use futures_util::TryStreamExt;

use crate::{engine, error::SandboxError};

/// The end of a tar file.
pub(super) const END: [u8; 1024] = [0; 1024];
/// The size of the pieces in which a tar is sent.
const CHUNK: usize = 1 << 20;
/// The longest that the engine may take to import an image.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(600);

/// The tar of an image.
pub(super) enum Tar<'a> {
    Bytes(Vec<u8>),
    /// Several files, each without its end, to be concatenated.
    Files(&'a [PathBuf]),
}

/// `docker import`. The engine names an image once it has all of it. `changes` are instructions of a Dockerfile.
pub(super) async fn import(docker: &Docker, image: &str, tar: Tar<'_>, changes: Vec<String>) -> Result<(), SandboxError> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let mut options = CreateImageOptionsBuilder::default().from_src("-").repo(name).tag(tag).build();
    options.changes = changes;
    let body = match tar {
        Tar::Bytes(bytes) => body_full(bytes.into()),
        Tar::Files(paths) => {
            let open = |path: &PathBuf| fs::File::open(path).map_err(|error| SandboxError::file(path, error));
            let files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            let pieces = files.into_iter().flat_map(chunks).chain([Ok(END.to_vec())]);
            body_try_stream(futures_util::stream::iter(pieces.map(|piece| piece.map(Into::into))))
        }
    };
    // The engine answers once it has read the whole tar.
    let patient = docker.clone().with_timeout(IMPORT_TIMEOUT);
    let imported = patient.create_image(Some(options), Some(body), None).try_for_each(|_| async { Ok(()) });
    engine::call_within(IMPORT_TIMEOUT, "image import", imported).await
}

/// A file in pieces, read lazily.
fn chunks(mut file: fs::File) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    std::iter::from_fn(move || {
        let mut bytes = vec![0; CHUNK];
        let read = file.read(&mut bytes).map(|read| bytes.truncate(read));
        (read.is_err() || !bytes.is_empty()).then(|| read.map(|()| bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_a_file_are_the_whole_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for size in [0, 5, CHUNK, CHUNK * 2 + 5] {
            let text: Vec<u8> = (0..=250).cycle().take(size).collect();
            fs::write(file.path(), &text).unwrap();
            let read: Vec<u8> = chunks(fs::File::open(file.path()).unwrap()).flat_map(Result::unwrap).collect();
            assert!(read == text, "{size}");
        }
    }
}
