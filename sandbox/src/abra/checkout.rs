//! A recipe's checkout in `ABRA_DIR/recipes`, by the `git` program.

use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::terminal::{Done, Fatal};

/// A recipe that was cloned.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) dir: PathBuf,
}

fn git(dir: &Path, args: &[&str]) -> Done<String> {
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
    /// The recipe `name`, cloned from the sandbox's recipes, `sources`, when it is not there yet; without them that is fatal.
    pub(super) fn ensure_exists(abra_dir: &Path, sources: Option<&Path>, name: &str) -> Done<Self> {
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

    /// Refuses a checkout with changes, also for one untracked file.
    pub(super) fn ensure_clean(&self) -> Done {
        match self.dirty()? {
            true => Err(Fatal::new(format!("{} has locally unstaged changes", self.name))),
            false => Ok(()),
        }
    }

    pub(super) fn fetch(&self) -> Done {
        git(&self.dir, &["fetch", "--quiet", "--tags", "--force", "origin"])
            .map(drop)
            .map_err(|Fatal(why)| Fatal::new(format!("unable to fetch tags for {}: {why}", self.name)))
    }

    pub(super) fn dirty(&self) -> Done<bool> {
        Ok(!git(&self.dir, &["status", "--porcelain", "--untracked-files=all"])?.is_empty())
    }

    /// The first eight characters of the commit that is checked out.
    pub(super) fn head(&self) -> Done<String> {
        Ok(git(&self.dir, &["rev-parse", "HEAD"])?.chars().take(8).collect())
    }

    /// The chaos version: the short commit, with `+U` when there are changes.
    pub(super) fn chaos_version(&self) -> Done<String> {
        Ok(format!("{}{}", self.head()?, if self.dirty()? { "+U" } else { "" }))
    }

    pub(super) fn check_out(&self, version: &str) -> Done {
        let at = version.strip_suffix("+U").unwrap_or(version);
        git(&self.dir, &["checkout", "--quiet", "--force", "--detach", at, "--"])
            .map(drop)
            .map_err(|Fatal(why)| Fatal::new(format!("unable to check out {at}: {why}")))
    }

    /// Checks out the branch that changes are merged into, when there is one: `main`, else `master`.
    pub(super) fn on_its_branch(&self) -> Done {
        let there =
            |branch: &&str| git(&self.dir, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).is_ok();
        let Some(branch) = ["main", "master"].into_iter().find(there) else { return Ok(()) };
        git(&self.dir, &["checkout", "--quiet", branch, "--"])
            .map(drop)
            .map_err(|Fatal(why)| Fatal::new(format!("unable to check out {branch}: {why}")))
    }

    /// The version tags, oldest first; tags that are no versions are left out.
    pub(super) fn versions(&self) -> Done<Vec<String>> {
        let tags = git(&self.dir, &["tag", "--list"])?;
        let mut versions: Vec<String> = tags.lines().filter(|tag| key(tag).is_some()).map(str::to_owned).collect();
        versions.sort_by(|a, b| order(a, b));
        Ok(versions)
    }

    /// The version tags that are not annotated.
    pub(super) fn lightweight(&self) -> Done<Vec<String>> {
        let refs = git(&self.dir, &["for-each-ref", "--format=%(objecttype) %(refname:short)", "refs/tags"])?;
        let tags = refs.lines().filter_map(|line| line.strip_prefix("commit "));
        Ok(tags.filter(|tag| key(tag).is_some()).map(str::to_owned).collect())
    }

    /// A file as it was at a tag.
    pub(super) fn show(&self, tag: &str, file: &str) -> Done<String> {
        git(&self.dir, &["show", &format!("{tag}:{file}")])
    }
}

/// The recipe part of a version: three numbers, and whether it is a release. The part behind `+` names the software.
fn key(version: &str) -> Option<([u64; 3], bool)> {
    let (left, _) = version.split_once('+')?;
    let (numbers, pre) = left.split_once('-').map_or((left, None), |(numbers, pre)| (numbers, Some(pre)));
    let mut parts = numbers.split('.').map(str::parse);
    let key = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
    parts.next().is_none().then_some((key, pre.is_none()))
}

fn order(a: &str, b: &str) -> Ordering {
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_the_recipe_part() {
        let mut tags = ["1.10.0+1", "1.9.0+2.0", "2.0.0-rc1+1", "2.0.0+1"];
        tags.reverse();
        tags.sort_by(|a, b| order(a, b));
        assert_eq!(tags, ["1.9.0+2.0", "1.10.0+1", "2.0.0-rc1+1", "2.0.0+1"]);
        assert!(key("latest").is_none() && key("1.2+3").is_none() && key("1.2.3").is_none());
    }
}
