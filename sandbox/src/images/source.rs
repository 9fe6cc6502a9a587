//! The sources of assembled images: `sandbox/images/<name>/image.toml` and the files beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    REGISTRY,
    npm::{self, Npm},
};
use crate::embedded::{BOT_DIGEST, IMAGES, digest};

/// `image.toml`. In the whole file `{version}` stands for the tag up to its first `-`, and `{arch}` for the architecture of
/// this machine as npm names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// The distribution's packages; their dependencies are added.
    pub(super) packages: Vec<String>,
    /// The image's tag, which is the version of the software. Each of several tags is an image.
    pub(super) tag: Tags,
    /// Whether it replaces the official image of this name and tag.
    #[serde(default)]
    pub(super) official: bool,
    #[serde(default)]
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    /// Environment variables, besides `PATH`.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// The working directory of the command.
    #[serde(default)]
    pub(super) workdir: Option<String>,
    /// Folders to create.
    #[serde(default)]
    pub(super) folders: Vec<String>,
    /// Symbolic links: path → target.
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) expose: Vec<String>,
    /// The files to make executable.
    #[serde(default)]
    pub(super) programs: Vec<String>,
    /// The path of the backup bot, in the image that has it.
    #[serde(default)]
    pub(super) bot: Option<String>,
    /// Packages of npm.
    #[serde(default)]
    pub(super) npm: Vec<Npm>,
}

/// One tag, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Tags {
    One(String),
    Several(Vec<String>),
}

impl Tags {
    fn all(&self) -> &[String] {
        match self {
            Tags::One(tag) => std::slice::from_ref(tag),
            Tags::Several(tags) => tags,
        }
    }
}

/// An image that the sandbox can assemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: &'static str,
    pub(super) tag: String,
    pub(super) definition: Definition,
    /// The files to add: path in the image, content.
    pub(super) files: Vec<(&'static str, &'static [u8])>,
    /// The digest of the definition and the files.
    pub(super) digest: String,
}

impl Source {
    /// The image's name. With the bot in it, the digest is part of the tag, so that each build of the bot has its own image.
    pub(super) fn image(&self) -> String {
        let build = self.definition.bot.as_ref().map(|_| format!("-{}", self.digest)).unwrap_or_default();
        let folder = if self.definition.official { String::new() } else { format!("{REGISTRY}/") };
        format!("{folder}{}:{}{build}", self.name, self.tag)
    }
}

/// All images that the sandbox can assemble.
pub(super) fn sources() -> Vec<Source> {
    let named = |path: &'static str| path.strip_suffix("/image.toml").filter(|name| !name.contains('/'));
    let all = IMAGES.iter().filter_map(|(path, text)| {
        let (name, text) = (named(path)?, std::str::from_utf8(text).ok()?);
        let definition: Definition = toml::from_str(text).ok()?;
        let tags = definition.tag.all().iter();
        Some(tags.filter_map(|tag| source(name, text, tag)).collect::<Vec<_>>())
    });
    all.flatten().collect()
}

fn source(name: &'static str, text: &str, tag: &str) -> Option<Source> {
    let version = tag.split('-').next().unwrap_or(tag);
    let text = text.replace("{version}", version).replace("{arch}", npm::arch());
    let definition: Definition = toml::from_str(&text).ok()?;
    let own = |path: &'static str| path.strip_prefix(name)?.strip_prefix("/files/");
    let files: Vec<_> = IMAGES.iter().filter_map(|(path, bytes)| Some((own(path)?, *bytes))).collect();
    let parts = files.iter().flat_map(|(path, bytes)| [path.as_bytes(), *bytes]);
    let program = definition.bot.is_some().then_some(BOT_DIGEST.as_bytes());
    let digest = digest([text.as_bytes()].into_iter().chain(parts).chain(program));
    Some(Source { name, tag: tag.to_owned(), definition, files, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_parsed() {
        let read = |(path, text): &(&str, &[u8])| -> Option<usize> {
            let definition: Definition =
                path.ends_with("/image.toml").then(|| toml::from_str(std::str::from_utf8(text).unwrap()))?.unwrap();
            Some(definition.tag.all().len())
        };
        let tags: usize = IMAGES.iter().filter_map(read).sum();
        let names: Vec<String> = sources().iter().map(Source::image).collect();
        assert_eq!(names.len(), tags, "{names:?}");
        for name in ["taster.test/nginx:1.22.1", "mariadb:10.11", "ghost:6.64.0-alpine", "ghost:6.65.0-alpine"] {
            assert!(names.contains(&name.to_owned()), "{names:?}");
        }
    }

    #[test]
    fn each_tag_is_an_image_with_its_own_versions() {
        let ghosts: Vec<Source> = sources().into_iter().filter(|source| source.name == "ghost").collect();
        let packages = |source: &Source| -> Vec<String> { source.definition.npm.iter().map(|npm| npm.package.clone()).collect() };
        assert!(packages(&ghosts[0]).contains(&"ghost@6.64.0".to_owned()), "{ghosts:?}");
        assert!(packages(&ghosts[1]).contains(&"ghost@6.65.0".to_owned()), "{ghosts:?}");
        assert_ne!(ghosts[0].digest, ghosts[1].digest);
    }

    #[test]
    fn every_program_is_one_of_the_files() {
        for source in sources() {
            for program in &source.definition.programs {
                let path = program.trim_start_matches('/');
                assert!(source.files.iter().any(|(file, _)| *file == path), "{}: {program} is not one of its files", source.name);
            }
        }
    }
}
