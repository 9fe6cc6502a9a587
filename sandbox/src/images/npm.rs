//! Packages of the npm registry, without installing them on the machine.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draft::Draft;
use crate::{
    embedded::digest,
    error::{ProgramError, SandboxError},
    machine::programs::{find, run},
};

/// A package of npm, as an image's definition names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Npm {
    /// Its name and version, `ghost@6.65.0`.
    pub(crate) package: String,
    /// The folder of the image that it goes into.
    into: String,
    /// The only paths of it that are kept, if not all.
    #[serde(default)]
    only: Vec<String>,
    /// Whether what it depends on comes with it. No script of any package is run.
    #[serde(default)]
    install: bool,
    /// Versions of what it depends on that are to be others than its own choice.
    #[serde(default)]
    overrides: BTreeMap<String, String>,
}

impl Npm {
    /// The folder of the image that it goes into, from the root on.
    pub(crate) fn folder(&self) -> &Path {
        Path::new(self.into.trim_start_matches('/'))
    }

    /// A name for the file in which what is asked for here is kept: another one for whatever else is asked for.
    pub(crate) fn file_name(&self) -> String {
        let asked = serde_json::to_vec(self).unwrap_or_default();
        format!("{}-{}.tar", self.package.replace(['/', '@'], "-"), digest([asked.as_slice()]))
    }
}

/// This machine's kind of processor as npm calls it.
pub(crate) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Unpacks a package into `root`. Downloads are kept in `cache`, so that the next time needs little of the network.
pub(crate) async fn unpack(cache: &Path, npm: &Npm, root: &Path) -> Result<(), SandboxError> {
    if find("npm").is_none() {
        return Err(SandboxError::program("npm", ProgramError::NotFound("install it with: apt-get install npm")));
    }
    let room = Draft::new(cache)?;
    let set = |key: &str, value: &Path| -> OsString {
        let mut word = OsString::from(format!("--{key}="));
        word.push(value);
        word
    };
    let downloads = set("cache", &cache.join("npm"));
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let pack =
        [words(&["pack", "--silent", &npm.package]), vec![set("pack-destination", room.path()), downloads.clone()]].concat();
    run("npm", pack).await?;
    let archive = only_file(room.path())?;
    let into = root.join(npm.folder());
    fs::create_dir_all(&into).map_err(|error| SandboxError::file(&into, error))?;
    // All that npm packs lies in one folder, whatever that is called.
    let mut untar: Vec<OsString> = vec!["-xzf".into(), archive.into(), "-C".into(), into.clone().into()];
    untar.extend(words(&["--strip-components=1", "--no-same-owner", "--no-same-permissions", "--wildcards", "--anchored"]));
    untar.extend(npm.only.iter().map(|path| OsString::from(format!("*/{path}"))));
    run("tar", untar).await?;
    if npm.install {
        override_versions(&into.join("package.json"), &npm.overrides)?;
        let how = ["install", "--omit=dev", "--legacy-peer-deps", "--ignore-scripts", "--no-bin-links", "--no-package-lock"];
        let quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
        run("npm", [words(&how), words(&quiet), vec![set("prefix", &into), downloads]].concat()).await?;
    }
    Ok(())
}

fn only_file(folder: &Path) -> Result<PathBuf, SandboxError> {
    let mut files = fs::read_dir(folder).map_err(|error| SandboxError::file(folder, error))?.flatten();
    files.next().map(|file| file.path()).ok_or_else(|| SandboxError::program("npm pack", ProgramError::NoArchive))
}

/// npm takes overrides from the package that is installed and from no other.
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
    fn overrides_are_added_to_those_that_are_there() {
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
