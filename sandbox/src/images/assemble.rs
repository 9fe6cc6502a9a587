//! Assembling an image: its tree in a scratch folder, then a tar of the tree, then the engine's import.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use bollard::Docker;

use super::{
    SOURCE_LABEL, debian,
    import::{END, Tar, import},
    npm::{self, Npm},
    scratch_folder::ScratchFolder,
    source::Source,
};
use crate::{
    embedded,
    engine::labels,
    error::{ImageError, SandboxError},
    home::Home,
    machine::{packages, programs::find},
    progress::ProgressReporter,
};

/// Assembles an image and imports it into the engine.
pub(super) async fn assemble(
    docker: &Docker,
    home: &Home,
    source: &Source,
    progress: &mut ProgressReporter<'_>,
) -> Result<(), SandboxError> {
    let image = source.image();
    let failed =
        |error: SandboxError| SandboxError::NoImage { image: image.clone(), source: ImageError::Assemble(Box::new(error)) };
    let cache = home.cache();
    let scratch = ScratchFolder::new(&cache)?;
    let root = scratch.path().join("root");
    if rustix::process::geteuid().is_root() && find("apt-get").is_some() {
        packages::ensure_package_lists(progress).await.map_err(failed)?;
    }
    let mut tars = Vec::new();
    for npm in &source.definition.npm {
        tars.push(npm_tar(&cache, npm, &image, progress).await.map_err(failed)?);
    }
    debian::unpack(&cache, &source.definition.packages, &root).await.map_err(failed)?;
    let own = scratch.path().join("own.tar");
    let write = || {
        add_definition(source, &root)?;
        let taken = tars.iter().map(|tar| names(tar)).collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        pack(&root, Path::new(""), &taken, &own)
    };
    write().map_err(|error| SandboxError::file(scratch.path(), error))?;
    tars.push(own);
    import(docker, &image, Tar::Files(&tars), instructions(source)).await
}

/// The tar of a package of npm. It can take minutes to make, so the cache keeps it.
async fn npm_tar(cache: &Path, npm: &Npm, image: &str, progress: &mut ProgressReporter<'_>) -> Result<PathBuf, SandboxError> {
    let cached = cache.join("packages").join(npm.file_name());
    if cached.is_file() {
        return Ok(cached);
    }
    progress.report(format!("fetching {} from the npm registry for the image {image}", npm.package));
    let scratch = ScratchFolder::new(cache)?;
    let (root, tar) = (scratch.path().join("root"), scratch.path().join("package.tar"));
    npm::unpack(cache, npm, &root).await?;
    let keep = || {
        pack(&root, npm.folder(), &BTreeSet::new(), &tar)?;
        fs::create_dir_all(cache.join("packages"))?;
        fs::rename(&tar, &cached)
    };
    keep().map_err(|error| SandboxError::file(&cached, error))?;
    Ok(cached)
}

/// The configuration of the image, as instructions of a Dockerfile.
fn instructions(source: &Source) -> Vec<String> {
    let definition = &source.definition;
    let json = |args: &[String]| serde_json::to_string(args).unwrap_or_default();
    let mut instructions = vec![
        format!("CMD {}", json(&definition.command)),
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("LABEL {}=1", labels::SANDBOX),
        format!("LABEL {SOURCE_LABEL}={}", source.digest),
    ];
    if !definition.entrypoint.is_empty() {
        instructions.push(format!("ENTRYPOINT {}", json(&definition.entrypoint)));
    }
    instructions.extend(definition.env.iter().map(|(name, value)| format!("ENV {name}={value}")));
    instructions.extend(definition.workdir.iter().map(|folder| format!("WORKDIR {folder}")));
    instructions.extend(definition.expose.iter().map(|port| format!("EXPOSE {port}")));
    instructions
}

/// Adds the folders, files, programs and links of the definition, and removes documentation.
fn add_definition(source: &Source, root: &Path) -> io::Result<()> {
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
    for path in &source.definition.programs {
        fs::set_permissions(root.join(path.trim_start_matches('/')), fs::Permissions::from_mode(0o755))?;
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

/// Writes the folder `inside` of the tree as a tar without its end, so that another tar can follow. The entries are sorted,
/// owned by root and without times, so that equal trees give equal layers. Names that are `taken` are left out, because the
/// engine refuses a name that occurs twice.
fn pack(root: &Path, inside: &Path, taken: &BTreeSet<PathBuf>, file: &Path) -> io::Result<()> {
    let mut tar = tar::Builder::new(BufWriter::new(fs::File::create(file)?));
    pack_folder(&mut tar, root, inside, taken)?;
    let file = tar.into_inner()?.into_inner()?;
    file.set_len(file.metadata()?.len() - END.len() as u64)
}

/// The names in a tar of [`pack`].
fn names(tar: &Path) -> io::Result<Vec<PathBuf>> {
    let mut archive = tar::Archive::new(fs::File::open(tar)?);
    archive.entries_with_seek()?.map(|entry| Ok(entry?.path()?.components().collect())).collect()
}

fn pack_folder(tar: &mut tar::Builder<impl Write>, root: &Path, inside: &Path, taken: &BTreeSet<PathBuf>) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(root.join(inside))?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let path = inside.join(&name);
        let full = root.join(&path);
        let meta = full.symlink_metadata()?;
        let mut header = tar::Header::new_gnu();
        if taken.contains(&path) {
            if meta.is_dir() {
                pack_folder(tar, root, &path, taken)?;
            }
            continue;
        }
        header.set_mode(meta.permissions().mode() & 0o7777);
        if meta.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, &path, fs::read_link(&full)?)?;
        } else if meta.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            tar.append_data(&mut header, &path, io::empty())?;
            pack_folder(tar, root, &path, taken)?;
        } else {
            header.set_size(meta.len());
            tar.append_data(&mut header, &path, fs::File::open(&full)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(root: &Path, taken: &BTreeSet<PathBuf>) -> tempfile::NamedTempFile {
        let tar = tempfile::NamedTempFile::new().unwrap();
        pack(root, Path::new(""), taken, tar.path()).unwrap();
        tar
    }

    #[test]
    fn equal_trees_give_equal_layers() {
        let tree = || {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("b")).unwrap();
            fs::write(root.path().join("b/x"), "x").unwrap();
            symlink("b/x", root.path().join("a")).unwrap();
            fs::read(packed(root.path(), &BTreeSet::new())).unwrap()
        };
        assert_eq!(tree(), tree());
    }

    #[test]
    fn concatenated_tars_have_no_name_twice() {
        let (mut all, mut taken) = (Vec::new(), BTreeSet::new());
        for name in ["one", "two"] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("etc")).unwrap();
            fs::write(root.path().join("etc/same"), name).unwrap();
            fs::write(root.path().join("etc").join(name), name).unwrap();
            let tar = packed(root.path(), &taken);
            taken.extend(names(tar.path()).unwrap());
            all.extend(fs::read(tar).unwrap());
        }
        all.extend(END);
        let mut archive = tar::Archive::new(all.as_slice());
        let names: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, ["etc", "etc/one", "etc/same", "etc/two"]);
    }
}
