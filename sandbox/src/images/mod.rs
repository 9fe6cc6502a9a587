//! Images: present ones are used, else pulled when a registry answers, else assembled from packages of the distribution and of npm.
//!
//! Those that are assembled are named under `taster.test/`, a name that resolves nowhere: each task first tries to pull its
//! image, and that must fail fast. One that stands in for an official image has the official name, and is assembled only where
//! no registry has it.

mod assemble;
mod debian;
mod draft;
mod npm;
mod source;

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::{
    Docker, body_full, body_try_stream,
    query_parameters::{CreateImageOptionsBuilder, ListImagesOptions, PruneImagesOptionsBuilder, RemoveImageOptions},
};
use futures_util::TryStreamExt;

use self::source::{Source, sources};
use crate::{
    embedded::{self, SPECIMEN_DIGEST},
    engine::{self, answer, found, labels::LABEL},
    error::{ImageError, SandboxError},
    home::{Home, lock},
    progress::Teller,
};

/// What the names of assembled images begin with.
pub const REGISTRY: &str = "taster.test";
/// The label with the digest of what an assembled image was made from.
const SOURCE_LABEL: &str = "taster.source";
/// The end of a tar.
const END: [u8; 1024] = [0; 1024];
/// As much of a tar as is sent at once.
const CHUNK: usize = 1 << 20;
/// How long the engine may take to import an image.
const IMPORT: Duration = Duration::from_secs(600);
/// How long another taster that assembles images is waited for.
const TURN: Duration = Duration::from_secs(1800);

/// The image of the specimen; its tag is the program's digest.
pub fn specimen() -> String {
    format!("{REGISTRY}/specimen:{SPECIMEN_DIGEST}")
}

/// The image of the ingress.
pub(crate) fn caddy() -> String {
    named("caddy")
}

/// The image of the backup service.
pub(crate) fn backup() -> String {
    named("backup")
}

fn named(name: &str) -> String {
    sources().iter().find(|source| source.name == name).map(Source::image).unwrap_or_default()
}

/// Makes sure that the engine has all of `images`. Interrupted at any point it leaves no half image: an image gets its name
/// as its last step.
pub async fn provide(home: &Home, images: &[String], say: &mut dyn FnMut(crate::Progress)) -> Result<(), SandboxError> {
    let docker = engine::connect(&home.layout())?;
    let mut teller = Teller::new(say);
    let sources = sources();
    let mut lacking = Vec::new();
    for image in images {
        if !there(&docker, image, source_of(&sources, image)).await? {
            lacking.push(image);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    // Two runs at once assemble an image once. The sandbox's own lock stays free: images can take minutes, and others use it.
    let turn = home.cache().join("assembling");
    fs::create_dir_all(home.cache()).map_err(|error| SandboxError::file(&home.cache(), error))?;
    let _turn = lock::of_file(&turn, TURN, || teller.say("waiting for another taster that assembles images")).await?;
    for image in lacking {
        if provide_one(&docker, home, image, source_of(&sources, image), &mut teller).await? {
            let _lock = lock::of_home(home).await?;
            remember(home, image)?;
        }
    }
    Ok(())
}

/// Those of `images` that only the network could give: the engine does not have them, and they are not in this program.
pub async fn absent(home: &Home, images: &[String]) -> Result<Vec<String>, SandboxError> {
    let docker = engine::connect(&home.layout())?;
    let mut absent = Vec::new();
    for image in images {
        if *image != specimen() && present(&docker, image).await?.is_none() {
            absent.push(image.clone());
        }
    }
    Ok(absent)
}

/// Makes sure of `images` for a caller that holds the sandbox's lock.
pub(crate) async fn ensure(docker: &Docker, home: &Home, images: &[String], teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    let sources = sources();
    for image in images {
        if provide_one(docker, home, image, source_of(&sources, image), teller).await? {
            remember(home, image)?;
        }
    }
    Ok(())
}

fn source_of<'a>(sources: &'a [Source], image: &str) -> Option<&'a Source> {
    sources.iter().find(|source| source.image() == *image)
}

/// Whether the engine has an image as it is meant.
async fn there(docker: &Docker, image: &str, source: Option<&Source>) -> Result<bool, SandboxError> {
    let labels = present(docker, image).await?;
    Ok(match (labels, source) {
        (Some(labels), Some(source)) => match labels.get(SOURCE_LABEL) {
            Some(digest) => *digest == source.digest,
            // What somebody pulled under an official name is the official image.
            None => source.definition.official,
        },
        (Some(_), None) => true,
        (None, _) => false,
    })
}

/// Makes sure of one image. Gives whether it is of the sandbox's making and new.
async fn provide_one(
    docker: &Docker,
    home: &Home,
    image: &str,
    source: Option<&Source>,
    teller: &mut Teller<'_>,
) -> Result<bool, SandboxError> {
    if there(docker, image, source).await? {
        return Ok(false);
    }
    let pullable = !image.starts_with(REGISTRY) && home.machine().registry;
    match source {
        Some(source) => {
            if pullable && present(docker, image).await?.is_none() {
                match pull(docker, image).await {
                    Ok(()) => {
                        teller.say(format!("pulled the image {image}"));
                        return Ok(false);
                    }
                    Err(error) => teller.say(format!("{}; it is assembled instead", error.with_causes())),
                }
            }
            assemble::assemble(docker, home, source, teller).await?;
            teller.say(format!("assembled the image {image}"));
            // What had the name before, from another source, is of no use to anybody.
            remove_nameless(docker).await?;
            Ok(true)
        }
        None if *image == specimen() => {
            import_specimen(docker).await?;
            teller.say(format!("imported the image {image}"));
            Ok(true)
        }
        None if pullable => {
            pull(docker, image).await?;
            teller.say(format!("pulled the image {image}"));
            Ok(false)
        }
        None => {
            let source = if image.starts_with(REGISTRY) { ImageError::UnknownSource } else { ImageError::NoRegistry };
            Err(SandboxError::NoImage { image: image.to_owned(), source })
        }
    }
}

/// Remembers that an image is of the sandbox's making.
fn remember(home: &Home, image: &str) -> Result<(), SandboxError> {
    let mut made = home.made();
    made.images.insert(image.to_owned());
    home.keep_made(&made)
}

/// The labels of an image that the engine has.
async fn present(docker: &Docker, image: &str) -> Result<Option<HashMap<String, String>>, SandboxError> {
    let inspected = found("image inspect", docker.inspect_image(image)).await?;
    Ok(inspected.map(|image| image.config.and_then(|config| config.labels).unwrap_or_default()))
}

async fn pull(docker: &Docker, image: &str) -> Result<(), SandboxError> {
    let options = CreateImageOptionsBuilder::default().from_image(image).build();
    let pulled = docker.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) });
    pulled.await.map_err(|error| SandboxError::NoImage { image: image.to_owned(), source: ImageError::Pull(error.into()) })
}

async fn import_specimen(docker: &Docker) -> Result<(), SandboxError> {
    let mut tar = tar::Builder::new(Vec::new());
    let made = (|| {
        folder(&mut tar, "data")?;
        file(&mut tar, "specimen", &embedded::specimen()?, 0o755)?;
        tar.into_inner()
    })();
    let changes = vec!["ENTRYPOINT [\"/specimen\"]".to_owned(), "EXPOSE 80/tcp".to_owned(), format!("LABEL {LABEL}=1")];
    let bytes = made.map_err(|error| SandboxError::file(Path::new("the specimen's image"), error))?;
    import(docker, &specimen(), Tar::Bytes(bytes), changes).await
}

fn folder(tar: &mut tar::Builder<Vec<u8>>, path: &str) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    tar.append_data(&mut header, path, std::io::empty())
}

fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)
}

/// The tar of an image.
enum Tar<'a> {
    Bytes(Vec<u8>),
    /// Several behind each other, each without its end.
    Files(&'a [PathBuf]),
}

/// `docker import`. The engine names an image once it has all of it.
async fn import(docker: &Docker, image: &str, tar: Tar<'_>, changes: Vec<String>) -> Result<(), SandboxError> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let mut options = CreateImageOptionsBuilder::default().from_src("-").repo(name).tag(tag).build();
    options.changes = changes;
    // The engine answers once it has read the whole tar, and one image may be large.
    let body = match tar {
        Tar::Bytes(bytes) => body_full(bytes.into()),
        Tar::Files(paths) => {
            let open = |path: &PathBuf| fs::File::open(path).map_err(|error| SandboxError::file(path, error));
            let files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            let pieces = files.into_iter().flat_map(chunks).chain([Ok(END.to_vec())]);
            body_try_stream(futures_util::stream::iter(pieces.map(|piece| piece.map(Into::into))))
        }
    };
    let patient = docker.clone().with_timeout(IMPORT);
    let imported = patient.create_image(Some(options), Some(body), None).try_for_each(|_| async { Ok(()) });
    engine::answer_within(IMPORT, "image import", imported).await
}

/// A file in pieces, read as they are asked for.
fn chunks(mut file: fs::File) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    std::iter::from_fn(move || {
        let mut bytes = vec![0; CHUNK];
        let read = file.read(&mut bytes).map(|read| bytes.truncate(read));
        (read.is_err() || !bytes.is_empty()).then(|| read.map(|()| bytes))
    })
}

/// The images on the engine that the sandbox assembled, by name.
pub(crate) async fn ours(docker: &Docker) -> Result<Vec<String>, SandboxError> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}=1")])]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let mut names: Vec<String> =
        answer("image ls", docker.list_images(Some(options))).await?.into_iter().flat_map(|image| image.repo_tags).collect();
    let sources = sources();
    names.retain(|name| name.starts_with(REGISTRY) || source_of(&sources, name).is_some());
    names.sort();
    Ok(names)
}

/// Removes an image's name, and the image when it has no other; one that is in use stays, and so does an official one that somebody
/// has pulled in its place.
pub(crate) async fn remove(docker: &Docker, image: &str) -> Result<bool, SandboxError> {
    if present(docker, image).await?.is_none_or(|labels| !labels.contains_key(LABEL)) {
        return Ok(false);
    }
    match docker.remove_image(image, None::<RemoveImageOptions>, None).await {
        Ok(_) => Ok(true),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
        Err(error) => Err(SandboxError::Engine { call: "image rm".into(), source: error.into() }),
    }
}

/// Removes images of the sandbox's making that have lost their names to newer ones. Those that a container still uses stay.
pub(crate) async fn remove_nameless(docker: &Docker) -> Result<(), SandboxError> {
    let filters = HashMap::from([("dangling", vec!["true".to_owned()]), ("label", vec![format!("{LABEL}=1")])]);
    let options = PruneImagesOptionsBuilder::default().filters(&filters).build();
    match docker.prune_images(Some(options)).await {
        // 409: another one prunes just now, and the engine lets only one do so.
        Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
        Err(error) => Err(SandboxError::Engine { call: "image prune".into(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_sandbox_have_their_images() {
        assert!(caddy().starts_with("taster.test/caddy:"));
        assert!(backup().starts_with("taster.test/backup:"));
    }

    #[test]
    fn a_file_is_read_whole_in_pieces() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for size in [0, 5, CHUNK, CHUNK * 2 + 5] {
            let text: Vec<u8> = (0..=250).cycle().take(size).collect();
            fs::write(file.path(), &text).unwrap();
            let read: Vec<u8> = chunks(fs::File::open(file.path()).unwrap()).flat_map(Result::unwrap).collect();
            assert!(read == text, "{size}");
        }
    }
}
