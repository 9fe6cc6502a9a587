//! Images: present ones are used, else pulled when a registry answers, else assembled from packages of the distribution.
//!
//! Those that are assembled are named under `taster.test/`, a name that resolves nowhere: each task first tries to pull its
//! image, and that must fail fast.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use bollard::{
    Docker, body_full,
    query_parameters::{CreateImageOptionsBuilder, ListImagesOptions, RemoveImageOptions},
};
use futures_util::TryStreamExt;
use serde::Deserialize;

use crate::{
    debian,
    embedded::{self, BOT_DIGEST, IMAGES, SPECIMEN_DIGEST, digest},
    engine::{self, answer, find, found},
    error::SandboxError,
    home::Home,
    progress::Teller,
    swarm::LABEL,
};

/// What the names of assembled images begin with.
pub const REGISTRY: &str = "taster.test";
/// The label with the digest of what an assembled image was made from.
const SOURCE_LABEL: &str = "taster.source";

/// How an image is assembled, `sandbox/images/<name>/image.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    /// The distribution's packages; what they depend on comes with them.
    packages: Vec<String>,
    /// The image's tag: the version of the software.
    tag: String,
    command: Vec<String>,
    /// Folders to make.
    #[serde(default)]
    folders: Vec<String>,
    /// Symbolic links: where → to what.
    #[serde(default)]
    links: BTreeMap<String, String>,
    #[serde(default)]
    expose: Vec<String>,
    /// Where the backup bot goes, in the image that has it.
    #[serde(default)]
    bot: Option<String>,
}

/// An image that the sandbox knows how to assemble.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    name: &'static str,
    definition: Definition,
    /// Files to add: path in the image, content.
    files: Vec<(&'static str, &'static [u8])>,
    /// The digest of all of the above.
    digest: String,
}

fn sources() -> Vec<Source> {
    let named = |path: &'static str| path.strip_suffix("/image.toml").filter(|name| !name.contains('/'));
    IMAGES
        .iter()
        .filter_map(|(path, text)| {
            let name = named(path)?;
            let definition: Definition = toml::from_str(std::str::from_utf8(text).ok()?).ok()?;
            let own = |path: &'static str| path.strip_prefix(name)?.strip_prefix("/files/");
            let files: Vec<_> = IMAGES.iter().filter_map(|(path, bytes)| Some((own(path)?, *bytes))).collect();
            let parts = files.iter().flat_map(|(path, bytes)| [path.as_bytes(), *bytes]);
            let program = definition.bot.is_some().then_some(BOT_DIGEST.as_bytes());
            let digest = digest([*text].into_iter().chain(parts).chain(program));
            Some(Source { name, definition, files, digest })
        })
        .collect()
}

impl Source {
    /// The image's name. One with a program of ours is another image whenever what it is made from changes.
    fn image(&self) -> String {
        let ours = self.definition.bot.as_ref().map(|_| format!("-{}", self.digest)).unwrap_or_default();
        format!("{REGISTRY}/{}:{}{ours}", self.name, self.definition.tag)
    }
}

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
    // Two runs at once assemble an image once.
    let _lock = crate::up::lock(home).await?;
    ensure(&docker, home, images, &mut teller).await
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

pub(crate) async fn ensure(docker: &Docker, home: &Home, images: &[String], teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    let sources = sources();
    for image in images {
        let present = present(docker, image).await?;
        let source = sources.iter().find(|source| source.image() == *image);
        match (present, source) {
            (Some(labels), Some(source)) if labels.get(SOURCE_LABEL) == Some(&source.digest) => {}
            (Some(_), None) => {}
            (_, Some(source)) => {
                assemble(docker, home, source, teller).await?;
                remember(home, image)?;
                teller.say(format!("assembled the image {image}"));
            }
            (None, None) if *image == specimen() => {
                import_specimen(docker).await?;
                remember(home, image)?;
                teller.say(format!("imported the image {image}"));
            }
            (None, None) => {
                if image.starts_with(REGISTRY) {
                    let missing = "this taster has no source for it".to_owned();
                    return Err(SandboxError::NoImage { image: image.clone(), missing });
                }
                if !home.machine().registry {
                    let missing = "no registry answered, and the sandbox has no source for it".to_owned();
                    return Err(SandboxError::NoImage { image: image.clone(), missing });
                }
                pull(docker, image).await?;
                teller.say(format!("pulled the image {image}"));
            }
        }
    }
    Ok(())
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
    pulled.await.map_err(|error| SandboxError::NoImage { image: image.to_owned(), missing: error.to_string() })
}

async fn import_specimen(docker: &Docker) -> Result<(), SandboxError> {
    let mut tar = tar::Builder::new(Vec::new());
    let made = (|| {
        folder(&mut tar, "data")?;
        file(&mut tar, "specimen", &embedded::specimen()?, 0o755)?;
        tar.into_inner()
    })();
    let changes = vec!["ENTRYPOINT [\"/specimen\"]".to_owned(), "EXPOSE 80/tcp".to_owned(), format!("LABEL {LABEL}=1")];
    let bytes = made.map_err(|error| SandboxError::File { path: "the specimen's image".into(), message: error.to_string() })?;
    import(docker, &specimen(), bytes, changes).await
}

async fn assemble(docker: &Docker, home: &Home, source: &Source, teller: &mut Teller<'_>) -> Result<(), SandboxError> {
    let image = source.image();
    let missing = |error: SandboxError| SandboxError::NoImage { image: image.clone(), missing: error.to_string() };
    if rustix::process::geteuid().is_root() && find("apt-get").is_some() {
        engine::update_lists(teller).await.map_err(missing)?;
    }
    let cache = home.cache();
    fs::create_dir_all(&cache).map_err(|error| SandboxError::file(&cache, error))?;
    let root = tempfile::tempdir_in(&cache).map_err(|error| SandboxError::file(&cache, error))?;
    debian::unpack(&cache, &source.definition.packages, root.path()).await.map_err(missing)?;
    let bytes =
        furnish(source, root.path()).and_then(|()| pack(root.path())).map_err(|error| SandboxError::file(root.path(), error))?;
    let json = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
    let mut changes = vec![
        format!("CMD {}", json(&source.definition.command)),
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("LABEL {LABEL}=1"),
        format!("LABEL {SOURCE_LABEL}={}", source.digest),
    ];
    changes.extend(source.definition.expose.iter().map(|port| format!("EXPOSE {port}")));
    import(docker, &image, bytes, changes).await
}

/// Adds what the definition says, and takes away what no program reads.
fn furnish(source: &Source, root: &Path) -> std::io::Result<()> {
    for folder in ["usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/bug", "usr/share/bash-completion"] {
        let _ = fs::remove_dir_all(root.join(folder));
    }
    for folder in &source.definition.folders {
        fs::create_dir_all(root.join(folder.trim_start_matches('/')))?;
    }
    for (path, bytes) in &source.files {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    if let Some(path) = &source.definition.bot {
        let path = root.join(path.trim_start_matches('/'));
        fs::write(&path, embedded::bot()?)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for (path, target) in &source.definition.links {
        let path = root.join(path.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if path.symlink_metadata().is_err() {
            symlink(target, path)?;
        }
    }
    Ok(())
}

/// The tree as a tar: sorted, owned by root, without times, so that equal trees make equal layers.
fn pack(root: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    pack_folder(&mut tar, root, Path::new(""))?;
    tar.into_inner()
}

fn pack_folder(tar: &mut tar::Builder<Vec<u8>>, root: &Path, inside: &Path) -> std::io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(root.join(inside))?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
    names.sort();
    for name in names {
        let path = inside.join(&name);
        let full = root.join(&path);
        let meta = full.symlink_metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(meta.permissions().mode() & 0o7777);
        if meta.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, &path, fs::read_link(&full)?)?;
        } else if meta.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            tar.append_data(&mut header, &path, std::io::empty())?;
            pack_folder(tar, root, &path)?;
        } else {
            header.set_size(meta.len());
            tar.append_data(&mut header, &path, fs::File::open(&full)?)?;
        }
    }
    Ok(())
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

/// `docker import`. The engine names an image once it has all of it.
async fn import(docker: &Docker, image: &str, tar: Vec<u8>, changes: Vec<String>) -> Result<(), SandboxError> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let mut options = CreateImageOptionsBuilder::default().from_src("-").repo(name).tag(tag).build();
    options.changes = changes;
    let imported = docker.create_image(Some(options), Some(body_full(tar.into())), None).try_for_each(|_| async { Ok(()) });
    answer("image import", imported).await
}

/// The images on the engine that the sandbox assembled, by name.
pub(crate) async fn ours(docker: &Docker) -> Result<Vec<String>, SandboxError> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}=1")])]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let mut names: Vec<String> =
        answer("image ls", docker.list_images(Some(options))).await?.into_iter().flat_map(|image| image.repo_tags).collect();
    names.retain(|name| name.starts_with(REGISTRY));
    names.sort();
    Ok(names)
}

/// Removes an image's name, and the image when it has no other; one that is in use stays.
pub(crate) async fn remove(docker: &Docker, image: &str) -> Result<bool, SandboxError> {
    match docker.remove_image(image, None::<RemoveImageOptions>, None).await {
        Ok(_) => Ok(true),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
        Err(error) => Err(SandboxError::Engine { call: "image rm".into(), message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_can_be_read() {
        let folders = IMAGES.iter().filter(|(path, _)| path.ends_with("/image.toml")).count();
        let names: Vec<String> = sources().iter().map(Source::image).collect();
        assert_eq!(names.len(), folders, "{names:?}");
        assert!(names.contains(&"taster.test/nginx:1.22.1".to_owned()), "{names:?}");
        assert!(caddy().starts_with("taster.test/caddy:"));
        assert!(backup().starts_with("taster.test/backup:"));
    }

    #[test]
    fn equal_trees_make_equal_layers() {
        let tree = || {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("b")).unwrap();
            fs::write(root.path().join("b/x"), "x").unwrap();
            symlink("b/x", root.path().join("a")).unwrap();
            pack(root.path()).unwrap()
        };
        assert_eq!(tree(), tree());
    }
}
