//! Images: the engine's own, else pulled when a registry answers, else assembled from packages of the distribution and of npm.
//!
//! Assembled images are named under `taster.test/`, which resolves nowhere: each task first tries to pull its image, and that
//! must fail fast. An image that replaces an official one has the official name, and is assembled only where no registry
//! has it.

mod assemble;
mod debian;
mod import;
mod npm;
mod scratch_folder;
mod source;

use std::{collections::HashMap, fs, path::Path, time::Duration};

use bollard::{
    Docker,
    query_parameters::{CreateImageOptionsBuilder, ListImagesOptions, PruneImagesOptionsBuilder, RemoveImageOptions},
};
use futures_util::TryStreamExt;

use self::{
    import::{Tar, import},
    source::{Source, sources},
};
use crate::{
    embedded::{self, SPECIMEN_DIGEST},
    engine::{self, call, call_optional, labels},
    error::{ImageError, SandboxError},
    home::{Home, lock::lock_file},
    progress::{Progress, ProgressReporter},
};

/// The prefix of the names of assembled images.
pub const REGISTRY: &str = "taster.test";
/// The label with the digest of the source of an assembled image.
const SOURCE_LABEL: &str = "taster.source";
/// The longest wait for another taster that assembles images.
const TURN_TIMEOUT: Duration = Duration::from_secs(1800);

/// The image of the specimen. Its tag is the program's digest.
pub fn specimen() -> String {
    format!("{REGISTRY}/specimen:{SPECIMEN_DIGEST}")
}

/// The image of the ingress.
pub fn caddy() -> String {
    named("caddy")
}

/// The image of the backup service.
pub(crate) fn backup() -> String {
    named("backup")
}

fn named(name: &str) -> String {
    sources().iter().find(|source| source.name == name).map(Source::image).unwrap_or_default()
}

/// Provides the engine with all of `images`. An interruption leaves no half image, because the name is the last step.
pub async fn provide(home: &Home, images: &[String], on_progress: &mut dyn FnMut(Progress)) -> Result<(), SandboxError> {
    let docker = engine::connect(&home.layout())?;
    let mut progress = ProgressReporter::new(on_progress);
    let sources = sources();
    let mut missing = Vec::new();
    for image in images {
        if !is_current(&docker, image, source_of(&sources, image)).await? {
            missing.push(image);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // Two runs at once assemble an image once. The lock of the whole sandbox stays free, because images can take minutes.
    let turn = home.cache().join("assembling");
    fs::create_dir_all(home.cache()).map_err(|error| SandboxError::file(&home.cache(), error))?;
    let _turn = lock_file(&turn, TURN_TIMEOUT, || progress.report("waiting for another taster that assembles images")).await?;
    for image in missing {
        if provide_one(&docker, home, image, source_of(&sources, image), &mut progress).await? {
            let _lock = home.lock().await?;
            record_created(home, image)?;
        }
    }
    Ok(())
}

/// Those of `images` that need the network: the engine does not have them, and this program does not contain them.
pub async fn needing_network(home: &Home, images: &[String]) -> Result<Vec<String>, SandboxError> {
    let docker = engine::connect(&home.layout())?;
    let mut needing = Vec::new();
    for image in images {
        if *image != specimen() && labels_of(&docker, image).await?.is_none() {
            needing.push(image.clone());
        }
    }
    Ok(needing)
}

/// Makes sure of `images` for a caller that holds the sandbox's lock.
pub(crate) async fn ensure(
    docker: &Docker,
    home: &Home,
    images: &[String],
    progress: &mut ProgressReporter<'_>,
) -> Result<(), SandboxError> {
    let sources = sources();
    for image in images {
        if provide_one(docker, home, image, source_of(&sources, image), progress).await? {
            record_created(home, image)?;
        }
    }
    Ok(())
}

fn source_of<'a>(sources: &'a [Source], image: &str) -> Option<&'a Source> {
    sources.iter().find(|source| source.image() == *image)
}

/// Whether the engine has an image, built from the given source if there is one.
async fn is_current(docker: &Docker, image: &str, source: Option<&Source>) -> Result<bool, SandboxError> {
    let labels = labels_of(docker, image).await?;
    Ok(match (labels, source) {
        (Some(labels), Some(source)) => match labels.get(SOURCE_LABEL) {
            Some(digest) => *digest == source.digest,
            // Without our label it was pulled, so under an official name it is the official image.
            None => source.definition.official,
        },
        (Some(_), None) => true,
        (None, _) => false,
    })
}

/// Provides one image. Returns whether the sandbox created it now.
async fn provide_one(
    docker: &Docker,
    home: &Home,
    image: &str,
    source: Option<&Source>,
    progress: &mut ProgressReporter<'_>,
) -> Result<bool, SandboxError> {
    if is_current(docker, image, source).await? {
        return Ok(false);
    }
    let pullable = !image.starts_with(REGISTRY) && home.capabilities().registry;
    match source {
        Some(source) => {
            if pullable && labels_of(docker, image).await?.is_none() {
                match pull(docker, image).await {
                    Ok(()) => {
                        progress.report(format!("pulled the image {image}"));
                        return Ok(false);
                    }
                    Err(error) => progress.report(format!("{}; it is assembled instead", error.with_causes())),
                }
            }
            assemble::assemble(docker, home, source, progress).await?;
            progress.report(format!("assembled the image {image}"));
            // The image of another source that had this name is useless now.
            remove_untagged(docker).await?;
            Ok(true)
        }
        None if *image == specimen() => {
            import_specimen(docker).await?;
            progress.report(format!("imported the image {image}"));
            Ok(true)
        }
        None if pullable => {
            pull(docker, image).await?;
            progress.report(format!("pulled the image {image}"));
            Ok(false)
        }
        None => {
            let source = if image.starts_with(REGISTRY) { ImageError::UnknownSource } else { ImageError::NoRegistry };
            Err(SandboxError::NoImage { image: image.to_owned(), source })
        }
    }
}

/// Records that the sandbox created an image.
fn record_created(home: &Home, image: &str) -> Result<(), SandboxError> {
    let mut created = home.created();
    created.images.insert(image.to_owned());
    home.save_created(&created)
}

/// The labels of an image; `None` when the engine does not have it.
async fn labels_of(docker: &Docker, image: &str) -> Result<Option<HashMap<String, String>>, SandboxError> {
    let inspected = call_optional("image inspect", docker.inspect_image(image)).await?;
    Ok(inspected.map(|image| image.config.and_then(|config| config.labels).unwrap_or_default()))
}

async fn pull(docker: &Docker, image: &str) -> Result<(), SandboxError> {
    let options = CreateImageOptionsBuilder::default().from_image(image).build();
    let pulled = docker.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) });
    pulled.await.map_err(|error| SandboxError::NoImage { image: image.to_owned(), source: ImageError::Pull(error.into()) })
}

async fn import_specimen(docker: &Docker) -> Result<(), SandboxError> {
    let mut tar = tar::Builder::new(Vec::new());
    let packed = (|| {
        folder(&mut tar, "data")?;
        file(&mut tar, "specimen", &embedded::specimen()?, 0o755)?;
        tar.into_inner()
    })();
    let changes =
        vec!["ENTRYPOINT [\"/specimen\"]".to_owned(), "EXPOSE 80/tcp".to_owned(), format!("LABEL {}=1", labels::SANDBOX)];
    let bytes = packed.map_err(|error| SandboxError::file(Path::new("the specimen's image"), error))?;
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

/// The names of the images on the engine that the sandbox created.
pub(crate) async fn list_own(docker: &Docker) -> Result<Vec<String>, SandboxError> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}=1", labels::SANDBOX)])]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let mut names: Vec<String> =
        call("image ls", docker.list_images(Some(options))).await?.into_iter().flat_map(|image| image.repo_tags).collect();
    let sources = sources();
    names.retain(|name| name.starts_with(REGISTRY) || source_of(&sources, name).is_some());
    names.sort();
    Ok(names)
}

/// Removes an image's name, and the image when it has no other name. Returns whether it did: an image in use stays, and so
/// does a pulled image that has the name now.
pub(crate) async fn remove(docker: &Docker, image: &str) -> Result<bool, SandboxError> {
    if labels_of(docker, image).await?.is_none_or(|own| !own.contains_key(labels::SANDBOX)) {
        return Ok(false);
    }
    match docker.remove_image(image, None::<RemoveImageOptions>, None).await {
        Ok(_) => Ok(true),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
        Err(error) => Err(SandboxError::Engine { call: "image rm".into(), source: error.into() }),
    }
}

/// Removes images of the sandbox that lost their name to a newer one. Those in use by a container stay.
pub(crate) async fn remove_untagged(docker: &Docker) -> Result<(), SandboxError> {
    let filters = HashMap::from([("dangling", vec!["true".to_owned()]), ("label", vec![format!("{}=1", labels::SANDBOX)])]);
    let options = PruneImagesOptionsBuilder::default().filters(&filters).build();
    match docker.prune_images(Some(options)).await {
        // 409: another prune runs, and the engine allows only one.
        Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
        Err(error) => Err(SandboxError::Engine { call: "image prune".into(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingress_and_backup_have_their_images() {
        assert!(caddy().starts_with("taster.test/caddy:"));
        assert!(backup().starts_with("taster.test/backup:"));
    }
}
