//! The recipe's checkout, through the `git` program.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    foreign_repository::ForeignRepository,
    git::{AUTHOR, Git, output, output_with_input, run},
    tree,
};
use crate::{
    model::{
        git::{Branch, Lineage, Tag},
        names::{Commit, RecipeName},
        protocol::stays_inside,
    },
    ports::{Checked, Checkout, CheckoutError},
    pure::{
        host::claim::{Claim, Claimed},
        recipe::compose::{Entry, Setting, Tree, edit},
    },
    redact::Redact,
};

/// The branch of a pristine clone, and of a checkout without a history.
const MAIN: &str = "main";
/// The branches that changes are merged into, by Co-op Cloud's convention.
const TARGETS: [&str; 2] = [MAIN, "master"];
/// The reference of the commit of uncommitted changes.
const CHANGES: &str = "refs/taster/changes";

/// The checkouts in one `ABRA_DIR`.
#[derive(Debug, Clone)]
pub struct GitCheckout {
    recipes: PathBuf,
    git: Git,
    redact: Arc<Redact>,
}

impl GitCheckout {
    /// The checkouts in `abra_dir`. `path` is the `PATH` for git.
    pub fn new(abra_dir: &Path, path: OsString) -> Self {
        Self { recipes: abra_dir.join("recipes"), git: Git::new(path), redact: Arc::default() }
    }

    /// The same, with a `redact` that learns the secrets of each `.env` that is read or written.
    #[must_use]
    pub fn learning(self, redact: Arc<Redact>) -> Self {
        Self { redact, ..self }
    }

    fn dir(&self, recipe: &RecipeName) -> PathBuf {
        self.recipes.join(recipe.as_str())
    }

    async fn text(&self, dir: &Path, args: &[&str]) -> Result<String, CheckoutError> {
        self.git.text(dir, args).await
    }

    /// Makes the recipe's repository here a copy of the one in a folder, with the uncommitted changes of the folder as one commit
    /// on top if they are wanted. Says whether there were any. No file is checked out.
    ///
    /// # Errors
    /// When the folder has something that cannot be read as abra and Docker read it.
    pub async fn copy(&self, recipe: &RecipeName, folder: &Path, with_changes: bool) -> Result<bool, CheckoutError> {
        let dir = self.dir(recipe);
        let folder = fs::canonicalize(folder).map_err(|error| file_error(folder, &error))?;
        let repository = ForeignRepository::of(&folder).map_err(|error| file_error(&folder, &error))?;
        make_repository(&dir)?;
        if let Some(repository) = &repository {
            self.copy_repository(repository, &folder, &dir).await?;
        }
        let has_files = !repository.is_some_and(|repository| repository.bare);
        let changes = if has_files && with_changes { self.commit_changes(&folder, &dir).await? } else { None };
        if let Some(commit) = &changes {
            self.text(&dir, &["update-ref", "--no-deref", "HEAD", commit.as_str()]).await?;
        }
        Ok(changes.is_some())
    }

    /// Makes `dir` a repository with the branches, tags and objects of another one, whose configuration and hooks take no effect.
    async fn copy_repository(&self, from: &ForeignRepository, folder: &Path, dir: &Path) -> Result<(), CheckoutError> {
        let failed = |error: io::Error| file_error(folder, &error);
        let git_dir = dir.join(".git");
        let references = from.references().map_err(failed)?;
        let objects = from.objects().map_err(failed)?;
        if objects.as_os_str().as_bytes().contains(&b'\n') {
            return Err(failed(io::Error::other("its path has a line end")));
        }
        let alternates = git_dir.join("objects/info/alternates");
        write(&alternates, &[objects.as_os_str().as_bytes(), b"\n"].concat())?;
        let mut lines = BTreeMap::new();
        for (name, id) in &references.by_name {
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                lines.entry(format!("refs/remotes/origin/{branch}")).or_insert_with(|| id.clone());
            }
            lines.insert(name.clone(), id.clone());
        }
        // abra leaves a checkout on one of these.
        for branch in TARGETS {
            if let Some(id) = lines.get(&format!("refs/remotes/origin/{branch}")).cloned() {
                lines.entry(format!("refs/heads/{branch}")).or_insert(id);
            }
        }
        let packed: String = lines.iter().map(|(name, id)| format!("{id} {name}\n")).collect();
        write(&git_dir.join("packed-refs"), packed.as_bytes())?;
        if let Some(shallow) = from.shallow() {
            write(&git_dir.join("shallow"), shallow.as_bytes())?;
        }
        if let Some(exclude) = from.exclude() {
            write(&git_dir.join("info/exclude"), exclude.as_bytes())?;
        }
        if let Some(head) = &references.head {
            write(&git_dir.join("HEAD"), format!("{head}\n").as_bytes())?;
        }
        let packed = self.text(dir, &["repack", "-a", "-d", "-q"]).await;
        packed.map_err(|error| incomplete(folder, error))?;
        fs::remove_file(&alternates).map_err(|error| file_error(&alternates, &error))
    }

    /// The folder's files as the tree of a commit on top of HEAD, if they differ from it. Ignored files are left out.
    ///
    /// The folder is only read: git lists its files through an index of the run's own, and their bytes are committed as they are.
    async fn commit_changes(&self, folder: &Path, dir: &Path) -> Result<Option<Commit>, CheckoutError> {
        let index = dir.join(".git/taster-index");
        let listing = |args: &[&str]| {
            let mut git = self.git.with_files_of(dir, folder);
            git.env("GIT_INDEX_FILE", &index).args(args);
            git
        };
        let head = self.text(dir, &["rev-parse", "--verify", "--quiet", "HEAD"]).await.ok();
        if head.is_some() {
            run("read-tree", &mut listing(&["read-tree", "HEAD"])).await?;
        }
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
        let listed = output("ls-files", &mut listing(&args)).await?;
        let _ = fs::remove_file(&index);
        // A folder is listed only where it is a repository of its own.
        let path = |path: &[u8]| PathBuf::from(OsStr::from_bytes(path.strip_suffix(b"/").unwrap_or(path)));
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(path);
        let files = tree::of_paths(folder, paths.collect())?;
        let input = tree::fast_import(&files, CHANGES, AUTHOR, head.as_deref());
        output_with_input("fast-import", self.git.at(dir).args(["fast-import", "--quiet", "--done"]), &input).await?;
        let made = self.text(dir, &["rev-parse", CHANGES]).await?;
        let of = |commit: &str| format!("{commit}^{{tree}}");
        if let Some(head) = head {
            let trees = self.text(dir, &["rev-parse", &of(&head), &of(&made)]).await?;
            let trees: Vec<&str> = trees.lines().collect();
            if trees.windows(2).all(|pair| pair[0] == pair[1]) {
                self.text(dir, &["update-ref", "-d", CHANGES]).await?;
                return Ok(None);
            }
        }
        Ok(Some(parse_commit(&made)?))
    }

    /// Writes the files of a commit, and nothing else: what was on disk before does not count.
    async fn write_files(&self, dir: &Path, args: &[&str], commit: &Commit) -> Result<(), CheckoutError> {
        clear(dir).and_then(|()| Git::without_attributes(dir)).map_err(|error| file_error(dir, &error))?;
        let mut whole = vec!["checkout", "--quiet", "--force"];
        whole.extend(args);
        whole.push(commit.as_str());
        self.text(dir, &whole).await?;
        // A run deploys what is checked out here, so the result is verified.
        let head = parse_commit(&self.text(dir, &["rev-parse", "HEAD"]).await?)?;
        match head == *commit {
            true => differing(&self.tree_in(dir, commit).await?, dir),
            false => Err(CheckoutError::Git { action: "checkout".into(), message: format!("it is on {head}, not on {commit}") }),
        }
    }

    /// The files of a commit of the repository in `dir`.
    async fn tree_in(&self, dir: &Path, commit: &Commit) -> Result<Tree, CheckoutError> {
        let args = ["ls-tree", "-r", "-z", "--long", "--full-tree", commit.as_str()];
        let list = output("ls-tree", self.git.at(dir).args(args)).await.map_err(|error| incomplete(dir, error))?;
        let files = tree::parse_list(&list)?;
        let wanted: String = files.iter().map(|(_, _, id)| format!("{id}\n")).collect();
        let contents = output_with_input("cat-file", self.git.at(dir).args(["cat-file", "--batch"]), wanted.as_bytes()).await?;
        tree::with_contents(files, &contents)
    }

    /// What `git cat-file --batch-check` says of each of these names, in their order.
    async fn check(&self, dir: &Path, names: &[String]) -> Result<Vec<Option<String>>, CheckoutError> {
        let input: String = names.iter().map(|name| format!("{name}\n")).collect();
        let mut git = self.git.at(dir);
        let found =
            output_with_input("cat-file", git.args(["cat-file", "--batch-check=%(objectname)"]), input.as_bytes()).await?;
        let found = String::from_utf8_lossy(&found).into_owned();
        let ids: Vec<Option<String>> =
            found.lines().map(|line| Some(line.to_owned()).filter(|line| line.parse::<Commit>().is_ok())).collect();
        match ids.len() == names.len() {
            true => Ok(ids),
            false => Err(CheckoutError::Git { action: "cat-file".into(), message: "it answered another question".into() }),
        }
    }

    /// For each of the commits, the paths whose content or mode is another one in head.
    async fn changed(
        &self,
        dir: &Path,
        head: &Commit,
        commits: &[&Commit],
    ) -> Result<BTreeMap<Commit, Vec<String>>, CheckoutError> {
        let of: Vec<String> = [&head].into_iter().chain(commits).map(|commit| format!("{commit}^{{tree}}")).collect();
        let trees = self.check(dir, &of).await?;
        let trees: Vec<String> = trees.into_iter().collect::<Option<_>>().ok_or_else(|| unparsable("a commit without files"))?;
        let (own, trees) = trees.split_first().ok_or_else(|| unparsable("no files of head"))?;
        // git prints nothing for two equal trees.
        let unequal: BTreeSet<&String> = trees.iter().filter(|tree| *tree != own).collect();
        let pairs: String = unequal.iter().map(|tree| format!("{tree} {own}\n")).collect();
        let args = ["diff-tree", "--stdin", "-r", "--name-only", "--no-renames", "-z"];
        let differences = output_with_input("diff-tree", self.git.at(dir).args(args), pairs.as_bytes()).await?;
        let paths = parse_differences(&differences, own);
        let changed = |(commit, tree): (&&Commit, &String)| ((*commit).clone(), paths.get(tree).cloned().unwrap_or_default());
        Ok(commits.iter().zip(trees).map(changed).collect())
    }

    /// The tags, each with its commit, and the tags without one.
    async fn tags(&self, dir: &Path) -> Result<(Vec<Tag>, Vec<String>), CheckoutError> {
        let format = "--format=%(objecttype) %(refname:strip=2)";
        let refs = self.text(dir, &["for-each-ref", format, "refs/tags"]).await?;
        let refs: Vec<(&str, &str)> = refs.lines().filter_map(|line| line.split_once(' ')).collect();
        let names: Vec<String> = refs.iter().map(|(_, name)| format!("refs/tags/{name}^{{commit}}")).collect();
        let commits = self.check(dir, &names).await?;
        let (mut tags, mut stray) = (Vec::new(), Vec::new());
        for ((kind, name), commit) in refs.into_iter().zip(commits) {
            match commit {
                Some(commit) => {
                    tags.push(Tag { name: name.to_owned(), commit: parse_commit(&commit)?, annotated: kind == "tag" });
                }
                None => stray.push(name.to_owned()),
            }
        }
        Ok((tags, stray))
    }
}

#[async_trait]
impl Checkout for GitCheckout {
    async fn adopt(&self, claim: &Claim, recipe: &RecipeName, folder: &Path) -> Result<bool, CheckoutError> {
        self.covered(claim)?;
        let dirty = self.copy(recipe, folder, true).await?;
        let dir = self.dir(recipe);
        let at = parse_commit(&self.text(&dir, &["rev-parse", "--verify", "HEAD^{commit}"]).await?)?;
        self.write_files(&dir, &["--detach"], &at).await?;
        Ok(dirty)
    }

    async fn read(&self, recipe: &RecipeName) -> Result<Checked, CheckoutError> {
        let dir = self.dir(recipe);
        let head = parse_commit(&self.text(&dir, &["rev-parse", "--verify", "HEAD^{commit}"]).await?)?;
        let (tags, stray_tags) = self.tags(&dir).await?;
        let branch = self.branch(&dir).await;
        Ok(Checked { head, tags, stray_tags, branch })
    }

    async fn find(&self, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        let dir = self.dir(recipe);
        let no_such = || CheckoutError::NoSuchRef { at: at.to_owned() };
        if at.is_empty() || at.starts_with('-') {
            return Err(no_such());
        }
        // A tag takes precedence over a branch. A branch may exist only at the origin.
        let names = [format!("refs/tags/{at}"), at.to_owned(), format!("refs/remotes/origin/{at}")];
        let mut found = None;
        for name in names {
            let wanted = format!("{name}^{{commit}}");
            match self.text(&dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).await {
                Ok(text) => {
                    found = Some(text);
                    break;
                }
                Err(CheckoutError::Git { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        parse_commit(&found.ok_or_else(no_such)?)
    }

    async fn tree(&self, recipe: &RecipeName, commit: &Commit) -> Result<Tree, CheckoutError> {
        let tree = self.tree_in(&self.dir(recipe), commit).await?;
        // abra copies it to the app's `.env`.
        if let Some(Entry::Text(sample)) = tree.entry(".env.sample") {
            self.redact.publish_sample(sample);
        }
        Ok(tree)
    }

    async fn lineage(&self, recipe: &RecipeName, head: &Commit, others: &[Commit]) -> Result<Lineage, CheckoutError> {
        let dir = self.dir(recipe);
        let mut commits: BTreeSet<Commit> = self.tags(&dir).await?.0.into_iter().map(|tag| tag.commit).collect();
        commits.extend(others.iter().cloned());
        let commits: Vec<&Commit> = commits.iter().collect();
        let named: Vec<&str> = [head].into_iter().chain(commits.iter().copied()).map(Commit::as_str).collect();
        let history = [&["rev-list", "--parents", "--timestamp", "--all"], &named[..]].concat();
        let history = self.text(&dir, &history).await.map_err(|error| incomplete(&dir, error))?;
        let (mut parents, mut committed) = (BTreeMap::new(), BTreeMap::new());
        for line in history.lines() {
            let mut fields = line.split(' ');
            let time = fields.next().and_then(|time| time.parse::<i64>().ok());
            let mut ids = fields.map(parse_commit).collect::<Result<Vec<Commit>, _>>()?.into_iter();
            let (Some(time), Some(commit)) = (time, ids.next()) else { return Err(unparsable("an odd line of the history")) };
            committed.insert(commit.clone(), time);
            parents.insert(commit, ids.collect());
        }
        let shallow = fs::read_to_string(dir.join(".git/shallow")).is_ok_and(|text| !text.trim().is_empty());
        let changed = self.changed(&dir, head, &commits).await?;
        Ok(Lineage { changed, committed, shallow, ..Lineage::of(head, &parents) })
    }

    async fn verify(&self, recipe: &RecipeName, expected: &Tree) -> Result<(), CheckoutError> {
        differing(expected, &self.dir(recipe))
    }

    async fn go(&self, claim: &Claim, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        self.covered(claim)?;
        let wanted = self.find(recipe, at).await?;
        self.write_files(&self.dir(recipe), &["--detach"], &wanted).await?;
        Ok(wanted)
    }

    async fn pristine(&self, claim: &Claim, recipe: &RecipeName, commit: &Commit, abra_dir: &Path) -> Result<(), CheckoutError> {
        covered(claim, abra_dir)?;
        let (from, recipes) = (self.dir(recipe), abra_dir.join("recipes"));
        let dir = recipes.join(recipe.as_str());
        let (source, at) = (path_text(&from)?, commit.as_str());
        make_repository(&dir)?;
        let wanted = format!("{at}:refs/remotes/origin/{MAIN}");
        self.text(&dir, &["fetch", "--quiet", "--no-tags", source, &wanted, "+refs/tags/*:refs/tags/*"]).await?;
        self.write_files(&dir, &["-B", MAIN, "--no-track"], commit).await
    }

    async fn env(&self, claim: &Claim) -> Result<String, CheckoutError> {
        let path = env_file(claim)?;
        let text = fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
        self.redact.learn_env(&text);
        Ok(text)
    }

    async fn set_env(&self, claim: &Claim, settings: &[Setting]) -> Result<(), CheckoutError> {
        let path = env_file(claim)?;
        let text = fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
        let text = edit(&text, settings)
            .map_err(|error| CheckoutError::File { path: path.display().to_string(), message: error.to_string() })?;
        self.redact.learn_env(&text);
        fs::write(path, text).map_err(|error| file_error(path, &error))
    }

    async fn add(&self, claim: &Claim, recipe: &RecipeName, files: &BTreeMap<String, String>) -> Result<(), CheckoutError> {
        self.covered(claim)?;
        let dir = self.dir(recipe);
        for (name, text) in files {
            let path = dir.join(name);
            let folder = path.parent().unwrap_or(&dir);
            let refused = |message: &str| CheckoutError::File { path: name.clone(), message: message.to_owned() };
            if !stays_inside(name) {
                return Err(refused("it is not a path inside the checkout"));
            }
            // A recipe is untrusted, and a link in it may lead anywhere.
            let mut links = Path::new(name).ancestors().map(|part| dir.join(part)).filter(|part| *part != dir);
            if links.any(|part| part.is_symlink()) {
                return Err(refused("its path leads through a link in the recipe"));
            }
            fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
            fs::write(&path, text).map_err(|error| file_error(&path, &error))?;
        }
        Ok(())
    }

    async fn put_beside(&self, claim: &Claim, name: &str, text: &str) -> Result<(), CheckoutError> {
        self.covered(claim)?;
        let path = self.recipes.parent().unwrap_or(&self.recipes).join(name);
        fs::write(&path, text).map_err(|error| file_error(&path, &error))
    }
}

impl GitCheckout {
    /// The origin's main branch; without an origin, the local one.
    async fn branch(&self, dir: &Path) -> Option<Branch> {
        for from in ["refs/remotes/origin", "refs/heads"] {
            for name in TARGETS {
                let wanted = format!("{from}/{name}^{{commit}}");
                if let Ok(tip) = self.text(dir, &["rev-parse", "--verify", "--quiet", &wanted]).await {
                    return Some(Branch { name: name.to_owned(), commit: parse_commit(&tip).ok()? });
                }
            }
        }
        None
    }

    fn covered(&self, claim: &Claim) -> Result<(), CheckoutError> {
        covered(claim, &self.recipes)
    }
}

fn covered(claim: &Claim, folder: &Path) -> Result<(), CheckoutError> {
    match claim.what() {
        Claimed::Dir { path } if folder.starts_with(path) => Ok(()),
        _ => Err(CheckoutError::File { path: folder.display().to_string(), message: "no claim covers this folder".to_owned() }),
    }
}

fn env_file(claim: &Claim) -> Result<&Path, CheckoutError> {
    match claim.what() {
        Claimed::EnvFile { path } => Ok(path),
        Claimed::Stack { .. } | Claimed::Dir { .. } | Claimed::Snapshots { .. } | Claimed::Marker { .. } => {
            Err(CheckoutError::File { path: ".env".into(), message: "no claim covers it".into() })
        }
    }
}

/// Makes an empty repository with a configuration of taster's own: it is its own origin, so that a fetch of abra finds what is
/// there, and needs neither network nor another folder.
fn make_repository(dir: &Path) -> Result<(), CheckoutError> {
    let git_dir = dir.join(".git");
    for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        fs::create_dir_all(git_dir.join(folder)).map_err(|error| file_error(dir, &error))?;
    }
    let url = path_text(dir)?.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
         [remote \"origin\"]\n\turl = \"{url}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
         [branch \"{MAIN}\"]\n\tremote = origin\n\tmerge = refs/heads/{MAIN}\n"
    );
    write(&git_dir.join("config"), config.as_bytes())?;
    write(&git_dir.join("HEAD"), format!("ref: refs/heads/{MAIN}\n").as_bytes())
}

/// Removes all files of a checkout; its repository stays, without its index.
fn clear(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match (entry.file_name() == ".git", entry.file_type()?.is_dir()) {
            (true, _) => {}
            (false, true) => fs::remove_dir_all(entry.path())?,
            (false, false) => fs::remove_file(entry.path())?,
        }
    }
    match fs::remove_file(dir.join(".git/index")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An error where the files in `dir` are not those of the tree.
fn differing(expected: &Tree, dir: &Path) -> Result<(), CheckoutError> {
    match expected.difference(&tree::in_folder(dir)?) {
        Some(found) => Err(CheckoutError::Differs { path: found.path, difference: found.difference.to_owned() }),
        None => Ok(()),
    }
}

/// The error of a repository that lacks objects, with the remedy.
fn incomplete(folder: &Path, error: CheckoutError) -> CheckoutError {
    let CheckoutError::Git { message, .. } = error else { return error };
    let sentence = format!("the repository in {} is not complete ({message}); {}", folder.display(), tree::FETCH_ALL);
    CheckoutError::Unreadable { sentence }
}

/// The paths by tree, from the output of `git diff-tree --stdin`: before its paths a pair of trees has a line with both.
fn parse_differences(output: &[u8], own: &str) -> BTreeMap<String, Vec<String>> {
    let mut by_tree: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut tree = String::new();
    for piece in output.split(|byte| *byte == 0) {
        let mut piece = String::from_utf8_lossy(piece).into_owned();
        if let Some((line, first)) = piece.split_once('\n')
            && let Some(other) = line.strip_suffix(own).and_then(|rest| rest.strip_suffix(' '))
        {
            (tree, piece) = (other.to_owned(), first.to_owned());
        }
        if !piece.is_empty() {
            by_tree.entry(tree.clone()).or_default().push(piece);
        }
    }
    by_tree
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckoutError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).map_err(|error| file_error(path, &error))
}

fn unparsable(what: &str) -> CheckoutError {
    CheckoutError::Git { action: "cat-file".into(), message: format!("it found {what}") }
}

fn parse_commit(text: &str) -> Result<Commit, CheckoutError> {
    text.parse().map_err(|_| CheckoutError::Git { action: "rev-parse".into(), message: format!("{text:?} is not a commit") })
}

fn file_error(path: &Path, error: &std::io::Error) -> CheckoutError {
    CheckoutError::File { path: path.display().to_string(), message: error.to_string() }
}

fn path_text(path: &Path) -> Result<&str, CheckoutError> {
    path.to_str().ok_or_else(|| CheckoutError::File {
        path: path.display().to_string(),
        message: "its name is not valid UTF-8".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_parsed_by_tree() {
        let (a, b, own) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        let output = format!("{a} {own}\nabra.sh\0compose.yml\0{b} {own}\nREADME.md\0");
        let expected = BTreeMap::from([(a, vec!["abra.sh".into(), "compose.yml".into()]), (b, vec!["README.md".into()])]);
        assert_eq!(parse_differences(output.as_bytes(), &own), expected);
        assert_eq!(parse_differences(b"", &own), BTreeMap::new());
    }
}
