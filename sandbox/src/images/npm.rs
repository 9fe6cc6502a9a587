//! Packages of the npm registry, unpacked without installing them on the machine.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scratch_folder::ScratchFolder;
use crate::{
    embedded::digest,
    error::{ProgramError, SandboxError},
    machine::programs::{find, run},
};

/// A package of npm in the definition of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Npm {
    /// Its name and version, such as `ghost@6.65.0`.
    pub(crate) package: String,
    /// Its folder in the image.
    into: String,
    /// The paths of the package to keep; all when empty.
    #[serde(default)]
    only: Vec<String>,
    /// Whether to install its dependencies. No script of any package is run.
    #[serde(default)]
    install: bool,
    /// Versions of dependencies that replace those that the package asks for.
    #[serde(default)]
    overrides: BTreeMap<String, String>,
}

impl Npm {
    /// Its folder relative to the root of the image.
    pub(crate) fn folder(&self) -> &Path {
        Path::new(self.into.trim_start_matches('/'))
    }

    /// The name of the file with the unpacked package. Each change of the definition gives another name.
    pub(crate) fn file_name(&self) -> String {
        let definition = serde_json::to_vec(self).unwrap_or_default();
        format!("{}-{}.tar", self.package.replace(['/', '@'], "-"), digest([definition.as_slice()]))
    }
}

/// The name that npm has for the architecture of this machine.
pub(crate) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Unpacks a package into `root`. Downloads stay in `cache`, so that the next call needs little of the network.
pub(crate) async fn unpack(cache: &Path, npm: &Npm, root: &Path) -> Result<(), SandboxError> {
    if find("npm").is_none() {
        return Err(SandboxError::program("npm", ProgramError::NotFound("install it with: apt-get install npm")));
    }
    let scratch = ScratchFolder::new(cache)?;
    let option = |key: &str, value: &Path| -> OsString {
        let mut option = OsString::from(format!("--{key}="));
        option.push(value);
        option
    };
    let downloads = option("cache", &cache.join("npm"));
    let args = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
    let pack =
        [args(&["pack", "--silent", &npm.package]), vec![option("pack-destination", scratch.path()), downloads.clone()]].concat();
    run("npm", pack).await?;
    let archive = only_file(scratch.path())?;
    let into = root.join(npm.folder());
    fs::create_dir_all(&into).map_err(|error| SandboxError::file(&into, error))?;
    // An archive of npm has one top folder, whose name differs.
    let mut untar: Vec<OsString> = vec!["-xzf".into(), archive.into(), "-C".into(), into.clone().into()];
    untar.extend(args(&["--strip-components=1", "--no-same-owner", "--no-same-permissions", "--wildcards", "--anchored"]));
    untar.extend(npm.only.iter().map(|path| OsString::from(format!("*/{path}"))));
    run("tar", untar).await?;
    if npm.install {
        override_versions(&into.join("package.json"), &npm.overrides)?;
        let install = ["install", "--omit=dev", "--legacy-peer-deps", "--ignore-scripts", "--no-bin-links", "--no-package-lock"];
        let quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
        run("npm", [args(&install), args(&quiet), vec![option("prefix", &into), downloads]].concat()).await?;
    }
    Ok(())
}

fn only_file(folder: &Path) -> Result<PathBuf, SandboxError> {
    let mut files = fs::read_dir(folder).map_err(|error| SandboxError::file(folder, error))?.flatten();
    files.next().map(|file| file.path()).ok_or_else(|| SandboxError::program("npm pack", ProgramError::NoArchive))
}

/// Adds the overrides to the package itself, because npm reads them from no other file.
fn override_versions(file: &Path, overrides: &BTreeMap<String, String>) -> Result<(), SandboxError> {
    let edit = || -> std::io::Result<()> {
        let mut package: Value = serde_json::from_slice(&fs::read(file)?)?;
        for (name, version) in overrides {
            package["overrides"][name.as_str()] = version.as_str().into();
        }
        fs::write(file, serde_json::to_vec_pretty(&package)?)
    };
    edit().map_err(|error| SandboxError::file(file, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_keep_existing_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("package.json");
        let overrides = BTreeMap::from([("ox".to_owned(), "1.0.0".to_owned())]);
        for (before, after) in [
            ("{\"name\": \"a\"}", serde_json::json!({"name": "a", "overrides": {"ox": "1.0.0"}})),
            ("{\"overrides\": {\"b\": \"2\"}}", serde_json::json!({"overrides": {"b": "2", "ox": "1.0.0"}})),
        ] {
            fs::write(&file, before).unwrap();
            override_versions(&file, &overrides).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap(), after);
        }
    }
}
