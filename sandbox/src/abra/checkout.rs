//! The checkout of a recipe in `ABRA_DIR/recipes`, by the `git` program.

use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::error::{CommandResult, Fatal};

/// A cloned recipe.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) dir: PathBuf,
}

fn git(dir: &Path, args: &[&str]) -> CommandResult<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "safe.directory=*", "-c", "advice.detachedHead=false"])
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Fatal::new(format!("cannot run git: {error}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
        false => Err(Fatal::new(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

impl Recipe {
    /// The recipe `name`. A missing one is cloned from the folder `sources`; without that folder it is fatal.
    pub(super) fn ensure_exists(abra_dir: &Path, sources: Option<&Path>, name: &str) -> CommandResult<Self> {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let recipe = Self { name: name.to_owned(), dir: abra_dir.join("recipes").join(name) };
        if plain && recipe.dir.join(".git").exists() {
            return Ok(recipe);
        }
        let Some(sources) = sources else {
            return Err(Fatal::new(format!("unable to clone {name}: it is not there, and this is offline")));
        };
        let source = sources.join(name);
        if !plain || !source.is_dir() {
            return Err(Fatal::new(format!("unable to find recipe '{name}' in the catalogue")));
        }
        std::fs::create_dir_all(abra_dir.join("recipes"))?;
        let (from, to) = (source.to_string_lossy(), recipe.dir.to_string_lossy());
        git(abra_dir, &["-c", "protocol.file.allow=always", "clone", "--quiet", &from, &to])
            .map_err(|Fatal(why)| Fatal::new(format!("unable to clone {name}: {why}")))?;
        Ok(recipe)
    }

    /// Refuses a checkout with changes. An untracked file is a change.
    pub(super) fn ensure_clean(&self) -> CommandResult {
        match self.dirty()? {
            true => Err(Fatal::new(format!("{} has locally unstaged changes", self.name))),
            false => Ok(()),
        }
    }

    pub(super) fn fetch(&self) -> CommandResult {
        git(&self.dir, &["fetch", "--quiet", "--tags", "--force", "origin"])
            .map(drop)
            .map_err(|Fatal(why)| Fatal::new(format!("unable to fetch tags for {}: {why}", self.name)))
    }

    pub(super) fn dirty(&self) -> CommandResult<bool> {
        Ok(!git(&self.dir, &["status", "--porcelain", "--untracked-files=all"])?.is_empty())
    }

    /// The first eight characters of the checked out commit.
    pub(super) fn head(&self) -> CommandResult<String> {
        Ok(git(&self.dir, &["rev-parse", "HEAD"])?.chars().take(8).collect())
    }

    /// The chaos version: the short commit, with `+U` when the checkout has changes.
    pub(super) fn chaos_version(&self) -> CommandResult<String> {
        Ok(format!("{}{}", self.head()?, if self.dirty()? { "+U" } else { "" }))
    }

    pub(super) fn check_out(&self, version: &str) -> CommandResult {
        let target = version.strip_suffix("+U").unwrap_or(version);
        git(&self.dir, &["checkout", "--quiet", "--force", "--detach", target, "--"])
            .map(drop)
            .map_err(|Fatal(why)| Fatal::new(format!("unable to check out {target}: {why}")))
    }

    /// Checks out the default branch: `main`, else `master`, else nothing.
    pub(super) fn check_out_default_branch(&self) -> CommandResult {
        let exists =
            |branch: &&str| git(&self.dir, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).is_ok();
        let Some(branch) = ["main", "master"].into_iter().find(exists) else { return Ok(()) };
        git(&self.dir, &["checkout", "--quiet", branch, "--"])
            .map(drop)
            .map_err(|Fatal(why)| Fatal::new(format!("unable to check out {branch}: {why}")))
    }

    /// The version tags, oldest first. Other tags are left out.
    pub(super) fn versions(&self) -> CommandResult<Vec<String>> {
        let tags = git(&self.dir, &["tag", "--list"])?;
        let mut versions: Vec<String> = tags.lines().filter(|tag| version_key(tag).is_some()).map(str::to_owned).collect();
        versions.sort_by(|a, b| compare_versions(a, b));
        Ok(versions)
    }

    /// The version tags that are not annotated.
    pub(super) fn lightweight(&self) -> CommandResult<Vec<String>> {
        let refs = git(&self.dir, &["for-each-ref", "--format=%(objecttype) %(refname:short)", "refs/tags"])?;
        let tags = refs.lines().filter_map(|line| line.strip_prefix("commit "));
        Ok(tags.filter(|tag| version_key(tag).is_some()).map(str::to_owned).collect())
    }

    /// A file as it was at a tag.
    pub(super) fn show(&self, tag: &str, file: &str) -> CommandResult<String> {
        git(&self.dir, &["show", &format!("{tag}:{file}")])
    }
}

/// The sort key of a version: the three numbers before the `+`, and whether it is a release. `None` for another tag. The
/// part after the `+` is the version of the software.
fn version_key(version: &str) -> Option<([u64; 3], bool)> {
    let (left, _) = version.split_once('+')?;
    let (numbers, pre) = left.split_once('-').map_or((left, None), |(numbers, pre)| (numbers, Some(pre)));
    let mut parts = numbers.split('.').map(str::parse);
    let numbers = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
    parts.next().is_none().then_some((numbers, pre.is_none()))
}

fn compare_versions(a: &str, b: &str) -> Ordering {
    version_key(a).cmp(&version_key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_the_recipe_part() {
        let mut tags = ["1.10.0+1", "1.9.0+2.0", "2.0.0-rc1+1", "2.0.0+1"];
        tags.reverse();
        tags.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(tags, ["1.9.0+2.0", "1.10.0+1", "2.0.0-rc1+1", "2.0.0+1"]);
        assert!(["latest", "1.2+3", "1.2.3"].into_iter().all(|tag| version_key(tag).is_none()));
    }
}
