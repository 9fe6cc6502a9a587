//! The sandbox's recipes: git repositories with history and annotated tags, generated from `sandbox/recipes/<name>/`.
//!
//! A recipe's folder has a `recipe.toml` with its versions, a folder `base` with the files of the first version, and a folder
//! for each later version with the files that differ. `{{name}}` in a file stands for a value of `recipe.toml`, and
//! `{{specimen}}` for the specimen's image. A recipe with `like` starts with another recipe's files and values and overrides
//! them, version by version. The same sources give the same commits.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    embedded::{RECIPES, digest},
    error::{ProgramError, SandboxError},
    home::Home,
    images,
    machine::programs::{find, run},
};

/// The author of the generated commits and tags.
const AUTHOR: &str = "taster sandbox <sandbox@taster.test>";
/// The file in a repository with the digest of its source.
const SOURCE_FILE: &str = "taster-source";

/// `recipe.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    /// Whether it exists for tests of failures and is not offered to users.
    #[serde(default)]
    test_only: bool,
    /// The recipe whose files and values it starts with.
    #[serde(default)]
    like: Option<String>,
    /// Values for all versions.
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    version: Vec<Version>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    tag: String,
    date: Timestamp,
    /// Whether its tag is lightweight instead of annotated.
    #[serde(default)]
    lightweight: bool,
    /// The files of the previous version that it lacks.
    #[serde(default)]
    removed: Vec<String>,
    /// Values that override those for all versions.
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// A version with all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    tag: String,
    date: Timestamp,
    lightweight: bool,
    files: BTreeMap<String, Vec<u8>>,
}

/// The recipes that the sandbox offers to users.
pub fn enrolled() -> Vec<String> {
    definitions().into_iter().filter(|(_, definition)| !definition.test_only).map(|(name, _)| name.to_owned()).collect()
}

/// All recipes of the sandbox, including those for tests of failures.
pub fn all() -> Vec<String> {
    definitions().into_keys().map(str::to_owned).collect()
}

/// Whether a recipe is the sandbox's own: its app is the specimen, so no catalogue has it.
pub fn is_own(recipe: &str) -> bool {
    images(recipe).contains(&images::specimen())
}

/// The tags of a recipe's versions, oldest first; empty for an unknown recipe.
pub fn tags(recipe: &str) -> Vec<String> {
    let definitions = definitions();
    let Some(own) = definitions.get(recipe) else { return Vec::new() };
    let like = own.like.as_deref().and_then(|like| definitions.get(like));
    let versions = if own.version.is_empty() { like.map_or(&own.version, |like| &like.version) } else { &own.version };
    versions.iter().map(|version| version.tag.clone()).collect()
}

/// The images in the compose files of all versions of a recipe; empty for an unknown recipe.
pub fn images(recipe: &str) -> Vec<String> {
    let mut images: Vec<String> = trees(recipe)
        .iter()
        .flat_map(|tree| &tree.files)
        .filter(|(path, _)| path.starts_with("compose") && path.ends_with(".yml"))
        .flat_map(|(_, bytes)| images_of(&String::from_utf8_lossy(bytes)))
        .collect();
    images.sort();
    images.dedup();
    images
}

/// The values of the `image` keys of a compose file.
fn images_of(compose: &str) -> Vec<String> {
    let value = |line: &str| Some(line.trim().strip_prefix("image:")?.trim().trim_matches(['"', '\'']).to_owned());
    compose.lines().filter_map(value).filter(|image| !image.is_empty()).collect()
}

fn definitions() -> BTreeMap<&'static str, Definition> {
    RECIPES
        .iter()
        .filter_map(|(path, text)| {
            let name = path.strip_suffix("/recipe.toml").filter(|name| !name.contains('/'))?;
            Some((name, toml::from_str(std::str::from_utf8(text).ok()?).ok()?))
        })
        .collect()
}

/// The versions of a recipe with all their files, oldest first.
fn trees(recipe: &str) -> Vec<Tree> {
    let definitions = definitions();
    let Some(own) = definitions.get(recipe) else { return Vec::new() };
    let source = own.like.as_deref().unwrap_or(recipe);
    let Some(like) = definitions.get(source) else { return Vec::new() };
    let versions = if own.version.is_empty() { &like.version } else { &own.version };
    let files = |folder: &str| [source, recipe].map(|of| files(of, folder)).into_iter().flatten();
    let mut raw: BTreeMap<String, &[u8]> = files("base").collect();
    let mut trees = Vec::new();
    for version in versions {
        raw.extend(files(&version.tag));
        raw.retain(|path, _| !version.removed.contains(path));
        let mut values = BTreeMap::from([
            ("recipe".to_owned(), recipe.to_owned()),
            ("version".to_owned(), version.tag.clone()),
            ("app_version".to_owned(), version.tag.split_once('+').map_or("", |(_, app)| app).to_owned()),
            ("specimen".to_owned(), images::specimen()),
        ]);
        for more in [&like.values, &own.values, &version.values] {
            values.extend(more.clone());
        }
        let files = raw.iter().map(|(path, bytes)| (path.clone(), fill(bytes, &values))).collect();
        trees.push(Tree { tag: version.tag.clone(), date: version.date, lightweight: version.lightweight, files });
    }
    trees
}

fn files(recipe: &str, folder: &str) -> BTreeMap<String, &'static [u8]> {
    let prefix = format!("{recipe}/{folder}/");
    RECIPES.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?.to_owned(), *bytes))).collect()
}

/// Replaces each `{{name}}` in a text. A file that is not UTF-8 stays as it is.
fn fill(bytes: &[u8], values: &BTreeMap<String, String>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    text.into_bytes()
}

/// The whole history as `git fast-import` reads it: a commit and a tag for each version.
fn history(trees: &[Tree]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line = |text: String| out.extend_from_slice(text.as_bytes());
    for tree in trees {
        let when = tree.date.as_second();
        let message = format!("chore: publish {} release", tree.tag);
        line(format!("commit refs/heads/main\nauthor {AUTHOR} {when} +0000\ncommitter {AUTHOR} {when} +0000\n"));
        line(format!("data {}\n{message}\ndeleteall\n", message.len()));
        for (path, bytes) in &tree.files {
            let mode = if path.ends_with(".sh") { "100755" } else { "100644" };
            line(format!("M {mode} inline {path}\ndata {}\n", bytes.len()));
            // All files of recipes are text.
            line(String::from_utf8_lossy(bytes).into_owned());
            line("\n".to_owned());
        }
        if tree.lightweight {
            line(format!("reset refs/tags/{}\nfrom refs/heads/main\n\n", tree.tag));
        } else {
            line(format!("tag {}\nfrom refs/heads/main\ntagger {AUTHOR} {when} +0000\n", tree.tag));
            line(format!("data {}\n{message}\n", message.len()));
        }
    }
    line("done\n".to_owned());
    out
}

/// Creates the recipes that are missing or were made from another source. Returns their names.
pub(crate) async fn ensure(home: &Home) -> Result<Vec<String>, SandboxError> {
    let folder = home.recipes();
    fs::create_dir_all(&folder).map_err(|error| SandboxError::file(&folder, error))?;
    remove_former(&folder).map_err(|error| SandboxError::file(&folder, error))?;
    let mut created = Vec::new();
    for recipe in all() {
        let history = history(&trees(&recipe));
        let source = digest([history.as_slice()]);
        let place = folder.join(&recipe);
        if fs::read_to_string(place.join(SOURCE_FILE)).is_ok_and(|there| there == source) {
            continue;
        }
        // Made in a temporary folder and renamed as the last step, so that no half repository is ever read.
        let temporary = tempfile::tempdir_in(home.root()).map_err(|error| SandboxError::file(home.root(), error))?;
        generate(temporary.path(), &history).await?;
        let put = || {
            fs::write(temporary.path().join(SOURCE_FILE), &source)?;
            if place.exists() {
                fs::remove_dir_all(&place)?;
            }
            fs::rename(temporary.path(), &place)
        };
        put().map_err(|error| SandboxError::file(&place, error))?;
        // The folder has its final name now, so the guard must not remove it.
        let _ = temporary.keep();
        created.push(recipe);
    }
    Ok(created)
}

/// Creates the bare repository of one recipe in `place`.
///
/// # Errors
/// When git is missing or fails.
pub async fn create(recipe: &str, place: &Path) -> Result<(), SandboxError> {
    generate(place, &history(&trees(recipe))).await
}

/// Removes the repositories of recipes that no longer exist. A folder without [`SOURCE_FILE`] is not one of the sandbox's.
fn remove_former(folder: &Path) -> std::io::Result<()> {
    let known = all();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_known = known.iter().any(|recipe| entry.file_name() == recipe.as_str());
        if !is_known && entry.path().join(SOURCE_FILE).is_file() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Creates a bare repository with this history.
async fn generate(place: &Path, history: &[u8]) -> Result<(), SandboxError> {
    let failed = |source: ProgramError| SandboxError::program("git fast-import", source);
    if find("git").is_none() {
        return Err(SandboxError::program("git", ProgramError::NotFound("install it with: apt-get install git")));
    }
    let args = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main"];
    run("git", args.iter().map(AsRef::<std::ffi::OsStr>::as_ref).chain([place.as_os_str()])).await?;
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(place)
        .args(["fast-import", "--quiet", "--done"])
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.into()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(history).await.map_err(|error| failed(error.into()))?;
    }
    let done = child.wait_with_output().await.map_err(|error| failed(error.into()))?;
    if done.status.success() {
        return Ok(());
    }
    let first = String::from_utf8_lossy(&done.stderr).lines().next().map(str::to_owned);
    Err(failed(first.map_or(ProgramError::Status(done.status), ProgramError::Output)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_parsed_and_every_placeholder_filled() {
        let folders = RECIPES.iter().filter(|(path, _)| path.ends_with("/recipe.toml")).count();
        assert_eq!(all().len(), folders);
        assert!(enrolled().contains(&"hello".to_owned()) && !enrolled().contains(&"hello-crash".to_owned()));
        for recipe in all() {
            let trees = trees(&recipe);
            assert!(!trees.is_empty(), "{recipe} has no version");
            for tree in &trees {
                for needed in ["compose.yml", ".env.sample", "abra.sh", "README.md"] {
                    assert!(tree.files.contains_key(needed), "{recipe} {} lacks {needed}", tree.tag);
                }
                assert!(tree.files.contains_key(&format!("release/{}", tree.tag)), "{recipe} {} has no release note", tree.tag);
                for (path, bytes) in &tree.files {
                    let text = std::str::from_utf8(bytes).unwrap();
                    // Docker's own templates have a blank or a dot after the braces.
                    let left =
                        text.match_indices("{{").find(|(at, _)| text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase()));
                    assert!(left.is_none() || path.ends_with(".tmpl"), "{recipe} {path}: a placeholder is left");
                }
            }
            assert!(!images(&recipe).is_empty(), "{recipe} names no image");
        }
    }

    #[test]
    fn repositories_of_former_recipes_are_removed_and_foreign_folders_stay() {
        let folder = tempfile::tempdir().unwrap();
        for (recipe, file) in [("hello", SOURCE_FILE), ("hello-former", SOURCE_FILE), ("mine", "compose.yml")] {
            fs::create_dir(folder.path().join(recipe)).unwrap();
            fs::write(folder.path().join(recipe).join(file), "").unwrap();
        }

        remove_former(folder.path()).unwrap();

        let left = ["hello", "hello-former", "mine"].map(|recipe| folder.path().join(recipe).exists());
        assert_eq!(left, [true, false, true]);
    }

    #[tokio::test]
    async fn same_sources_give_same_commits() {
        let tip = async || {
            let folder = tempfile::tempdir().unwrap();
            let home = Home::at(folder.path());
            assert!(ensure(&home).await.unwrap().contains(&"hello".to_owned()));
            assert_eq!(ensure(&home).await.unwrap(), Vec::<String>::new(), "an existing repository stays");
            let hello = home.recipes().join("hello");
            let refs =
                ["--git-dir", hello.to_str().unwrap(), "for-each-ref", "--format=%(objecttype) %(refname:short) %(*objecttype)"];
            let refs = String::from_utf8(run("git", refs).await.unwrap()).unwrap();
            let tags: Vec<&str> = refs.lines().filter(|line| line.starts_with("tag ")).collect();
            assert!(tags.len() >= 3 && tags.iter().all(|tag| tag.ends_with(" commit")), "{refs}");
            let log = ["--git-dir", hello.to_str().unwrap(), "log", "--format=%H %an %ae %aI"];
            String::from_utf8(run("git", log).await.unwrap()).unwrap()
        };
        let first = tip().await;
        assert_eq!(first, tip().await);
        assert_eq!(first.lines().count(), 3, "{first}");
    }
}
