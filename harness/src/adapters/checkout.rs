//! The recipe's checkout, through the `git` program.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    adapters::tree,
    model::{
        git::{Branch, Tag},
        names::{Commit, RecipeName},
        protocol::stays_inside,
    },
    ports::{Checked, Checkout, CheckoutError},
    pure::{
        host::claim::{Claim, Claimed},
        recipe::compose::{Entry, Env, Tree},
    },
    redact::Redact,
};

/// The author of the commit of uncommitted changes. It shows only in `git log` of the run's own clone.
const IDENTITY: [&str; 4] = ["-c", "user.name=taster", "-c", "user.email=taster@localhost"];

/// The branch of a pristine clone.
const MAIN: &str = "main";

/// The checkouts in one `ABRA_DIR`.
#[derive(Debug, Clone)]
pub struct GitCheckout {
    recipes: PathBuf,
    path: OsString,
    redact: Arc<Redact>,
}

impl GitCheckout {
    /// The checkouts in `abra_dir`. `path` is the `PATH` for git.
    pub fn new(abra_dir: &Path, path: OsString) -> Self {
        Self { recipes: abra_dir.join("recipes"), path, redact: Arc::default() }
    }

    /// The same, with a `redact` that learns the secrets of each `.env` that is read or written.
    #[must_use]
    pub fn learning(self, redact: Arc<Redact>) -> Self {
        Self { redact, ..self }
    }

    /// The repositories in a folder that has one for each recipe.
    pub fn of_recipes(recipes: &Path, path: OsString) -> Self {
        Self { recipes: recipes.to_owned(), path, redact: Arc::default() }
    }

    fn dir(&self, recipe: &RecipeName) -> PathBuf {
        self.recipes.join(recipe.as_str())
    }

    /// A git command in `dir` without settings of the user or the system, because their signing, hooks, templates and filters
    /// could change what is checked out, or prompt.
    fn git(&self, dir: &Path) -> Command {
        let mut git = Command::new("git");
        git.arg("-C").arg(dir).args(IDENTITY);
        git.args(["-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "protocol.file.allow=always"]);
        git.env_clear()
            .env("PATH", &self.path)
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            // Old versions read safe.directory only from the environment, not from the command line.
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        git
    }

    async fn git_text(&self, action: &str, dir: &Path, args: &[&str]) -> Result<String, CheckoutError> {
        run(action, self.git(dir).args(args)).await
    }

    /// Clones a folder with its branches and tags, also a folder of another user.
    async fn clone_folder(&self, folder: &Path, dir: &Path) -> Result<(), CheckoutError> {
        let (from, to) = (path_text(folder)?, path_text(dir)?);
        self.git_text("clone", &self.recipes, &["clone", "--quiet", "--no-hardlinks", "--no-checkout", from, to]).await?;
        // A clone does not take over a detached HEAD, so the commit is checked out explicitly.
        if let Ok(head) = self.git_text("rev-parse", folder, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await {
            self.git_text("fetch", dir, &["fetch", "--quiet", "--tags", "--force", "origin", &head]).await?;
            self.git_text("checkout", dir, &["checkout", "--quiet", "--force", "--detach", &head]).await?;
        }
        Ok(())
    }

    /// Makes the clone's files equal to those of the folder, commits the difference, and returns whether there was one.
    ///
    /// The folder is only read: a separate index with the folder as its work tree finds the difference, with untracked and
    /// without ignored files.
    async fn commit_changes(&self, folder: &Path, dir: &Path) -> Result<bool, CheckoutError> {
        let index = dir.join(".git/taster-index");
        let with_folder = || {
            let mut git = self.git(dir);
            git.env("GIT_DIR", dir.join(".git")).env("GIT_WORK_TREE", folder).env("GIT_INDEX_FILE", &index);
            git
        };
        let born = self.git_text("rev-parse", dir, &["rev-parse", "--verify", "--quiet", "HEAD"]).await.is_ok();
        if born {
            run("read-tree", with_folder().args(["read-tree", "HEAD"])).await?;
        }
        let mut add = with_folder();
        // `.git` of the folder, a file or a folder, is never content.
        run("add", add.current_dir(folder).arg("-C").arg(folder).args(["add", "--all", "--", "."])).await?;
        let tree = run("write-tree", with_folder().arg("write-tree")).await?;
        let before = match born {
            true => self.git_text("rev-parse", dir, &["rev-parse", "HEAD^{tree}"]).await?,
            false => String::new(),
        };
        let _ = std::fs::remove_file(&index);
        if tree == before {
            return Ok(false);
        }
        let mut args = vec!["commit-tree", tree.as_str(), "-m", "Changes that were not committed"];
        if born {
            args.extend(["-p", "HEAD"]);
        }
        let commit = self.git_text("commit-tree", dir, &args).await?;
        self.git_text("checkout", dir, &["checkout", "--quiet", "--force", "--detach", &commit]).await?;
        Ok(true)
    }
}

#[async_trait]
impl Checkout for GitCheckout {
    async fn adopt(&self, claim: &Claim, recipe: &RecipeName, folder: &Path) -> Result<bool, CheckoutError> {
        self.covered(claim)?;
        let dir = self.dir(recipe);
        let folder = std::fs::canonicalize(folder).map_err(|error| file_error(folder, &error))?;
        std::fs::create_dir_all(&self.recipes).map_err(|error| file_error(&self.recipes, &error))?;
        let git_dir = self.git_text("rev-parse", &folder, &["rev-parse", "--is-bare-repository", "--git-dir"]).await;
        if git_dir.is_ok_and(|output| output == "true\n.") {
            self.clone_folder(&folder, &dir).await?;
            return Ok(false);
        }
        let top = self.git_text("rev-parse", &folder, &["rev-parse", "--show-toplevel"]).await.ok();
        match top.is_some_and(|top| Path::new(&top) == folder) {
            true => self.clone_folder(&folder, &dir).await?,
            // No repository, or a folder inside one: the checkout gets a new history.
            false => {
                let to = path_text(&dir)?;
                self.git_text("init", &self.recipes, &["init", "--quiet", "--initial-branch=main", to]).await?;
            }
        }
        self.commit_changes(&folder, &dir).await
    }

    async fn read(&self, recipe: &RecipeName) -> Result<Checked, CheckoutError> {
        let dir = self.dir(recipe);
        let head = parse_commit(&self.git_text("rev-parse", &dir, &["rev-parse", "--verify", "HEAD^{commit}"]).await?)?;
        let format = "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname:strip=2)";
        let refs = self.git_text("for-each-ref", &dir, &["for-each-ref", format, "refs/tags"]).await?;
        let entries = std::fs::read_dir(&dir).map_err(|error| file_error(&dir, &error))?;
        let files = entries.flatten().filter(|entry| entry.path().is_file());
        let mut files: Vec<String> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        let branch = self.branch(&dir).await;
        Ok(Checked { head, tags: refs.lines().filter_map(parse_tag).collect(), branch, files })
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
            let answer =
                self.git_text("rev-parse", &dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).await;
            match answer {
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
        let dir = self.dir(recipe);
        let list =
            output("ls-tree", self.git(&dir).args(["ls-tree", "-r", "-z", "--long", "--full-tree", commit.as_str()])).await?;
        let files = tree::parse_list(&list);
        let wanted: String = files.iter().filter_map(|file| file.content.as_ref()).map(|id| format!("{id}\n")).collect();
        let contents = output_with_input("cat-file", self.git(&dir).args(["cat-file", "--batch"]), wanted).await?;
        let tree = tree::with_contents(files, &contents);
        // abra copies it to the app's `.env`.
        if let Some(Entry::Text(sample)) = tree.entry(".env.sample") {
            self.redact.learn_env(sample);
        }
        Ok(tree)
    }

    async fn go(&self, claim: &Claim, recipe: &RecipeName, at: &str) -> Result<Commit, CheckoutError> {
        self.covered(claim)?;
        let dir = self.dir(recipe);
        let wanted = self.find(recipe, at).await?;
        self.git_text("checkout", &dir, &["checkout", "--quiet", "--force", "--detach", wanted.as_str()]).await?;
        // A run deploys what is checked out here, so the result is verified.
        let head = parse_commit(&self.git_text("rev-parse", &dir, &["rev-parse", "HEAD"]).await?)?;
        match head == wanted {
            true => Ok(head),
            false => Err(CheckoutError::Git { action: "checkout".into(), message: format!("it is on {head}, not on {wanted}") }),
        }
    }

    async fn pristine(&self, claim: &Claim, recipe: &RecipeName, commit: &Commit, abra_dir: &Path) -> Result<(), CheckoutError> {
        covered(claim, abra_dir)?;
        let (from, recipes) = (self.dir(recipe), abra_dir.join("recipes"));
        let dir = recipes.join(recipe.as_str());
        std::fs::create_dir_all(&recipes).map_err(|error| file_error(&recipes, &error))?;
        let (source, own, at) = (path_text(&from)?, path_text(&dir)?, commit.as_str());
        self.git_text("clone", &recipes, &["clone", "--quiet", "--no-checkout", source, own]).await?;
        let wanted = format!("{at}^{{commit}}");
        if self.git_text("rev-parse", &dir, &["rev-parse", "--verify", "--quiet", &wanted]).await.is_err() {
            // The commit may be on none of the branches that a clone takes over.
            self.git_text("fetch", &dir, &["fetch", "--quiet", "origin", at]).await?;
        }
        self.git_text("checkout", &dir, &["checkout", "--quiet", "--force", "-B", MAIN, at]).await?;
        let branches =
            self.git_text("for-each-ref", &dir, &["for-each-ref", "--format=%(refname:strip=2)", "refs/heads"]).await?;
        for other in branches.lines().filter(|branch| *branch != MAIN) {
            self.git_text("branch", &dir, &["branch", "--quiet", "-D", other]).await?;
        }
        for (key, value) in
            [("remote.origin.url", own), ("branch.main.remote", "origin"), ("branch.main.merge", "refs/heads/main")]
        {
            self.git_text("config", &dir, &["config", key, value]).await?;
        }
        self.git_text("fetch", &dir, &["fetch", "--quiet", "--prune", "origin"]).await?;
        let head = self.git_text("rev-parse", &dir, &["rev-parse", "HEAD"]).await?;
        match head == at {
            true => Ok(()),
            false => Err(CheckoutError::Git { action: "checkout".into(), message: format!("it is on {head}, not on {at}") }),
        }
    }

    async fn env(&self, claim: &Claim) -> Result<String, CheckoutError> {
        let path = env_file(claim)?;
        let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
        self.redact.learn_env(&text);
        Ok(text)
    }

    async fn set_env(&self, claim: &Claim, settings: &[(&str, &str)]) -> Result<(), CheckoutError> {
        let path = env_file(claim)?;
        let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
        let unwritable = |key: &str| CheckoutError::File {
            path: path.display().to_string(),
            message: format!("no line of an .env can express the value of {key}"),
        };
        let set = |text: String, (key, value): &(&str, &str)| with_setting(&text, key, value).ok_or_else(|| unwritable(key));
        let text = settings.iter().try_fold(text, set)?;
        self.redact.learn_env(&text);
        std::fs::write(path, text).map_err(|error| file_error(path, &error))
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
            std::fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
            std::fs::write(&path, text).map_err(|error| file_error(&path, &error))?;
        }
        Ok(())
    }
}

impl GitCheckout {
    /// The origin's main branch; without an origin, the local one.
    async fn branch(&self, dir: &Path) -> Option<Branch> {
        for from in ["refs/remotes/origin", "refs/heads"] {
            for name in ["main", "master"] {
                let wanted = format!("{from}/{name}^{{commit}}");
                if let Ok(tip) = self.git_text("rev-parse", dir, &["rev-parse", "--verify", "--quiet", &wanted]).await {
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

async fn run(action: &str, command: &mut Command) -> Result<String, CheckoutError> {
    output(action, command).await.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

async fn output(action: &str, command: &mut Command) -> Result<Vec<u8>, CheckoutError> {
    checked_output(action, command.output().await)
}

/// Like [`output`], with a text for the standard input.
async fn output_with_input(action: &str, command: &mut Command, input: String) -> Result<Vec<u8>, CheckoutError> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| start_error(action, &error))?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that ended early reports the reason itself.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ((), done) = tokio::join!(feed, child.wait_with_output());
    checked_output(action, done)
}

fn start_error(action: &str, error: &std::io::Error) -> CheckoutError {
    match error.kind() {
        ErrorKind::NotFound => CheckoutError::NoGit,
        _ => CheckoutError::Git { action: action.to_owned(), message: error.to_string() },
    }
}

fn checked_output(action: &str, done: std::io::Result<Output>) -> Result<Vec<u8>, CheckoutError> {
    let output = done.map_err(|error| start_error(action, &error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message").to_owned();
    Err(CheckoutError::Git { action: action.to_owned(), message })
}

/// A tag from a line of `for-each-ref`: kind and id of the ref's object, kind and id of the object that an annotated tag points
/// to, name.
fn parse_tag(line: &str) -> Option<Tag> {
    let fields: Vec<&str> = line.splitn(5, ' ').collect();
    let [kind, id, inner_kind, inner, name] = fields[..] else { return None };
    let (annotated, commit) = match (kind, inner_kind) {
        ("tag", "commit") => (true, inner),
        ("commit", _) => (false, id),
        // A tag of a file or a folder is not a version.
        _ => return None,
    };
    Some(Tag { name: name.to_owned(), commit: commit.parse().ok()?, annotated })
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

/// An `.env` with one key set. The last assignment of the key is replaced, because it is the one that counts, and keeps its
/// trailing comment; without an assignment a line is added. `None` for a value that no line can express.
fn with_setting(text: &str, key: &str, value: &str) -> Option<String> {
    let value = quoted_value(value)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let assigns = |line: &String| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    match lines.iter_mut().rev().find(|line| assigns(line)) {
        Some(line) => {
            let comment = line.find(" #").map(|at| line[at..].to_owned()).unwrap_or_default();
            *line = format!("{key}={value}{comment}");
        }
        None => lines.push(format!("{key}={value}")),
    }
    Some(lines.join("\n") + "\n")
}

/// The value as abra reads it back unchanged: plain if possible, else in quotes.
fn quoted_value(value: &str) -> Option<String> {
    let plain = value.to_owned();
    let literal = (!value.contains('\n')).then(|| format!("'{value}'"));
    let escaped = value.chars().fold(String::new(), |text, c| match c {
        '\n' => text + "\\n",
        '\r' => text + "\\r",
        '"' | '\\' | '$' => text + "\\" + c.encode_utf8(&mut [0; 4]),
        c => text + c.encode_utf8(&mut [0; 4]),
    });
    let forms = [Some(plain), literal, Some(format!("\"{escaped}\""))];
    let read_back = |form: &String| Env::parse(&format!("K={form} # comment\nL=\n")).is_ok_and(|env| env.get("K") == Some(value));
    forms.into_iter().flatten().find(read_back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_for_each_ref_is_parsed() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let made = |name: &str, commit: &str, annotated| Tag { name: name.into(), commit: commit.parse().unwrap(), annotated };
        for (line, expected) in [
            (format!("tag {a} commit {b} 1.0.0+2"), Some(made("1.0.0+2", &b, true))),
            (format!("commit {a}   light"), Some(made("light", &a, false))),
            (format!("blob {a}   file"), None),
            (format!("tag {a} tree {b} folder"), None),
            ("nonsense".to_owned(), None),
        ] {
            assert_eq!(parse_tag(&line), expected, "{line}");
        }
    }

    #[test]
    fn setting_replaces_the_last_assignment() {
        for (text, set) in [
            ("A=1\n", "A=1\nK=v\n"),
            ("K=1\nA=2\n", "K=v\nA=2\n"),
            ("K=1\nK=2 # length=3\n", "K=1\nK=v # length=3\n"),
            ("KEY=1\n#K=2\n", "KEY=1\n#K=2\nK=v\n"),
            ("K =1", "K=v\n"),
        ] {
            assert_eq!(with_setting(text, "K", "v").as_deref(), Some(set), "{text:?}");
        }
    }

    #[test]
    fn setting_is_read_back_unchanged() {
        for (value, line) in [
            ("", "K="),
            ("two words", "K=two words"),
            (", `www.a`", "K=, `www.a`"),
            ("it's", "K=it's"),
            ("we are #1", "K='we are #1'"),
            (" padded ", "K=' padded '"),
            ("'quoted'", "K=\"'quoted'\""),
            ("$DOMAIN", "K='$DOMAIN'"),
            ("two\nlines", "K=\"two\\nlines\""),
            ("it's $DOMAIN", "K=\"it's \\$DOMAIN\""),
            ("v\nL=w", "K=\"v\\nL=w\""),
        ] {
            let set = with_setting("L=1\n", "K", value).unwrap();
            assert_eq!(set, format!("L=1\n{line}\n"), "{value:?}");
            assert_eq!(Env::parse(&set).unwrap().get("K"), Some(value), "{value:?}");
        }
        assert_eq!(with_setting("", "K", "it's #1\""), None);
    }
}
